"""From a master to the exercise: nbgrader takes out what a learner is to write, and what only graders see."""

from __future__ import annotations

import logging
import shutil
from datetime import datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from helpers.exercises import masters

STUB = "# your code here\nraise NotImplementedError"
ATTEMPTS = masters.RELEASED / "attempts"


def release(master: NotebookNode) -> NotebookNode:
    """The exercise that a master gives. A cell with nothing left in it goes."""
    from nbgrader.preprocessors import CheckCellMetadata, ClearHiddenTests, ClearOutput, ClearSolutions, LockCells

    logging.getLogger("traitlets").setLevel(logging.ERROR)
    steps = [
        ClearSolutions(code_stub={"python": STUB}),
        ClearHiddenTests(),
        LockCells(),
        ClearOutput(),
        CheckCellMetadata(),
    ]
    notebook = nbformat.from_dict(master)
    for step in steps:
        notebook, _ = step.preprocess(notebook, {})
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    return notebook


def text(notebook: NotebookNode) -> str:
    """A notebook as it is written to a file: the same bytes each time."""
    return nbformat.writes(notebook, version=4) + "\n"


def released(name: str) -> str:
    """The exercise of this name, as it has to stand in exercises/."""
    return text(release(masters.master(name)))


def build() -> list[Path]:
    """Write all exercises to exercises/. Returns the files that changed."""
    masters.RELEASED.mkdir(exist_ok=True)
    return [path for name in masters.names() if _write(path := path_of(name), released(name))]


def restart(name: str) -> Path | None:
    """Put a fresh exercise in the place of an attempt. Returns where the attempt went; None where there was none."""
    path, fresh = path_of(name), released(name)
    kept = None
    if path.exists() and path.read_text(encoding="utf-8") != fresh:
        ATTEMPTS.mkdir(exist_ok=True)
        kept = ATTEMPTS / f"{name}_{datetime.now():%Y-%m-%d_%H-%M-%S}.ipynb"
        shutil.move(path, kept)
    _write(path, fresh)
    return kept


def path_of(name: str) -> Path:
    return masters.RELEASED / f"{name}.ipynb"


def _write(path: Path, content: str) -> bool:
    """Write a file if it does not say that yet."""
    if path.exists() and path.read_text(encoding="utf-8") == content:
        return False
    path.write_text(content, encoding="utf-8")
    return True
