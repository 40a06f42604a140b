"""OpenAI's Responses API: one stored response after another, plain and as typed events."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from helpers.gateway.answer import Answer, TokenScore
from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.dialects.openai import chat, rules, schema
from helpers.gateway.dialects.openai import response_input as given
from helpers.gateway.dialects.openai import response_tools as tools
from helpers.gateway.dialects.openai.errors import refused
from helpers.gateway.dialects.schema import (
    ANY,
    BOOLEAN,
    INTEGER,
    STRING,
    between,
    checker,
    list_of,
    nullable,
    one_of,
    shape,
)
from helpers.gateway.exchange import Message, Part, Question, Refusal, Usage
from helpers.gateway.wire import Call, Dialect, Response, Route, compact, hex_id, pretty, random_id, route
from helpers.models import Model

FIELDS = {
    "model": STRING,
    "input": {"type": ["string", "array"], "items": given.ITEM, "minItems": 1},
    "instructions": nullable(STRING),
    "max_output_tokens": nullable(between("integer", 16)),
    "max_tool_calls": nullable(INTEGER),
    "previous_response_id": nullable(STRING),
    "reasoning": nullable(shape(effort=nullable(one_of(*chat.EFFORTS)))),
    "stream": nullable(BOOLEAN),
    "stream_options": nullable(shape(closed=True, include_obfuscation=nullable(BOOLEAN))),
    "temperature": nullable(between("number", 0, 2)),
    "top_p": nullable(between("number", 0, 1)),
    "tools": nullable(list_of(tools.TOOL)),
    "tool_choice": tools.TOOL_CHOICE,
    "parallel_tool_calls": nullable(BOOLEAN),
    "top_logprobs": nullable(between("integer", 0, 20)),
    "store": nullable(BOOLEAN),
    "metadata": nullable(chat.METADATA),
    "include": nullable(tools.INCLUDE),
    "text": nullable(tools.TEXT),
    **{name: chat.FIELDS[name] for name in ("prompt_cache_key", "safety_identifier", "service_tier", "user")},
    "truncation": nullable(one_of("auto", "disabled")),
    **dict.fromkeys(
        "access_programs background background_options context_management conversation image moderation "
        "prompt prompt_cache_options prompt_cache_retention".split(),
        ANY,
    ),
}
_check_names = checker(shape("model input", closed=True, **dict.fromkeys(FIELDS, ANY)))
_check_fields = checker(shape(**FIELDS))
MOST_STORED = 200_000_000  # bytes of stored responses, each with all that was said before it; the oldest go first


@dataclass(frozen=True)
class Conversation:
    """What a stored response keeps: all that was said, the ids of the calls that wait for their output, and its own body."""

    messages: tuple[Message, ...] = ()
    calls: frozenset[str] = frozenset()
    body: dict[str, Any] = field(default_factory=dict)


class OpenAIResponses:
    """The routes under /v1/responses. Responses are stored, so that previous_response_id can go on from one."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._stored: Bounded[str, Conversation] = Bounded(MOST_STORED, lambda _, kept: weight(kept))

    def forget(self) -> None:
        """Forget all conversations."""
        self._stored.clear()

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/responses", "responses", read=self.read, write=self.write, stream=self.stream, weigh=self.weigh),
            route("POST", "/v1/responses/input_tokens", "count tokens", handle=self.count, weigh=self.weigh),
            route("GET", "/v1/responses/(?P<id>[^/]+)", "response", handle=self.get),
            route("DELETE", "/v1/responses/(?P<id>[^/]+)", "delete response", handle=self.delete),
        ]

    # ---- reading ---------------------------------------------------------
    def read(self, call: Call) -> Question:
        body = call.json
        _check_names(body)
        _check_fields(body)
        model = self._model(call)
        effort = tools.effort(body, model)
        schema.check_responses(body, model)
        rules.check_metadata(body)
        if body.get("stream_options") is not None and not body.get("stream"):
            raise refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
        question = Question(
            provider=self._dialect.provider,
            model=model,
            messages=self._messages(body, model),
            tools=tuple(json.dumps(tool, sort_keys=True) for tool in body.get("tools") or []),
            functions=tools.functions(body),
            must_call=tools.must_call(body),
            schema=tools.schema(body),
            top_logprobs=tools.top_logprobs(body, effort),
            limit=body.get("max_output_tokens"),
            stream=bool(body.get("stream")),
            effort=effort,
            sampling=chat.sampling(body),
            caches_marks_only=chat.caches_marks_only(body),
            tier=chat.tier(body, self._dialect.provider),
            echo=body,
        )
        try:
            return self._dialect.check_length(question)
        except Refusal as refusal:
            refusal.param = "input"  # chat names none
            raise

    def weigh(self, call: Call) -> int:
        """The bytes of the conversation that a call goes on with."""
        before = call.json.get("previous_response_id")
        return self._stored.size(before) if isinstance(before, str) else 0

    def _model(self, call: Call) -> Model:
        try:
            return self._dialect.model(call.json["model"], call)
        except Refusal as refusal:
            # Chat answers 404 here; Responses answers 400 and names the parameter.
            refusal.facts["status"] = 400
            raise

    def _messages(self, body: dict[str, Any], model: Model) -> tuple[Message, ...]:
        before = body.get("previous_response_id")
        if before is not None and before not in self._stored:
            text = f"Previous response with id '{before}' not found."
            raise refused(text, "previous_response_id", "previous_response_not_found")
        kept = self._stored.get(before, Conversation())
        asked = body["input"]
        items = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
        messages = (*kept.messages, *(given.message(item, f"input[{i}]", model) for i, item in enumerate(items)))
        tools.check_calls(items, kept.calls)
        tools.check_json_word(body, messages)
        return (Message("system", (Part(body["instructions"]),)), *messages) if body.get("instructions") else messages

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        ids = _ids()
        response = self._response(answer, ids)
        self._finish(response, answer, ids)
        return pretty(response)

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        number = 0
        async for event in self._events(answer):
            yield b"event: " + event["type"].encode() + b"\ndata: " + compact({**event, "sequence_number": number}) + b"\n\n"
            number += 1

    async def _events(self, answer: Answer) -> AsyncIterator[dict[str, Any]]:
        ids = _ids()
        response = self._response(answer, ids)
        yield {"type": "response.created", "response": dict(response)}
        yield {"type": "response.in_progress", "response": dict(response)}
        place = 0
        if answer.usage.thinking_tokens:
            item = _reasoning(ids)
            yield {"type": "response.output_item.added", "output_index": place, "item": item}
            yield {"type": "response.output_item.done", "output_index": place, "item": item}
            place += 1
        if answer.is_silent:
            await answer.finished()
        else:
            events = _call_events if answer.choices[0].function else _text_events
            async for event in events(answer, ids, place):
                yield event
        self._finish(response, answer, ids)
        yield {"type": f"response.{response['status']}", "response": response}

    def _response(self, answer: Answer, ids: dict[str, str]) -> dict[str, Any]:
        """A response that has not answered yet."""
        asked = {name: value for name, value in answer.question.echo.items() if value is not None}
        model = answer.question.model
        thinks = model.thinks != "never"
        return {
            "id": ids["resp"],
            "object": "response",
            "created_at": int(time.time()),
            "status": "in_progress",
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.get("instructions"),
            "max_output_tokens": asked.get("max_output_tokens"),
            "max_tool_calls": asked.get("max_tool_calls"),
            "model": model.served_as,
            "output": [],
            "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
            "previous_response_id": asked.get("previous_response_id"),
            "prompt_cache_key": asked.get("prompt_cache_key"),
            "reasoning": {"effort": answer.question.effort if thinks else None, "summary": None},
            "safety_identifier": asked.get("safety_identifier"),
            "service_tier": answer.question.tier or "default",
            "store": asked.get("store") is not False,
            "temperature": asked.get("temperature", 1.0),
            "text": tools.echoed_text(asked),
            "tool_choice": asked.get("tool_choice") or "auto",
            "tools": [tools.echoed(tool) for tool in asked.get("tools") or []],
            "top_logprobs": asked.get("top_logprobs") or 0,
            "top_p": asked.get("top_p", 1.0),
            "truncation": asked.get("truncation", "disabled"),
            "usage": None,
            "user": asked.get("user"),
            "metadata": asked.get("metadata") or {},
        }

    def _finish(self, response: dict[str, Any], answer: Answer, ids: dict[str, str]) -> None:
        """Fill in the output, the status and the usage, and keep the conversation."""
        choice = answer.choices[0]
        cut = {"length": "max_output_tokens", "refusal": "content_filter"}.get(choice.finish)
        response["status"] = "incomplete" if cut else "completed"
        response["completed_at"] = None if cut else int(time.time())
        response["incomplete_details"] = {"reason": cut} if cut else None
        response["output"] = [_reasoning(ids)] if answer.usage.thinking_tokens else []
        if not answer.is_silent:
            response["output"].append(_item(answer, ids))
        response["usage"] = usage_body(answer.usage, answer.question)
        if response["store"]:
            # Instructions hold for one response only; all that was in the input stays.
            said = answer.question.messages[1 if answer.question.echo.get("instructions") else 0 :]
            part = Part(given.called(choice.function, choice.text), "tool_use") if choice.function else Part(choice.text)
            calls = frozenset([ids["call"]] if choice.function else [])
            self._stored[response["id"]] = Conversation((*said, Message("assistant", (part,))), calls, response)

    # ---- what is stored --------------------------------------------------
    def get(self, call: Call) -> Response:
        return self._dialect.ok(self._named(call).body)

    def delete(self, call: Call) -> Response:
        """Those that went on from it keep what was said."""
        self._stored.pop(self._named(call).body["id"], None)
        return self._dialect.ok({"id": call.groups["id"], "object": "response", "deleted": True})

    def _named(self, call: Call) -> Conversation:
        kept = self._stored.get(call.groups["id"])
        if kept is None:
            raise Refusal("not_found", f"Response with id '{call.groups['id']}' not found.")
        return kept

    def count(self, call: Call) -> Response:
        question = self.read(call)
        return self._dialect.ok({"object": "response.input_tokens", "input_tokens": question.prompt_tokens})


