"""Pages of Anthropic's lists, by their first or last id.

Source: anthropic 2.14.0 (pagination.py, types/model_list_params.py, types/messages/batch_list_params.py), read on 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.gateway.exchange import Refusal

USUAL, MOST = 20, 1000  # entries on a page


def size(query: dict[str, str]) -> int:
    """How many entries a page is to have. Raises Refusal."""
    asked = query.get("limit")
    if asked is None:
        return USUAL
    try:
        count = int(asked)
    except ValueError:
        raise Refusal("wrong_type", param="limit", expected="integer", value=asked) from None
    if not 1 <= count <= MOST:
        rule, bound = ("minimum", 1) if count < 1 else ("maximum", MOST)
        raise Refusal("bad_value", param="limit", rule=rule, bound=bound, value=count)
    return count


def window(ids: Sequence[str], query: dict[str, str], what: str) -> tuple[slice, bool]:
    """The part of a list that a query asks for, and whether the list goes on in that direction. what: model, file or batch. Raises Refusal."""
    count = size(query)
    if "before_id" in query:
        end = _place(ids, "before_id", query["before_id"], what)
        start = max(0, end - count)
        return slice(start, end), start > 0
    start = _place(ids, "after_id", query["after_id"], what) + 1 if "after_id" in query else 0
    return slice(start, start + count), start + count < len(ids)


def _place(ids: Sequence[str], name: str, id: str, what: str) -> int:
    if id not in ids:
        raise Refusal("bad_value", f"{name}: there is no {what} {id!r} in this list", param=name)
    return ids.index(id)


def page(shown: Sequence[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """The body of a page."""
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    return {"data": list(shown), "has_more": has_more, "first_id": first, "last_id": last}
