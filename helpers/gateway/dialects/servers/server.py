"""What the compatible servers share: how a body becomes a question, the way of a stream, and where their bodies differ."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from helpers import models
from helpers.gateway.answer import Answer, Choice, Piece, TokenScore
from helpers.gateway.dialects import vllm
from helpers.gateway.dialects.compatible import Compatible
from helpers.gateway.dialects.openai import chat, errors
from helpers.gateway.dialects.schema import OBJECT, STRING, checker, list_of, nullable, shape
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.wire import Call, Headers, Response, Route, compact, hex_id, route

CHOICES = ("none", "auto", "required")
HOUSE = "house"  # the model that a server with one model has loaded
FORMAT = nullable(shape(type=STRING, json_schema=nullable(shape(schema=nullable(OBJECT)))))
FIELDS = {**vllm.FIELDS, "messages": list_of(vllm.MESSAGE), "model": nullable(STRING), "tool_choice": chat.TOOL_CHOICE, "response_format": FORMAT}
_check_types = checker(shape("messages", **FIELDS))
Json = dict[str, Any]


class Server(Compatible):
    """A compatible server that looks at types and little else. Each of the others says what it does differently."""

    has_upstream = False

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/chat/completions", "chat", read=self.read_chat, write=self.write_chat, stream=self.stream_chat),
            route("GET", "/v1/models", "models", handle=self.list_models),
            route("GET", "/health", "health", handle=self.health),
        ]

    # ---- reading ---------------------------------------------------------
    def read_chat(self, call: Call) -> Question:
        body = self.understood(call.json)
        _check_types(body)
        if isinstance(body.get("tool_choice"), str) and body["tool_choice"] not in CHOICES:
            raise Refusal("bad_value", f"Invalid tool_choice: {body['tool_choice']}", param="tool_choice")
        model = self.served(body.get("model"), call)
        self.check(body, model)
        body = {**body, "messages": vllm.as_texts(body["messages"], model)}
        return self.fitted(chat.question(body, model, self.provider))

    def understood(self, body: Json) -> Json:
        """The body with what this server makes of it, such as its defaults; without what it does not look at."""
        return body

    def served(self, name: Any, call: Call) -> models.Model:
        """The model behind a name. A server with one model takes any name, and answers with the model that it has."""
        found = models.find(self.provider, name or HOUSE)
        return found if found and found.kind == "chat" else models.get(HOUSE, self.provider)

    def check(self, body: Json, model: models.Model) -> None:
        """Raise a Refusal for what this server refuses, beside values of the wrong type."""

    def fitted(self, question: Question) -> Question:
        """The question, if its prompt fits the window. Raises Refusal("too_long")."""
        return self.check_length(question)

    # ---- writing ---------------------------------------------------------
    def head(self, answer: Answer, kind: str) -> Json:
        """The fields at the top of an answer, or of each chunk."""
        model = named(answer.question)
        return {"id": hex_id("chatcmpl-", 32), "object": kind, "created": int(time.time()), "model": model}

    def message(self, choice: Choice) -> Json:
        return {"role": "assistant", "content": choice.text}

    def choice(self, index: int, choice: Choice, question: Question) -> Json:
        return {"index": index, "message": self.message(choice), "logprobs": self.logprobs(choice.scores), "finish_reason": self.finish(choice, question)}

    def finish(self, choice: Choice, question: Question) -> str:
        return chat.finish_reason(choice, question)

    def logprobs(self, scores: Sequence[TokenScore]) -> Json | None:
        return {"content": chat.logprobs(chat.said(scores))["content"]} if chat.said(scores) else None

    def usage_of(self, answer: Answer) -> Json:
        given, made = answer.usage.input_tokens, answer.usage.output_tokens
        return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}

    def write_chat(self, question: Question, answer: Answer) -> bytes:
        choices = [self.choice(index, choice, question) for index, choice in enumerate(answer.choices)]
        return compact(self.completed({**self.head(answer, "chat.completion"), "choices": choices, "usage": self.usage_of(answer)}, answer))

    def completed(self, body: Json, answer: Answer) -> Json:
        """An answer, or the last chunk of one, with what a server adds to it at its end."""
        return body

    # ---- streams ---------------------------------------------------------
    async def stream_chat(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        head = self.head(answer, "chat.completion.chunk")
        for index, choice in enumerate(answer.choices):
            for delta in self.opening(choice):
                yield chat.frame(self.chunk(head, index, delta))
        async for piece in answer.stream():
            if piece.text or chat.said(piece.scores):
                yield chat.frame(self.chunk(head, piece.choice, self.delta(answer.choices[piece.choice], piece), piece.scores))
        ends = [self.end(head, index, choice, question) for index, choice in enumerate(answer.choices)]
        if question.include_usage:
            ends.append(self.usage_chunk(head, answer))
        ends[-1] = self.completed(ends[-1], answer)
        for end in ends:
            yield chat.frame(end)
        yield chat.DONE

    def opening(self, choice: Choice) -> list[Json]:
        """The deltas of a choice before its text."""
        return [{"role": "assistant", "content": ""}]

    def delta(self, choice: Choice, piece: Piece) -> Json:
        return {"content": piece.text}

    def chunk(self, head: Json, index: int, delta: Json, scores: Sequence[TokenScore] = (), finish: str | None = None) -> Json:
        return {**head, "choices": [{"index": index, "delta": delta, "logprobs": self.logprobs(scores), "finish_reason": finish}]}

    def end(self, head: Json, index: int, choice: Choice, question: Question) -> Json:
        """The chunk that ends a choice."""
        return self.chunk(head, index, {}, finish=self.finish(choice, question))

    def usage_chunk(self, head: Json, answer: Answer) -> Json:
        return {**head, "choices": [], "usage": self.usage_of(answer)}

    # ---- the rest --------------------------------------------------------
    def base_headers(self, milliseconds: int = 12) -> Headers:
        return []

    def error(self, refusal: Refusal, call: Call) -> Response:
        if refusal.kind == "no_route":
            return self.no_route(call)
        status, body = self.refused(refusal)
        response = self._json(body, status)
        if refusal.kind == "no_recording":
            response.headers.append(("x-should-retry", "false"))
        return response

    def no_route(self, call: Call) -> Response:
        return self._json({"detail": "Not Found"}, 404)

    def refused(self, refusal: Refusal) -> tuple[int, Json]:
        """Status and body of a refusal."""
        raise NotImplementedError

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        return chat.frame(self.refused(refusal)[1])


def named(question: Question) -> str:
    """The model's name as the request has it."""
    return question.echo.get("model") or question.model.id


def words(refusal: Refusal) -> tuple[int, str]:
    """Status and message where a server's own words are not known: OpenAI's."""
    status, _, _, message = errors.words(refusal, hex_id("", 8))
    return status, message
