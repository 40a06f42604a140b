"""Anthropic's messages: the body both ways, and the typed events of a stream. Bedrock's invoke shares it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

from helpers.gateway.answer import Answer, Choice
from helpers.gateway.dialects.anthropic import tools
from helpers.gateway.dialects.schema import (
    ANY,
    BOOLEAN,
    INTEGER,
    OBJECT,
    STRING,
    between,
    checker,
    list_of,
    nullable,
    one_of,
    shape,
)
from helpers.gateway.exchange import Message, Part, Question, Refusal, Usage
from helpers.gateway.wire import random_id
from helpers.models import Model

OLD, NEW = "2023-06-01", "2026-10-21"
SAMPLING = ("temperature", "top_p", "top_k")
MOST_BREAKPOINTS = 4

CACHE_CONTROL = nullable(shape("type", type=one_of("ephemeral"), ttl=one_of("5m", "1h")))
BLOCK = shape("type", type=STRING, text=STRING, cache_control=CACHE_CONTROL)
CONTENT = {"type": ["string", "array"], "items": BLOCK}
FIELDS = {
    "model": STRING,
    "messages": list_of(shape("role content", role=one_of("user", "assistant", "system"), content=CONTENT), minItems=1),
    "max_tokens": between("integer", 0),
    "system": {"type": ["string", "array"], "items": shape("type text", type=one_of("text"), text=STRING, cache_control=CACHE_CONTROL)},
    "stop_sequences": nullable(list_of(STRING)),
    "stream": nullable(BOOLEAN),
    "temperature": nullable(between("number", 0, 1)),
    "top_p": nullable(between("number", 0, 1)),
    "top_k": nullable(between("integer", 0)),
    "thinking": nullable(shape("type", type=one_of("enabled", "disabled", "adaptive", "between_tools"), budget_tokens=INTEGER)),
    "output_config": nullable(shape(effort=nullable(one_of("low", "medium", "high", "xhigh", "max")), format=nullable(tools.FORMAT))),
    "tools": nullable(list_of(tools.TOOL)),
    "tool_choice": nullable(tools.TOOL_CHOICE),
    "metadata": nullable(OBJECT),
    "cache_control": CACHE_CONTROL,
    "service_tier": nullable(one_of("auto", "standard_only")),
    "inference_geo": nullable(STRING),
    **{name: ANY for name in "container context_management diagnostics mcp_servers speed user_profile_id workspace_id".split()},
}
check = checker(shape("model messages max_tokens", closed=True, **FIELDS))
# The body of an InvokeModel call on Bedrock: the model is in the path, the version in the body.
BEDROCK = {**{name: rule for name, rule in FIELDS.items() if name not in ("model", "stream")}, "anthropic_version": STRING, "anthropic_beta": ANY}
check_bedrock = checker(shape("messages max_tokens anthropic_version", closed=True, **BEDROCK))
COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "cache_control", "output_config", "speed", "user_profile_id", "workspace_id")
check_count = checker(shape("model messages", closed=True, **{name: FIELDS[name] for name in COUNTED}))


# ---- reading ---------------------------------------------------------------
def question(body: dict[str, Any], model: Model, provider: str, *, version: str = OLD) -> Question:
    """The neutral question of a body whose fields were checked. Raises Refusal for what this model or version refuses."""
    check_rules(body, model, version)
    tools.check_tools(body)
    effort, budget = thinking(body, model)
    return Question(
        provider=provider,
        model=model,
        messages=messages(body, model, version),
        tools=tuple(json.dumps(tool, sort_keys=True) for tool in body.get("tools") or []),
        functions=tools.functions(body),
        must_call=tools.must_call(body, model),
        schema=tools.schema(body, model, provider),
        limit=body.get("max_tokens"),
        stop=tuple(body.get("stop_sequences") or ()),
        stream=bool(body.get("stream")),
        effort=effort,
        thinking_limit=budget,
        sampling=tuple((name, body[name]) for name in SAMPLING if body.get(name) is not None),
        automatic_cache_ttl=_ttl(body.get("cache_control")),
        chunk_tokens=4,
    )


def check_rules(body: dict[str, Any], model: Model, version: str) -> None:
    """What depends on the API version or on the model."""
    if version == NEW:
        for name in SAMPLING:
            if name in body:
                raise Refusal("unsupported", f"{name}: this parameter is not supported in API version {NEW}", param=name)
    if (body.get("max_tokens") or 0) > model.max_output:
        text = f"max_tokens: {body['max_tokens']} > {model.max_output}, which is the maximum allowed number of output tokens for {model.id}"
        raise Refusal("bad_value", text, param="max_tokens")


def thinking(body: dict[str, Any], model: Model) -> tuple[str, int | None]:
    """Effort and budget of thinking: on by default on the 5.x models, on demand on older ones."""
    asked = body.get("thinking") or {}
    effort = (body.get("output_config") or {}).get("effort") or "medium"
    kind = asked.get("type")
    if kind == "enabled":
        budget = asked.get("budget_tokens")
        if budget is None:
            raise Refusal("missing", param="thinking.enabled.budget_tokens")
        if model.thinks != "optional":
            raise Refusal("unsupported", f'"thinking.type.enabled" is not supported for {model.id}. Use "thinking.type.adaptive".', param="thinking")
        if budget < 1024:
            raise Refusal("bad_value", param="thinking.enabled.budget_tokens", rule="minimum", bound=1024, value=budget)
        if "max_tokens" in body and budget >= body["max_tokens"]:
            raise Refusal("bad_value", "`max_tokens` must be greater than `thinking.budget_tokens`.", param="max_tokens")
        return effort, budget
    if kind == "disabled" and model.thinks == "always":
        raise Refusal("unsupported", f'"thinking.type.disabled" is not supported for {model.id}. Use "thinking.type.adaptive".', param="thinking")
    if kind == "disabled" or model.thinks == "never" or (kind is None and model.thinks == "optional"):
        return "none", None
    return effort, None


def messages(body: dict[str, Any], model: Model, version: str) -> tuple[Message, ...]:
    system = body.get("system")
    out = [Message("system", _parts(system, "system"))] if system else []
    for index, said in enumerate(body["messages"]):
        path = f"messages.{index}"
        if said["role"] == "system" and model.thinks not in ("default", "always"):
            text = 'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as an input message role.'
            raise Refusal("bad_value", text, param=f"{path}.role")
        if not said["content"] and (said["role"] != "assistant" or index < len(body["messages"]) - 1):
            raise Refusal("bad_value", f"{path}: {said['role']} messages must have non-empty content", param=path)
        if version == NEW:
            _check_new_rules(said, path)
        out.append(Message(said["role"], _parts(said["content"], f"{path}.content")))
    if sum(part.cache_ttl is not None for message in out for part in message.parts) > MOST_BREAKPOINTS:
        raise Refusal("bad_value", f"A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided.", param="messages")
    return tuple(out)


def _check_new_rules(said: dict[str, Any], path: str) -> None:
    for index, block in enumerate(said["content"] if isinstance(said["content"], list) else ()):
        if said["role"] == "assistant" and block["type"] == "document":
            raise Refusal("unsupported", f"{path}.content.{index}: document blocks are not allowed in assistant turns", param=path)
        if said["role"] == "user" and block["type"] == "text" and "citations" in block:
            raise Refusal("unknown_field", param=f"{path}.content.{index}.text.citations")


def _parts(content: str | list[dict[str, Any]], path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Part(content),)
    return tuple(_part(block, f"{path}.{index}") for index, block in enumerate(content))


def _part(block: dict[str, Any], path: str) -> Part:
    kind, ttl = block["type"], _ttl(block.get("cache_control"))
    if kind == "text":
        if not isinstance(block.get("text"), str):
            raise Refusal("missing", param=f"{path}.text.text")
        if not block["text"]:
            raise Refusal("bad_value", "messages: text content blocks must be non-empty", param=path)
        return Part(block["text"], cache_ttl=ttl)
    if kind in ("image", "document"):
        if not isinstance(block.get("source"), dict):
            raise Refusal("missing", param=f"{path}.{kind}.source")
        return Part(_short_hash(block["source"]), "image", ttl)
    if kind in ("thinking", "redacted_thinking"):
        return Part("", "thinking", ttl)
    if kind in ("tool_use", "server_tool_use"):
        return Part(f"{block.get('name')}({json.dumps(block.get('input'), sort_keys=True)})", "tool_use", ttl)
    if kind == "tool_result" or kind.endswith("_tool_result") or kind == "search_result":
        return Part(json.dumps(block.get("content"), sort_keys=True), "tool_result", ttl)
    raise Refusal("bad_value", f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags", param=path)


def _ttl(cache_control: dict[str, Any] | None) -> str | None:
    return cache_control.get("ttl", "5m") if cache_control else None


def _short_hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


# ---- writing ---------------------------------------------------------------
def usage_body(usage: Usage, question: Question) -> dict[str, Any]:
    """Three disjoint input counters, unlike everybody else's."""
    body: dict[str, Any] = {
        "input_tokens": usage.uncached_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens + usage.cache_write_1h_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.output_tokens,
        "service_tier": "batch" if question.batch else "standard",
        "inference_geo": "not_available",
        "server_tool_use": None,
    }
    if question.model.thinks in ("default", "always"):
        body["output_tokens_details"] = {"thinking_tokens": usage.thinking_tokens}
    return body


