"""OpenAI: routes, keys, rate-limit headers and errors. The bodies are in the files beside this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time
from math import ceil
from typing import Any

from helpers import models
from helpers.gateway.answer import Answer
from helpers.gateway.batches import File
from helpers.gateway.dialects.openai import chat, embeddings, modalities, moderations, rules, schema
from helpers.gateway.dialects.openai import response_events as events
from helpers.gateway.dialects.openai.batches import OpenAIBatches
from helpers.gateway.dialects.openai.completions import OpenAICompletions
from helpers.gateway.dialects.openai.errors import go_duration, words
from helpers.gateway.dialects.openai.files import OpenAIFiles, batch_file
from helpers.gateway.dialects.openai.moderations import OpenAIModerations
from helpers.gateway.dialects.openai.response_store import Given
from helpers.gateway.dialects.openai.responses import OpenAIResponses
from helpers.gateway.dialects.openai.stored import StoredChats
from helpers.gateway.dialects.remembered import Remembered
from helpers.gateway.events import Sent
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.quotas import PER_DAY, Level
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, hex_id, model_headers, pretty, route

OLDER = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")  # endpoints that refuse a key or a model in a way of their own


class OpenAI(Dialect):
    provider = "openai"
    mount = "/openai"

    def __init__(self) -> None:
        self._responses = OpenAIResponses(self)
        self._stored = StoredChats(self)

    def forget(self) -> None:
        self._responses.forget()
        self._stored.forget()

    def routes(self) -> list[Route]:
        responses = self._responses
        batched = {
            "/v1/chat/completions": (self.read_chat, self.write_chat),
            "/v1/responses": (responses.read, responses.write),
            "/v1/embeddings": (self.read_embeddings, self.write_embeddings),
        }
        self._batches = OpenAIBatches(self, batched)
        return [
            route("POST", "/v1/chat/completions", "chat", read=Remembered(self.read_chat), write=self.write_chat, stream=self.stream_chat),
            route("POST", "/v1/embeddings", "embeddings", read=self.read_embeddings, write=self.write_embeddings),
            route("GET", "/v1/models", "models", handle=self.list_models),
            route("GET", "/v1/models/(?P<model>.+)", "model", handle=self.get_model),
            *responses.routes(),
            *self._stored.routes(),
            *OpenAICompletions(self).routes(),
            *OpenAIModerations(self).routes(),
            *OpenAIFiles(self, self.base_headers).routes(),
            *self._batches.routes(),
        ]

    def admit(self, call: Call, question: Question) -> None:
        if Given.of(question):
            self._responses.admit(question)

    def batch_file(self, call: Call) -> File | None:
        return batch_file(call)

    def batch_questions(self, call: Call) -> list[tuple[Question, dict[str, Any]]]:
        return self._batches.questions(call)

    def key(self, call: Call) -> str | None:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None

    # ---- chat ------------------------------------------------------------
    def read_chat(self, call: Call) -> Question:
        if call.json.get("model") in (None, ""):
            raise Refusal("bad_value", "you must provide a model parameter", code=None)
        return self.read_chat_for(self.model(call.json["model"], call), call)

    def read_chat_for(self, model: models.Model, call: Call) -> Question:
        """The question to a model that is already known: Azure names it in the path."""
        if "messages" in call.json:
            modalities.check_names(call.json, model)
        chat.check(call.json)
        schema.check_chat(call.json, model)
        rules.check(call.json, model)
        if call.json.get("moderation"):
            moderations.check_model(call.json["moderation"]["model"])
        return self.check_length(chat.question(call.json, model, self.provider))

    def write_chat(self, question: Question, answer: Answer) -> bytes:
        body = chat.completion(answer)
        if question.echo.get("moderation"):
            body["moderation"] = moderations.of_chat(question, answer)
        if question.echo.get("store"):
            self._stored.keep(question, body)
        return pretty(body)

    async def stream_chat(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        first = {"role": "assistant", "content": "", "refusal": None}
        chunks = chat.chunks(answer, chat.stream_head(answer), first)
        if question.echo.get("moderation"):
            chunks = moderations.chunks_with(question, answer, chunks)
        if question.echo.get("store"):
            chunks = self._stored.watched(question, answer, chunks)
        async for chunk in chunks:
            yield chat.frame({**chunk, **chat.obfuscation(question)} if chunk["choices"] else chunk)
        yield chat.DONE

    def usage(self, payloads: list[Any]) -> Usage | None:
        return chat.parse_usage(payloads)

    # ---- embeddings ------------------------------------------------------
    def read_embeddings(self, call: Call) -> Question:
        if call.json.get("model") in (None, ""):
            raise Refusal("bad_value", "you must provide a model parameter", code=None)
        return self.read_embeddings_for(self.model(call.json["model"], call, kind="embedding"), call)

    def read_embeddings_for(self, model: models.Model, call: Call) -> Question:
        """The question to a model that is already known."""
        embeddings.check(call.json)
        return embeddings.question(call.json, model, self.provider)

    def write_embeddings(self, question: Question, answer: Answer) -> bytes:
        return embeddings.body(answer)

    # ---- models ----------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        today = call.services.clock.today()
        rows = [_model_body(m) for m in models.of(self.provider, None) if not m.is_retired(today)]
        return self.ok({"object": "list", "data": rows})

    async def get_model(self, call: Call) -> Response:
        model = self.model(call.groups["model"], call, kind=None)
        return self.ok(_model_body(model), *model_headers(model))

    # ---- headers ---------------------------------------------------------
    def ok(self, body: Any, *more: tuple[str, str]) -> Response:
        return Response(200, [("Content-Type", "application/json"), *self.base_headers(), *more], pretty(body))

    def ok_stream(self, events: AsyncIterator[bytes]) -> Response:
        """A 200 that gives the events of what was made before."""
        return Response(200, [("Content-Type", self.stream_type), *self.base_headers()], stream=events)

    def base_headers(self, milliseconds: int = 12) -> Headers:
        return [
            ("x-request-id", hex_id("req_", 32)),
            ("openai-organization", "the-course"),
            ("openai-project", "proj_course"),
            ("openai-processing-ms", str(milliseconds)),
            ("openai-version", "2020-10-01"),
        ]

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        milliseconds = round(question.model.ttft * answer.pace * 1000) + 1
        return [*self.base_headers(milliseconds), *limit_headers(levels)]

    # ---- errors ----------------------------------------------------------
    def error(self, refusal: Refusal, call: Call) -> Response:
        request_id = hex_id("req_", 32)
        status, kind, code, text = words(refusal, request_id)
        headers = [("Content-Type", "application/json"), ("x-request-id", request_id)]
        known = _known_of_a_refusal(status, call.path)
        headers += [(name, value) for name, value in self.base_headers() if name in known]
        if status == 401:
            headers.append(("www-authenticate", 'Bearer realm="OpenAI API"'))
        if status in (429, 503) and refusal.kind in ("rate_limited", "overloaded"):
            wait = refusal.facts.get("wait", 1.0)
            headers += [("retry-after", str(max(1, ceil(wait)))), ("retry-after-ms", str(max(1, ceil(wait * 1000))))]
        if refusal.kind in ("no_recording", "over_budget", "no_upstream"):
            headers.append(("x-should-retry", "false"))
        body = {"error": {"message": text, "type": kind, "param": self.param(refusal), "code": code}}
        return Response(status, headers, pretty(body))

    def param(self, refusal: Refusal) -> str | None:
        """The param field; an unknown model has none on chat, and has one on Responses, as has one that does not chat."""
        unknown = refusal.kind in ("unknown_model", "retired_model") and refusal.facts.get("status") != 400
        return None if unknown or refusal.facts.get("wanted") == "embedding" else refusal.param

    def stream_end(self, refusal: Refusal, content_type: str, operation: str, gone: Sent) -> bytes:
        if operation != "responses":
            return super().stream_end(refusal, content_type, operation, gone)
        _, kind, code, text = words(refusal, hex_id("req_", 32))
        return events.failure({"type": kind, "code": code, "message": text, "param": None}, gone)

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        _, kind, code, text = words(refusal, hex_id("req_", 32))
        return chat.frame({"error": {"message": text, "type": kind, "param": None, "code": code}})


def _known_of_a_refusal(status: int, path: str) -> tuple[str, ...]:
    """Which of OpenAI's own headers a refusal has beside x-request-id, by recordings of 2024 to 2026.

    The older endpoints look for the key and the model before they know whose request it is; the others know all but that of a wrong key.
    """
    if status in (401, 404) and path in OLDER:
        return ()
    if status == 401:
        return ("openai-processing-ms", "openai-version")
    return ("openai-organization", "openai-project", "openai-processing-ms", "openai-version")


def _model_body(model: models.Model) -> dict[str, Any]:
    shutdown = model.retires.isoformat() if model.retires else None
    return {"id": model.id, "object": "model", "created": _created(model), "owned_by": "openai", "shutdown_date": shutdown}


def _created(model: models.Model) -> int:
    """Seconds since 1970 of the release; 0 where the date is not known."""
    return int(datetime.combine(model.released, time(), UTC).timestamp()) if model.released else 0


def limit_headers(levels: dict[str, Level]) -> Headers:
    """x-ratelimit-*: what is left of each bucket, and the time until it is full as a Go duration.

    Where requests are limited by the day, they are the day's: accounts with both were shown resets that fit a day alone.
    """
    limits, left, resets = [], [], []
    for family, level in levels.items():
        if not family.endswith(PER_DAY):
            shown = levels.get(family + PER_DAY, level)
            limits.append((f"x-ratelimit-limit-{family}", str(shown.limit)))
            left.append((f"x-ratelimit-remaining-{family}", str(int(shown.left))))
            resets.append((f"x-ratelimit-reset-{family}", go_duration(shown.seconds_to_full)))
    return [*limits, *left, *resets]
