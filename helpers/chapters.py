"""Runs chapters from the command line: with papermill, several at once, each in a kernel of its own.

papermill and its friends belong to JupyterLab's part of the set-up, so they are imported where they are used.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
BUILD = ROOT / "build"


@dataclass(frozen=True)
class Ran:
    """A chapter that ran: for how long (seconds), what was spent and what its calls cost live (USD), and where it failed."""

    chapter: str
    seconds: float
    spent: Decimal | None = None
    live: Decimal | None = None
    failure: str = ""

    def __str__(self) -> str:
        from helpers.costs import dollars

        bill = f"spent {dollars(self.spent)}, live {dollars(self.live)}" if self.spent is not None else "no bill"
        line = f"{self.chapter:<30} {self.seconds:6.1f} s   {bill}"
        return f"{line}\n    failed in {self.failure}" if self.failure else line


def find(names: list[str], folder: Path = FOLDER) -> list[Path]:
    """The chapters that begin with these names, such as 03 or 03_streaming; all where none is named. Raises ValueError."""
    known = sorted(folder.glob("[0-9]*.ipynb"))
    if not known:
        raise ValueError(f"there are no chapters in {folder}: run this in a checkout of the course")
    found: list[Path] = []
    for name in names or [""]:
        alike = [path for path in known if path.name.startswith(Path(name).name if name else "")]
        if not alike:
            raise ValueError(f"there is no chapter {name!r}; there are {', '.join(path.stem for path in known)}")
        found += [path for path in alike if path not in found]
    return found


def values(pairs: list[list[str]]) -> dict[str, Any]:
    """Names and values of parameters, these written as in YAML: a number is one, and so are true and null. Raises ValueError."""
    import yaml

    try:
        return {name: yaml.safe_load(value) for name, value in pairs}
    except yaml.YAMLError as error:
        raise ValueError(f"a value of a parameter is not as YAML has it: {error}") from None


def run(chapters: list[Path], to: Path, given: dict[str, Any]) -> Iterator[Ran]:
    """Run chapters side by side, as many as there are cores, and write them to a folder. Each is yielded as it ends.

    `given` are values for their parameters; a chapter takes those that it has. A chapter that fails is written up to the
    cell that failed. Raises ValueError for a parameter that none of them has.
    """
    to.mkdir(parents=True, exist_ok=True)
    taken = {path: _taken(path, given) for path in chapters}
    for name in given:
        if not any(name in of_chapter for of_chapter in taken.values()):
            raise ValueError(f"none of these chapters has a parameter {name!r}; they have {', '.join(_names(chapters))}")
    # Processes, as papermill changes the working directory; spawned, as a gateway in this process must not be forked.
    with ProcessPoolExecutor(min(len(chapters), os.cpu_count() or 1), multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(execute, path, to / path.name, of_chapter): path for path, of_chapter in taken.items()}
        for done in as_completed(running):
            try:
                yield done.result()
            except BrokenProcessPool:
                yield Ran(running[done].stem, 0.0, failure="the process that ran it was ended from outside")


def execute(chapter: Path, to: Path, given: dict[str, Any]) -> Ran:
    """Run one chapter from a fresh kernel and write it with its outputs; a widget's is the picture that it shows."""
    import nbformat
    import papermill

    from helpers.executor import ENGINE, register

    register()
    began = time.monotonic()
    failure = ""
    try:
        papermill.execute_notebook(chapter, to, given, engine_name=ENGINE, cwd=chapter.parent, progress_bar=False)
    except papermill.PapermillExecutionError as error:
        first = next(iter(error.source.splitlines()), "")
        failure = f"cell [{error.exec_count}] {first!r}: {error.ename}: {error.evalue}"
    except Exception as error:  # such as a kernel that died
        failure = f"{type(error).__name__}: {error}"
    bill = nbformat.read(to, as_version=4).metadata.get("bill", {}) if to.exists() else {}
    return Ran(chapter.stem, time.monotonic() - began, _usd(bill.get("spent")), _usd(bill.get("live")), failure)


def _usd(amount: str | None) -> Decimal | None:
    return None if amount in (None, "None") else Decimal(amount)


def _taken(chapter: Path, given: dict[str, Any]) -> dict[str, Any]:
    known = _parameters(chapter)
    return {name: value for name, value in given.items() if name in known}


def _names(chapters: list[Path]) -> list[str]:
    return sorted({name for path in chapters for name in _parameters(path)})


def _parameters(chapter: Path) -> list[str]:
    """The names that a chapter's cell of parameters sets."""
    import papermill

    return list(papermill.inspect_notebook(chapter))
