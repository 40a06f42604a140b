"""The masters in solutions/: which cells a learner writes, which check, and what stands beside them.

A master is a notebook that nbgrader understands: its cells carry an id and a role. `### BEGIN SOLUTION` and
`### END SOLUTION` stand round what a learner has to write, `### BEGIN HIDDEN TESTS` round what only graders see.
"""

from __future__ import annotations

import ast
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
MASTERS, RELEASED = ROOT / "solutions", ROOT / "exercises"
MOST_TRIES = 20
_parsing = threading.Lock()
HIDDEN = ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS")


@dataclass(frozen=True)
class Check:
    """A cell of asserts: its id, what it looks at in words, its points and its code."""

    id: str
    what: str
    points: int
    code: str


def names() -> list[str]:
    """The names of all exercises, in order."""
    return sorted(path.stem for path in MASTERS.glob("ex*.ipynb"))


def find(beginning: str) -> str:
    """The exercise whose name begins so, such as ex02. Raises ValueError."""
    alike = [name for name in names() if name.startswith(Path(beginning).stem)]
    if len(alike) != 1 or not beginning:
        raise ValueError(f"there is no exercise {beginning!r}; there are {', '.join(names())}")
    return alike[0]


def master(name: str) -> NotebookNode:
    """A master, as it stands in solutions/."""
    return read(MASTERS / f"{name}.ipynb")


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def cell_id(cell: NotebookNode) -> str | None:
    """The id that a master gave a cell; None for a cell without a role."""
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def is_written(cell: NotebookNode) -> bool:
    """Whether the learner writes in this cell."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def is_check(cell: NotebookNode) -> bool:
    """Whether the cell is a check: a learner cannot change what it asks."""
    role = cell.metadata.get("nbgrader", {})
    return bool(role.get("grade")) and not role.get("solution")


def is_text(cell: NotebookNode) -> bool:
    """Whether the learner answers in words here, for a person to read."""
    role = cell.metadata.get("nbgrader", {})
    return bool(role.get("grade")) and bool(role.get("solution"))


def checks(notebook: NotebookNode) -> list[Check]:
    """All checks of a notebook, in order."""
    return [_check(cell) for cell in notebook.cells if is_check(cell)]


def _check(cell: NotebookNode) -> Check:
    return Check(cell_id(cell), what(cell), cell.metadata.nbgrader.points, bare(cell.source))


def what(cell: NotebookNode) -> str:
    """The words in `with check("..."):`."""
    block = _block(parse(cell.source))
    if block is None:
        raise ValueError(f"the check {cell_id(cell)} has no `with check(...)`")
    return ast.literal_eval(block.items[0].context_expr.args[0])


def parse(source: str) -> ast.Module:
    """A cell's code as a tree. Raises SyntaxError.

    Python 3.11 loses count where two threads parse (python/cpython issue 106905): so one at a time, and once more where another
    thread did it meanwhile without asking here, as each does that prints a traceback.
    """
    for _ in range(MOST_TRIES):
        with _parsing, suppress(SystemError):
            return ast.parse(source)
    return ast.parse(source)


def bare(source: str) -> str:
    """The code of a check so that its asserts raise: the block without `with check(...)` round it."""
    tree = parse(source)
    block = _block(tree)
    if block is None:
        return source
    place = tree.body.index(block)
    tree.body[place : place + 1] = block.body
    return ast.unparse(tree)


def has_hidden(source: str) -> bool:
    """Whether a check asks something that the exercise does not show."""
    return HIDDEN[0] in source


def public(source: str) -> str:
    """A check as the exercise has it, without its hidden part; empty if it is hidden as a whole."""
    kept = re.sub(rf"^[ \t]*{HIDDEN[0]}.*?{HIDDEN[1]}[^\n]*\n?", "", source, flags=re.DOTALL | re.MULTILINE)
    return kept.rstrip() if _block(parse(kept)) else ""


def _block(tree: ast.Module) -> ast.With | None:
    blocks = (node for node in tree.body if isinstance(node, ast.With))
    return next((block for block in blocks if ast.unparse(block.items[0].context_expr).startswith("check(")), None)
