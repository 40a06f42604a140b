"""What chat refuses in its messages: tool messages without calls and the other way round, images that are none, no content.

The words are OpenAI's, from public logs and issues of 2024 to 2026; where a model words it in its own way, so does this.
"""

from __future__ import annotations

from typing import Any

from helpers.gateway.dialects.openai import images
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.exchange import Refusal
from helpers.models import Model

DEVELOPER_CONTENT = {"type": ["string", "array"], "items": {"type": "object"}}


def check(messages: list[dict[str, Any]], model: Model) -> None:
    """Raise a Refusal for messages whose fields were checked one by one."""
    _check_turns(messages)
    for index, message in enumerate(messages):
        _check_images(message, index, model)
    for index, message in enumerate(messages):
        _check_content(message, index)


def _check_turns(messages: list[dict[str, Any]]) -> None:
    """Tool messages answer the calls of the assistant's message before them, all of these and no others."""
    waiting: dict[str, bool] | None = None  # the calls that the messages from here on may answer, and whether one has
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            _answer(waiting, message, index)
            continue
        _check_answered(waiting, index)
        calls = message.get("tool_calls") if message["role"] == "assistant" else None
        waiting = _called(calls, index) if calls else None
    _check_answered(waiting, len(messages) - 1)


def _called(calls: list[dict[str, Any]], index: int) -> dict[str, bool]:
    waiting: dict[str, bool] = {}
    for call in calls:
        if call["id"] in waiting:
            raise refused(f"Duplicate value for 'tool_call_id' of {call['id']} in message[{index}]", f"messages.[{index}].tool_calls")
        waiting[call["id"]] = False
    return waiting


def _answer(waiting: dict[str, bool] | None, message: dict[str, Any], index: int) -> None:
    id = message.get("tool_call_id")
    if id is None:
        raise Refusal("missing", param=f"messages[{index}].tool_call_id")
    if waiting is None:
        text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
        raise refused(text, f"messages.[{index}].role")
    if id not in waiting:
        text = f"Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message."
        raise refused(text, f"messages.[{index}].tool_call_id")
    waiting[id] = True


def _check_answered(waiting: dict[str, bool] | None, index: int) -> None:
    missing = [id for id, answered in (waiting or {}).items() if not answered]
    if missing:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(missing)}"
        )
        raise refused(text, f"messages.[{index}].role")


def _check_images(message: dict[str, Any], index: int, model: Model) -> None:
    """Images that this model does not take here, or at all, and URLs that are none."""
    content, role = message.get("content"), message["role"]
    for place, part in enumerate(content) if isinstance(content, list) else ():
        if part["type"] != "image_url" or "image_url" not in part:
            continue
        if "images" not in model.accepts:
            text = "Invalid content type. image_url is only supported by certain models."
            raise refused(text, f"messages.[{index}].content.[{place}].type")
        if role != "user" and model.thinks == "never":
            text = f"Image URLs are only allowed for messages with role 'user', but this message with role '{role}' contains an image URL."
            raise refused(f"Invalid 'messages[{index}]'. {text}", f"messages[{index}]", "invalid_value")
        found = images.problem(part["image_url"]["url"])
        if found:
            raise _image_refusal(*found, f"messages[{index}].content[{place}].image_url.url", model)


def _image_refusal(kind: str, words: str, path: str, model: Model) -> Refusal:
    """Models before GPT-5 word this shorter, and without a place."""
    if model.thinks != "never":
        return refused(words if kind == "bytes" else f"Invalid image URL: '{path}'. {words}", path, "invalid_value")
    if kind == "type":
        return Refusal("bad_value", "Invalid MIME type. Only image types are supported.", code="invalid_image_format")
    if kind == "bytes":
        text = "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp']."
        return Refusal("bad_value", text, code="invalid_image_format")
    return Refusal("bad_value", "Invalid base64 image_url." if kind == "base64" else f"Invalid image URL: '{path}'. {words}", code="invalid_value")


def _check_content(message: dict[str, Any], index: int) -> None:
    """A message has content; only an assistant's may have a call, a refusal or audio in its place. OpenAI looks at this last."""
    if message.get("content") is not None:
        return
    if message["role"] == "developer":
        if "content" not in message:
            raise Refusal("missing", param=f"messages[{index}].content")
        raise Refusal("wrong_type", param=f"messages[{index}].content", expected="string", value=None, schema=DEVELOPER_CONTENT)
    instead = ("tool_calls", "function_call", "refusal", "audio")
    if message["role"] != "assistant" or all(message.get(name) is None for name in instead):
        raise refused("Invalid value for 'content': expected a string, got null.", f"messages.[{index}].content")
