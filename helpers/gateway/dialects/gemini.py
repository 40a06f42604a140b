"""Google Gemini: routes, key, errors; generateContent plain, as server-sent events and as a JSON array."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

from helpers import models
from helpers.gateway.dialects import gemini_contents as bodies
from helpers.gateway.dialects.base import Call, Dialect, Headers, Response, Route, compact, own_words, pretty, route
from helpers.gateway.dialects.gemini_batches import GeminiBatches
from helpers.gateway.dialects.gemini_caches import GeminiCaches
from helpers.gateway.exchange import Answer, Question, Refusal, Usage
from helpers.gateway.quotas import Level

# litellm leaves the version out of the path.
VERSION = "(?:/(?P<version>v1|v1beta))?"
GOOGLE_TYPES = "type.googleapis.com/google.rpc."


class Gemini(Dialect):
    provider = "gemini"
    mount = "/gemini"
    json_type = "application/json; charset=UTF-8"
    stream_type = "text/event-stream"

    def routes(self) -> list[Route]:
        one = VERSION + "/models/(?P<model>[^/:]+)"
        self.caches = GeminiCaches(self)
        return [
            route("POST", one + ":generateContent", "generate", read=self.read, write=self.write),
            route("POST", one + ":streamGenerateContent", "generate", read=self.read_stream, stream=self.stream),
            route("POST", one + ":countTokens", "count tokens", handle=self.count),
            route("GET", VERSION + "/models", "models", handle=self.list_models),
            route("GET", one, "model", handle=self.get_model),
            *self.caches.routes(VERSION),
            *GeminiBatches(self).routes(VERSION),
        ]

    def key(self, call: Call) -> str | None:
        bearer = call.headers.get("authorization", "").removeprefix("Bearer ").strip()
        return call.headers.get("x-goog-api-key") or call.query.get("key") or bearer or None

    # ---- generate --------------------------------------------------------
    def read(self, call: Call) -> Question:
        model = self.named_model(call)
        body = bodies.normalised(call.json)
        bodies.check(body)
        cached = self.caches.use(body["cachedContent"], model, call) if body.get("cachedContent") else None
        return self.check_length(bodies.question(body, model, cached))

    def read_stream(self, call: Call) -> Question:
        question = self.read(call)
        return bodies.streamed(question, sse=call.query.get("alt") == "sse")

    def named_model(self, call: Call) -> models.Model:
        """The model in the path. The refusal of an unknown one names the version and the method."""
        try:
            return self.model(call.groups["model"], call)
        except Refusal as refusal:
            refusal.facts |= {"version": call.groups.get("version") or "v1beta", "method": call.path.rpartition(":")[2]}
            raise

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
        return self.stream_type if question.echo.get("sse") else self.json_type

    def usage(self, payloads: list[Any]) -> Usage | None:
        return bodies.parse_usage(payloads)

    def events(self, body: bytes, content_type: str) -> list[Any]:
        if "event-stream" in content_type:
            return super().events(body, content_type)
        value = json.loads(body)
        return value if isinstance(value, list) else [value]

    # ---- counting and models ---------------------------------------------
    async def count(self, call: Call) -> Response:
        model = self.named_model(call)
        body = bodies.normalised(call.json)
        body = body.get("generateContentRequest") or body
        if isinstance(body, dict):
            body.pop("model", None)
        bodies.check(body)
        question = bodies.question(body, model, None)
        return self.ok(bodies.count_body(question))

    async def list_models(self, call: Call) -> Response:
        today = call.services.clock.today()
        return self.ok({"models": [_model_body(m) for m in models.of(self.provider) if not m.is_retired(today)]})

    async def get_model(self, call: Call) -> Response:
        return self.ok(_model_body(self.named_model(call)))

    # ---- headers and errors ----------------------------------------------
    def ok(self, body: Any) -> Response:
        return Response(200, [("Content-Type", self.json_type), *_timing(12)], pretty(body))

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        timing = _timing(round(question.model.ttft * answer.pace * 1000) + 1)
        if not question.stream:
            return [*timing, ("x-gemini-service-tier", "standard")]
        return [*timing, ("content-disposition", "attachment")] if question.echo["sse"] else timing

    def error(self, refusal: Refusal, call: Call) -> Response:
        status, name, message, details = words(refusal)
        error: dict[str, Any] = {"code": status, "message": message, "status": name}
        if details:
            error["details"] = details
        return Response(status, [("Content-Type", self.json_type), *_timing(5)], pretty({"error": error}))

    def stream_error(self, refusal: Refusal) -> bytes:
        status, name, message, _ = words(refusal)
        return b"data: " + compact({"error": {"code": status, "message": message, "status": name}}) + b"\r\n\r\n"


def _timing(milliseconds: int) -> Headers:
    return [("server-timing", f"gfet4t7; dur={milliseconds}")]


def _model_body(model: models.Model) -> dict[str, Any]:
    return {
        "name": f"models/{model.id}",
        "version": "001",
        "displayName": model.id.replace("-", " ").title(),
        "inputTokenLimit": model.context,
        "outputTokenLimit": model.max_output,
        "supportedGenerationMethods": ["generateContent", "countTokens", "createCachedContent", "batchGenerateContent"],
        "thinking": model.thinks != "never",
    }


def words(refusal: Refusal) -> tuple[int, str, str, list[dict[str, Any]]]:
    """Status, its name, message and details of a refusal."""
    facts, param = refusal.facts, refusal.param or ""
    invalid = (400, "INVALID_ARGUMENT")
    match refusal.kind:
        case "bad_key":
            text = "API key not valid. Please pass a valid API key."
            info = {"@type": GOOGLE_TYPES + "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"}}
            return *invalid, text, [info, {"@type": GOOGLE_TYPES + "LocalizedMessage", "locale": "en-US", "message": text}]
        case "no_key":
            return 403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers. Please use API Key or other form of API consumer identity to call this API.", []
        case "unknown_model" | "retired_model":
            version, method = facts.get("version", "v1beta"), facts.get("method", "generateContent")
            text = f"models/{facts['model']} is not found for API version {version}, or is not supported for {method}. Call ListModels to see the list of available models and their supported methods."
            return 404, "NOT_FOUND", text, []
        case "missing":
            text = f"* GenerateContentRequest.{param}: {param} is not specified"
            return *invalid, text, []
        case "wrong_type" | "unknown_field" | "bad_value" | "unsupported":
            text = _field_text(refusal)
            violation = {"field": param, "description": text}
            return *invalid, text, [{"@type": GOOGLE_TYPES + "BadRequest", "fieldViolations": [violation]}]
        case "bad_json":
            return *invalid, f"Invalid JSON payload received. {refusal.message}", []
        case "too_long":
            text = f"The input token count ({facts['tokens']}) exceeds the maximum number of tokens allowed ({facts['maximum']})."
            return *invalid, text, []
        case "rate_limited":
            return 429, "RESOURCE_EXHAUSTED", *_rate_limited(facts)
        case "out_of_credit":
            return 429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please add credits to your project and try again.", []
        case "overloaded":
            return 503, "UNAVAILABLE", "The model is overloaded. Please try again later.", []
        case "server_error":
            return 500, "INTERNAL", "An internal error has occurred. Please retry.", []
        case "no_route":
            return 404, "NOT_FOUND", f"Requested entity was not found: {facts['method']} {facts['path']}", []
        case "not_found":
            return 404, "NOT_FOUND", refusal.message, []
        case "forbidden":
            return 403, "PERMISSION_DENIED", refusal.message, []
        case "conflict":
            return 400, "FAILED_PRECONDITION", refusal.message, []
    if refusal.kind == "no_recording":
        return 404, "NOT_FOUND", own_words(refusal), []
    return 400, "FAILED_PRECONDITION", own_words(refusal), []


def _field_text(refusal: Refusal) -> str:
    param, facts = refusal.param or "", refusal.facts
    path, _, name = param.rpartition(".")
    if refusal.kind == "unknown_field":
        where = f" at '{path}'" if path else ""
        return f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
    if refusal.kind == "wrong_type":
        return f"Invalid value at '{param}' ({facts['expected']}), {json.dumps(facts.get('value'), default=str)[:60]}"
    if refusal.message not in ("bad_value", "unsupported"):
        return refusal.message
    return f"Invalid value at '{param}': {json.dumps(facts.get('value'), default=str)[:60]}"


def _rate_limited(facts: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """A quota of one's own says which, and how long to wait; the shared capacity's 429 has no details."""
    if "limit" not in facts:
        return "Resource has been exhausted (e.g. check quota).", []
    tokens = facts["family"] == "tokens"
    metric = "generate_content_paid_tier_input_token_count" if tokens else "generate_content_paid_tier_requests"
    name = "GenerateContentPaidTierInputTokensPerModelPerMinute" if tokens else "GenerateRequestsPerMinutePerProjectPerModel"
    wait = facts["wait"] + secrets.randbelow(1000) / 1e6
    violation = {
        "quotaMetric": f"generativelanguage.googleapis.com/{metric}",
        "quotaId": name,
        "quotaDimensions": {"location": "global", "model": facts["model"]},
        "quotaValue": str(facts["limit"]),
    }
    text = (
        "You exceeded your current quota, please check your plan and billing details.\n"
        f"* Quota exceeded for metric: {violation['quotaMetric']}, limit: {facts['limit']}, model: {facts['model']}\nPlease retry in {wait:.9f}s."
    )
    return text, [
        {"@type": GOOGLE_TYPES + "Help", "links": [{"description": "Learn more about Gemini API quotas", "url": "https://ai.google.dev/gemini-api/docs/rate-limits"}]},
        {"@type": GOOGLE_TYPES + "QuotaFailure", "violations": [violation]},
        {"@type": GOOGLE_TYPES + "RetryInfo", "retryDelay": f"{int(wait)}s"},
    ]
