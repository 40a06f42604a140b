"""Anthropic's content blocks: what each has to hold, and what it is to the neutral question. Bedrock's invoke shares it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from helpers.gateway.dialects import images
from helpers.gateway.dialects.schema import ANY, ARRAY, BOOLEAN, OBJECT, STRING, checker, nullable, one_of, shape
from helpers.gateway.exchange import Part, Refusal
from helpers.models import Model

CACHE_CONTROL = nullable(shape("type", type=one_of("ephemeral"), ttl=one_of("5m", "1h")))
BLOCK = shape("type", type=STRING, cache_control=CACHE_CONTROL)
CONTENT = {"type": ["string", "array"], "items": BLOCK}
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
MOST_MARKS = 4  # of the cache, those on tools and the one at the top level among them
LARGEST_IMAGE = 5_242_880  # bytes, from the message of the 400 that says so
HOUR_LATE = (
    "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. "
    "Note that blocks are processed in the following order: `tools`, `system`, `messages`."
)
ID = {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$"}
CALL = {"id": ID, "name": {"type": "string", "minLength": 1, "maxLength": 200}, "input": OBJECT}
RESULT = shape("tool_use_id", tool_use_id=ID, content=nullable(CONTENT), is_error=nullable(BOOLEAN))
CHECKS = {
    "text": checker(shape("text", text=STRING)),
    "image": checker(shape("source", source=shape("type", type=STRING))),
    "document": checker(shape("source", source=shape("type", type=STRING))),
    "thinking": checker(shape("thinking signature", thinking=STRING, signature=STRING)),
    "redacted_thinking": checker(shape("data", data=STRING)),
    "tool_use": checker(shape("id name input", **CALL)),
    "server_tool_use": checker(shape("id name input", **CALL)),
    "tool_result": checker(RESULT),
    "search_result": checker(shape("source title content", source=STRING, title=STRING, content=ARRAY)),
    "container_upload": checker(shape("file_id", file_id=STRING)),
    "tool_reference": checker(shape("tool_name", tool_name=STRING)),
}
check_server_result = checker(shape("tool_use_id content", tool_use_id=STRING, content=ANY))
FILE, URL = shape("file_id", file_id=STRING), shape("url", url=STRING)  # a file is taken where file_blocks.py finds it, else refused as any unknown source
SOURCES = {
    "image": {"base64": shape("media_type data", media_type=one_of(*IMAGE_TYPES), data=STRING), "url": URL},
    "document": {
        "base64": shape("media_type data", media_type=one_of("application/pdf"), data=STRING),
        "text": shape("media_type data", media_type=one_of("text/plain"), data=STRING),
        "content": shape("content", content=CONTENT),
        "url": URL,
    },
}
SOURCE_CHECKS = {kind: {name: checker(form) for name, form in forms.items()} for kind, forms in SOURCES.items()}
CALLS, THOUGHTS = ("tool_use", "server_tool_use"), ("thinking", "redacted_thinking")


def parts(content: str | list[dict[str, Any]], path: str, model: Model) -> tuple[Part, ...]:
    """The parts of a message or of the system prompt at `path`. Raises Refusal for a block that does not do."""
    root = path.partition(".")[0]
    if isinstance(content, str):
        if root == "messages" and content and not content.strip():
            raise _blank(root)
        return (Part(content),)
    return tuple(part for index, block in enumerate(content) for part in _parts(block, f"{path}.{index}", root, model))


def cache_ttl(cache_control: dict[str, Any] | None) -> str | None:
    return cache_control.get("ttl", "5m") if cache_control else None


def check_marks(body: dict[str, Any]) -> None:
    """Refuse more marks of the cache than there may be, and one for an hour after one for five minutes: tools, system, messages."""
    marks = [(path, ttl) for path, block in _in_order(body) if (ttl := cache_ttl(block.get("cache_control")))]
    count = len(marks) + bool(body.get("cache_control"))
    if count > MOST_MARKS:
        raise Refusal("bad_value", too_many_marks(count), param="messages")
    short = False
    for path, ttl in marks:
        if short and ttl == "1h":
            raise Refusal("bad_value", f"{path}.cache_control.ttl: {HOUR_LATE}", param=path)
        short = short or ttl == "5m"


def too_many_marks(count: int) -> str:
    return f"A maximum of {MOST_MARKS} blocks with cache_control may be provided. Found {count}."


def _in_order(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that a mark can stand on, with its path, in the order of the prompt."""
    lists = [("tools", body.get("tools")), ("system", body.get("system"))]
    lists += [(f"messages.{index}.content", said["content"]) for index, said in enumerate(body["messages"])]
    for path, given in lists:
        yield from ((f"{path}.{index}", block) for index, block in enumerate(given if isinstance(given, list) else ()))


