"""The command `llm-course`: the gateway on its own, for any program that speaks to a provider; and all chapters at once."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from helpers import environment, network
from helpers.course import MODES, CourseError, serving, settings
from helpers.drift import command as drift
from helpers.exercises import command as exercises

# Beside the variables, as lines that a shell passes over: clients that these alone do not lead here (their releases of 2026-11-28).
HINTS = (
    "# JavaScript: `new AzureOpenAI({ endpoint })` throws beside OPENAI_BASE_URL; `new AzureOpenAI()` does not. Or: unset OPENAI_BASE_URL",
    "# JavaScript: some clients read no address. Give @ai-sdk/google the baseURL $GOOGLE_GEMINI_BASE_URL/v1beta, @ai-sdk/azure",
    "#     $AZURE_OPENAI_ENDPOINT/openai/v1, @langchain/google the endpoint and @langchain/google-genai the baseUrl $GOOGLE_GEMINI_BASE_URL.",
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    args = _parser().parse_args(arguments)
    return args.run(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llm-course", description="Working with LLM APIs: tools of the course.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    gateway = commands.add_parser("gateway", help="serve the gateway on loopback until you press Ctrl-C")
    gateway.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1 (default 8080; 0 takes a free one)")
    gateway.add_argument("--mode", choices=MODES, help="offline unless set here or by COURSE_MODE")
    gateway.add_argument("--strict", action="store_true", help="a prompt without a recording is an error")
    gateway.add_argument("--pace", help="1 for typical speed, 0 for none (default 1, or COURSE_PACE)")
    gateway.add_argument("--budget-usd", help="for live and record (default 0.50, or COURSE_BUDGET_USD)")
    gateway.add_argument("--recordings", type=Path, help="folder to read recordings from, and to write to in record mode")
    gateway.set_defaults(run=serve)
    execute = commands.add_parser("run", help="run chapters, each in a kernel of its own, and write them to build/")
    execute.add_argument("chapters", nargs="*", metavar="CHAPTER", help="such as 03 or 03_streaming (default: all)")
    execute.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="parameters", help="a value for a parameter of the chapters")
    execute.add_argument("--html", action="store_true", help="make a site of all chapters too")
    execute.set_defaults(run=run)
    drift.add(commands)
    exercises.add(commands)
    return parser


def serve(args: argparse.Namespace) -> int:
    """Serve until interrupted. Prints the variables as lines for a shell to evaluate: unset and export."""
    try:
        chosen = settings(args.mode, args.strict or None, args.pace, args.budget_usd)
        gateway = serving(replace(chosen, folder=args.recordings or chosen.folder), args.port)
    except CourseError as error:
        print(f"llm-course: {error}", file=sys.stderr)
        return 1
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) else error
        print(f"llm-course: cannot serve on port {args.port}: {reason}. Choose another with --port.", file=sys.stderr)
        return 1
    print("\n".join((*_lines(gateway.base_url), f"# {chosen.mode} mode on {gateway.base_url}; stop with Ctrl-C", *HINTS)), flush=True)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    gateway.stop()
    return 0


def run(args: argparse.Namespace) -> int:
    """Run chapters, and say of each how long it took, what its calls cost and where it failed. The exit status is 1 where one failed."""
    try:
        from helpers import chapters, site

        found = chapters.find(args.chapters)
        failed = _run(found, chapters.values(args.parameters))
        print(f"{len(found)} run, {failed} failed: {chapters.BUILD / 'notebooks'}")
        if args.html:
            print(f"the site: {site.build(chapters.BUILD / 'notebooks', chapters.BUILD / 'site')}")
    except ModuleNotFoundError as error:
        print(f"llm-course: {error.name} is not installed: run `make setup`, or pip install -e '.[lab,site]'", file=sys.stderr)
        return 1
    except (ValueError, site.SiteError) as error:
        print(f"llm-course: {error}", file=sys.stderr)
        return 1
    return 1 if failed else 0


def _run(found: list[Path], given: dict[str, Any]) -> int:
    """How many of the chapters failed."""
    from tqdm import tqdm

    from helpers import chapters

    failed = 0
    with tqdm(total=len(found), unit="chapter", disable=None) as bar:
        for ran in chapters.run(found, chapters.BUILD / "notebooks", given):
            failed += bool(ran.failure)
            bar.write(str(ran), file=sys.stdout)
            bar.update()
    return failed


def _lines(base_url: str) -> list[str]:
    """What a shell evaluates. What it has in NO_PROXY stays; a proxy or certificate goes only where it would stop every client."""
    removed = {*environment.REMOVED, *environment.foreign(os.environ), *network.unusable(os.environ)}
    lines = [f"unset {' '.join(name for name in sorted(removed) if name.isidentifier())}"]
    for name, value in environment.variables(base_url).items():
        kept = f'"${{{name}:+,${name}}}"' if name in network.DIRECT else ""
        lines.append(f"export {name}={shlex.quote(value)}{kept}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
