"""Conversations: items that OpenAI keeps under a name, to which each response adds what was said."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from helpers import models
from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.dialects.openai import chat, rules
from helpers.gateway.dialects.openai import response_input as given
from helpers.gateway.dialects.openai import response_items as items
from helpers.gateway.dialects.openai.response_references import References, among, check_once
from helpers.gateway.dialects.schema import checker, list_of, nullable, shape
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, Dialect, Response, Route, hex_id, route

Json = dict[str, Any]
MOST_KEPT = 100_000_000  # bytes of conversations; the oldest go first
MOST_ADDED = 20  # items at a time
ITEMS = {**list_of(given.ITEM), "maxItems": MOST_ADDED}
_check_create = checker(shape(closed=True, items=nullable(ITEMS), metadata=nullable(chat.METADATA)))
_check_update = checker(shape("metadata", closed=True, metadata=nullable(chat.METADATA)))
_check_items = checker(shape("items", closed=True, items=ITEMS))


@dataclass
class Conversation:
    id: str
    created: int
    metadata: Json
    items: list[Json] = field(default_factory=list)

    def body(self) -> Json:
        return {"id": self.id, "object": "conversation", "created_at": self.created, "metadata": self.metadata}

    def waiting(self) -> frozenset[str]:
        """The ids of the calls that wait for their output."""
        called = {item["call_id"] for item in self.items if item["type"] == "function_call"}
        return frozenset(called - {item["call_id"] for item in self.items if item["type"] == "function_call_output"})


class OpenAIConversations:
    """The routes under /v1/conversations."""

    def __init__(self, dialect: Dialect, check: Callable[[Sequence[Json]], None], references: References) -> None:
        """`check` raises a Refusal for items that no response would take; `references` are told of what is kept here."""
        self._dialect = dialect
        self._check, self._references = check, references
        references.look_in(self)
        self._kept: Bounded[str, Conversation] = Bounded(MOST_KEPT, lambda _, kept: weight(kept))

    def clear(self) -> None:
        """Forget all conversations."""
        self._kept.clear()

    def size(self, id: Any) -> int:
        """The bytes that are kept under a name; 0 for what is none."""
        return self._kept.size(id) if isinstance(id, str) else 0

    @property
    def held(self) -> int:
        """The bytes of all conversations."""
        return self._kept.held

    def find(self, ids: Set[str], now: float) -> dict[str, Json]:
        """The items of these ids; of two with one id that of the conversation that was used last."""
        found: dict[str, Json] = {}
        for kept in self._kept.values():
            found |= among(tuple(kept.items), ids)
        return found

    def routes(self, place: str) -> list[Route]:
        one, all_items = place + "/(?P<id>[^/]+)", place + "/(?P<id>[^/]+)/items"
        item = all_items + "/(?P<item>[^/]+)"
        known = {"weigh": lambda call: self.size(call.groups["id"])}
        return [
            route("POST", place, "create conversation", handle=self.create, weigh=self._weigh_items),
            route("GET", one, "conversation", handle=self.get),
            route("POST", one, "update conversation", handle=self.update),
            route("DELETE", one, "delete conversation", handle=self.delete),
            route("POST", all_items, "add items", handle=self.add_items, weigh=self._weigh_items),
            route("GET", all_items, "conversation items", handle=self.list_items, **known),
            route("GET", item, "conversation item", handle=self.get_item, **known),
            route("DELETE", item, "delete item", handle=self.delete_item, **known),
        ]

    def _weigh_items(self, call: Call) -> int:
        """The bytes that are looked through for the items of a request, and of the conversation to which they are added."""
        return self._references.weigh(call.json.get("items") if call.body else None) + self.size(call.groups.get("id"))

    # ---- one conversation ------------------------------------------------
    def create(self, call: Call) -> Response:
        body = call.json if call.body else {}
        _check_create(body)
        rules.check_metadata(body)
        now = call.services.clock.now()
        made = Conversation(hex_id("conv_", 48), int(now), body.get("metadata") or {}, self._items(body.get("items") or [], now))
        self._kept[made.id] = made
        return self._dialect.ok(made.body())

    def get(self, call: Call) -> Response:
        return self._dialect.ok(self.named(call.groups["id"]).body())

    def update(self, call: Call) -> Response:
        conversation = self.named(call.groups["id"])
        _check_update(call.json)
        rules.check_metadata(call.json)
        conversation.metadata = call.json["metadata"] or {}
        return self._dialect.ok(conversation.body())

    def delete(self, call: Call) -> Response:
        """Its responses stay."""
        del self._kept[self.named(call.groups["id"]).id]
        return self._dialect.ok({"id": call.groups["id"], "object": "conversation.deleted", "deleted": True})

    def named(self, id: Any) -> Conversation:
        """A conversation. Raises Refusal for one that is not there."""
        found = self._kept.get(id) if isinstance(id, str) else None
        if found is None:
            raise Refusal("not_found", f"Conversation with id '{id}' not found.")
        return found

    # ---- its items -------------------------------------------------------
    def add_items(self, call: Call) -> Response:
        conversation = self.named(call.groups["id"])
        _check_items(call.json)
        added = self._items(call.json["items"], call.services.clock.now(), conversation.items)
        size = weight(added)
        self.check_room(conversation.id, size)
        self.add(conversation.id, added, size)
        return self._dialect.ok(items.page(added, {"order": "asc", "limit": str(MOST_ADDED), **_include(call)}))

    def check_room(self, id: str, size: int) -> None:
        """Raise Refusal where so many bytes more would make a conversation larger than all may be together."""
        if self._kept.size(id) + size > MOST_KEPT:
            raise Refusal("bad_value", f"This gateway keeps conversations of at most {MOST_KEPT:,} bytes: begin another one.", param="conversation", code=None)

    def add(self, id: str, added: list[Json], size: int) -> None:
        """Add what was said, and its size in bytes; nothing where the conversation is gone."""
        conversation = self._kept.get(id)
        if conversation is not None:
            conversation.items += added
            self._kept.grow(id, size)

    def list_items(self, call: Call) -> Response:
        return self._dialect.ok(items.page(self.named(call.groups["id"]).items, call.query))

    def get_item(self, call: Call) -> Response:
        return self._dialect.ok(items.shown(self._item(call), items.included(call.query)))

    def delete_item(self, call: Call) -> Response:
        conversation, gone = self.named(call.groups["id"]), self._item(call)
        del conversation.items[next(place for place, item in enumerate(conversation.items) if item is gone)]  # a response may be adding some meanwhile
        self._kept.grow(conversation.id, -weight(gone))
        return self._dialect.ok(conversation.body())

    def _item(self, call: Call) -> Json:
        for item in self.named(call.groups["id"]).items:
            if item["id"] == call.groups["item"]:
                return item
        raise Refusal("not_found", f"Item with id '{call.groups['item']}' not found in conversation with id '{call.groups['id']}'.")

    def _items(self, asked: list[Json], now: float, before: Sequence[Json] = ()) -> list[Json]:
        """Items with ids of their own. Raises Refusal for what a response would not take either."""
        model = models.of(self._dialect.provider)[0]
        asked = self._references.resolved(asked, now, path="items")
        for place, item in enumerate(asked):
            given.message(item, f"items[{place}]", model)
        self._check(asked)
        check_once([*before, *asked], "items")
        return list(items.listed(asked))


def _include(call: Call) -> dict[str, str]:
    return {name: value for name, value in call.query.items() if name in ("include", "include[]")}