def stop_reason(choice: Choice) -> str:
    return {"stop": "end_turn", "length": "max_tokens", "call": "tool_use"}.get(choice.finish, choice.finish)


def thinking_block() -> dict[str, Any]:
    """A thinking block as the 5.x models send it: no text, and a signature that only the provider can read."""
    return {"type": "thinking", "thinking": "", "signature": base64.b64encode(secrets.token_bytes(96)).decode()}


def content(question: Question, choice: Choice) -> list[dict[str, Any]]:
    blocks = [thinking_block()] if choice.thinking_tokens else []
    if choice.function:
        return [*blocks, tools.tool_use(question, choice.function, tools.arguments(choice.text))]
    return [*blocks, {"type": "text", "text": choice.text}] if choice.text else blocks


def head(question: Question, message_id: str) -> dict[str, Any]:
    return {"model": question.model.served_as, "id": message_id, "type": "message", "role": "assistant"}


def message_body(answer: Answer, message_id: str) -> dict[str, Any]:
    choice = answer.choices[0]
    return {
        **head(answer.question, message_id),
        "content": content(answer.question, choice),
        "stop_reason": stop_reason(choice),
        "stop_sequence": choice.stop_sequence,
        "stop_details": None,
        "usage": usage_body(answer.usage, answer.question),
    }


