"""`llm-course drift`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

PAGE = Path("build/drift.md")


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of llm-course."""
    parser = commands.add_parser("drift", help="what has moved: the gateway from the installed SDKs, models.toml from other tables, recordings from the providers")
    parser.add_argument("--to", type=Path, default=PAGE, help=f"where the page is written (default {PAGE})")
    parser.add_argument("--live", action="store_true", help="ask the providers too, those that you have keys for; this costs money")
    parser.add_argument("--requests", type=int, default=3, help="with --live: how many recorded prompts to send to each provider (default 3)")
    parser.add_argument("--budget-usd", help="with --live: the most that it may cost (default 0.50, or COURSE_BUDGET_USD)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare, write the page, and say in a line what was found. The exit status is 1 where a setting cannot be used."""
    from helpers.course import CourseError
    from helpers.drift import offline
    from helpers.drift.report import page

    if args.requests < 1:
        print("llm-course: --requests is how many prompts to send: 1 or more", file=sys.stderr)
        return 1
    try:
        answers, asked = _live(args) if args.live else ([], [])
    except CourseError as error:
        print(f"llm-course: {error}", file=sys.stderr)
        return 1
    findings = [*offline.findings(), *answers]
    args.to.parent.mkdir(parents=True, exist_ok=True)
    args.to.write_text(page(findings, asked), encoding="utf-8")
    print(f"{len(findings)} findings: {args.to}")
    return 0


def _live(args: argparse.Namespace) -> tuple[list, list[str]]:
    """What the providers answered otherwise, and which were asked."""
    from helpers.course import CourseError, serving, settings
    from helpers.drift import live

    gateway = serving(settings("live", budget_usd=args.budget_usd))
    try:
        asked = live.providers(gateway)
        if not asked:
            raise CourseError("there is no key for any provider: set one in your shell or in .env, or run this without --live")
        return live.findings(gateway, args.requests), asked
    finally:
        gateway.stop()
