"""Bedrock's refusals in words. A field at fault is named by whoever found it: the service, Claude, or a JSON schema."""

from __future__ import annotations

import json
import re
from typing import Any

from helpers.gateway.dialects.anthropic import errors as anthropic
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import own_words

FIELD_AT_FAULT = ("missing", "wrong_type", "unknown_field", "bad_value", "unsupported")
FROM_MODEL = "The model returned the following errors: "
END_OF_LIFE = "This model version has reached the end of its life. Please refer to the AWS documentation for more details."
WRONG_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)
NOVA_TOO_LONG = "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try again."
PROFILE_NEEDED = (
    "Invocation of model ID {model} with on-demand throughput isn’t supported. "
    "Retry your request with the ID or ARN of an inference profile that contains this model."
)


def words(refusal: Refusal, path: str = "") -> tuple[int, str, str]:
    """Status, exception name and message of a refusal; `path` is that of the request."""
    facts, validation = refusal.facts, (400, "ValidationException")
    if refusal.kind in FIELD_AT_FAULT:
        return *validation, _field_words(refusal, path)
    match refusal.kind:
        case "bad_key":
            return 403, "UnrecognizedClientException", "The security token included in the request is invalid."
        case "bad_signature":
            return 403, "InvalidSignatureException", WRONG_SIGNATURE
        case "no_key":
            return 403, "MissingAuthenticationTokenException", "Missing Authentication Token"
        case "unknown_model":
            return *validation, "The provided model identifier is invalid."
        case "wrong_kind":
            return *validation, "This action doesn't support the model that you provided. Try again with a supported text or chat model."
        case "retired_model":
            return 404, "ResourceNotFoundException", END_OF_LIFE
        case "profile_needed":
            return *validation, PROFILE_NEEDED.format(model=facts["model"])
        case "bad_json":
            return *validation, f"Malformed input request: {refusal.message}"
        case "too_long":
            return *validation, _too_long(facts, path)
        case "rate_limited" if not facts.get("per_day"):
            tokens = facts.get("family") == "tokens"
            return 429, "ThrottlingException", f"Too many {'tokens' if tokens else 'requests'}, please wait before trying again."
        case "rate_limited" | "out_of_credit":
            return 429, "ThrottlingException", "Too many tokens per day, please wait before trying again."
        case "overloaded":
            return 503, "ServiceUnavailableException", "The service is temporarily unable to handle the request."
        case "server_error":
            return 500, "InternalServerException", "The system encountered an unexpected error during processing. Try your request again."
        case "no_route":
            return 404, "UnknownOperationException", "The requested operation is not recognized by the service."
    if refusal.kind == "no_recording":
        return 404, "ResourceNotFoundException", own_words(refusal)
    return *validation, own_words(refusal)


def from_claude(refusal: Refusal) -> str:
    """A refusal in Claude's own words, which Bedrock passes on."""
    return anthropic.words(refusal)[2]


def _field_words(refusal: Refusal, path: str) -> str:
    if refusal.message:
        return refusal.message
    if not _is_invoke(path):
        return _by_service(refusal)
    return from_claude(refusal) if "anthropic." in path else _by_schema(refusal)


def _is_invoke(path: str) -> bool:
    return path.endswith(("/invoke", "/invoke-with-response-stream"))


def _too_long(facts: dict[str, Any], path: str) -> str:
    if "amazon.nova" in facts["model"]:
        return NOVA_TOO_LONG if _is_invoke(path) else FROM_MODEL + NOVA_TOO_LONG
    if _is_invoke(path):
        return "Input is too long for requested model."
    return f"{FROM_MODEL}prompt is too long: {facts['tokens']} tokens > {facts['maximum']} maximum"


# ---- the service itself: Converse and CountTokens ----------------------------
def _by_service(refusal: Refusal) -> str:
    facts, param = refusal.facts, refusal.param or ""
    # The service counts from 1: messages[0].role is messages.1.member.role.
    place = re.sub(r"\[(\d+)\]", lambda found: f".{int(found[1]) + 1}.member", param)
    match refusal.kind:
        case "missing":
            return f"1 validation error detected: Value at '{place}' failed to satisfy constraint: Member must not be null"
        case "wrong_type":
            return f"Malformed input request: {place}: expected type: {facts['expected']}, please reformat your input and try again."
        case "unknown_field":
            return f"Malformed input request: extraneous key [{place}] is not permitted, please reformat your input and try again."
    rule, bound = facts.get("rule"), facts.get("bound")
    constraint = {
        "minimum": f"have value greater than or equal to {bound}",
        "maximum": f"have value less than or equal to {bound}",
        "minItems": f"have length greater than or equal to {bound}",
        "minLength": f"have length greater than or equal to {bound}",
        "maxLength": f"have length less than or equal to {bound}",
        "pattern": f"satisfy regular expression pattern: {str(bound).strip('^$')}",
        "enum": f"satisfy enum value set: [{', '.join(map(str, bound or ()))}]" if rule == "enum" else "",
    }.get(rule, "be valid")
    return f"1 validation error detected: Value '{_shown(facts)}' at '{place}' failed to satisfy constraint: Member must {constraint}"


# ---- the JSON schema of a model that is not Claude ----------------------------
SCHEMA_TYPES = {
    "integer": "Integer",
    "number": "Number",
    "string": "String",
    "boolean": "Boolean",
    "array": "JSONArray",
    "object": "JSONObject",
}


def _by_schema(refusal: Refusal) -> str:
    facts, param = refusal.facts, refusal.param or ""
    place = "#" + re.sub(r"^(?=.)|\.|\[", "/", param).replace("]", "")
    parent, _, name = place.rpartition("/")
    rule, bound = facts.get("rule"), facts.get("bound")
    match refusal.kind:
        case "missing":
            found = f"{parent}: required key [{name}] not found"
        case "unknown_field":
            found = f"{parent}: extraneous key [{name}] is not permitted"
        case "wrong_type":
            expected = SCHEMA_TYPES.get(facts["expected"], facts["expected"])
            found = f"{place}: expected type: {expected}, found: {_found_type(facts.get('value'))}"
        case _ if rule in ("minimum", "maximum"):
            found = f"{place}: {_shown(facts)} is not {'greater' if rule == 'minimum' else 'less'} or equal to {bound}"
        case _ if rule in ("minItems", "maxItems"):
            found = f"{place}: expected {rule[:3]}imum item count: {bound}, found: {len(facts['value'])}"
        case _ if rule in ("minLength", "maxLength"):
            found = f"{place}: expected {rule}: {bound}, actual: {len(facts['value'])}"
        case _ if rule == "enum":
            found = f"{place}: {_shown(facts)} is not a valid enum value"
        case _:
            found = f"{place}: {_shown(facts)} is not a valid value"
    return f"Malformed input request: {found}, please reformat your input and try again."


def _found_type(value: Any) -> str:
    names = {bool: "Boolean", int: "Integer", float: "BigDecimal", str: "String", list: "JSONArray", dict: "JSONObject", type(None): "Null"}
    return names.get(type(value), "Null")


def _shown(facts: dict[str, Any]) -> str:
    """The value at fault, cut short."""
    value = facts.get("value")
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:60]