async def _text_events(answer: Answer, ids: dict[str, str], place: int) -> AsyncIterator[dict[str, Any]]:
    """The events of a message."""
    choice = answer.choices[0]
    here = {"item_id": ids["msg"], "output_index": place, "content_index": 0}
    opened = {**_message_item(ids, _text("")), "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": place, "item": opened}
    yield {"type": "response.content_part.added", **here, "part": _text("")}
    async for piece in answer.stream():
        if piece.text or piece.scores:
            delta = {"delta": piece.text, "logprobs": _logprobs(piece.scores), **chat.obfuscation(answer.question)}
            yield {"type": "response.output_text.delta", **here, **delta}
    yield {"type": "response.output_text.done", **here, "text": choice.text, "logprobs": _logprobs(choice.scores)}
    yield {"type": "response.content_part.done", **here, "part": _text(choice.text, choice.scores)}
    yield {"type": "response.output_item.done", "output_index": place, "item": _item(answer, ids)}


async def _call_events(answer: Answer, ids: dict[str, str], place: int) -> AsyncIterator[dict[str, Any]]:
    """The events of a function call, whose arguments come in pieces of JSON."""
    choice = answer.choices[0]
    here = {"item_id": ids["fc"], "output_index": place}
    opened = tools.call_item(ids["fc"], ids["call"], choice.function, "", "in_progress")
    yield {"type": "response.output_item.added", "output_index": place, "item": opened}
    async for piece in answer.stream():
        if piece.text:
            delta = {"delta": piece.text, **chat.obfuscation(answer.question)}
            yield {"type": "response.function_call_arguments.delta", **here, **delta}
    yield {"type": "response.function_call_arguments.done", **here, "arguments": choice.text}
    yield {"type": "response.output_item.done", "output_index": place, "item": _item(answer, ids)}


