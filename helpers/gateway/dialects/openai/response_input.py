"""The items of a Responses input: messages, calls and their outputs, each as a message of the neutral question."""

from __future__ import annotations

import json
from typing import Any

from helpers.gateway.dialects.images import part as part_of
from helpers.gateway.dialects.openai import images
from helpers.gateway.dialects.openai import response_tools as tools
from helpers.gateway.dialects.openai.chat import cache_mark
from helpers.gateway.dialects.openai.images import data_of
from helpers.gateway.dialects.schema import STRING, nullable, one_of, shape
from helpers.gateway.exchange import Message, Part, Refusal
from helpers.models import Model

SHORT = {**STRING, "maxLength": 64}
CONTENT = shape("type", type=STRING, text=STRING, refusal=STRING, detail=nullable(one_of("low", "high", "auto", "original")))
ITEM = shape(
    type=nullable(STRING),
    id=nullable(SHORT),
    call_id=nullable(SHORT),
    role=one_of("user", "assistant", "system", "developer"),
    content={"type": ["string", "array", "null"], "items": CONTENT},
)
PARTS = (
    "input_text", "input_image", "input_audio", "output_text", "refusal", "input_file", "computer_screenshot", "summary_text", "encrypted_content",
)  # fmt: skip
MESSAGE = ("type", "role", "content", "id", "status", "phase", "agent")  # the fields of one: openai 3.57's types, the last those of its beta
ASSISTANTS = ("output_text", "refusal")
OUTPUTS = ("input_text", "input_image", "input_file")
PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fc", "reasoning": "rs"}

HIDDEN = ("id", "status", "encrypted_content")  # of thoughts: new every time, and for their maker alone


def message(item: dict[str, Any], path: str, model: Model) -> Message:
    """An item as a message. Ids are new in every conversation, so they do not count. Raises Refusal."""
    kind = item.get("type") or "message"
    if kind in PREFIXES and item.get("id") and not item["id"].startswith(PREFIXES[kind]):
        text = f"Invalid '{path}.id': '{item['id']}'. Expected an ID that begins with '{PREFIXES[kind]}'."
        raise Refusal("bad_value", text, param=f"{path}.id")
    match kind:
        case "function_call":
            _check_fields(item, path, "call_id", "name", "arguments")
            tools.check_name(item, path)
            return Message("assistant", (Part(called(item["name"], item["arguments"]), "tool_use"),))
        case "function_call_output":
            _check_fields(item, path, "call_id", "output")
            return Message("tool", _output(item["output"], f"{path}.output", model))
        case "reasoning":
            said = {name: value for name, value in item.items() if name not in HIDDEN and (name, value) != ("content", [])}
            return Message("assistant", (Part(json.dumps(said, sort_keys=True), "thinking"),))
        case "message":
            return _said(item, path, model)
    return Message("tool", (Part(json.dumps(item, sort_keys=True), "tool_result"),))


def as_items(asked: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An input as items: a text is what a user says."""
    return [{"role": "user", "content": asked}] if isinstance(asked, str) else asked


def called(name: str, arguments: str) -> str:
    """A function call as the text that identifies it."""
    return f"{name}({arguments})"


def _check_fields(item: dict[str, Any], path: str, *names: str) -> None:
    """Refuse an item without one of these fields; all but an output are strings."""
    for name in names:
        if item.get(name) is None:
            raise Refusal("missing", param=f"{path}.{name}")
        if name != "output" and not isinstance(item[name], str):
            raise Refusal("wrong_type", param=f"{path}.{name}", expected="string", value=item[name])


def _output(output: Any, path: str, model: Model) -> tuple[Part, ...]:
    """The output of a function: a text, or parts of input, of which files count as such."""
    if isinstance(output, str):
        return (Part(output, "tool_result"),)
    if not isinstance(output, list):
        wanted = {"type": ["string", "array"], "items": {"type": "object"}}
        raise Refusal("wrong_type", param=path, expected="string", value=output, schema=wanted)
    for place, part in enumerate(output):
        _check_part(part, f"{path}[{place}]", OUTPUTS)
    texts = [part for part in output if part["type"] == "input_text"]
    files = (_file(part, model) for part in output if part["type"] != "input_text")
    return (*files, Part(json.dumps(texts, sort_keys=True), "tool_result"))


def _said(item: dict[str, Any], path: str, model: Model) -> Message:
    unknown = next((name for name in item if name not in MESSAGE), None)
    if unknown is not None:
        raise Refusal("unknown_field", param=f"{path}.{unknown}")
    if "role" not in item or item.get("content") is None:
        raise Refusal("missing", param=f"{path}.{'content' if 'role' in item else 'role'}")
    role, content = item["role"], item["content"]
    allowed = ASSISTANTS if role == "assistant" else PARTS
    role = "system" if role == "developer" else role
    if isinstance(content, str):
        return Message(role, (Part(content),))
    return Message(role, tuple(_part(part, f"{path}.content[{n}]", allowed, model) for n, part in enumerate(content)))


def _part(given: dict[str, Any], path: str, allowed: tuple[str, ...], model: Model) -> Part:
    _check_part(given, path, allowed)
    if given["type"] in ("input_text", "output_text", "summary_text", "refusal"):
        name = "refusal" if given["type"] == "refusal" else "text"
        if name not in given:
            raise Refusal("missing", param=f"{path}.{name}")
        return Part(given[name], cache_ttl=cache_mark(given))
    shown = {name: value for name, value in given.items() if name != "prompt_cache_breakpoint"}
    return _file(shown, model, cache_mark(given))


def _file(shown: dict[str, Any], model: Model, ttl: str | None = None) -> Part:
    return part_of(shown, data_of(shown.get("image_url")), model, ttl)


def _check_part(given: Any, path: str, allowed: tuple[str, ...]) -> None:
    """Refuse a part of another type than stands here, and an image that is none."""
    if not isinstance(given, dict):
        raise Refusal("wrong_type", param=path, expected="object", value=given)
    if "type" not in given:
        raise Refusal("missing", param=f"{path}.type")
    if given["type"] not in allowed:
        raise Refusal("bad_value", param=path, rule="enum", value=given["type"], bound=list(allowed))
    if given["type"] == "input_image":
        _check_image(given, path)


def _check_image(given: dict[str, Any], path: str) -> None:
    """An image has a URL or the id of a file, one of them."""
    url, file = given.get("image_url"), given.get("file_id")
    for name, value, what in (("image_url", url, "an image URL"), ("file_id", file, "a string")):
        if value is not None and not isinstance(value, str):
            raise Refusal("wrong_type", param=f"{path}.{name}", expected="string", value=value, schema={"type": "string", "title": what})
    if url and file:
        text = f"Mutually exclusive parameters: '{path}'. Ensure you are only providing one of: 'file_id' or 'image_url'."
        raise Refusal("bad_value", text, param=path, code="mutually_exclusive_parameters")
    if not url and not file:
        text = f"Missing mutually exclusive parameters: '{path}'. Ensure you are providing exactly one of: 'file_id' or 'image_url'."
        raise Refusal("bad_value", text, param=path, code="missing_mutually_exclusive_parameters")
    found = images.problem(url) if url else None
    if found:
        kind, words = found
        if kind == "bytes":
            raise Refusal("bad_value", words, param="input")
        raise Refusal("bad_value", f"Invalid '{path}.image_url'. {words}", param=f"{path}.image_url")
