"""The subcommands of `llm-course exercises`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

from helpers.exercises import grading_command

Run = Callable[[argparse.Namespace], int]


def add(commands: argparse._SubParsersAction) -> None:
    """Add `exercises` and its own subcommands."""
    parser = commands.add_parser("exercises", help="make, check and begin anew the graded exercises")
    inner = parser.add_subparsers(required=True, metavar="WHAT")
    _add(inner, "build", build, "write exercises/ from solutions/")
    _add(inner, "check", check, "see whether the exercises are current, and their checks tell right from wrong", many=True)
    _add(inner, "progress", progress, "show what is done of all exercises, from the saved notebooks")
    grading_command.add_grade(inner).set_defaults(run=partial(_guarded, grading_command.grade))
    again = _add(inner, "restart", restart, "begin an exercise anew; the attempt goes to exercises/attempts/")
    again.add_argument("exercise", metavar="EXERCISE", help="such as ex02")


def _add(inner: argparse._SubParsersAction, name: str, run: Run, help: str, many: bool = False) -> argparse.ArgumentParser:
    parser = inner.add_parser(name, help=help)
    if many:
        parser.add_argument("exercises", nargs="*", metavar="EXERCISE", help="such as ex02 (default: all)")
    parser.set_defaults(run=partial(_guarded, run))
    return parser


def _guarded(run: Run, args: argparse.Namespace) -> int:
    """Run a subcommand; what a user can mend comes as a sentence. (What it needs is imported within, as it takes a second.)"""
    try:
        return run(args)
    except ModuleNotFoundError as error:
        print(f"llm-course: {error.name} is not installed: run `make setup`, or pip install -e '.[lab,author]'", file=sys.stderr)
    except ValueError as error:
        print(f"llm-course: {error}", file=sys.stderr)
    return 1


def build(_: argparse.Namespace) -> int:
    from helpers.exercises import masters, release

    changed = release.build()
    print(f"{len(masters.names())} exercises, {len(changed)} changed: {', '.join(path.name for path in changed) or 'none'}")
    return 0


def check(args: argparse.Namespace) -> int:
    """Audit exercises, and print a table. The exit status is 1 where something is wrong."""
    from helpers.exercises import masters
    from helpers.exercises.audit import audit

    faults = 0
    print(f"{'exercise':<28} {'checks':>6} {'hidden':>6} {'mutants killed':>15} {'alternatives passed':>20}")
    for name in [masters.find(name) for name in args.exercises] or masters.names():
        report = audit(name)
        killed, passed = f"{report.killed} of {report.mutants}", f"{report.passed} of {report.alternatives}"
        print(f"{name:<28} {report.checks:>6} {report.hidden:>6} {killed:>15} {passed:>20}", flush=True)
        for fault in report.faults:
            print(f"    {fault}")
        faults += len(report.faults)
    return 1 if faults else 0


def progress(_: argparse.Namespace) -> int:
    from helpers.exercises.progress import progress as so_far

    print(so_far())
    return 0


def restart(args: argparse.Namespace) -> int:
    from helpers.exercises import masters, release

    name = masters.find(args.exercise)
    kept = release.restart(name)
    print(f"{release.path_of(name)} is fresh. " + (f"Your attempt is kept: {kept}" if kept else "There was no attempt to keep."))
    return 0
