"""Ollama's OpenAI-compatible endpoint, by its source of August 2026: fields that it does not have are passed over, and so are long prompts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from helpers import models
from helpers.gateway.answer import Answer, Choice, TokenScore
from helpers.gateway.dialects.openai import chat
from helpers.gateway.dialects.schema import json_type
from helpers.gateway.dialects.servers.server import HOUSE, Json, Server, named, words
from helpers.gateway.exchange import MESSAGE_OVERHEAD, Message, Question, Refusal
from helpers.gateway.wire import Call, Response, Route, compact, random_id, route

WINDOW = 4096  # tokens, whatever the model could: what a machine without much video memory gets (OLLAMA_CONTEXT_LENGTH)
NAMES = {
    "house:latest": HOUSE,
    "llama3.1:8b": "meta-llama/Llama-3.1-8B-Instruct",
    "llama3.2:1b": "meta-llama/Llama-3.2-1B-Instruct",
}
# What its request has; all else is passed over. There is no max_completion_tokens, tool_choice or n.
KNOWN = (
    "model", "messages", "stream", "stream_options", "max_tokens", "seed", "stop", "temperature", "frequency_penalty", "presence_penalty",
    "top_p", "response_format", "tools", "reasoning", "reasoning_effort", "logprobs", "top_logprobs",
)  # fmt: skip
GO = {"integer": "int", "number": "float64", "boolean": "bool", "string": "string", "array": "[]", "object": "struct"}
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MODIFIED = datetime(2026, 11, 23, tzinfo=UTC)


def model_of(provider: str, name: Any) -> models.Model:
    """The model behind a name of Ollama's, with or without its tag. Raises Refusal("unknown_model")."""
    if not name:
        raise Refusal("bad_value", "model is required")
    known = NAMES.get(name if ":" in name else f"{name}:latest")
    if known is None:
        raise Refusal("unknown_model", model=name)
    return models.get(known, provider)


def fitted(question: Question, window: int = WINDOW) -> Question:
    """The question without the oldest turns, where the prompt is longer than the window: system turns and the last one stay.

    Nothing tells the client. Raises Refusal("too_long") where the last turn alone does not fit.
    """
    window = min(window, question.model.context)
    tokens, first, kept = question.prompt_tokens, 0, list[Message]()
    while tokens > window and first < len(question.messages) - 1:
        message = question.messages[first]
        first += 1
        if message.role == "system":
            kept.append(message)
        else:
            tokens -= sum(part.token_count() for part in message.parts) + MESSAGE_OVERHEAD["compatible"][0]
    if tokens > window:
        raise Refusal("too_long", model=question.model.id, tokens=tokens, maximum=window, limit=question.limit)
    return replace(question, messages=(*kept, *question.messages[first:])) if first else question


def told(refusal: Refusal) -> tuple[int, str]:
    """Status and message of a refusal, in both of Ollama's APIs."""
    status, message = words(refusal)
    facts = refusal.facts
    if refusal.kind == "unknown_model":
        return 404, f"model '{facts['model']}' not found"
    if refusal.kind == "too_long":  # what the server inside it said, as a text
        text = f"request ({facts['tokens']} tokens) exceeds the available context size ({facts['maximum']} tokens), try increasing it"
        inner = {"code": 400, "message": text, "type": "exceed_context_size_error", "n_prompt_tokens": facts["tokens"], "n_ctx": facts["maximum"]}
        return 400, compact({"error": inner}).decode()
    if refusal.kind == "wrong_type":
        place = f"Go struct field {facts.get('struct', 'ChatCompletionRequest')}.{refusal.param}"
        return 400, f"json: cannot unmarshal {_go(facts.get('value'))} into {place} of type {GO.get(facts['expected'], facts['expected'])}"
    if refusal.kind == "missing":
        return 400, "[] is too short - 'messages'" if refusal.param == "messages" else "invalid message format"
    if refusal.kind == "overloaded":
        return 503, "server busy, please try again.  maximum pending requests exceeded"
    return status, message


def _go(value: Any) -> str:
    return {"boolean": "bool", "integer": "number", "decimal": "number"}.get(json_type(value), json_type(value))


