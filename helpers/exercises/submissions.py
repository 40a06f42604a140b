"""What learners handed in: one file a learner, or one folder a learner, whatever state it is in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from helpers.exercises import masters

LARGEST = 20 << 20  # bytes of a file
UNWRITTEN = "raise NotImplementedError"


@dataclass(frozen=True)
class Cell:
    """A cell as somebody saved it: the id that the exercise gave it, the one that the notebook gave it, its kind, and its text."""

    role: str | None
    id: str | None
    kind: str
    source: str


@dataclass(frozen=True)
class Submission:
    """A notebook of a learner's, or why it cannot be read as one."""

    learner: str
    file: str  # its path within the folder
    cells: tuple[Cell, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Step:
    """What is run, in this order: `given` by the exercise, `written` by the learner, `check`, or `hidden`, a check in full."""

    kind: str
    source: str
    id: str = ""


def find(folder: Path) -> list[Submission]:
    """All submissions of a folder, by name. Names that begin with a dot are left out, and what else stands in a learner's folder."""
    found: list[Submission] = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            inner = sorted(file for file in path.iterdir() if file.suffix == ".ipynb" and not file.name.startswith("."))
            name = _name(path.name)
            found += [_read(name, file, folder) for file in inner] or [Submission(name, name, fault="the folder has no notebook in it")]
        else:
            found.append(_read(_name(path.stem), path, folder))
    return found


def _name(name: str) -> str:
    """A file's name as text: bytes that are none, and what moves a line, are spelt out."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in name)


def _read(learner: str, path: Path, folder: Path) -> Submission:
    file = _name(str(path.relative_to(folder)))
    try:
        return Submission(learner, file, tuple(_cells(_text(path))))
    except ValueError as error:
        return Submission(learner, file, fault=str(error))


def _text(path: Path) -> str:
    """What a file says. A link is not followed: it could lead to somebody else's work. Raises ValueError."""
    if path.is_symlink():
        raise ValueError("it is a link to another file: hand in the file itself")
    if not path.is_file():
        raise ValueError("it is no file")
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ValueError(f"it has {size >> 20} MB, more than {LARGEST >> 20}: clear its outputs and save it again")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8, so no notebook") from None
    except OSError as error:
        raise ValueError(f"it cannot be opened: {error.strerror}") from None


def _cells(text: str) -> Iterator[Cell]:
    """The cells of a notebook of any version. Raises ValueError."""
    if not text.strip():
        raise ValueError("the file is empty: save the notebook again")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        is_cut = error.pos >= len(text.rstrip()) - 1 or "Unterminated" in error.msg
        where = "it ends in the middle, as when saving was interrupted" if is_cut else "it is not the JSON of a notebook"
        raise ValueError(f"{where} (line {error.lineno}): save the notebook again") from None
    except (RecursionError, ValueError):
        raise ValueError("it is not the JSON of a notebook") from None
    try:
        if isinstance(content, dict) and content.get("nbformat", 4) != 4:
            content = nbformat.reads(text, as_version=4)
        cells = content["cells"]
        yield from [_cell(cell) for cell in cells]
    except Exception as error:  # somebody else's file: anything may be wrong with it
        raise ValueError(f"it is JSON, but not as in a notebook of version 4 ({type(error).__name__}): save it from JupyterLab") from None


def _cell(cell: dict[str, Any]) -> Cell:
    source = cell["source"]
    role = cell.get("metadata", {}).get("nbgrader", {}).get("grade_id")
    id = cell.get("id")
    role, id = (name if isinstance(name, str) else None for name in (role, id))
    return Cell(role, id, str(cell["cell_type"]), source if isinstance(source, str) else "".join(source))


def exercise_of(submission: Submission, known: dict[str, NotebookNode]) -> str:
    """The name of the exercise whose cells these are, whatever the file is called. Raises ValueError."""
    roles = {cell.role for cell in submission.cells if cell.role}
    shared = {name: len(roles & {masters.cell_id(cell) for cell in master.cells}) for name, master in known.items()}
    most = max(shared.values(), default=0)
    best = [name for name, count in shared.items() if count == most]
    if not most:
        raise ValueError("no cell of it belongs to an exercise: hand in the exercise's own notebook, with the cells it came with")
    if len(best) > 1:
        raise ValueError(f"its cells belong to {' and to '.join(best)}: hand in one notebook for each")
    return best[0]


def written(submission: Submission, master: NotebookNode) -> dict[str, list[str]]:
    """What the learner wrote, by cell: more than one where a cell was split or copied."""
    ids = [masters.cell_id(cell) for cell in master.cells if masters.is_written(cell)]
    return {id: [cell.source for cell in submission.cells if cell.role == id] for id in ids}


def steps(submission: Submission, master: NotebookNode) -> list[Step]:
    """What is run: the master's cells in their order, with what the learner wrote and added in its place.

    Hidden parts come last: no later check can then say what the notebook's own code saw of them.
    """
    texts, extras = written(submission, master), _extras(submission, master)
    plan = [Step("written", source) for source in extras.pop(None, [])]
    for cell in master.cells:
        id = masters.cell_id(cell)
        if cell.cell_type == "code":
            if masters.is_written(cell):
                plan += [Step("written", source, id) for source in texts[id] or [UNWRITTEN]]
            elif not masters.is_check(cell):
                plan.append(Step("given", cell.source, id or ""))
            elif public := masters.public(cell.source):
                plan.append(Step("check", public, id))
        plan += [Step("written", source) for source in extras.pop(id or cell.get("id"), [])]
    hidden = [cell for cell in master.cells if masters.is_check(cell) and masters.has_hidden(cell.source)]
    return plan + [Step("hidden", cell.source, masters.cell_id(cell)) for cell in hidden]


def _extras(submission: Submission, master: NotebookNode) -> dict[str | None, list[str]]:
    """Code that is in no cell of the master, by the cell of the master that it follows: cells added, and given ones that were changed."""
    anchors = {masters.cell_id(cell) or cell.get("id"): cell.source for cell in master.cells}
    by_source = {cell.source: masters.cell_id(cell) or cell.get("id") for cell in master.cells}
    after: str | None = None
    found: dict[str | None, list[str]] = {}
    for cell in submission.cells:
        place = cell.role if cell.role in anchors else cell.id if cell.id in anchors else by_source.get(cell.source)
        after = place or after
        if cell.kind == "code" and cell.role is None and (place is None or cell.source != anchors[place]):
            found.setdefault(after, []).append(cell.source)
    return found
