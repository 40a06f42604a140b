"""The subcommand `llm-course exercises grade`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def add_grade(inner: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add `grade` to the subcommands of `exercises`."""
    parser = inner.add_parser("grade", help="grade a folder of submissions: one notebook, or one folder, a learner")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the submissions are")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for scores.csv, scores.json and feedback/")
    parser.add_argument("--cell-seconds", type=float, default=60, metavar="S", help="the longest a cell may take (default 60)")
    parser.add_argument("--notebook-seconds", type=float, default=300, metavar="S", help="the longest a notebook may take (default 300)")
    parser.add_argument("--memory-mb", type=int, default=4096, metavar="MB", help="the most memory for a notebook (default 4096)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="how many at once (default: as many as there are cores)")
    parser.add_argument("--unsafe", action="store_true", help="grade without walls where the system has none: only for work that you trust")
    return parser


def grade(args: argparse.Namespace) -> int:
    """Grade a folder. Raises ValueError for what a user can mend."""
    from tqdm import tqdm

    from helpers.exercises import grading, masters, report, submissions, walls

    folder, out = args.folder.resolve(), args.out.resolve()
    _look_at(folder, out)
    lacking = walls.missing()
    if lacking and not args.unsafe:
        what = f"this system has no walls to grade behind. What is missing: {'; '.join(lacking)}"
        raise ValueError(f"{what}. Grade on a Linux that has them, or, only work that you trust, with --unsafe")
    if lacking:
        print(f"llm-course: grading without walls ({'; '.join(lacking)}): a submission can read and change whatever you can", file=sys.stderr)
    known = {name: masters.master(name) for name in masters.names()}
    limits = walls.Limits(args.cell_seconds, args.notebook_seconds, args.memory_mb << 20)
    total = len(submissions.find(folder))
    running = grading.grade(folder, known, limits, (out,), not lacking, args.jobs)
    try:
        results = list(tqdm(running, total=total, unit="submission", disable=None))
    except KeyboardInterrupt:
        print("llm-course: stopped; nothing was written", file=sys.stderr)
        return 130
    report.write(results, out)
    counts = ", ".join(f"{sum(result.state == state for result in results)} {state}" for state in sorted({result.state for result in results}))
    print(f"{len(results)} submissions: {counts}. Written to {args.out}: scores.csv, scores.json, {report.PAGES}/")
    return 0


def _look_at(folder: Path, out: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    if out == folder or folder in out.parents or out in folder.parents:
        raise ValueError("the folder of submissions and that of results must not lie within each other: choose another with -o")
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file: choose a folder with -o")