class Ollama(Server):
    """Only what its request knows has an effect; the context window cannot be set here."""

    mount = "/ollama"

    def routes(self) -> list[Route]:
        chats, lists, _ = super().routes()
        return [chats, lists, route("GET", "/v1/models/(?P<model>.+)", "model", handle=self.get_model)]

    def understood(self, body: Json) -> Json:
        if body.get("messages") == []:
            raise Refusal("missing", param="messages")
        return {"temperature": 1.0, "top_p": 1.0, **{name: value for name, value in body.items() if name in KNOWN}}

    def served(self, name: Any, call: Call) -> models.Model:
        return model_of(self.provider, name)

    def check(self, body: Json, model: models.Model) -> None:
        if not 0 <= (body.get("top_logprobs") or 0) <= 20:
            raise Refusal("bad_value", "top_logprobs must be between 0 and 20")
        if body.get("reasoning_effort") not in (None, "none"):
            raise Refusal("bad_value", f'"{body["model"]}" does not support thinking')

    def fitted(self, question: Question) -> Question:
        return fitted(question)

    # ---- writing ---------------------------------------------------------
    def head(self, answer: Answer, kind: str) -> Json:
        id = f"chatcmpl-{random_id('', 3, '0123456789').lstrip('0') or '0'}"
        return {"id": id, "object": kind, "created": int(time.time()), "model": named(answer.question), "system_fingerprint": "fp_ollama"}

    def message(self, choice: Choice) -> Json:
        called = choice.function and choice.finish == "call"
        return {"role": "assistant", "content": "", "tool_calls": [_call(choice)]} if called else {"role": "assistant", "content": choice.text}

    def choice(self, index: int, choice: Choice, question: Question) -> Json:
        body = {"index": index, "message": self.message(choice), "finish_reason": self.finish(choice, question)}
        logprobs = self.logprobs(choice.scores)
        return {**body, "logprobs": logprobs} if logprobs else body

    def finish(self, choice: Choice, question: Question) -> str:
        return {"call": "tool_calls", "length": "length"}.get(choice.finish, "stop")

    # ---- streams ---------------------------------------------------------
    async def stream_chat(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        """A call comes whole, in one chunk; the role stands in the first chunk, beside its text."""
        head, role = self.head(answer, "chat.completion.chunk"), {"role": "assistant"}
        async for piece in answer.stream():
            if not answer.choices[0].function and (piece.text or chat.said(piece.scores)):
                yield chat.frame(self.chunk(head, 0, {**role, "content": piece.text}, piece.scores))
                role = {}
        choice = answer.choices[0]
        if choice.function and choice.finish == "call":
            yield chat.frame(self.chunk(head, 0, {**role, "content": "", "tool_calls": [_call(choice)]}))
        elif role:
            yield chat.frame(self.chunk(head, 0, {**role, "content": ""}))
        yield chat.frame(self.end(head, 0, choice, question))
        if question.include_usage:
            yield chat.frame(self.usage_chunk(head, answer))
        yield chat.DONE

    def chunk(self, head: Json, index: int, delta: Json, scores: Sequence[TokenScore] = (), finish: str | None = None) -> Json:
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        logprobs = self.logprobs(scores)
        return {**head, "choices": [{**choice, "logprobs": logprobs} if logprobs else choice]}

    # ---- the rest --------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        return self._json({"object": "list", "data": [_row(name) for name in NAMES]})

    async def get_model(self, call: Call) -> Response:
        model_of(self.provider, call.groups["model"])
        return self._json(_row(call.groups["model"]))

    def no_route(self, call: Call) -> Response:
        return Response(404, [("Content-Type", "text/plain")], b"404 page not found")

    def refused(self, refusal: Refusal) -> tuple[int, Json]:
        status, message = told(refusal)
        kind = {400: "invalid_request_error", 404: "not_found_error"}.get(status, "api_error")
        return status, {"error": {"message": message, "type": kind, "param": None, "code": None}}


def _row(name: str) -> Json:
    return {"id": name, "object": "model", "created": int(MODIFIED.timestamp()), "owned_by": "library"}


def _call(choice: Choice) -> Json:
    function = {"name": choice.function, "arguments": choice.text}
    return {"id": random_id("call_", 8, LETTERS), "index": 0, "type": "function", "function": function}
