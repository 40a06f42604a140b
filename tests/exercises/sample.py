"""An exercise of two functions and a text, and forty ways of handing it in: right, wrong, broken and hostile."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

RIGHT = {
    "cost": "def cost(tokens):\n    return tokens * RATE / 1_000_000",
    "longest": "def longest(words):\n    return max(words, key=len)",
}
SETUP = "from decimal import Decimal\nfrom helpers import costs\nfrom helpers.exercises import check, same\nRATE = Decimal(2)\nWORDS = ['tree', 'house', 'sea']"
CHECK_COST = """
with check("a million tokens cost the rate"):
    found = cost(1_000_000)
    assert isinstance(found, Decimal), f"return a Decimal, this is a {type(found).__name__}"
    assert found == RATE, f"expected {RATE}, got {found}"
    assert costs.dollars(found) == "2.00 USD", costs.dollars(found)
"""
CHECK_LONGEST = """
with check("the longest word is found"):
    for word in WORDS:
        assert len(longest([word, "a"])) == len(word), f"{word} is longer than a, and yours says {longest([word, 'a'])}"
### BEGIN HIDDEN TESTS
    assert longest(["secret-one", "b"]) == "secret-one", "hidden-sentence"
### END HIDDEN TESTS
"""
HIDDEN = """### BEGIN HIDDEN TESTS
with check("hidden-name"):
    assert same(cost(500_000), Decimal(1)), "hidden-sentence"
