"""Anthropic's own OpenAI-compatible endpoint, by its page on the OpenAI SDK: Claude behind OpenAI's chat, with much of the request passed over.

The page calls it a way to try Claude, not one for production: no prompt cache, no thoughts shown, no schema that is kept to.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from helpers.gateway.answer import Answer, Choice
from helpers.gateway.dialects.anthropic.errors import words
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.schema import BOOLEAN, checker, nullable, shape
from helpers.gateway.exchange import Message, Part, Question, Refusal, Usage
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, compact, random_id, route

# Passed over are response_format, logprobs, seed, penalties and reasoning_effort, among others.
FIELDS = {**chat.READ_ELSEWHERE, "parallel_tool_calls": nullable(BOOLEAN)}
_check = checker(shape("model messages", **FIELDS))


class AnthropicCompatible(Dialect):
    """Its mount is what of the path comes before the last word, so that the base URL is Anthropic's own, with /v1."""

    provider = "anthropic"
    mount = "/anthropic/v1/chat"
    has_upstream = False

    def routes(self) -> list[Route]:
        return [route("POST", "/completions", "chat", read=self.read, write=self.write, stream=self.stream)]

    def key(self, call: Call) -> str | None:
        bearer = call.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return bearer or call.headers.get("x-api-key") or None

    def read(self, call: Call) -> Question:
        _check(call.json)
        body = {name: value for name, value in call.json.items() if name in FIELDS}
        if body.get("n") not in (None, 1):
            raise Refusal("bad_value", "n: Input should be 1")
        if isinstance(body.get("tool_choice"), str) and body["tool_choice"] not in ("none", "auto", "required"):
            raise Refusal("bad_value", f"tool_choice: unknown value {body['tool_choice']!r}")
        body["temperature"] = min(body.get("temperature") if body.get("temperature") is not None else 1, 1)  # what is above is taken for 1
        question = chat.question(body, self.model(body["model"], call), self.provider)
        return self.check_length(_hoisted(question))

    # ---- writing ---------------------------------------------------------
    def write(self, question: Question, answer: Answer) -> bytes:
        choice = answer.choices[0]
        message: dict[str, Any] = {"role": "assistant", "content": choice.text}
        if choice.function:
            message |= {"content": None, "tool_calls": [_call(choice.function, choice.text)]}
        body = {**_head(answer, "chat.completion"), "choices": [{"index": 0, "message": message, "finish_reason": _finish(choice)}]}
        return compact({**body, "usage": _usage(answer)})

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        head, called = _head(answer, "chat.completion.chunk"), answer.choices[0].function
        opened = {"tool_calls": [{"index": 0, **_call(called, "")}]} if called else {}
        yield _chunk(head, {"role": "assistant", "content": "", **opened})
        async for piece in answer.stream():
            if piece.text:
                yield _chunk(head, {"tool_calls": [{"index": 0, "function": {"arguments": piece.text}}]} if called else {"content": piece.text})
        yield _chunk(head, {}, _finish(answer.choices[0]))
        if question.include_usage:
            yield chat.frame({**head, "choices": [], "usage": _usage(answer)})
        yield chat.DONE

    def usage(self, payloads: list[Any]) -> Usage | None:
        return chat.parse_usage(payloads)

    # ---- headers and errors ----------------------------------------------
    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        return [("request-id", random_id("req_01", 22)), ("openai-version", "2020-10-01")]

    def error(self, refusal: Refusal, call: Call) -> Response:
        status, body = _refused(refusal)
        retry = [("x-should-retry", "false")] if status < 429 else []
        return Response(status, [("Content-Type", "application/json"), ("request-id", random_id("req_01", 22)), *retry], compact(body))

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        return chat.frame(_refused(refusal)[1])


def _hoisted(question: Question) -> Question:
    """All that system and developer say stands in one message at the beginning, a line break between two."""
    said = [message.text for message in question.messages if message.role == "system"]
    if not said:
        return question
    first = Message("system", (Part("\n".join(said)),))
    others: tuple[Message, ...] = tuple(message for message in question.messages if message.role != "system")
    question.messages = (first, *others)
    return question


def _head(answer: Answer, kind: str) -> dict[str, Any]:
    return {"id": random_id("msg_01", 22), "object": kind, "created": int(time.time()), "model": answer.question.model.served_as}


def _call(name: str, arguments: str) -> dict[str, Any]:
    return {"id": random_id("toolu_01", 22), "type": "function", "function": {"name": name, "arguments": arguments}}


def _finish(choice: Choice) -> str:
    return {"call": "tool_calls", "length": "length", "refusal": "content_filter"}.get(choice.finish, "stop")


def _chunk(head: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> bytes:
    return chat.frame({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _usage(answer: Answer) -> dict[str, int]:
    given, made = answer.usage.input_tokens, answer.usage.output_tokens
    return {"completion_tokens": made, "prompt_tokens": given, "total_tokens": given + made}


def _refused(refusal: Refusal) -> tuple[int, dict[str, Any]]:
    """Anthropic's words and types in OpenAI's shape; the type stands in the code too."""
    status, kind, text = words(refusal)
    return status, {"error": {"code": kind, "message": text, "type": kind, "param": None}}
