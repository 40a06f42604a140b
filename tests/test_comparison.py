"""The comparison table of chapter 11b: each cell names the call behind it, and the log of the chapter has that call."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import nbformat
import pytest

CHAPTER = Path(__file__).parents[1] / "notebooks/11b_a_table_that_proves_itself.ipynb"
DOORS = {"OpenAI": "openai", "Anthropic": "anthropic", "Gemini": "gemini"}


def rows_of(html: str) -> list[list[str]]:
    """The rows of a table, its head first, as the words in its cells."""
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]
    return [[unescape(re.sub("<[^>]+>", "", cell.replace("<br>", "\n"))) for cell in row] for row in rows]


@pytest.fixture(scope="module")
def shown():
    """The tables that the chapter's cells show, by their source."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    return {cell.source: rows_of(output.data["text/html"]) for cell in cells for output in cell.get("outputs", ()) if "text/html" in output.get("data", {})}


@pytest.fixture(scope="module")
def calls(shown):
    """Each call of the log: its provider and its status."""
    head, *rows = shown["course.log()"]
    places = [head.index(name) for name in ("#", "provider", "status")]
    return {number: (provider, int(status)) for number, provider, status in ([row[place] for place in places] for row in rows)}


@pytest.fixture(scope="module")
def table(shown):
    """The words and the call of each cell, by its row and its column."""
    head, *rows = shown["show()"]
    found = {(row[0], door): re.fullmatch(r"(.+)\ncall (\d+)", cell) for row in rows for door, cell in zip(head[1:], row[1:], strict=True)}
    assert head[1:] == list(DOORS) and len(rows) >= 18
    return found


def test_every_cell_names_a_call_of_its_provider(table, calls):
    for (row, door), cell in table.items():
        assert cell, f"{row}, {door}: names no call"
        assert calls[cell[2]][0] == DOORS[door], f"{row}, {door}: call {cell[2]} went to {calls[cell[2]][0]}"
    named = [cell[2] for cell in table.values()]
    assert len(set(named)) == len(named), "a call proves one cell"


def test_a_cell_says_refused_where_the_call_was_refused_and_nowhere_else(table, calls):
    for (row, door), cell in table.items():
        status = calls[cell[2]][1]
        assert cell[1] == f"refused: {status}" if status >= 400 else not cell[1].startswith("refused"), f"{row}, {door}: {cell[1]}, but the status is {status}"


def test_what_was_said_is_shown_for_every_refusal(table, shown):
    told = next(rows for rows in shown.values() if rows[0][0] == "call")[1:]
    assert {(row[2], row[1], row[0]) for row in told} == {(row, door, cell[2]) for (row, door), cell in table.items() if cell[1].startswith("refused")}
    assert all(row[3] for row in told)
