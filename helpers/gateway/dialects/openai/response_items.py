"""The items that were put into a response, as they are listed: each with an id, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.gateway.dialects.openai.response_input import PREFIXES
from helpers.gateway.dialects.schema import BOOLEAN, STRING, Schema, between, checker, one_of, shape
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import hex_id

Json = dict[str, Any]
MOST, USUAL = 100, 20  # items of a page
LONGEST_NUMBER = 18  # letters
IMAGE_URLS = "message.input_image.image_url"
THOUGHTS = "reasoning.encrypted_content"
LIST = {"order": one_of("asc", "desc"), "limit": between("integer", 1, MOST), "after": STRING}
RETRIEVE = {"stream": BOOLEAN, "starting_after": between("integer", 0), "include_obfuscation": BOOLEAN}


def listed(asked: str | Sequence[Json]) -> tuple[Json, ...]:
    """What a request puts in, as items with ids of their own; those that have one keep it."""
    items = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    return tuple(_item(item) for item in items)


def _item(item: Json) -> Json:
    kind = item.get("type", "message")
    found = {"id": hex_id(PREFIXES.get(kind, "item") + "_", 48), "type": kind, **{name: value for name, value in item.items() if value is not None}}
    if kind in ("message", "function_call", "function_call_output"):
        found.setdefault("status", "completed")
    if kind == "message":
        found["content"] = _content(item["role"], item["content"])
    return found


def _content(role: str, content: Any) -> list[Json]:
    """Content as parts, with the fields that the SDK's types have."""
    if isinstance(content, str):
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": content}]
    return [_part(part) for part in content]


def _part(part: Json) -> Json:
    match part["type"]:
        case "output_text":
            return {"annotations": [], "logprobs": [], **part}
        case "input_image":
            return {"detail": "auto", "file_id": None, **part}
    return part


def shown(item: Json, include: Sequence[str]) -> Json:
    """An item with what `include` names: the addresses of images and encrypted thoughts come when they are asked for."""
    if item["type"] == "reasoning" and THOUGHTS not in include:
        return {name: value for name, value in item.items() if name not in ("content", "encrypted_content")}
    if item["type"] == "message" and IMAGE_URLS not in include:
        content = [{**part, "image_url": None} if part["type"] == "input_image" else part for part in item["content"]]
        return {**item, "content": content}
    return item


def page(items: Sequence[Json], query: dict[str, str]) -> Json:
    """A page of items, the newest first unless the query says otherwise. Raises Refusal for a query that does not fit."""
    asked, include = checked(query, LIST), included(query)
    ordered = list(items) if asked.get("order") == "asc" else list(reversed(items))
    start = _after(ordered, asked.get("after"))
    found = ordered[start : start + asked.get("limit", USUAL)]
    return {
        "object": "list",
        "data": [shown(item, include) for item in found],
        "first_id": found[0]["id"] if found else None,
        "has_more": start + len(found) < len(ordered),
        "last_id": found[-1]["id"] if found else None,
    }


def checked(query: dict[str, str], fields: dict[str, Schema]) -> Json:
    """The fields of a query by their types. Raises Refusal for one that does not fit."""
    found: Json = {name: _value(query[name], schema) for name, schema in fields.items() if name in query}
    checker(shape(**fields))(found)
    return found


def _value(given: str, schema: Schema) -> Any:
    """A word of a query as what it is to be; one that cannot be stays a word, and is refused."""
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(given.lower(), given)
    if schema.get("type") == "integer" and given.lstrip("-").isascii() and given.lstrip("-").isdecimal() and len(given) < LONGEST_NUMBER:
        return int(given)
    return given


def included(query: dict[str, str]) -> list[str]:
    return query.get("include[]", query.get("include", "")).split(",")


def _after(items: Sequence[Json], id: str | None) -> int:
    """The place after the item of a name."""
    if id is None:
        return 0
    for place, item in enumerate(items, start=1):
        if item["id"] == id:
            return place
    raise Refusal("bad_value", f"Item with id '{id}' not found.", param="after", code=None)
