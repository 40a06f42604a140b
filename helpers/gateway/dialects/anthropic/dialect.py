"""Anthropic: routes, keys, API versions, rate-limit headers and errors."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from math import ceil
from typing import Any

from helpers import models
from helpers.gateway.answer import Answer
from helpers.gateway.clock import moment
from helpers.gateway.dialects.anthropic import catalogue, file_blocks, files, identity, threads
from helpers.gateway.dialects.anthropic import messages as bodies
from helpers.gateway.dialects.anthropic.batches import AnthropicBatches
from helpers.gateway.dialects.anthropic.diagnostics import Diagnoses, fingerprint
from helpers.gateway.dialects.anthropic.errors import words
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.gateway.quotas import Level
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, compact, model_headers, random_id, route

# Whose key it is: in every answer recorded in August 2026 but that to a wrong key. The second is new in that month.
ACCOUNT = (("anthropic-organization-id", "00000000-0000-4000-8000-00000000c0de"), ("anthropic-workspace-id", "wrkspc_01TheCourse0000000000000"))
LARGEST_BODY = 32_000_000
SKILLS = "skills-2025-10-02"


class Anthropic(Dialect):
    provider = "anthropic"
    mount = "/anthropic"
    account: tuple[tuple[str, str], ...] = ACCOUNT

    def routes(self) -> list[Route]:
        self._diagnoses = Diagnoses()
        self._batches = AnthropicBatches(self, self.version, self._read_line, self._weigh)
        self._files = files.AnthropicFiles(self, self._may_use_files)
        self._threads = threads.Threads()
        self._identities = identity.Identities()
        return [
            route("POST", "/v1/messages", "messages", read=self.read, write=self.write, stream=self.stream, weigh=self._weigh),
            route("POST", "/v1/messages/count_tokens", "count tokens", handle=self.count, weigh=self._weigh),
            route("GET", "/v1/models", "models", handle=self.list_models),
            route("GET", "/v1/models/(?P<model>.+)", "model", handle=self.get_model),
            route("POST", identity.PATH, "token", handle=self._identities.exchange, is_local=True),
            *self._batches.routes(),
            *self._files.routes(),
        ]

    def forget(self) -> None:
        self._diagnoses.clear()
        self._threads.clear()
        self._identities.clear()

    def batch_questions(self, call: Call) -> list[tuple[Question, dict[str, Any]]]:
        return self._batches.questions(call)

    def key(self, call: Call) -> str | None:
        if call.path == identity.PATH:  # who asks there has no key yet
            return "none needed"
        bearer = call.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return call.headers.get("x-api-key") or bearer or None

    def admit(self, call: Call, question: Question) -> None:
        self._identities.check(self.key(call), call.services.clock.now())
        _check_files(question)

    # ---- messages --------------------------------------------------------
    def read(self, call: Call) -> Question:
        version = self.version(call)
        if len(call.body) > LARGEST_BODY:
            raise Refusal("too_large")
        betas = call.headers.get("anthropic-beta", "")
        body, thread = self._threads.open(bodies.with_output_config(call.json, betas), betas)
        bodies.check(body)
        _check_skills(body, betas)
        model = self.model(body["model"], call)
        inlined = self._inlined(body, call)
        question = self.check_length(bodies.question(inlined.body, model, self.provider, version=version))
        question.echo |= {"thread": thread, "file_refusal": inlined.refusal}
        if thread:
            thread.file_bytes = inlined.bytes
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

    def _read_line(self, call: Call) -> Question:
        """The question of a line of a batch."""
        return _check_files(self.read(call))

    def _inlined(self, body: dict[str, Any], call: Call) -> file_blocks.Inlined:
        return file_blocks.inlined(body, call) if self._may_use_files(call) else file_blocks.Inlined(body)

    def _may_use_files(self, call: Call) -> bool:
        """Since API version 2026-10-21 everybody may, before that who asks for the beta."""
        return self.version(call) == bodies.NEW or files.BETA in call.headers.get("anthropic-beta", "")

    def _weigh(self, call: Call) -> int:
        return self._threads.size(call.json) + file_blocks.size([call.json], call)

    def write(self, question: Question, answer: Answer) -> bytes:
        id = bodies.message_id()
        body = bodies.message_body(answer, id, self._diagnoses.of(question, id))
        self._threads.keep(question.echo.get("thread"), id, body["content"])
        return compact(body)

    async def stream(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        id = bodies.message_id()
        blocks = []
        async for event in bodies.stream_events(answer, id, self._diagnoses.of(question, id)):
            if event["type"] == "content_block_start":
                blocks.append(event["content_block"])
            if event["type"] == "message_stop":
                self._threads.keep(question.echo.get("thread"), id, bodies.filled(blocks, answer.choices[0]))
            yield frame(event)

    def usage(self, payloads: list[Any]) -> Usage | None:
        return bodies.parse_usage(payloads)

    def count(self, call: Call) -> Response:
        version = self.version(call)
        body = bodies.with_output_config(call.json, call.headers.get("anthropic-beta", ""))
        bodies.check_count(body)
        model = self.model(body["model"], call)
        inlined = self._inlined(body, call)
        if inlined.refusal:
            raise inlined.refusal
        question = bodies.question(inlined.body, model, self.provider, version=version)
        return self.ok({"input_tokens": question.prompt_tokens})

    # ---- models ----------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        self.version(call)
        return self.ok(catalogue.page(models.of(self.provider), call.query, call.services.clock.today()))

    async def get_model(self, call: Call) -> Response:
        self.version(call)
        model = self.model(call.groups["model"], call)
        return self.ok(catalogue.body(model, call.services.clock.today()), *model_headers(model))

    # ---- headers ---------------------------------------------------------
    def ok(self, body: Any, *more: tuple[str, str]) -> Response:
        headers = [("Content-Type", "application/json"), ("request-id", random_id("req_01", 22)), *self.account, *more]
        return Response(200, headers, compact(body))

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        return [
            ("request-id", random_id("req_01", 22)),
            *self.account,
            *limit_headers(levels, call.services.clock.now()),
        ]

    # ---- errors ----------------------------------------------------------
    def error(self, refusal: Refusal, call: Call) -> Response:
        if refusal.kind == "over_budget" and call.path == "/v1/messages" and "thread" in call.json:
            refusal.facts["details"] = threads.REPLAY  # in live mode: what is sent whole can be priced
        status, kind, text = words(refusal)
        request_id = random_id("req_01", 22)
        account = () if status == 401 else self.account
        headers = [("Content-Type", "application/json"), ("request-id", request_id), *account]
        if status < 429:
            headers.append(("x-should-retry", "false"))
        if refusal.kind == "rate_limited":
            headers += [("retry-after", str(max(1, ceil(refusal.facts.get("wait", 1))))), ("x-should-retry", "true")]
        if "levels" in refusal.facts:  # of a limit, not of a fault that somebody ordered
            headers += limit_headers(refusal.facts["levels"], call.services.clock.now())
        return Response(status, headers, compact(_error_body(kind, text, refusal, request_id)))

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        _, kind, text = words(refusal)
        body = {"type": "error", "error": {"type": kind, "message": text}}
        return b"event: error\ndata: " + compact(body) + b"\n\n"


def _check_files(question: Question) -> Question:
    """The question, unless it names a file that is not kept. Raises Refusal."""
    if question.echo.get("file_refusal"):
        raise question.echo["file_refusal"]
    return question


def _check_skills(body: dict[str, Any], betas: str) -> None:
    """Refuse the beta of skills without the tool that runs them, in the words that users of 2026 were shown."""
    tools = body.get("tools") or []
    if SKILLS in betas and not any((tool.get("type") or "").startswith("code_execution") for tool in tools):
        raise Refusal("unsupported", "Skills beta requires the code_execution tool to be included in the request.", param="tools")


def _error_body(kind: str, text: str, refusal: Refusal, request_id: str) -> dict[str, Any]:
    error: dict[str, Any] = {"type": kind, "message": text}
    if refusal.kind == "out_of_credit":
        error["details"] = {"error_code": "enforced_spend_limit_reached"}
    if "details" in refusal.facts:
        error["details"] = refusal.facts["details"]
    return {"type": "error", "error": error, "request_id": request_id}


def frame(event: dict[str, Any]) -> bytes:
    """An event of a stream. Most real ones pad their JSON with spaces, so a client must not compare text."""
    name = event["type"].encode()
    if event["type"] == "ping":
        return b'event: ping\ndata: {"type": "ping"}\n\n'
    padding = b" " * secrets.randbelow(12)
    return b"event: " + name + b"\ndata: " + compact(event)[:-1] + padding + b"}\n\n"


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
