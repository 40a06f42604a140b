"""Bedrock's Converse: one body for the models of all makers, plain and as an event stream."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from helpers.gateway.dialects import anthropic_messages, eventstream
from helpers.gateway.wire import LETTERS, Call, compact
from helpers.gateway.dialects.bedrock_errors import FROM_MODEL, from_claude
from helpers.gateway.dialects.schema import ANY, OBJECT, STRING, between, checker, list_of, one_of, shape
from helpers.gateway.exchange import Answer, Choice, Message, Part, Question, Refusal, Usage
from helpers.models import Model

if TYPE_CHECKING:
    from helpers.gateway.dialects.bedrock import Bedrock

CACHE_POINT = shape("type", type=one_of("default"), ttl=one_of("5m", "1h"))
BLOCK = shape(text=STRING, image=OBJECT, document=OBJECT, video=OBJECT, toolUse=OBJECT, toolResult=OBJECT, cachePoint=CACHE_POINT)
MESSAGE = shape("role content", role=one_of("user", "assistant", "system"), content=list_of(BLOCK))
FIELDS = {
    "messages": list_of(MESSAGE, minItems=1),
    "system": list_of(shape(text=STRING, cachePoint=CACHE_POINT, guardContent=OBJECT)),
    "inferenceConfig": shape(
        maxTokens=between("integer", 1),
        temperature=between("number", 0, 1),
        topP=between("number", 0, 1),
        stopSequences=list_of(STRING),
    ),
    "toolConfig": shape("tools", tools=list_of(OBJECT), toolChoice=OBJECT),
    "outputConfig": shape(effort=one_of("low", "medium", "high", "xhigh", "max")),
    "additionalModelRequestFields": shape(thinking=anthropic_messages.FIELDS["thinking"]),
    **{name: ANY for name in "additionalModelResponseFieldPaths guardrailConfig performanceConfig promptVariables".split()},
    **{name: ANY for name in ("requestMetadata", "serviceTier")},
}
check = checker(shape("messages", **FIELDS))
MEDIA = ("image", "document", "video")
PADDING = LETTERS  # a-z, A-Z, then digits: the alphabet that the field p is cut from


class Converse:
    def __init__(self, dialect: Bedrock) -> None:
        self._dialect = dialect

    # ---- reading ---------------------------------------------------------
    def read(self, call: Call) -> Question:
        model = self._dialect.named_model(call)
        return self._dialect.check_length(self.question(call.json, model))

    def read_stream(self, call: Call) -> Question:
        return replace(self.read(call), stream=True)

    def question(self, body: dict[str, Any], model: Model) -> Question:
        check(body)
        config = body.get("inferenceConfig") or {}
        limit = config.get("maxTokens")
        if limit is not None and limit > model.max_output:
            most = model.max_output
            text = (
                f"The maximum tokens you requested exceeds the model limit of {most}. "
                f"Try again with a maximum tokens value that is lower than {most}."
            )
            raise Refusal("bad_value", text, param="inferenceConfig.maxTokens")
        effort, budget = thinking(body, limit or model.max_output, model)
        return Question(
            provider="bedrock",
            model=model,
            messages=messages(body),
            tools=tools(body),
            limit=limit,
            stop=tuple(config.get("stopSequences") or ()),
            effort=effort,
            thinking_limit=budget,
            sampling=tuple((name, config[name]) for name in ("temperature", "topP") if name in config),
            chunk_tokens=4,
        )

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        choice = answer.choices[0]
        body = {
            "metrics": {"latencyMs": answer.latency_ms},
            "output": {"message": {"content": content(choice), "role": "assistant"}},
            "stopReason": anthropic_messages.stop_reason(choice),
            "usage": usage_body(answer.usage),
        }
        return compact(body)

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        async for kind, payload in self._events(answer):
            yield eventstream.event(kind, compact({**payload, "p": padding()}))

    async def _events(self, answer: Answer) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        choice, index = answer.choices[0], 0
        yield "messageStart", {"role": "assistant"}
        if choice.thinking_tokens:
            await answer.thought()
            signature = anthropic_messages.thinking_block()["signature"]
            yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": signature}}}
            yield "contentBlockStop", {"contentBlockIndex": 0}
            index = 1
        if choice.text:
            async for piece in answer.stream():
                if piece.text:
                    yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": piece.text}}
            yield "contentBlockStop", {"contentBlockIndex": index}
        else:
            await answer.finished()
        yield "messageStop", {"stopReason": anthropic_messages.stop_reason(choice)}
        yield "metadata", {"metrics": {"latencyMs": answer.latency_ms}, "usage": usage_body(answer.usage)}


def thinking(body: dict[str, Any], limit: int, model: Model) -> tuple[str, int | None]:
    """Effort and budget of thinking, which Converse hands on to Claude."""
    asked = (body.get("additionalModelRequestFields") or {}).get("thinking")
    try:
        return anthropic_messages.thinking({"thinking": asked, "max_tokens": limit, "output_config": body.get("outputConfig")}, model)
    except Refusal as refusal:
        raise Refusal("bad_value", FROM_MODEL + from_claude(refusal), param=refusal.param) from None


def tools(body: dict[str, Any]) -> tuple[str, ...]:
    given = (body.get("toolConfig") or {}).get("tools", ())
    return tuple(json.dumps(tool, sort_keys=True) for tool in given if "cachePoint" not in tool)


def messages(body: dict[str, Any]) -> tuple[Message, ...]:
    if body["messages"][0]["role"] == "assistant":
        text = "A conversation must start with a user message. Try again with a conversation that starts with a user message."
        raise Refusal("bad_value", text, param="messages")
    system = body.get("system")
    out = [Message("system", parts(system, "system"))] if system else []
    for index, said in enumerate(body["messages"]):
        out.append(Message(said["role"], parts(said["content"], f"messages.{index}.content")))
    if sum(part.cache_ttl is not None for message in out for part in message.parts) > anthropic_messages.MOST_BREAKPOINTS:
        text = f"{FROM_MODEL}A maximum of {anthropic_messages.MOST_BREAKPOINTS} blocks with cache_control may be provided."
        raise Refusal("bad_value", text, param="messages")
    return tuple(out)


def parts(blocks: list[dict[str, Any]], path: str) -> tuple[Part, ...]:
    out: list[Part] = []
    for index, block in enumerate(blocks):
        if "cachePoint" in block:
            if not out:
                raise Refusal("bad_value", "A cachePoint has to stand after the content that it caches.", param=f"{path}.{index}")
            out[-1] = replace(out[-1], cache_ttl=block["cachePoint"].get("ttl", "5m"))
        else:
            out.append(_part(block, f"{path}.{index}"))
    return tuple(out)


def _part(block: dict[str, Any], path: str) -> Part:
    if "text" in block:
        if not block["text"].strip():
            text = f"The text field in the ContentBlock object at {path} is blank. Add text to the text field, and try again."
            raise Refusal("bad_value", text, param=path)
        return Part(block["text"])
    for name in MEDIA:
        if name in block:
            return Part(hashlib.sha256(json.dumps(block[name], sort_keys=True).encode()).hexdigest()[:16], "image")
    for name, kind in (("toolUse", "tool_use"), ("toolResult", "tool_result"), ("reasoningContent", "thinking"), ("guardContent", "text")):
        if name in block:
            return Part("" if kind == "thinking" else json.dumps(block[name], sort_keys=True), kind)
    keys = "text, image, toolUse, toolResult, document, video, cachePoint"
    raise Refusal("bad_value", f"The ContentBlock object at {path} must set one of the following keys: {keys}.", param=path)


def content(choice: Choice) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if choice.thinking_tokens:
        signature = anthropic_messages.thinking_block()["signature"]
        blocks.append({"reasoningContent": {"reasoningText": {"signature": signature, "text": ""}}})
    return [*blocks, {"text": choice.text}] if choice.text else blocks


def usage_body(usage: Usage) -> dict[str, Any]:
    """Disjoint counters, and a total of all of them."""
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    by_ttl = (("1h", usage.cache_write_1h_tokens), ("5m", usage.cache_write_tokens))
    return {
        **({"cacheDetails": [{"inputTokens": count, "ttl": ttl} for ttl, count in by_ttl if count]} if written else {}),
        "cacheReadInputTokens": usage.cache_read_tokens,
        "cacheWriteInputTokens": written,
        "inputTokens": usage.uncached_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
    }


def parse_converse_usage(payloads: list[dict[str, Any]]) -> Usage | None:
    """The usage in a Converse answer, in the last event of its stream, or in one of Nova's own."""
    stated = [p.get("usage") or (p.get("metadata") or {}).get("usage") or {} for p in payloads]
    found = next((usage for usage in reversed(stated) if "inputTokens" in usage), None)
    if found is None:
        return None
    read = found.get("cacheReadInputTokens") or found.get("cacheReadInputTokenCount") or 0
    written = found.get("cacheWriteInputTokens") or found.get("cacheWriteInputTokenCount") or 0
    hour = sum(detail["inputTokens"] for detail in found.get("cacheDetails") or () if detail["ttl"] == "1h")
    return Usage(found["inputTokens"] + read + written, read, written - hour, hour, found["outputTokens"])


def padding() -> str:
    """The field p: filler of random length, which hides how long the text of an event is."""
    return PADDING[: secrets.randbelow(len(PADDING)) + 1]
