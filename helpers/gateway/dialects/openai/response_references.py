"""References in the input of a response: an item that is named by its id stands for the one that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any, Protocol

from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.dialects.openai.response_input import PREFIXES
from helpers.gateway.exchange import Refusal

Json = dict[str, Any]
# As users were shown it in 2025 and 2026: vercel/ai 7543 and 10290, CLIProxyAPI 2381; of an item that stands twice, continue 10723.
LOST = " Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input."


class Keeper(Protocol):
    """What keeps items. To look through it takes time in proportion to what it holds."""

    @property
    def held(self) -> int:
        """The bytes of all that is kept."""

    def find(self, ids: Set[str], now: float) -> dict[str, Json]:
        """The items of these ids that are there at a moment of the course's clock."""


class References:
    """Puts items in the place of their names."""

    def __init__(self, *keepers: Keeper) -> None:
        self._keepers = list(keepers)

    def look_in(self, keeper: Keeper) -> None:
        self._keepers.append(keeper)

    def weigh(self, asked: Any) -> int:
        """The bytes through which it looks for what is named, if anything is."""
        named = isinstance(asked, list) and any(isinstance(item, dict) and _is_reference(item) for item in asked)
        return sum(keeper.held for keeper in self._keepers) if named else 0

    def resolved(self, items: Sequence[Json], now: float, *, stores: bool = True, path: str = "input") -> list[Json]:
        """The items with those that are named in the place of their names. Raises Refusal for one that is not kept."""
        wanted = {_name(item, f"{path}[{place}]") for place, item in enumerate(items) if _is_reference(item)}
        kept = self._find(wanted, now)
        for item in items:
            if _is_reference(item) and item["id"] not in kept:
                raise Refusal("not_found", f"Item with id '{item['id']}' not found.{'' if stores else LOST}", param=path)
        return [kept[item["id"]] if _is_reference(item) else item for item in items]

    def _find(self, ids: Set[str], now: float) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for keeper in self._keepers:
            if missing := ids - found.keys():
                found |= keeper.find(missing, now)
        return found


def _is_reference(item: Json) -> bool:
    """Whether an item is a name only: a reference, which may leave out its type, or a thought without its content."""
    match item.get("type"):
        case "item_reference":
            return True
        case "reasoning":
            return not item.get("encrypted_content") and str(item.get("id") or "").startswith(PREFIXES["reasoning"])
        case None:
            return item.get("id") is not None and item.get("role") is None and item.get("content") is None
    return False


def check_once(items: Iterable[Json], path: str = "input") -> None:
    """Raise a Refusal for an item that stands twice, in the input or in what it goes on from."""
    met: set[str] = set()
    for item in items:
        id = item.get("id")
        if id in met:
            raise refused(f"Duplicate item found with id {id}. Remove duplicate items from your input and try again.", path)
        if id is not None:
            met.add(id)


def among(items: Iterable[Json], ids: Set[str]) -> dict[str, Json]:
    """The items of these ids."""
    return {item["id"]: item for item in items if item["id"] in ids}


def _name(item: Json, path: str) -> str:
    if item.get("id") is None:
        raise Refusal("missing", param=f"{path}.id")
    return item["id"]
