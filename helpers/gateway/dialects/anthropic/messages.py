"""Anthropic's messages: the body both ways, and the typed events of a stream. Bedrock's invoke shares it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any

from helpers.gateway.answer import Answer, Choice
from helpers.gateway.dialects.anthropic import blocks, thinking, tools, turns
from helpers.gateway.dialects.anthropic.blocks import CACHE_CONTROL, CONTENT
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
from helpers.gateway.exchange import Message, Question, Refusal, Usage
from helpers.gateway.wire import random_id
from helpers.models import Model

OLD, NEW = "2023-06-01", "2026-10-21"
FORMAT_BETA = "structured-outputs-2025-11-13"

MESSAGE = shape("role content", closed=True, role=one_of("user", "assistant", "system"), content=CONTENT)
FIELDS = {
    "model": STRING,
    "messages": list_of(MESSAGE, minItems=1),
    "max_tokens": between("integer", 0),
    "system": {"type": ["string", "array"], "items": shape("type text", type=one_of("text"), text=STRING, cache_control=CACHE_CONTROL)},
    "stop_sequences": nullable(list_of(STRING)),
    "stream": nullable(BOOLEAN),
    "temperature": nullable(between("number", 0, 1)),
    "top_p": nullable(between("number", 0, 1)),
    "top_k": nullable(between("integer", 0)),
    "thinking": nullable(shape("type", type=one_of(*thinking.KINDS), budget_tokens=INTEGER)),
    "output_config": nullable(shape(effort=nullable(one_of("low", "medium", "high", "xhigh", "max")), format=nullable(tools.FORMAT))),
    "tools": nullable(list_of(tools.TOOL)),
    "tool_choice": nullable(tools.TOOL_CHOICE),
    "metadata": nullable(OBJECT),
    "cache_control": CACHE_CONTROL,
    "service_tier": nullable(one_of("auto", "standard_only")),
    "inference_geo": nullable(STRING),
    "diagnostics": nullable(shape(previous_message_id=nullable(STRING))),
    **{name: ANY for name in "container context_management mcp_servers speed user_profile_id workspace_id".split()},
}
check = checker(shape("model messages max_tokens", closed=True, **FIELDS))
# The body of an InvokeModel call on Bedrock: the model is in the path, the version in the body.
BEDROCK = {**{name: rule for name, rule in FIELDS.items() if name not in ("model", "stream")}, "anthropic_version": STRING, "anthropic_beta": ANY}
check_bedrock = checker(shape("messages max_tokens anthropic_version", closed=True, **BEDROCK))
COUNTED = (
    *("model", "messages", "system", "tools", "tool_choice", "thinking", "cache_control", "output_config", "speed"),
    *("user_profile_id", "workspace_id", "context_management", "mcp_servers"),
)
check_count = checker(shape("model messages", closed=True, **{name: FIELDS[name] for name in COUNTED}))


# ---- reading ---------------------------------------------------------------
def with_output_config(body: dict[str, Any], betas: str) -> dict[str, Any]:
    """The body with `output_format` under its name of today: the API still takes the old one, with the beta header of its time.

    Source: Anthropic's page on structured outputs, as quoted in public in 2026; litellm 1.110.2 sends it.
    """
    config = body.get("output_config") or {}
    if FORMAT_BETA not in betas or "output_format" not in body or not isinstance(config, dict):
        return body
    others = {name: value for name, value in body.items() if name != "output_format"}
    return {**others, "output_config": {**config, "format": body["output_format"]}}


def question(body: dict[str, Any], model: Model, provider: str, *, version: str = OLD) -> Question:
    """The neutral question of a body whose fields were checked. Raises Refusal for what this model or version refuses."""
    check_rules(body, model, version)
    tools.check_tools(body)
    effort, budget = thinking.read(body, model)
    said = messages(body, model, version)
    turns.check(body["messages"], model, thinks=budget is not None)
    return Question(
        provider=provider,
        model=model,
        messages=said,
        tools=tools.texts(body),
        tool_marks=tuple(blocks.cache_ttl(tool.get("cache_control")) for tool in body.get("tools") or []),
        functions=tools.functions(body),
        must_call=tools.must_call(body, model),
        schema=tools.schema(body, provider),
        limit=body.get("max_tokens"),
        stop=tuple(body.get("stop_sequences") or ()),
        stream=bool(body.get("stream")),
        effort=effort,
        thinking_limit=budget,
        sampling=tuple((name, body[name]) for name in thinking.SAMPLING if body.get(name) is not None),
        automatic_cache_ttl=blocks.cache_ttl(body.get("cache_control")),
        chunk_tokens=4,
        echo={name: body[name] for name in ("diagnostics", "tool_choice") if body.get("diagnostics") is not None and name in body},
    )


def check_rules(body: dict[str, Any], model: Model, version: str) -> None:
    """What depends on the API version or on the model."""
    if version == NEW:
        for name in thinking.SAMPLING:
            if name in body:
                raise Refusal("unsupported", f"{name}: this parameter is not supported in API version {NEW}", param=name)
    if (body.get("max_tokens") or 0) > model.max_output:
        text = f"max_tokens: {body['max_tokens']} > {model.max_output}, which is the maximum allowed number of output tokens for {model.id}"
        raise Refusal("bad_value", text, param="max_tokens")
    thinking.check_sampling(body, model)
    check_stops(body.get("stop_sequences") or ())


def check_stops(sequences: Sequence[str]) -> None:
    if any(not sequence.strip() for sequence in sequences):
        raise Refusal("bad_value", "stop_sequences: each stop sequence must contain non-whitespace", param="stop_sequences")


def messages(body: dict[str, Any], model: Model, version: str) -> tuple[Message, ...]:
    system = body.get("system")
    out = [Message("system", blocks.parts(system, "system", model))] if system else []
    for index, said in enumerate(body["messages"]):
        path = f"messages.{index}"
        if said["role"] == "system" and "system" not in thinking.takes(model):
            text = 'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as an input message role.'
            raise Refusal("bad_value", text, param=f"{path}.role")
        if not said["content"] and (said["role"] != "assistant" or index < len(body["messages"]) - 1):
            raise Refusal("bad_value", f"{path}: {said['role']} messages must have non-empty content", param=path)
        if version == NEW:
            _check_new_rules(said, path)
        out.append(Message(said["role"], blocks.parts(said["content"], f"{path}.content", model)))
    blocks.check_marks(body)
    return tuple(out)


def _check_new_rules(said: dict[str, Any], path: str) -> None:
    for index, block in enumerate(said["content"] if isinstance(said["content"], list) else ()):
        if said["role"] == "assistant" and block["type"] == "document":
            raise Refusal("unsupported", f"{path}.content.{index}: document blocks are not allowed in assistant turns", param=path)
        if said["role"] == "user" and block["type"] == "text" and "citations" in block:
            raise Refusal("unknown_field", param=f"{path}.content.{index}.text.citations")


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
        **({} if question.provider == "bedrock" else {"inference_geo": "not_available", "server_tool_use": None}),
    }
    if question.model.thinks in ("default", "always"):
        body["output_tokens_details"] = {"thinking_tokens": usage.thinking_tokens}
    return body


def stop_reason(choice: Choice) -> str:
    return {"stop": "end_turn", "length": "max_tokens", "call": "tool_use"}.get(choice.finish, choice.finish)


def stop_details(choice: Choice) -> dict[str, Any] | None:
    """The category of a refusal; an explanation need not be there."""
    return {"type": "refusal", "category": choice.refusal, "explanation": None} if choice.refusal else None


def thinking_block() -> dict[str, Any]:
    """A thinking block as the 5.x models send it: no text, and a signature that only the provider can read."""
    return {"type": "thinking", "thinking": "", "signature": base64.b64encode(secrets.token_bytes(96)).decode()}


def content(question: Question, choice: Choice) -> list[dict[str, Any]]:
    thought = [thinking_block()] if choice.thinking_tokens else []
    if choice.function:
        return [*thought, tools.tool_use(question, choice.function, tools.arguments(choice.text))]
    return [*thought, {"type": "text", "text": choice.text}] if choice.text else thought


def filled(begun: list[dict[str, Any]], choice: Choice) -> list[dict[str, Any]]:
    """The blocks that a stream began, as they are at its end."""
    ends = {"text": {"text": choice.text}, "tool_use": {"input": tools.arguments(choice.text)}}
    blocks = [{**block, **ends.get(block["type"], {})} for block in begun]
    return [block for block in blocks if block.get("text") != ""]


def head(question: Question, message_id: str) -> dict[str, Any]:
    return {"model": question.model.served_as, "id": message_id, "type": "message", "role": "assistant"}


def message_body(answer: Answer, message_id: str, diagnosed: dict[str, Any] | None = None) -> dict[str, Any]:
    """A message. `diagnosed` has its field `diagnostics`, where the request asked for one."""
    choice = answer.choices[0]
    return {
        **head(answer.question, message_id),
        "content": content(answer.question, choice),
        "stop_reason": stop_reason(choice),
        "stop_sequence": choice.stop_sequence,
        "stop_details": stop_details(choice),
        "usage": usage_body(answer.usage, answer.question),
        **(diagnosed or {}),
    }


async def stream_events(answer: Answer, message_id: str, diagnosed: dict[str, Any] | None = None) -> AsyncIterator[dict[str, Any]]:
    """The typed events of a stream, from message_start to message_stop."""
    choice = answer.choices[0]
    # An answer that is generated while it is sent has no more than begun: its output is counted at the end.
    begun = min(1, answer.usage.output_tokens) if answer.is_silent else 1
    started = {**usage_body(answer.usage, answer.question), "output_tokens": begun}
    started.pop("output_tokens_details", None)
    empty = {**head(answer.question, message_id), "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    yield {"type": "message_start", "message": {**empty, "usage": started, **(diagnosed or {})}}
    index = 0
    if choice.thinking_tokens:
        block = thinking_block()
        yield {"type": "content_block_start", "index": 0, "content_block": {**block, "signature": ""}}
        if pings(answer):
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
    yield message_delta(answer)
    yield {"type": "message_stop"}


def pings(answer: Answer) -> bool:
    """Bedrock's streams have none, in any of 14 recordings from 2024 to 2025."""
    return answer.question.provider != "bedrock"


def message_delta(answer: Answer) -> dict[str, Any]:
    """The event that says why an answer has ended. Its usage is cumulative: the input counts are those of message_start again."""
    choice = answer.choices[0]
    delta = {"stop_reason": stop_reason(choice), "stop_sequence": choice.stop_sequence, "stop_details": stop_details(choice)}
    usage = usage_body(answer.usage, answer.question)
    repeated = {name: value for name, value in usage.items() if name not in ("cache_creation", "service_tier", "inference_geo")}
    return {"type": "message_delta", "delta": delta, "usage": repeated}


async def _block_events(answer: Answer, index: int) -> AsyncIterator[dict[str, Any]]:
    """The events of the block that holds the text, or the call; the JSON of a call's arguments comes in pieces of text."""
    called = answer.choices[0].function
    block = tools.tool_use(answer.question, called, {}) if called else {"type": "text", "text": ""}
    yield {"type": "content_block_start", "index": index, "content_block": block}
    if index == 0 and pings(answer):
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
