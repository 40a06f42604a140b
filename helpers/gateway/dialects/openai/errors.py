"""OpenAI's refusals in words: status, type, code and message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.gateway.dialects.schema import Schema, json_type
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
DEPRECATIONS = "https://platform.openai.com/docs/deprecations"


def refused(text: str, param: str | None = None, code: str | None = None) -> Refusal:
    """A refusal in OpenAI's own words; most that concern more than one field have no code."""
    return Refusal("bad_value", text, param=param, code=code)


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
        case "retired_model":
            return 404, BAD_REQUEST, "model_not_found", f"The model `{facts['model']}` has been deprecated, learn more here: {DEPRECATIONS}"
        case "unknown_model":
            return 404, BAD_REQUEST, "model_not_found", f"The model `{facts['model']}` does not exist or you do not have access to it."
        case "wrong_kind" if facts["wanted"] == "embedding":
            return 403, BAD_REQUEST, None, "You are not allowed to generate embeddings from this model"
        case "wrong_kind" if facts["wanted"] == "completion":
            return 403, BAD_REQUEST, None, "You are not allowed to sample from this model"
        case "wrong_kind" if facts["wanted"] == "responses":
            return 404, BAD_REQUEST, None, "This model is only supported in v1/responses and not in v1/chat/completions."
        case "wrong_kind" if facts.get("status") == 400:
            return 400, BAD_REQUEST, None, f"The requested model '{facts['model']}' cannot be used with the Responses API."
        case "wrong_kind":
            return 404, BAD_REQUEST, None, "This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use v1/completions?"
        case "missing":
            return 400, BAD_REQUEST, "missing_required_parameter", f"Missing required parameter: '{param}'."
        case "wrong_type":
            return 400, BAD_REQUEST, "invalid_type", _wrong_type(refusal, _expected(facts))
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
            return 404, BAD_REQUEST, None, f"Invalid URL ({facts['method']} {facts['path']})"
        case "not_found":
            return 404, BAD_REQUEST, None, refusal.message
        case "conflict":
            return 409, BAD_REQUEST, None, refusal.message
        case "too_large":
            return 413, BAD_REQUEST, None, "The request body is too large."
    return 404 if refusal.kind == "no_recording" else 400, BAD_REQUEST, refusal.kind, own_words(refusal)


def _article(name: str) -> str:
    """A type of JSON as OpenAI names it in a sentence."""
    return {"null": "null", "number": "a decimal", "decimal": "a decimal number"}.get(name) or f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def _listed(values: Sequence[Any], last: str) -> str:
    """'a', 'b', and 'c'; with two values there is no comma."""
    quoted = [f"'{value}'" for value in values if value is not None]
    if len(quoted) < 3:
        return f" {last} ".join(quoted)
    return f"{', '.join(quoted[:-1])}, {last} {quoted[-1]}"


def _wrong_type(refusal: Refusal, expected: str) -> str:
    got = _article(json_type(refusal.facts.get("value")))
    return f"Invalid type for '{refusal.param}': expected {expected}, but got {got} instead."


def _expected(facts: dict[str, Any]) -> str:
    """What a field takes, in words. A schema's title stands for its type where OpenAI has a word of its own."""
    schema: Schema = facts.get("schema") or {"type": facts["expected"]}
    if "title" in schema:
        return schema["title"]
    kinds = [kind for kind in ([schema["type"]] if isinstance(schema["type"], str) else schema["type"]) if kind != "null"]
    if len(kinds) == 1:
        return _kind(kinds[0], schema)
    # Inside a choice the words lose their article, but for the first.
    return "one of " + " or ".join([_kind(kinds[0], schema), *(_kind(kind, schema).partition(" ")[2] for kind in kinds[1:])])


def _kind(kind: str, schema: Schema) -> str:
    items = schema.get("items", {}).get("type") if kind == "array" else None
    return f"an array of {items if isinstance(items, str) else items[0]}s" if items else _article(kind)


