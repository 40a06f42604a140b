"""The command `llm-course`: the gateway on its own, for any program that speaks to a provider."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from decimal import Decimal
from pathlib import Path

from helpers import environment


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    args = _parser().parse_args(arguments)
    return args.run(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llm-course", description="Working with LLM APIs: tools of the course.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    gateway = commands.add_parser("gateway", help="serve the gateway on loopback until you press Ctrl-C")
    gateway.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1 (default 8080; 0 takes a free one)")
    gateway.add_argument("--mode", choices=("offline", "live", "record"), default=os.environ.get("COURSE_MODE", "offline"))
    gateway.add_argument("--strict", action="store_true", help="a prompt without a recording is an error")
    gateway.add_argument("--pace", type=float, default=float(os.environ.get("COURSE_PACE", "1")), help="1 for typical speed, 0 for none")
    gateway.add_argument("--budget-usd", type=Decimal, default=Decimal(os.environ.get("COURSE_BUDGET_USD") or "0.50"), help="for live and record")
    gateway.add_argument("--recordings", type=Path, help="folder to read recordings from, and to write to in record mode")
    gateway.set_defaults(run=serve)
    return parser


def serve(args: argparse.Namespace) -> int:
    """Serve until interrupted. Prints the variables as export lines, for a shell to evaluate."""
    from helpers.gateway.server import Gateway
    from helpers.gateway.sources.recordings import FOLDER

    upstream = None
    if args.mode != "offline":
        from helpers.gateway.sources.upstream import from_environment

        upstream = from_environment(args.mode, budget_usd=args.budget_usd, record_to=args.recordings)
    gateway = Gateway(strict=args.strict, pace=args.pace, recordings=args.recordings or FOLDER, upstream=upstream)
    try:
        gateway.start(args.port)
    except OSError as error:
        print(f"llm-course: cannot serve on port {args.port}: {error.strerror}. Choose another with --port.", file=sys.stderr)
        return 1
    for name, value in environment.variables(gateway.base_url).items():
        print(f"export {name}={value}")
    print(f"# {args.mode} mode on {gateway.base_url}; stop with Ctrl-C", flush=True)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    gateway.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
