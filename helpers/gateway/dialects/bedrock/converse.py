"""Bedrock's Converse: one body for the models of all makers, plain and as an event stream."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, NoReturn

from helpers.gateway.answer import Answer, Choice
from helpers.gateway.dialects.anthropic import blocks as anthropic_blocks
from helpers.gateway.dialects.anthropic import messages as anthropic_messages
from helpers.gateway.dialects.anthropic import thinking
from helpers.gateway.dialects.anthropic import tools as anthropic_tools
from helpers.gateway.dialects.bedrock import blocks, eventstream, guardrails, turns
from helpers.gateway.dialects.bedrock.blocks import BLOCK, CACHE_POINT, FILLED, GUARDED, NAME
from helpers.gateway.dialects.bedrock.errors import FROM_MODEL, from_claude
from helpers.gateway.dialects.bedrock.makers import fits_schemas, is_claude, is_llama
from helpers.gateway.dialects.schema import ANY, OBJECT, STRING, between, checker, list_of, one_of, shape
from helpers.gateway.exchange import Message, Question, Refusal, Usage
from helpers.gateway.wire import LETTERS, Call, Dialect, compact, parse_json, random_id
from helpers.models import Model

MESSAGE = shape("role content", role=one_of("user", "assistant", "system"), content=list_of(BLOCK))
TOOL = shape(
    toolSpec=shape("name inputSchema", name=NAME, description=FILLED, inputSchema=shape("json", json=OBJECT)),
    systemTool=OBJECT,
    cachePoint=CACHE_POINT,
)
TOOL_CHOICE = shape(closed=True, auto=OBJECT, any=OBJECT, tool=shape("name", name=STRING))
TEXT_FORMAT = shape("type structure", type=one_of("json_schema"), structure=shape("jsonSchema", jsonSchema=shape("schema", schema=STRING)))
FIELDS = {
    "messages": list_of(MESSAGE, minItems=1),
    "system": list_of(shape(closed=True, text=FILLED, cachePoint=CACHE_POINT, guardContent=GUARDED)),
    "inferenceConfig": shape(
        maxTokens=between("integer", 1),
        temperature=between("number", 0, 1),
        topP=between("number", 0, 1),
        stopSequences=list_of(FILLED),
    ),
    "toolConfig": shape("tools", tools=list_of(TOOL, minItems=1), toolChoice=TOOL_CHOICE),
    "outputConfig": shape(effort=one_of("low", "medium", "high", "xhigh", "max"), textFormat=TEXT_FORMAT),
    "additionalModelRequestFields": shape(**{name: anthropic_messages.FIELDS[name] for name in ("thinking", "top_k", "output_config")}),
    "additionalModelResponseFieldPaths": list_of(STRING),
    "guardrailConfig": guardrails.CONFIG,
    **{name: ANY for name in "performanceConfig projectIdentifier promptVariables requestMetadata serviceTier".split()},
}
check = checker(shape("messages", **FIELDS))
CLAUDES_OWN = {*anthropic_messages.BEDROCK, "reasoning_config"}  # the last one since Claude 3.7, by AWS's documents of then
SAMPLING = ("temperature", "topP", "topK", "top_k")
PADDING = LETTERS  # a-z, A-Z, then digits: the alphabet that the field p is cut from


class Converse:
    def __init__(self, dialect: Dialect, named_model: Callable[[Call], Model]) -> None:
        """`named_model` finds the model in a call's path."""
        self._dialect, self._named_model = dialect, named_model

    # ---- reading ---------------------------------------------------------
    def read(self, call: Call) -> Question:
        model = self._named_model(call)
        return self._dialect.check_length(self.question(call.json, model))

    def read_stream(self, call: Call) -> Question:
        question = self.read(call)
        if question.tools and is_llama(question.model):
            raise Refusal("unsupported", "This model doesn't support tool use in streaming mode.", param="toolConfig")
        return replace(question, stream=True)

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
        turns.check(body["messages"], model)
        check_tools(body, model)
        check_more(body, model)
        asked = as_claude(body, limit or model.max_output)
        try:
            effort, budget = thinking.read(asked, model)
            if is_claude(model):
                thinking.check_sampling(asked, model)
                anthropic_messages.check_stops(asked["stop_sequences"])
            must_call = anthropic_tools.must_call(asked, model)
            schema = anthropic_tools.schema(asked, "bedrock")
        except Refusal as refusal:
            raise Refusal("bad_value", FROM_MODEL + from_claude(refusal), param=refusal.param) from None
        said, given = messages(body, model), {"top_k": asked["top_k"], **config}
        turns.check_with_claude(body["messages"], model, thinks=budget is not None)
        guard = guardrails.of(body)
        return Question(
            provider="bedrock",
            model=model,
            messages=said,
            tools=tools(body),
            tool_marks=tool_marks(body),
            functions=anthropic_tools.functions(asked),
            must_call=must_call,
            schema=schema,
            limit=limit,
            stop=tuple(config.get("stopSequences") or ()),
            effort=effort,
            thinking_limit=budget,
            sampling=tuple((name, given[name]) for name in SAMPLING if given.get(name) is not None),
            more_fields=pointers(body),
            harm=guardrails.stops(guard),
            filter_outside=guard is not None,
            echo={"guard": guard},
            chunk_tokens=4,
        )

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        choice, instead = answer.choices[0], guardrails.stopped(question)
        body = {
            **more_fields(question, lambda: anthropic_messages.message_body(answer, anthropic_messages.message_id())),
            "metrics": {"latencyMs": answer.latency_ms},
            "output": {"message": {"content": [{"text": instead}] if instead else content(choice, question.model), "role": "assistant"}},
            "stopReason": "guardrail_intervened" if instead else stop_reason(choice),
            **guardrails.trace(question, choice.text),
            "usage": usage_body(answer.usage, question),
        }
        return compact(body)

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        events = self._stopped_events if guardrails.stopped(question) else self._events
        async for kind, payload in events(answer):
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
        if answer.is_silent:
            await answer.finished()
        else:
            async for event in block_events(answer, index):
                yield event
        more = more_fields(answer.question, lambda: anthropic_messages.message_delta(answer))
        yield "messageStop", {**more, "stopReason": stop_reason(choice)}
        yield "metadata", _metadata(answer)

    async def _stopped_events(self, answer: Answer) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Those of an answer in whose place a guardrail put its own words."""
        await answer.finished()
        yield "messageStart", {"role": "assistant"}
        yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": guardrails.stopped(answer.question)}}
        yield "contentBlockStop", {"contentBlockIndex": 0}
        yield "messageStop", {"stopReason": "guardrail_intervened"}
        yield "metadata", _metadata(answer)


def _metadata(answer: Answer) -> dict[str, Any]:
    trace = guardrails.trace(answer.question, answer.choices[0].text)
    return {"metrics": {"latencyMs": answer.latency_ms}, **trace, "usage": usage_body(answer.usage, answer.question)}


def check_tools(body: dict[str, Any], model: Model) -> None:
    """Refuse what Converse itself refuses about tools and formats, before it asks the model."""
    config = body.get("toolConfig") or {}
    if config and not model.is_checked and not is_claude(model) and "tools" not in model.accepts:
        raise Refusal("unsupported", "This model doesn't support tool use.", param="toolConfig")
    for index, tool in enumerate(config.get("tools", ())):
        if tool.get("toolSpec", {}).get("inputSchema", {}).get("json", {}).get("type", "object") != "object":
            text = f"The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be one of the following: object."
            raise Refusal("bad_value", text, param="toolConfig.tools")
    for kind in ("any", "tool"):
        if is_llama(model) and kind in config.get("toolChoice", ()):
            _unsupported(f"toolConfig.toolChoice.{kind}")
    if "textFormat" in body.get("outputConfig", ()) and not fits_schemas(model):
        _unsupported("outputConfig")
    used = [block for said in body["messages"] for block in said["content"] if "toolUse" in block or "toolResult" in block]
    if used and not config:
        text = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        raise Refusal("bad_value", text, param="toolConfig")


def check_more(body: dict[str, Any], model: Model) -> None:
    """Refuse a field for the model itself that Claude does not have; a beta may have fields of its own."""
    given = body.get("additionalModelRequestFields") or {}
    unknown = [name for name in given if name not in CLAUDES_OWN]
    if unknown and is_claude(model) and "anthropic_beta" not in given:
        raise Refusal("bad_value", f"{FROM_MODEL}{unknown[0]}: Extra inputs are not permitted", param="additionalModelRequestFields")


def _unsupported(field: str) -> NoReturn:
    raise Refusal("unsupported", f"This model doesn't support the {field} field. Remove {field} and try again.", param=field)


def as_claude(body: dict[str, Any], limit: int) -> dict[str, Any]:
    """What Converse hands on to Claude, in the words of its Messages API: thinking, effort, tools, and the format of the text."""
    config, output = body.get("toolConfig") or {}, body.get("outputConfig") or {}
    specs = [tool["toolSpec"] for tool in config.get("tools", ()) if "toolSpec" in tool]
    kind, choice = next(iter(config.get("toolChoice", {}).items()), ("auto", {}))
    more, inference = body.get("additionalModelRequestFields") or {}, body.get("inferenceConfig") or {}
    native = more.get("output_config") or {}  # the AI SDK of Vercel asks for a format in Claude's own field
    return {
        "max_tokens": limit,
        "thinking": more.get("thinking"),
        "temperature": inference.get("temperature"),
        "top_p": inference.get("topP"),
        "top_k": more.get("top_k"),
        "stop_sequences": inference.get("stopSequences") or (),
        "output_config": {"effort": output.get("effort") or native.get("effort"), "format": _format(output) or native.get("format")},
        "tools": [{"name": spec["name"], "input_schema": spec["inputSchema"]["json"]} for spec in specs],
        "tool_choice": {**choice, "type": kind} if specs else None,
    }


def _format(output: dict[str, Any]) -> dict[str, Any] | None:
    """The format of the text; its schema is a text that holds JSON."""
    if "textFormat" not in output:
        return None
    try:
        schema = parse_json(output["textFormat"]["structure"]["jsonSchema"]["schema"])
    except ValueError:
        schema = None
    if not isinstance(schema, dict):
        text = "The value at outputConfig.textFormat.structure.jsonSchema.schema must be a JSON schema."
        raise Refusal("bad_value", text, param="outputConfig.textFormat")
    return {"type": "json_schema", "schema": schema}


def pointers(body: dict[str, Any]) -> tuple[str, ...]:
    """The JSON Pointers of additionalModelResponseFieldPaths."""
    paths = body.get("additionalModelResponseFieldPaths", ())
    for index, path in enumerate(paths):
        if not path.startswith("/"):
            field = f"additionalModelResponseFieldPaths.{index}"
            raise Refusal("bad_value", f"The value at {field} must be a JSON Pointer, which starts with a slash.", param=field)
    return tuple(paths)


def more_fields(question: Question, native: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """additionalModelResponseFields: what the request points at in Claude's own answer, at its place there; the rest is left out."""
    if not question.more_fields or not is_claude(question.model):
        return {}
    found: dict[str, Any] = {}
    answer = native()
    for pointer in question.more_fields:
        *way, last = [key.replace("~1", "/").replace("~0", "~") for key in pointer[1:].split("/")]
        value, place = answer, found
        try:
            for key in (*way, last):
                value = value[key]
        except (KeyError, TypeError):  # no such field, or something that has no fields
            continue
        for key in way:
            place = place.setdefault(key, {})
        place[last] = value
    return {"additionalModelResponseFields": found} if found else {}