def _bad_value(refusal: Refusal) -> tuple[str | None, str]:
    """Code and message for a value of the right type that the field does not take."""
    facts, param = refusal.facts, refusal.param
    value, bound, rule = facts.get("value"), facts.get("bound"), facts.get("rule")
    kind = "decimal" if "number" in (facts.get("schema") or {}).get("type", ()) else "integer"
    match rule:
        case "minimum":
            text = f"Invalid '{param}': {kind} below minimum value. Expected a value >= {bound}, but got {value} instead."
            return f"{kind}_below_min_value", text
        case "maximum":
            text = f"Invalid '{param}': {kind} above maximum value. Expected a value <= {bound}, but got {value} instead."
            return f"{kind}_above_max_value", text
        case "minItems":
            text = f"Invalid '{param}': empty array. Expected an array with minimum length {bound}, but got an empty array instead."
            return "empty_array", text
        case "maxItems":
            text = f"Invalid '{param}': array too long. Expected an array with maximum length {bound}, but got an array with length {len(value)} instead."
            return "array_above_max_length", text
        case "minLength":
            text = f"Invalid '{param}': empty string. Expected a string with minimum length {bound}, but got an empty string instead."
            return "empty_string", text
        case "maxLength":
            text = f"Invalid '{param}': string too long. Expected a string with maximum length {bound}, but got a string with length {len(value)} instead."
            return "string_above_max_length", text
        case "maxProperties":
            text = f"Invalid '{param}': too many properties. Expected an object with at most {bound} properties, but got an object with {len(value)} properties instead."
            return "object_above_max_properties", text
        case "pattern":
            return "invalid_value", f"Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '{bound}'."
        case "enum" if isinstance(value, str):
            return "invalid_value", f"Invalid value: '{value}'. Supported values are: {_listed(bound, 'and')}."
        case "enum":
            return "invalid_type", _wrong_type(refusal, f"one of {_listed(bound, 'or')}")
    return facts.get("code", "invalid_value"), refusal.message or f"Invalid value for '{param}'."


def _unsupported(refusal: Refusal) -> tuple[str | None, str]:
    param, facts = refusal.param, refusal.facts
    if "default" in facts:
        text = f"Unsupported value: '{param}' does not support {facts['value']} with this model. Only the default ({facts['default']}) value is supported."
        return "unsupported_value", text
    if "allowed" in facts and "model" in facts:  # as Responses words it
        text = f"Unsupported value: '{facts['value']}' is not supported with the '{facts['model']}' model. Supported values are: {_listed(facts['allowed'], 'and')}."
        return "unsupported_value", text
    if "allowed" in facts:
        text = f"Unsupported value: '{param}' does not support {facts['value']!r} with this model. Supported values are: {_listed(facts['allowed'], 'and')}."
        return "unsupported_value", text
    instead = f" Use '{facts['instead']}' instead." if "instead" in facts else ""
    return facts.get("code", "unsupported_parameter"), f"Unsupported parameter: '{param}' is not supported with this model.{instead}"


def _rate_limited(refusal: Refusal) -> tuple[str, str, str]:
    facts = refusal.facts
    family, model = facts.get("family", "requests"), facts.get("model", "this model")
    unit = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}.get(family, family)
    unit = "requests per day (RPD)" if facts.get("per_day") else unit
    if facts.get("too_large"):
        text = f"Request too large for {model} in organization the-course on {unit}: Limit {facts['limit']}, Requested {facts['requested']}. The input or output tokens must be reduced in order to run successfully."
    elif "limit" in facts:
        text = f"Rate limit reached for {model} in organization the-course on {unit}: Limit {facts['limit']}, Used {facts['used']}, Requested {facts['requested']}. Please try again in {go_duration(facts['wait'])}."
    else:
        text = f"Rate limit reached for {model} in organization the-course on {unit}. Please try again in {go_duration(facts['wait'])}."
    return family, "rate_limit_exceeded", text
