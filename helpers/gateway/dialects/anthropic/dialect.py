"""Anthropic: routes, keys, API versions, rate-limit headers and errors."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from math import ceil
from typing import Any

from helpers import models
from helpers.gateway.answer import Answer
from helpers.gateway.clock import moment
from helpers.gateway.dialects.anthropic import messages as bodies
from helpers.gateway.dialects.anthropic.batches import AnthropicBatches
from helpers.gateway.dialects.anthropic.diagnostics import Diagnoses, fingerprint
from helpers.gateway.dialects.anthropic.errors import words
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, compact, random_id, route

ORGANIZATION = "00000000-0000-4000-8000-00000000c0de"
LARGEST_BODY = 32_000_000


class Anthropic(Dialect):
    provider = "anthropic"
    mount = "/anthropic"

    def routes(self) -> list[Route]:
        self._diagnoses = Diagnoses()
        self._batches = AnthropicBatches(self, self.version, self.read)
        return [
            route("POST", "/v1/messages", "messages", read=self.read, write=self.write, stream=self.stream),
            route("POST", "/v1/messages/count_tokens", "count tokens", handle=self.count),
            route("GET", "/v1/models", "models", handle=self.list_models),
            route("GET", "/v1/models/(?P<model>.+)", "model", handle=self.get_model),
            *self._batches.routes(),
        ]

    def forget(self) -> None:
        self._diagnoses.clear()

    def batch_questions(self, call: Call) -> list[tuple[Question, dict[str, Any]]]:
        return self._batches.questions(call)

    def key(self, call: Call) -> str | None:
        bearer = call.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return call.headers.get("x-api-key") or bearer or None

    # ---- messages --------------------------------------------------------
    def read(self, call: Call) -> Question:
        version = self.version(call)
        if len(call.body) > LARGEST_BODY:
            raise Refusal("too_large")
        body = bodies.with_output_config(call.json, call.headers.get("anthropic-beta", ""))
        bodies.check(body)
        model = self.model(body["model"], call)
        question = self.check_length(bodies.question(body, model, self.provider, version=version))
        if "diagnostics" in question.echo:  # here, where a large request is read beside the event loop
            question.echo["fingerprint"] = fingerprint(question)
        return question

    def version(self, call: Call) -> str:
        """The API version of a call, which has to name one. Raises Refusal("no_version")."""
        version = call.headers.get("anthropic-version")
        if version is None:
            raise Refusal("no_version", "anthropic-version: header is required")
        if version not in (bodies.OLD, bodies.NEW):
            raise Refusal("no_version", f'anthropic-version: "{version}" is not a valid version')
        return version

    def write(self, question: Question, answer: Answer) -> bytes:
        id = bodies.message_id()
        return compact(bodies.message_body(answer, id, self._diagnoses.of(question, id)))

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        id = bodies.message_id()
        async for event in bodies.stream_events(answer, id, self._diagnoses.of(question, id)):
            yield frame(event)

    def usage(self, payloads: list[Any]) -> Usage | None:
        return bodies.parse_usage(payloads)

    def count(self, call: Call) -> Response:
        version = self.version(call)
        body = bodies.with_output_config(call.json, call.headers.get("anthropic-beta", ""))
        bodies.check_count(body)
        model = self.model(body["model"], call)
        question = bodies.question(body, model, self.provider, version=version)
        return self.ok({"input_tokens": question.prompt_tokens})

    # ---- models ----------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        self.version(call)
        today = call.services.clock.today()
        rows = [_model_body(m) for m in models.of(self.provider) if not m.is_retired(today)]
        return self.ok({"data": rows, "has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]})

    async def get_model(self, call: Call) -> Response:
        self.version(call)
        return self.ok(_model_body(self.model(call.groups["model"], call)))

    # ---- headers ---------------------------------------------------------
    def ok(self, body: Any, *more: tuple[str, str]) -> Response:
        headers = [("Content-Type", "application/json"), ("request-id", random_id("req_01", 22)), *more]
        return Response(200, headers, compact(body))

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        return [
            ("request-id", random_id("req_01", 22)),
            ("anthropic-organization-id", ORGANIZATION),
            *limit_headers(levels, call.services.clock.now()),
        ]

    # ---- errors ----------------------------------------------------------
    def error(self, refusal: Refusal, call: Call) -> Response:
        status, kind, text = words(refusal)
        request_id = random_id("req_01", 22)
        headers = [("Content-Type", "application/json"), ("request-id", request_id)]
        if status < 429:
            headers.append(("x-should-retry", "false"))
        if refusal.kind == "rate_limited":
            headers.append(("retry-after", str(max(1, ceil(refusal.facts.get("wait", 1))))))
        return Response(status, headers, compact(_error_body(kind, text, refusal, request_id)))

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        _, kind, text = words(refusal)
        body = {"type": "error", "error": {"type": kind, "message": text}}
        return b"event: error\ndata: " + compact(body) + b"\n\n"


def _error_body(kind: str, text: str, refusal: Refusal, request_id: str) -> dict[str, Any]:
    error: dict[str, Any] = {"type": kind, "message": text}
    if refusal.kind == "out_of_credit":
        error["details"] = {"error_code": "enforced_spend_limit_reached"}
    return {"type": "error", "error": error, "request_id": request_id}


def frame(event: dict[str, Any]) -> bytes:
    """An event of a stream. Most real ones pad their JSON with spaces, so a client must not compare text."""
    name = event["type"].encode()
    if event["type"] == "ping":
        return b'event: ping\ndata: {"type": "ping"}\n\n'
    padding = b" " * secrets.randbelow(12)
    return b"event: " + name + b"\ndata: " + compact(event)[:-1] + padding + b"}\n\n"


SUPPORT = {"supported": True}


def _model_body(model: models.Model) -> dict[str, Any]:
    thinks, adapts = {"supported": model.thinks != "never"}, {"supported": model.thinks in ("default", "always")}
    kinds = {"adaptive": adapts, "enabled": {"supported": model.thinks == "optional"}}
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id.replace("-", " ").title(),
        "created_at": f"{model.released or '1970-01-01'}T00:00:00Z",
        "lifecycle": "deprecated" if model.retires else "active",
        "deprecated_at": None,
        "retires_at": f"{model.retires}T00:00:00Z" if model.retires else None,
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "capabilities": {
            "batch": SUPPORT,
            "citations": {"supported": False},
            "code_execution": {"supported": False},
            "context_management": {"supported": False},
            "effort": {**adapts, **{name: adapts for name in ("low", "medium", "high", "xhigh", "max")}},
            "image_input": SUPPORT,
            "pdf_input": SUPPORT,
            "structured_outputs": SUPPORT,
            "thinking": {**thinks, "types": kinds},
        },
    }


def limit_headers(levels: dict[str, Level], now: float) -> Headers:
    """anthropic-ratelimit-*: tokens left in whole thousands, and the moment when the bucket is full."""
    whole = {family: max(0, int(level.left)) for family, level in levels.items()}
    left = {family: count if family == "requests" else count // 1000 * 1000 for family, count in whole.items()}
    limit = {family: level.limit for family, level in levels.items()}
    full = {family: now + level.seconds_to_full for family, level in levels.items()}
    parts = ("input-tokens", "output-tokens")
    left["tokens"], limit["tokens"] = sum(left[p] for p in parts), sum(limit[p] for p in parts)
    full["tokens"] = max(full[p] for p in parts)
    out = []
    for family in ("requests", "tokens", *parts):
        reset = moment(ceil(full[family])).isoformat(timespec="seconds").replace("+00:00", "Z")
        for name, value in (("limit", limit[family]), ("remaining", left[family]), ("reset", reset)):
            out.append((f"anthropic-ratelimit-{family}-{name}", str(value)))
    return out