def _ids() -> dict[str, str]:
    """Ids of a response and its items: 48 hex digits after the prefix, the first 16 of them shared; and that of a call."""
    shared = secrets.token_hex(8)
    return {**{prefix: hex_id(f"{prefix}_{shared}", 32) for prefix in ("resp", "msg", "rs", "fc")}, "call": random_id("call_", 24)}


def _logprobs(scores: Sequence[TokenScore]) -> list[dict[str, Any]]:
    return (chat.logprobs(scores) or {}).get("content", [])


def _text(text: str, scores: Sequence[TokenScore] = ()) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": _logprobs(scores), "text": text}


def _item(answer: Answer, ids: dict[str, str]) -> dict[str, Any]:
    """The item that an answer ends with: a function call or a message."""
    choice = answer.choices[0]
    status = "incomplete" if choice.finish == "length" else "completed"
    if choice.function:
        return tools.call_item(ids["fc"], ids["call"], choice.function, choice.text, status)
    return _message_item(ids, _text(choice.text, choice.scores), status)


def _message_item(ids: dict[str, str], content: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    return {"id": ids["msg"], "type": "message", "status": status, "content": [content], "phase": "final_answer", "role": "assistant"}


def _reasoning(ids: dict[str, str]) -> dict[str, Any]:
    return {"id": ids["rs"], "type": "reasoning", "summary": []}


def usage_body(usage: Usage, question: Question) -> dict[str, Any]:
    read = {"cached_tokens": usage.cache_read_tokens}
    if question.model.cache and question.model.cache.charges_writes:
        read["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": read,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.thinking_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
