"""Google Gemini: routes, key, headers; generateContent plain, as server-sent events and as a JSON array."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

from helpers import models
from helpers.gateway.answer import Answer
from helpers.gateway.dialects.gemini import contents as bodies
from helpers.gateway.dialects.gemini import embeddings, interactions, turns
from helpers.gateway.dialects.gemini.batches import GeminiBatches
from helpers.gateway.dialects.gemini.caches import GeminiCaches
from helpers.gateway.dialects.gemini.errors import error_body, interaction_error
from helpers.gateway.dialects.gemini.files import GeminiFiles, inline
from helpers.gateway.dialects.gemini.owners import given_key
from helpers.gateway.dialects.gemini.pages import page
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, compact, model_headers, pretty, route

# Resources of the newer kind, whose errors have words for codes: served are interactions alone.
NEWER = re.compile(r"(?:/upload)?(?:/v1|/v1beta)?/(?:interactions|agents|credentials|decisions|environments|triggers|voices|webhooks)(?:/|$)")
# litellm leaves the version out of the path.
VERSION = "(?:/(?P<version>v1|v1beta))?"


class Gemini(Dialect):
    provider = "gemini"
    mount = "/gemini"
    json_type = "application/json; charset=UTF-8"
    stream_type = "text/event-stream"
    stops_when_left = False

    def routes(self) -> list[Route]:
        one = VERSION + "/models/(?P<model>[^/:]+)"
        self.caches = GeminiCaches(self)
        self._interactions = interactions.GeminiInteractions(self, self.question)
        self._batches = GeminiBatches(self, self.named_model, self.read)
        return [
            route("POST", one + ":generateContent", "generate", read=self.read, write=self.write, weigh=self.caches.weigh),
            route("POST", one + ":streamGenerateContent", "generate", read=self.read_stream, stream=self.stream, weigh=self.caches.weigh),
            route("POST", one + ":embedContent", "embeddings", read=self.read_embedding, write=self.write_embeddings),
            route("POST", one + ":batchEmbedContents", "embeddings", read=self.read_embeddings, write=self.write_embeddings),
            route("POST", one + ":countTokens", "count tokens", handle=self.count, weigh=self.caches.weigh),
            route("GET", VERSION + "/models", "models", handle=self.list_models),
            route("GET", one, "model", handle=self.get_model),
            *self.caches.routes(VERSION),
            *self._interactions.routes(VERSION),
            *GeminiFiles(self, lambda: _timing(12)).routes(VERSION),
            *self._batches.routes(VERSION),
        ]

    def forget(self) -> None:
        self._interactions.forget()

    def batch_questions(self, call: Call) -> list[tuple[Question, dict[str, Any]]]:
        return self._batches.questions(call)

    def key(self, call: Call) -> str | None:
        # The pieces of an upload carry no key: the address that they are sent to is one.
        return given_key(call) or call.query.get("upload_id") or None

    # ---- generate --------------------------------------------------------
    def read(self, call: Call) -> Question:
        body, model = bodies.checked(call.json), self.named_model(call)
        turns.check_end(body["contents"], model)
        return self.check_length(self.question(body, model, call))

    def read_stream(self, call: Call) -> Question:
        return bodies.streamed(self.read(call), sse=call.query.get("alt") == "sse")

    def question(self, body: dict[str, Any], model: models.Model, call: Call) -> Question:
        """The question of a checked body, which may name an explicit cache."""
        name = body.get("cachedContent")
        inline(body, call)
        return bodies.question(body, model, self.caches.use(name, model, call) if name else None)

    def named_model(self, call: Call, kind: str | None = "chat") -> models.Model:
        return self.model(unquote(call.groups["model"]), call, kind=kind)

    def write(self, question: Question, answer: Answer) -> bytes:
        return pretty(bodies.response_body(answer))

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        """Server-sent events with CRLF; or, without alt=sse, one JSON array that grows."""
        first = True
        async for piece in bodies.pieces(answer):
            if question.echo["sse"]:
                yield b"data: " + compact(piece) + b"\r\n\r\n"
            else:
                yield (b"[" if first else b",\n") + pretty(piece)
            first = False
        if not question.echo["sse"]:
            yield b"]"

    def content_type(self, question: Question) -> str:
        return self.stream_type if question.stream and question.echo.get("sse") else self.json_type

    def usage(self, payloads: list[Any]) -> Usage | None:
        return bodies.parse_usage(payloads) or interactions.parse_usage(payloads)

    def events(self, body: bytes, content_type: str) -> list[Any]:
        if "event-stream" in content_type:
            return super().events(body, content_type)
        value = json.loads(body)
        return value if isinstance(value, list) else [value]

    # ---- embeddings ------------------------------------------------------
    def read_embedding(self, call: Call) -> Question:
        return embeddings.one(call.json, self.named_model(call, "embedding"))

    def read_embeddings(self, call: Call) -> Question:
        return embeddings.several(call.json, self.named_model(call, "embedding"))

    def write_embeddings(self, question: Question, answer: Answer) -> bytes:
        return embeddings.body(question, answer)

    # ---- counting and models ---------------------------------------------
    def count(self, call: Call) -> Response:
        model = self.named_model(call)
        body = bodies.checked(bodies.counted(call.json))
        return self.ok(bodies.count_body(self.question(body, model, call)))

    async def list_models(self, call: Call) -> Response:
        today = call.services.clock.today()
        alive = [model for model in models.of(self.provider, None) if not model.is_retired(today)]
        shown, more = page(call, alive, lambda model: model.id, 50, 1000)
        return self.ok({"models": [_model_body(model) for model in shown], **more})

    async def get_model(self, call: Call) -> Response:
        model = self.named_model(call, None)
        return self.ok(_model_body(model), *model_headers(model))

    # ---- headers and errors ----------------------------------------------
    def ok(self, body: Any, *more: tuple[str, str]) -> Response:
        return Response(200, [("Content-Type", self.json_type), *_timing(12), *more], pretty(body))

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        timing = _timing(round(question.model.ttft * answer.pace * 1000) + 1)
        if not question.stream or "body" in question.echo:
            return [*timing, ("x-gemini-service-tier", "standard")]
        return [*timing, ("content-disposition", "attachment")] if question.echo["sse"] else timing

    def error(self, refusal: Refusal, call: Call) -> Response:
        if NEWER.match(call.path):
            status, body = interaction_error(refusal, call)
            return Response(status, [("Content-Type", self.json_type), *_timing(5)], pretty(body))
        body = error_body(refusal, call)
        streams, as_events = call.path.endswith(":streamGenerateContent"), call.query.get("alt") == "sse"
        # Under alt=sse the type is that of the stream, as recorded; the body is JSON all the same, no event.
        kind = self.stream_type if streams and as_events else self.json_type
        return Response(body["error"]["code"], [("Content-Type", kind), *_timing(5)], pretty([body] if streams and not as_events else body))

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        if "event-stream" in content_type:
            return b"data: " + compact(error_body(refusal)) + b"\r\n\r\n"
        return (b"[" if first else b",\n") + pretty(error_body(refusal)) + b"]"


def _timing(milliseconds: int) -> Headers:
    return [("server-timing", f"gfet4t7; dur={milliseconds}")]


def _model_body(model: models.Model) -> dict[str, Any]:
    if model.kind == "embedding":
        name = {"name": f"models/{model.id}", "version": "001", "displayName": model.id.replace("-", " ").title()}
        return {**name, "inputTokenLimit": model.context, "outputTokenLimit": 1, "supportedGenerationMethods": ["embedContent", "countTextTokens", "countTokens"]}
    caching = ["createCachedContent"] if model.cache and not model.cache.implicit_only else []
    return {
        "name": f"models/{model.id}",
        "version": "001",
        "displayName": model.id.replace("-", " ").title(),
        "inputTokenLimit": model.context,
        "outputTokenLimit": model.max_output,
        "supportedGenerationMethods": ["generateContent", "countTokens", *caching, "batchGenerateContent"],
        "thinking": model.thinks != "never",
    }
