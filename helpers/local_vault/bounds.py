"""What every part of the stand-in needs: an error to raise, a bound for what it keeps, and a look at what it is given."""

from __future__ import annotations

from typing import Any

MOST = 1000  # secrets, tokens, policies
LONGEST = 9  # digits of a number


class Refused(Exception):
    """A request that gets an error: its status and the sentences that say why."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status, *errors)


def room(kept: dict[str, Any], name: str = "") -> None:
    """Raise Refused where one more would be too many."""
    if len(kept) >= MOST and name not in kept:
        raise Refused(400, f"the course's stand-in for a vault keeps {MOST:,} of each, and no more")


def listed(body: dict[str, Any], name: str, kind: type, otherwise: list[Any]) -> list[Any]:
    """A list out of a request's body. Raises Refused for what is none, and for one of other things."""
    found = body.get(name)
    if found is None:
        return otherwise
    if not isinstance(found, list) or not all(type(one) is kind for one in found):
        raise Refused(400, f"{name} has to be a list of {'whole numbers' if kind is int else 'texts'}")
    return found
