"""OpenAI's refusals in words: status, type, code and message."""

from __future__ import annotations

from helpers.gateway.dialects.schema import json_type
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import own_words


def go_duration(seconds: float) -> str:
    """A duration as Go prints it: 6ms, 8.64s, 1m30s, 1h8m25.745s; truncated to milliseconds."""
    milliseconds = int(seconds * 1000 + 1e-6)  # 8.328 s are 8,328 ms, whatever floats make of it
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
