"""Runs a notebook of one's own in a process of its own, quickly, and says of each check whether it holds.

For masters, mutants and stubs, which are trusted: there are no walls here. Submissions are run by grade.py.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from nbformat import NotebookNode

from helpers.exercises import masters

SECONDS = 60  # for one cell
WORKERS = 2 + (os.cpu_count() or 1)  # some wait for a stream that is silent


@dataclass(frozen=True)
class Trial:
    """What running a notebook gave: of each check what it lacked (None where it holds), and the cell that stopped it, if one did."""

    failures: dict[str, str | None]
    stopped: str = ""

    @property
    def failed(self) -> list[str]:
        """The ids of the checks that do not hold."""
        return [id for id, said in self.failures.items() if said is not None]


def run(notebooks: Iterable[NotebookNode], keep_going: bool = False) -> Iterator[Trial]:
    """Try notebooks side by side, in order, each in a process that has nothing of the others.

    keep_going: a cell that fails does not stop the notebook, as when a learner runs one cell after the other.
    """
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    if os.name == "posix":
        context.set_forkserver_preload(["helpers.exercises.warm"])
    cells = [[(masters.cell_id(cell), masters.is_check(cell), cell.source) for cell in notebook.cells if cell.cell_type == "code"] for notebook in notebooks]
    with ProcessPoolExecutor(WORKERS, context, max_tasks_per_child=1) as pool:
        yield from pool.map(partial(_try, keep_going=keep_going, seconds=SECONDS), cells)


def _try(cells: list[tuple[str | None, bool, str]], keep_going: bool, seconds: int) -> Trial:
    """In a process of its own: the cells, one after the other."""
    os.environ.setdefault("MPLBACKEND", "agg")
    shell = _shell()
    failures: dict[str, str | None] = {id: "did not run" for id, is_check, _ in cells if is_check}
    for number, (id, is_check, source) in enumerate(cells):
        error = _run(shell, masters.bare(source) if is_check else source, seconds)
        if is_check:
            failures[id] = _said(error)
        elif error is not None and not keep_going:
            return Trial(failures, f"{id or f'code cell {number}'}: {_said(error)}")
    return Trial(failures)


def _shell() -> Any:
    from IPython.core.interactiveshell import InteractiveShell

    import __main__

    shell = InteractiveShell.instance(user_module=__main__, colors="nocolor")
    shell.history_manager.enabled = False
    return shell


def _run(shell: Any, source: str, seconds: int) -> BaseException | None:
    """Run a cell, in silence. Returns what it raised."""
    with _in_time(seconds), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        result = shell.run_cell(source, store_history=False)
    return result.error_before_exec or result.error_in_exec


def _said(error: BaseException | None) -> str | None:
    return None if error is None else str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _in_time(seconds: int) -> Iterator[None]:
    """Interrupt what takes longer."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"the cell took longer than {seconds} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