def tools(body: dict[str, Any]) -> tuple[str, ...]:
    given = (body.get("toolConfig") or {}).get("tools", ())
    return tuple(json.dumps(tool, sort_keys=True) for tool in given if "cachePoint" not in tool)


def tool_marks(body: dict[str, Any]) -> tuple[str | None, ...]:
    """The time to live of the cachePoint after each tool, None where there is none."""
    marks: list[str | None] = []
    for tool in (body.get("toolConfig") or {}).get("tools", ()):
        if "cachePoint" not in tool:
            marks.append(None)
        elif marks:
            marks[-1] = tool["cachePoint"].get("ttl", "5m")
    return tuple(marks)


def messages(body: dict[str, Any], model: Model) -> tuple[Message, ...]:
    system = body.get("system")
    out = [Message("system", blocks.parts(system, "system", model))] if system else []
    for index, said in enumerate(body["messages"]):
        out.append(Message(said["role"], blocks.parts(said["content"], f"messages.{index}.content", model)))
    marks = sum(part.cache_ttl is not None for message in out for part in message.parts)
    marks += sum("cachePoint" in tool for tool in (body.get("toolConfig") or {}).get("tools", ()))
    if marks > anthropic_blocks.MOST_MARKS:
        raise Refusal("bad_value", FROM_MODEL + anthropic_blocks.too_many_marks(marks), param="messages")
    return tuple(out)


