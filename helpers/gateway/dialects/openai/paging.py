"""Pages of OpenAI's lists: limit, order, and after, the id of the row that a page begins behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from helpers.gateway.dialects.schema import STRING, Schema, between, checker, one_of, shape
from helpers.gateway.exchange import Refusal

Json = dict[str, Any]
MOST, USUAL = 100, 20  # rows of a page
LONGEST_NUMBER = 18  # letters
TRUTH = {"true": True, "false": False}


class Query:
    """The fields that a query may have, by their types."""

    def __init__(self, **fields: Schema) -> None:
        self._fields, self._check = fields, checker(shape(**fields))

    def read(self, query: dict[str, str]) -> Json:
        """Those that are given; others are passed over. Raises Refusal for one that does not fit."""
        found = {name: _value(query[name], schema) for name, schema in self._fields.items() if name in query}
        self._check(found)
        return found


PAGE = Query(order=one_of("asc", "desc"), limit=between("integer", 1, MOST), after=STRING)


def page(rows: Sequence[Json], query: dict[str, str], usual_order: str, shown: Callable[[Json], Json] = lambda row: row) -> Json:
    """The page of some rows, the oldest first, that a query asks for, each as it is `shown`. Raises Refusal for a query that does not fit."""
    asked = PAGE.read(query)
    ordered = rows if asked.get("order", usual_order) == "asc" else rows[::-1]
    start = _after(ordered, asked.get("after"))
    found = ordered[start : start + asked.get("limit", USUAL)]
    return {
        "object": "list",
        "data": [shown(row) for row in found],
        "first_id": found[0]["id"] if found else None,
        "has_more": start + len(found) < len(ordered),
        "last_id": found[-1]["id"] if found else None,
    }


def _after(rows: Sequence[Json], id: str | None) -> int:
    """The place after the row of a name."""
    if id is None:
        return 0
    place = next((place for place, row in enumerate(rows, start=1) if row["id"] == id), None)
    if place is None:
        raise Refusal("bad_value", f"Item with id '{id}' not found.", param="after", code=None)
    return place


def _value(given: str, schema: Schema) -> Any:
    """A word of a query as what it is to be; one that cannot be stays a word, and is refused by its type."""
    if schema.get("type") == "boolean":
        return TRUTH.get(given.lower(), given)
    digits = given.removeprefix("-")
    if schema.get("type") == "integer" and digits.isascii() and digits.isdecimal() and len(given) < LONGEST_NUMBER:
        return int(given)
    return given