async def stream_events(answer: Answer, message_id: str) -> AsyncIterator[dict[str, Any]]:
    """The typed events of a stream, from message_start to message_stop."""
    choice = answer.choices[0]
    # An answer that is generated while it is sent has no more than begun: its output is counted at the end.
    begun = min(1, answer.usage.output_tokens) if answer.is_silent else 1
    started = {**usage_body(answer.usage, answer.question), "output_tokens": begun}
    started.pop("output_tokens_details", None)
    empty = {**head(answer.question, message_id), "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    yield {"type": "message_start", "message": {**empty, "usage": started}}
    index = 0
    if choice.thinking_tokens:
        block = thinking_block()
        yield {"type": "content_block_start", "index": 0, "content_block": {**block, "signature": ""}}
        yield {"type": "ping"}
        await answer.thought()
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": block["signature"]}}
        yield {"type": "content_block_stop", "index": 0}
        index = 1
    if answer.is_silent:
        await answer.finished()
    else:
        async for event in _block_events(answer, index):
            yield event
    delta = {"stop_reason": stop_reason(choice), "stop_sequence": choice.stop_sequence, "stop_details": None}
    # The usage here is cumulative: it repeats the input counts, and is not to be added to message_start's.
    usage = usage_body(answer.usage, answer.question)
    repeated = {name: value for name, value in usage.items() if name not in ("cache_creation", "service_tier", "inference_geo")}
    yield {"type": "message_delta", "delta": delta, "usage": repeated}
    yield {"type": "message_stop"}


async def _block_events(answer: Answer, index: int) -> AsyncIterator[dict[str, Any]]:
    """The events of the block that holds the text, or the call; the JSON of a call's arguments comes in pieces of text."""
    called = answer.choices[0].function
    block = tools.tool_use(answer.question, called, {}) if called else {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": index, "content_block": block}
    if index == 0:
        yield {"type": "ping"}
    if called:
        yield {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": ""}}
    async for piece in answer.stream():
        if piece.text:
            delta = {"type": "input_json_delta", "partial_json": piece.text} if called else {"type": "text_delta", "text": piece.text}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}


def message_id() -> str:
    return random_id("msg_01", 22)


def parse_usage(payloads: list[dict[str, Any]]) -> Usage | None:
    """The usage in a message or in the events of a stream; the last one counts, as it is cumulative."""
    start = next((p["message"].get("usage") for p in payloads if p.get("type") == "message_start"), None)
    last = next((p.get("usage") for p in reversed(payloads) if p.get("usage")), None)
    if last is None:  # a stream that ends before its end has said how it began alone
        return None
    found = {**(start or {}), **{name: value for name, value in last.items() if value is not None}}
    read, written = found.get("cache_read_input_tokens") or 0, found.get("cache_creation_input_tokens") or 0
    hour = (found.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
    return Usage(
        input_tokens=found["input_tokens"] + read + written,
        cache_read_tokens=read,
        cache_write_tokens=written - hour,
        cache_write_1h_tokens=hour,
        output_tokens=found["output_tokens"],
        thinking_tokens=(found.get("output_tokens_details") or {}).get("thinking_tokens") or 0,
    )
