"""OpenAI: routes, keys, rate-limit headers and errors. The bodies are in the openai_* files beside this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time
from typing import Any

from helpers import models
from helpers.gateway.dialects import openai_chat as chat
from helpers.gateway.wire import Call, Dialect, Headers, Response, Route, hex_id, own_words, pretty, route
from helpers.gateway.dialects.openai_batches import OpenAIBatches
from helpers.gateway.dialects.openai_responses import OpenAIResponses
from helpers.gateway.dialects.schema import json_type
from helpers.gateway.exchange import Answer, Question, Refusal, Usage
from helpers.gateway.quotas import Level


class OpenAI(Dialect):
    provider = "openai"
    mount = "/openai"

    def routes(self) -> list[Route]:
        responses = OpenAIResponses(self)
        batched = {
            "/v1/chat/completions": (self.read_chat, self.write_chat),
            "/v1/responses": (responses.read, responses.write),
        }
        return [
            route("POST", "/v1/chat/completions", "chat", read=self.read_chat, write=self.write_chat, stream=self.stream_chat),
            route("GET", "/v1/models", "models", handle=self.list_models),
            route("GET", "/v1/models/(?P<model>.+)", "model", handle=self.get_model),
            *responses.routes(),
            *OpenAIBatches(self, batched).routes(),
        ]

    def key(self, call: Call) -> str | None:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else None

    # ---- chat ------------------------------------------------------------
    def read_chat(self, call: Call) -> Question:
        if "model" not in call.json:
            raise Refusal("missing", param="model")
        return self.read_chat_for(self.model(call.json["model"], call), call)

    def read_chat_for(self, model: models.Model, call: Call) -> Question:
        """The question to a model that is already known: Azure names it in the path."""
        chat.check(call.json)
        chat.check_model_rules(call.json, model)
        return self.check_length(chat.question(call.json, model, self.provider))

    def write_chat(self, question: Question, answer: Answer) -> bytes:
        return pretty(chat.completion(answer))

    async def stream_chat(self, question: Question, answer: Answer) -> AsyncIterator[bytes]:
        first = {"role": "assistant", "content": "", "refusal": None}
        async for chunk in chat.chunks(answer, chat.stream_head(answer), first):
            yield chat.frame({**chunk, **chat.obfuscation(question)} if chunk["choices"] else chunk)
        yield chat.DONE

    def usage(self, payloads: list[Any]) -> Usage | None:
        return chat.parse_usage(payloads)

    # ---- models ----------------------------------------------------------
    async def list_models(self, call: Call) -> Response:
        today = call.services.clock.today()
        rows = [_model_body(m) for m in models.of(self.provider) if not m.is_retired(today)]
        return self.ok({"object": "list", "data": rows})

    async def get_model(self, call: Call) -> Response:
        return self.ok(_model_body(self.model(call.groups["model"], call)))

    # ---- headers ---------------------------------------------------------
    def ok(self, body: Any) -> Response:
        return Response(200, [("Content-Type", "application/json"), *self.base_headers()], pretty(body))

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
        if status == 401:
            headers.append(("www-authenticate", 'Bearer realm="OpenAI API"'))
        if status in (429, 503) and refusal.kind in ("rate_limited", "overloaded"):
            wait = refusal.facts.get("wait", 1.0)
            headers += [("retry-after", str(max(1, round(wait)))), ("retry-after-ms", str(max(1, round(wait * 1000))))]
        if refusal.kind in ("no_recording", "over_budget", "no_upstream"):
            headers.append(("x-should-retry", "false"))
        body = {"error": {"message": text, "type": kind, "param": self.param(refusal), "code": code}}
        return Response(status, headers, pretty(body))

    def param(self, refusal: Refusal) -> str | None:
        """The param field; an unknown model has none on chat, and has one on Responses."""
        unknown = refusal.kind in ("unknown_model", "retired_model") and refusal.facts.get("status") != 400
        return None if unknown else refusal.param

    def stream_error(self, refusal: Refusal) -> bytes:
        _, kind, code, text = words(refusal, hex_id("req_", 32))
        return chat.frame({"error": {"message": text, "type": kind, "param": None, "code": code}})


def _model_body(model: models.Model) -> dict[str, Any]:
    shutdown = model.retires.isoformat() if model.retires else None
    return {"id": model.id, "object": "model", "created": _created(model), "owned_by": "openai", "shutdown_date": shutdown}


def _created(model: models.Model) -> int:
    """Seconds since 1970 of the release; 0 where the date is not known."""
    return int(datetime.combine(model.released, time(), UTC).timestamp()) if model.released else 0


def limit_headers(levels: dict[str, Level]) -> Headers:
    """x-ratelimit-*: what is left of each bucket, and the time until it is full as a Go duration."""
    limits = [(f"x-ratelimit-limit-{family}", str(level.limit)) for family, level in levels.items()]
    left = [(f"x-ratelimit-remaining-{family}", str(int(level.left))) for family, level in levels.items()]
    resets = [(f"x-ratelimit-reset-{family}", go_duration(level.seconds_to_full)) for family, level in levels.items()]
    return [*limits, *left, *resets]


def go_duration(seconds: float) -> str:
    """A duration as Go prints it: 6ms, 8.64s, 1m30s, 1h8m25.745s; truncated to milliseconds."""
    milliseconds = int(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    tail = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + tail


def masked(key: str) -> str:
    """A key as OpenAI repeats it: a few characters at either end. Nothing of a short key."""
    return f"{key[:8]}{'*' * 12}{key[-4:]}" if len(key) > 20 else "*" * 12


BAD_REQUEST = "invalid_request_error"


def words(refusal: Refusal, request_id: str) -> tuple[int, str, str | None, str]:
    """Status, type, code and message of a refusal."""
    facts, param = refusal.facts, refusal.param
    match refusal.kind:
        case "bad_key":
            text = f"Incorrect API key provided: {masked(facts.get('key', ''))}. You can find your API key at https://platform.openai.com/account/api-keys."
            return 401, BAD_REQUEST, "invalid_api_key", text
        case "no_key":
            return 401, BAD_REQUEST, None, "You didn't provide an API key. Provide it in an Authorization header, as Bearer YOUR_KEY."
        case "unknown_model" | "retired_model" if facts.get("status") == 400:
            return 400, BAD_REQUEST, "model_not_found", f"The requested model '{facts['model']}' does not exist."
        case "unknown_model" | "retired_model":
            return 404, BAD_REQUEST, "model_not_found", f"The model `{facts['model']}` does not exist or you do not have access to it."
        case "missing":
            return 400, BAD_REQUEST, "missing_required_parameter", f"Missing required parameter: '{param}'."
        case "wrong_type":
            got = f"got {_article(json_type(facts.get('value')))} instead"
            return 400, BAD_REQUEST, "invalid_type", f"Invalid type for '{param}': expected {_article(facts['expected'])}, but {got}."
        case "unknown_field":
            return 400, BAD_REQUEST, "unknown_parameter", f"Unknown parameter: '{param}'."
        case "bad_value":
            return 400, BAD_REQUEST, *_bad_value(refusal)
        case "unsupported":
            return 400, BAD_REQUEST, *_unsupported(refusal)
        case "bad_json":
            return 400, BAD_REQUEST, None, f"We could not parse the JSON body of your request. {refusal.message}"
        case "too_long":
            text = f"Your input exceeds the context window of this model. It has {facts['tokens']} tokens; the maximum is {facts['maximum']}."
            return 400, BAD_REQUEST, "context_length_exceeded", text
        case "rate_limited":
            return 429, *_rate_limited(refusal)
        case "out_of_credit":
            text = "You exceeded your current quota, please check your plan and billing details."
            return 429, "insufficient_quota", "credit_balance_exhausted", text
        case "overloaded":
            return 503, "service_unavailable_error", "server_is_overloaded", "The server is currently overloaded with other requests. Please try again later."
        case "server_error":
            return 500, "server_error", None, f"The server had an error while processing your request. Please quote the request id {request_id}."
        case "no_route":
            return 404, BAD_REQUEST, "unknown_url", f"Unknown request URL: {facts['method']} {facts['path']}."
        case "not_found":
            return facts.get("status", 404), BAD_REQUEST, facts.get("code"), refusal.message
        case "conflict":
            return 409, BAD_REQUEST, None, refusal.message
        case "too_large":
            return 413, BAD_REQUEST, None, "The request body is too large."
    return 404 if refusal.kind == "no_recording" else 400, BAD_REQUEST, refusal.kind, own_words(refusal)


def _article(name: str) -> str:
    name = "decimal" if name == "number" else name
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}" if name != "null" else "null"


def _bad_value(refusal: Refusal) -> tuple[str, str]:
    value, bound, rule = (refusal.facts.get(name) for name in ("value", "bound", "rule"))
    param = refusal.param
    if rule == "minimum":
        code = "decimal_below_min_value" if isinstance(value, float) else "integer_below_min_value"
        return code, f"Invalid '{param}': value is below the minimum. Expected a value >= {bound}, but got {value} instead."
    if rule == "maximum":
        code = "decimal_above_max_value" if isinstance(value, float) else "integer_above_max_value"
        return code, f"Invalid '{param}': value is above the maximum. Expected a value <= {bound}, but got {value} instead."
    if rule == "minItems":
        return "empty_array", f"Invalid '{param}': empty array. Expected an array with minimum length {bound}."
    if rule == "enum":
        allowed = ", ".join(f"'{name}'" for name in bound if name is not None)
        return "invalid_value", f"Invalid value: {value!r}. Supported values are: {allowed}."
    return "invalid_value", refusal.message or f"Invalid value for '{param}'."


def _unsupported(refusal: Refusal) -> tuple[str, str]:
    param, facts = refusal.param, refusal.facts
    if "default" in facts:
        text = f"Unsupported value: '{param}' does not support {facts['value']} with this model. Only the default ({facts['default']}) value is supported."
        return "unsupported_value", text
    if "allowed" in facts:
        allowed = ", ".join(f"'{name}'" for name in facts["allowed"])
        text = f"Unsupported value: '{param}' does not support '{facts['value']}' with this model. Supported values are: {allowed}."
        return "unsupported_value", text
    instead = f" Use '{facts['instead']}' instead." if "instead" in facts else ""
    return "unsupported_parameter", f"Unsupported parameter: '{param}' is not supported with this model.{instead}"


def _rate_limited(refusal: Refusal) -> tuple[str, str, str]:
    facts = refusal.facts
    family, model = facts.get("family", "requests"), facts.get("model", "this model")
    unit = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}.get(family, family)
    if facts.get("too_large"):
        text = f"Request too large for {model} in organization the-course on {unit}: Limit {facts['limit']}, Requested {facts['requested']}. The input or output tokens must be reduced in order to run successfully."
    elif "limit" in facts:
        text = f"Rate limit reached for {model} in organization the-course on {unit}: Limit {facts['limit']}, Used {facts['used']}, Requested {facts['requested']}. Please try again in {go_duration(facts['wait'])}."
    else:
        text = f"Rate limit reached for {model} in organization the-course on {unit}. Please try again in {go_duration(facts['wait'])}."
    return family, "rate_limit_exceeded", text
