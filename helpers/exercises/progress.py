"""How far a learner has come, read from the saved notebooks: nothing is stored anywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nbformat import NotebookNode

from helpers import page
from helpers.exercises import masters
from helpers.exercises.checks import PASSED


@dataclass(frozen=True)
class Done:
    """One exercise: how many of its public checks passed when its notebook was last saved, and the first that did not."""

    name: str
    passed: int
    checks: int
    next: str = ""


class Progress(list[Done]):
    """What is done of all exercises, as a table in a notebook or a terminal."""

    COLUMNS = ("exercise", "passed", "of", "next")

    def _rows(self) -> list[tuple[str, ...]]:
        return [(done.name, str(done.passed), str(done.checks), done.next) for done in self]

    def __str__(self) -> str:
        rows = [self.COLUMNS, *self._rows()]
        return "\n".join(f"{name:<28} {passed:>6} {of:>3}  {following}".rstrip() for name, passed, of, following in rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return page.table(self.COLUMNS, self._rows())


def progress() -> Progress:
    """The state of every exercise in exercises/, by what its checks printed before it was saved."""
    return Progress(_done(path.stem, masters.read(path)) for path in sorted(masters.RELEASED.glob("ex*.ipynb")))


def _done(name: str, notebook: NotebookNode) -> Done:
    cells = [cell for cell in notebook.cells if masters.is_check(cell)]
    waiting = [masters.what(cell) for cell in cells if not _has_passed(cell)]
    return Done(name, len(cells) - len(waiting), len(cells), waiting[0] if waiting else "")


def _has_passed(cell: NotebookNode) -> bool:
    return any(line.startswith(PASSED) for line in _printed(cell.outputs))


def _printed(outputs: Iterable[NotebookNode]) -> list[str]:
    """The lines of a cell, which a busy kernel may have sent in parts."""
    return "".join(output.text for output in outputs if output.output_type == "stream").splitlines()
