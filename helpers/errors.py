"""One sentence above an SDK's long traceback, in live and record mode: what happened to a call, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helpers.gateway.meter import Entry, Meter

SDKS = {"anthropic", "botocore", "google", "httpx", "httpx2", "litellm", "openai", "urllib3", "requests"}


def explain_in(shell: Any, meter: Meter) -> None:
    """Print the reason of a call that did not leave this machine, or reached nobody, above the traceback, which stays as it is.

    shell: IPython's. A shell that handles exceptions in a way of its own is left alone.
    """
    before = 0

    def begin(*_: Any) -> None:
        nonlocal before
        before = len(meter.entries)

    def show(shell: Any, kind: type[BaseException], error: BaseException, trace: Any, tb_offset: int | None = None) -> None:
        if said := sentence(error, list(meter.entries)[before:]):
            print(said, file=sys.stderr, flush=True)
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    if not shell.custom_exceptions:
        shell.events.register("pre_run_cell", begin)
        shell.set_custom_exc((Exception,), show)


def sentence(error: BaseException, entries: Sequence[Entry]) -> str:
    """Why the last call of a cell was not answered by its provider; empty where it was, or where no SDK raised the error."""
    last = entries[-1] if entries else None
    from_sdk = type(error).__module__.partition(".")[0] in SDKS
    return last.note if from_sdk and last and last.source is None else ""