def is_server_result(kind: str) -> bool:
    """Whether a block holds what a tool of Anthropic's own found."""
    return kind.endswith("_tool_result")


def _parts(block: dict[str, Any], path: str, root: str, model: Model) -> list[Part]:
    """A block as one part, with the files that stand in a tool's result before it."""
    part, content = _part(block, path, root, model), block.get("content")
    if block["type"] != "tool_result" or not isinstance(content, list):
        return [part]
    files = [_file(inner["source"], model) for inner in content if inner["type"] in SOURCES]
    others = [inner for inner in content if inner["type"] not in SOURCES]
    return [*files, replace(part, text=json.dumps(others, sort_keys=True))]


def _file(source: dict[str, Any], model: Model, ttl: str | None = None) -> Part:
    data = images.decoded(source["data"]) if source["type"] == "base64" else None
    return images.part(source, data, model, ttl)


def _part(block: dict[str, Any], path: str, root: str, model: Model) -> Part:
    kind, ttl = block["type"], cache_ttl(block.get("cache_control"))
    _check(block, kind, path)
    if kind == "text":
        _check_text(block, path, root)
        return Part(block["text"], cache_ttl=ttl)
    if kind in SOURCES:
        _check_source(block["source"], kind, f"{path}.{kind}.source")
        return _file(block["source"], model, ttl)
    if kind in THOUGHTS:
        return Part("", "thinking", ttl)
    if kind in CALLS:
        return Part(f"{block['name']}({json.dumps(block['input'], sort_keys=True)})", "tool_use", ttl)
    if kind == "tool_result":
        _check_inside(block.get("content"), f"{path}.tool_result.content")
    return Part(json.dumps(block.get("content"), sort_keys=True), "tool_result", ttl)


def _check(block: dict[str, Any], kind: str, path: str) -> None:
    if kind in CHECKS:
        CHECKS[kind](block, f"{path}.{kind}")
    elif is_server_result(kind):
        check_server_result(block, f"{path}.{kind}")
    else:
        raise unknown_tag(kind, path)


def unknown_tag(kind: str, path: str, known: tuple[str, ...] = ()) -> Refusal:
    """The refusal of a type that nothing has; `known` are those that there are."""
    tags = f": {', '.join(map(repr, sorted(known)))}" if known else ""
    return Refusal("bad_value", f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags{tags}", param=path)


def _check_text(block: dict[str, Any], path: str, root: str) -> None:
    """An empty text is refused anywhere; one of white space alone in a message. That of a system prompt is not known to be."""
    if block["text"].strip():
        return
    if not block["text"] and block.get("cache_control"):
        where = path if root == "system" else f"{path}.text"
        raise Refusal("bad_value", f"{where}: cache_control cannot be set for empty text blocks", param=path)
    if not block["text"]:
        raise Refusal("bad_value", f"{root}: text content blocks must be non-empty", param=path)
    if root == "messages":
        raise _blank(root)


def _blank(root: str) -> Refusal:
    return Refusal("bad_value", f"{root}: text content blocks must contain non-whitespace text", param=root)


def _check_inside(content: Any, path: str) -> None:
    """The blocks of a tool's result: they hold what other blocks do, and may be empty."""
    for index, block in enumerate(content if isinstance(content, list) else ()):
        kind, place = block["type"], f"{path}.{index}"
        _check(block, kind, place)
        if kind in SOURCES:
            _check_source(block["source"], kind, f"{place}.{kind}.source")


def _check_source(source: dict[str, Any], kind: str, path: str) -> None:
    checks = SOURCE_CHECKS[kind]
    if source["type"] not in checks:
        raise unknown_tag(source["type"], path, tuple(checks))
    checks[source["type"]](source, f"{path}.{source['type']}")
    if kind == "image" and source["type"] == "base64":
        check_image(source["data"], source["media_type"], f"{path}.base64")


def check_image(text: str, media_type: str, path: str) -> None:
    """Refuse an image in base64 that is empty, none, too large, or another kind than it says. The words are recorded ones."""
    data = images.decoded(text)
    if data is None:
        raise Refusal("bad_value", f"{path}: invalid base64 data", param=path)
    if not data:
        raise Refusal("bad_value", f"{path}: image cannot be empty", param=path)
    if len(data) > LARGEST_IMAGE:
        raise Refusal("bad_value", f"{path}: image exceeds 5 MB maximum: {len(data)} bytes > {LARGEST_IMAGE} bytes", param=path)
    found = f"image/{images.kind(data)}"
    if found not in IMAGE_TYPES:
        raise Refusal("bad_value", "Could not process image", param=path)
    if found != media_type:
        text = f"{path}: The image was specified using the {media_type} media type, but the image appears to be a {found} image"
        raise Refusal("bad_value", text, param=path)