def content(choice: Choice, model: Model) -> list[dict[str, Any]]:
    thought: list[dict[str, Any]] = []
    if choice.thinking_tokens:
        signature = anthropic_messages.thinking_block()["signature"]
        thought.append({"reasoningContent": {"reasoningText": {"signature": signature, "text": ""}}})
    if choice.function:
        return [*thought, {"toolUse": {"input": anthropic_tools.arguments(choice.text), **tool_use(choice.function, model)}}]
    return [*thought, {"text": choice.text}] if choice.text else thought


def tool_use(name: str, model: Model) -> dict[str, str]:
    """Claude's call says that it is one, as recorded in 2026 with 4.5; Nova's does so only beside the tools that AWS runs."""
    return {"name": name, "toolUseId": random_id("tooluse_", 22), **({"type": "tool_use"} if is_claude(model) else {})}


async def block_events(answer: Answer, index: int) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The events of the block that holds the text, or the call. Only a call has an event where it starts."""
    called = answer.choices[0].function
    if called:
        yield "contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": tool_use(called, answer.question.model)}}
        yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": ""}}}
    async for piece in answer.stream():
        if piece.text:
            delta = {"toolUse": {"input": piece.text}} if called else {"text": piece.text}
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
    yield "contentBlockStop", {"contentBlockIndex": index}


def usage_body(usage: Usage, question: Question) -> dict[str, Any]:
    """Disjoint counters, and a total of all of them, as recorded from 2025-10 to 2026-08.

    An answer of Claude's that is not streamed always says what came from its cache, any other where something did.
    """
    cached = usage.uncached_tokens < usage.input_tokens
    return {
        **(_cache(usage) if cached or (is_claude(question.model) and not question.stream) else {}),
        "inputTokens": usage.uncached_tokens,
        "outputTokens": usage.output_tokens,
        "serverToolUsage": {},
        "totalTokens": usage.input_tokens + usage.output_tokens,
    }


def _cache(usage: Usage) -> dict[str, Any]:
    """What was read from the cache and written to it, by both names, and of what was written for how long."""
    written = usage.cache_write_tokens + usage.cache_write_1h_tokens
    by_ttl = (("1h", usage.cache_write_1h_tokens), ("5m", usage.cache_write_tokens))
    return {
        **({"cacheDetails": [{"inputTokens": count, "ttl": ttl} for ttl, count in by_ttl if count]} if written else {}),
        **{name: usage.cache_read_tokens for name in ("cacheReadInputTokenCount", "cacheReadInputTokens")},
        **{name: written for name in ("cacheWriteInputTokenCount", "cacheWriteInputTokens")},
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


def stop_reason(choice: Choice) -> str:
    """As Anthropic names it, but for what a filter stopped."""
    return "content_filtered" if choice.finish == "refusal" else anthropic_messages.stop_reason(choice)
