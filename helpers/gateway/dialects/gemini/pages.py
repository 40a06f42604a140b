"""Lists in pages, as Google's APIs have them: pageSize, pageToken, nextPageToken."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import TypeVar

from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call

T = TypeVar("T")


def page(call: Call, rows: Sequence[T], name: Callable[[T], str], usual: int, most: int) -> tuple[Sequence[T], dict[str, str]]:
    """The rows of the page that a call asks for, and the token of the next where there is one.

    usual, most: rows of a page where none is asked for, and at most. A token names the row with which its page begins, so that
    rows before it may be deleted in between. Raises Refusal for a size that is none, and for a token that names no row.
    """
    size, start = _size(call, usual, most), 0
    if token := _asked(call, "pageToken", "page_token"):
        start = next((place for place, row in enumerate(rows) if _token(name(row)) == token), -1)
        if start < 0:
            raise Refusal("bad_value", "The page token is invalid.", param="pageToken")
    after = rows[start + size : start + size + 1]
    return rows[start : start + size], {"nextPageToken": _token(name(after[0]))} if after else {}


def _size(call: Call, usual: int, most: int) -> int:
    given = _asked(call, "pageSize", "page_size")
    if not given:
        return usual
    if not given.isdecimal() or len(given) > 9:
        raise Refusal("wrong_type", param="pageSize", expected="integer", value=given)
    return min(int(given), most) or usual


def _asked(call: Call, *names: str) -> str:
    return next((call.query[name] for name in names if name in call.query), "")


def _token(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode().rstrip("=")