### END HIDDEN TESTS
"""


def master() -> NotebookNode:
    """The exercise with its solution: 2 points for cost, 3 for longest, 1 hidden; a text to be read."""
    cells = [
        new_code_cell(SETUP, id="setup"),
        _written("cost", RIGHT["cost"]),
        _check("check_cost", CHECK_COST, 2),
        _written("longest", RIGHT["longest"]),
        _check("check_longest", CHECK_LONGEST, 3),
        _check("check_hidden", HIDDEN, 1),
        new_markdown_cell("Because.", id="why", metadata=_role("why", grade=True, solution=True, points=4)),
        new_code_cell("never = run()", id="never", metadata={"tags": ["solution-only"]}),
    ]
    return new_notebook(cells=cells)


def _role(id: str, **role: object) -> dict:
    return {"nbgrader": {"grade_id": id, "grade": False, "solution": False, "locked": False, "schema_version": 3, "task": False, **role}}


def _written(id: str, source: str) -> NotebookNode:
    return new_code_cell(f"### BEGIN SOLUTION\n{source}\n### END SOLUTION", id=id, metadata=_role(id, solution=True))


def _check(id: str, source: str, points: int) -> NotebookNode:
    return new_code_cell(source.strip(), id=id, metadata=_role(id, grade=True, points=points, locked=True))


def work(first: str = "", after: str = "", **written: str) -> NotebookNode:
    """A submission: right, but for the cells named; `first` is a cell added at its beginning, `after` one added after `cost`."""
    notebook = master()
    notebook.cells = [cell for cell in notebook.cells if cell.id not in ("check_hidden", "never")]
    for cell in notebook.cells:
        role = cell.metadata.get("nbgrader", {}).get("grade_id")
        if role in RIGHT:
            cell.source = written.get(role, RIGHT[role])
    if after:
        notebook.cells.insert(2, new_code_cell(after))
    if first:
        notebook.cells.insert(1, new_code_cell(first))
    return notebook


def text(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook)


def without(role: str) -> NotebookNode:
    notebook = work()
    notebook.cells = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") != role]
    return notebook


def edited_checks() -> NotebookNode:
    """Wrong, and its check cells ask for nothing any more."""
    notebook = work(cost="def cost(tokens):\n    return 0", longest="def longest(words):\n    return ''")
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.source = "print('passed')"
    return notebook


def doubled() -> NotebookNode:
    """As after a cell was copied: both carry the id."""
    notebook = work(cost="def cost(tokens):\n    return 0")
    notebook.cells.insert(2, new_code_cell(RIGHT["cost"], metadata=_role("cost", solution=True)))
    return notebook


def changed_setup() -> NotebookNode:
    """As when a learner adds an import to the first cell."""
    notebook = work(longest="def longest(words):\n    return heapq.nlargest(1, words, len)[0]")
    notebook.cells[0].source += "\nimport heapq"
    return notebook


def version_3() -> str:
    return nbformat.writes(nbformat.convert(work(), 3), version=3)


def stripped() -> str:
    """As from a tool that drops what it does not know: no cell has a role or an id."""
    content = json.loads(text(work()))
    for cell in content["cells"]:
        cell["metadata"] = {}
        del cell["id"]
    return json.dumps(content | {"nbformat_minor": 4})


BENIGN: dict[str, tuple[NotebookNode | str | bytes, str, int | None, str]] = {  # what is handed in; the state, the points, and words that have to be said
    "right": (work(), "graded", 6, ""),
    "right in another way": (work(cost="cost = lambda tokens: Decimal(tokens) / 1_000_000 * 2", longest="import functools\nlongest = functools.partial(max, key=len)"), "graded", 6, ""),
    "names like builtins": (work(first="sum = 0\ninput = 'x'\nlist = [1]\nid = 'me'", cost="def cost(tokens):\n    len = tokens\n    return len * RATE / 1_000_000"), "graded", 6, ""),
    "half of it": (work(longest="def longest(words):\n    raise NotImplementedError"), "graded", 3, "not written yet"),
    "only the public ones": (work(longest="def longest(words):\n    return words[0] if len(words[0]) < 9 else 'long'"), "graded", 3, ""),
    "wrong": (work(cost="def cost(tokens):\n    return 2.0"), "graded", 3, "this is a float"),
    "crash": (work(cost="import no_such_module\ndef cost(tokens):\n    return 1"), "graded", 3, "ModuleNotFoundError"),
    "no Python": (work(cost="def cost(tokens:\n    return 1"), "graded", 3, "SyntaxError"),
    "a cell is missing": (without("cost"), "graded", 3, "`cost` is missing"),
    "a check is missing": (without("check_cost"), "graded", 6, ""),
    "a cell is there twice": (doubled(), "graded", 6, "`cost` is there 2 times"),
    "the setup is changed": (changed_setup(), "graded", 6, ""),
    "a cell was added": (work(first="import heapq", longest="def longest(words):\n    return heapq.nlargest(1, words, len)[0]"), "graded", 6, ""),
    "version 3": (version_3(), "graded", 6, ""),
    "no roles": (stripped(), "unreadable", 0, "no cell of it belongs to an exercise"),
    "empty": ("", "unreadable", 0, "the file is empty"),
    "half saved": (text(work())[:700], "unreadable", 0, "it ends in the middle"),
    "malformed": ("{'cells': ]", "unreadable", 0, "not the JSON of a notebook"),
    "a list": ("[1, 2]", "unreadable", 0, "not as in a notebook"),
    "deep": ("[" * 100_000, "unreadable", 0, ""),
    "version 99": (json.dumps({"nbformat": 99, "cells": []}), "unreadable", 0, "version"),
    "odd types": (json.dumps({"nbformat": 4, "cells": [{"cell_type": 3, "source": [1], "metadata": []}]}), "unreadable", 0, "not as in a notebook"),
    "no text": (b"\xff\xfe\x00PK", "unreadable", 0, "no text in UTF-8"),
}


def write(folder: Path, submissions: dict[str, NotebookNode | str | bytes]) -> None:
    """Put submissions into a folder, every second one in a folder of its learner's."""
    for number, (name, content) in enumerate(submissions.items()):
        path = folder / f"{name}.ipynb" if number % 2 else folder / name / "My work (1).ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = text(content) if isinstance(content, NotebookNode) else content
        path.write_bytes(content.encode() if isinstance(content, str) else content)
