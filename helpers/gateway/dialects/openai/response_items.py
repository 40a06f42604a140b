"""The items that were put into a response, as they are listed: each with an id, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.gateway.dialects.openai import paging
from helpers.gateway.dialects.openai.response_body import THOUGHTS, without_thoughts
from helpers.gateway.dialects.openai.response_input import PREFIXES
from helpers.gateway.dialects.schema import BOOLEAN, between
from helpers.gateway.wire import hex_id

Json = dict[str, Any]
IMAGE_URLS = "message.input_image.image_url"
RETRIEVE = paging.Query(stream=BOOLEAN, starting_after=between("integer", 0), include_obfuscation=BOOLEAN)


def listed(asked: Sequence[Json]) -> tuple[Json, ...]:
    """What a request puts in, as items with ids of their own; those that have one keep it."""
    return tuple(_item(item) for item in asked)


def _item(item: Json) -> Json:
    kind = item.get("type") or "message"
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
        return without_thoughts(item)
    if item["type"] == "message" and IMAGE_URLS not in include:
        content = [{**part, "image_url": None} if part["type"] == "input_image" else part for part in item["content"]]
        return {**item, "content": content}
    return item


def page(items: Sequence[Json], query: dict[str, str]) -> Json:
    """A page of items, the newest first unless the query says otherwise. Raises Refusal for a query that does not fit."""
    include = included(query)
    return paging.page(items, query, "desc", lambda item: shown(item, include))


def included(query: dict[str, str]) -> list[str]:
    return query.get("include[]", query.get("include", "")).split(",")
