"""Anthropic's refusals in words: status, type and message."""

from __future__ import annotations

from typing import Any

from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import own_words

INVALID = "invalid_request_error"


def words(refusal: Refusal) -> tuple[int, str, str]:
    """Status, type and message of a refusal."""
    facts, param = refusal.facts, dotted(refusal.param)
    match refusal.kind:
        case "bad_key":
            return 401, "authentication_error", "invalid x-api-key"
        case "bad_token":
            return 401, "authentication_error", "OAuth token has expired. Please obtain a new token or refresh your existing token."
        case "no_key":
            return 401, "authentication_error", "x-api-key header is required"
        case "unknown_model" | "retired_model":
            return 404, "not_found_error", f"model: {facts['model']}"
        case "missing":
            return 400, INVALID, f"{param}: Field required"
        case "wrong_type":
            names = {"integer": "integer", "number": "number", "string": "string", "array": "list", "object": "dictionary", "boolean": "boolean"}
            return 400, INVALID, f"{param}: Input should be a valid {names.get(facts['expected'], facts['expected'])}"
        case "unknown_field":
            return 400, INVALID, f"{param}: Extra inputs are not permitted"
        case "bad_value":
            return 400, INVALID, refusal.message or f"{param}: {_bound(facts)}"
        case "unsupported" | "no_version":
            return 400, INVALID, refusal.message
        case "bad_json":
            return 400, INVALID, f"The request body is not valid JSON: {refusal.message}"
        case "too_long":
            return 400, INVALID, f"prompt is too long: {facts['tokens']} tokens > {facts['maximum']} maximum"
        case "too_large":
            return 413, "request_too_large", "Request exceeds the maximum size"
        case "rate_limited":
            return 429, "rate_limit_error", _rate_limited(facts)
        case "out_of_credit":
            return 429, "rate_limit_error", "Your organization has reached its spend limit. Retrying will not help; raise the limit or wait for the next month."
        case "overloaded":
            return 529, "overloaded_error", "Overloaded"
        case "server_error":
            return 500, "api_error", "Internal server error"
        case "no_route":
            return 404, "not_found_error", "Not found"
        case "not_found":
            return 404, "not_found_error", refusal.message
    if refusal.kind == "no_recording":
        return 404, "not_found_error", own_words(refusal)
    return 400, INVALID, own_words(refusal)


def dotted(param: str | None) -> str:
    """messages[0].role as Anthropic writes it: messages.0.role."""
    return (param or "").replace("[", ".").replace("]", "")


def _bound(facts: dict[str, Any]) -> str:
    match facts.get("rule"):
        case "minimum":
            return f"Input should be greater than or equal to {facts['bound']}"
        case "maximum":
            return f"Input should be less than or equal to {facts['bound']}"
        case "enum":
            return f"Input should be {' or '.join(repr(name) for name in facts['bound'] if name is not None)}"
        case "minLength" | "maxLength":
            most, count = ("most" if facts["rule"] == "maxLength" else "least"), facts["bound"]
            return f"String should have at {most} {count} character{'' if count == 1 else 's'}"
        case "pattern":
            return f"String should match pattern '{facts['bound']}'"
        case "minItems":
            return f"at least {facts['bound']} item is required"
    return "Input is not valid"


def _rate_limited(facts: dict[str, Any]) -> str:
    if "limit" not in facts:
        return "This request would exceed the rate limit for your organization. Please try again later."
    unit = facts["family"].replace("-", " ")
    return (
        f"This request would exceed the rate limit for your organization of {facts['limit']:,} {unit} per minute. "
        "You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try again later."
    )
