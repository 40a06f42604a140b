"""What chat refuses although every field fits: settings that exclude each other, what a model does not take, turns out of order.

The words are OpenAI's, from public logs and issues of 2024 to 2026; where a model words it in its own way, so does this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.gateway.dialects.openai import images, parameters
from helpers.gateway.exchange import Refusal
from helpers.models import Model

# Parameters that shape the choice of the next token: refused while a model is thinking.
SAMPLING = {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0}
MOST_LOGPROBS = 20
LONGEST_KEY = 64


def check(body: dict[str, Any], model: Model) -> None:
    """Raise a Refusal for a body whose fields were checked one by one."""
    check_model(body, model)
    check_metadata(body)
    _check_cache(body, model)
    _check_combinations(body)
    _check_tools(body, model)
    _check_turns(body["messages"])
    for index, message in enumerate(body["messages"]):
        _check_images(message, index, model)
    for index, message in enumerate(body["messages"]):
        _check_content(message, index)


def refused(text: str, param: str, code: str | None = None) -> Refusal:
    """A refusal in OpenAI's own words; most that concern more than one field have no code."""
    return Refusal("bad_value", text, param=param, code=code)


def check_model(body: dict[str, Any], model: Model) -> None:
    """Refuse what this model does not take. Raises Refusal("unsupported")."""
    effort = body.get("reasoning_effort")
    if model.thinks == "never":
        if effort is not None:
            raise Refusal("unsupported", param="reasoning_effort", model=model.id)
        return
    if effort is not None and effort not in model.efforts:
        raise Refusal("unsupported", param="reasoning_effort", value=effort, allowed=list(model.efforts))
    if body.get("max_tokens") is not None:
        raise Refusal("unsupported", param="max_tokens", instead="max_completion_tokens")
    if body.get("stop") and "stop" not in model.accepts:
        raise Refusal("unsupported", param="stop")
    if not _is_thinking(body, model):
        return
    for name, default in SAMPLING.items():
        if body.get(name) not in (None, default):
            raise Refusal("unsupported", param=name, value=body[name], default=default)
    for name in ("logprobs", "top_logprobs", "logit_bias"):
        if body.get(name):
            raise Refusal("unsupported", param=name)


def _is_thinking(body: dict[str, Any], model: Model) -> bool:
    return (body.get("reasoning_effort") or model.default_effort) != "none"


def check_metadata(body: dict[str, Any]) -> None:
    """The names in metadata have an end. The message shortens one, the param does not."""
    for key in body.get("metadata") or {}:
        if len(key) > LONGEST_KEY:
            text = f"Expected a string with maximum length {LONGEST_KEY}, but got a string with length {len(key)} instead."
            text = f"Invalid property name in 'metadata': '{key[:3]}...{key[-3:]}' is too long. {text}"
            raise refused(text, f"metadata.{key}", "property_name_above_max_length")


def _check_cache(body: dict[str, Any], model: Model) -> None:
    """prompt_cache_retention: models whose cache is charged keep prompts for 24 hours only."""
    kept = body.get("prompt_cache_retention")
    if kept not in (None, "in_memory", "24h"):
        raise refused("Invalid prompt_cache_retention argument", "prompt_cache_retention")
    if kept == "in_memory" and model.cache and model.cache.charges_writes:
        raise refused("This model is compatible only with 24h extended prompt caching", "prompt_cache_retention")


def _check_combinations(body: dict[str, Any]) -> None:
    """Settings that are refused together, or one without another."""
    given = {name for name, value in body.items() if value is not None}
    for wants, needed in (("tool_choice", "tools"), ("parallel_tool_calls", "tools"), ("function_call", "functions")):
        if wants in given and needed not in given:
            raise refused(f"Invalid value for '{wants}': '{wants}' is only allowed when '{needed}' are specified.", wants)
    if {"max_tokens", "max_completion_tokens"} <= given:
        text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise refused(text, "max_tokens", "invalid_parameter_combination")
    if (body.get("top_logprobs") or 0) > MOST_LOGPROBS:
        raise refused(f"Invalid value for 'top_logprobs': must be less than or equal to {MOST_LOGPROBS}.", "top_logprobs")
    if body.get("top_logprobs") and not body.get("logprobs"):
        raise refused("The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs")
    if "stream_options" in given and not body.get("stream"):
        raise refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    form = body.get("response_format") or {}
    if form.get("type") == "json_object" and not any("json" in text.lower() for text in _texts(body["messages"])):
        text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        raise refused(text, "messages")


def _texts(messages: list[dict[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content") or ""
        yield from [content] if isinstance(content, str) else (part.get("text", "") for part in content)


def _check_tools(body: dict[str, Any], model: Model) -> None:
    """The schemas of functions and of the answer, and that this model calls functions in chat at all."""
    for index, tool in enumerate(body.get("tools") or []):
        if tool["type"] not in tool:
            raise Refusal("missing", param=f"tools[{index}].{tool['type']}")
        if tool["type"] == "function":
            parameters.check_function(tool["function"], f"tools[{index}].function.parameters")
    parameters.check_format((body.get("response_format") or {}).get("json_schema") or {}, "response_format", None)
    _check_choice(body.get("tool_choice"))
    if _is_thinking(body, model) and "tools" not in model.accepts and any(t["type"] == "function" for t in body.get("tools") or []):
        text = (
            f"Function tools with reasoning_effort are not supported for {model.id} in /v1/chat/completions. "
            "To use function tools, use /v1/responses or set reasoning_effort to 'none'."
        )
        raise refused(text, "reasoning_effort")


def _check_choice(choice: Any) -> None:
    """tool_choice is a word or names a tool. Whatever its type, an object without a tool of that type lacks a function."""
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise Refusal("bad_value", param="tool_choice", rule="enum", value=choice, bound=["none", "auto", "required"])
    if isinstance(choice, dict):
        kind = choice.get("type") if choice.get("type") in ("custom", "allowed_tools") else "function"
        if kind not in choice and not (kind == "allowed_tools" and "tools" in choice):
            raise Refusal("missing", param=f"tool_choice.{kind}")


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


DEVELOPER_CONTENT = {"type": ["string", "array"], "items": {"type": "object"}}
