"""Gemini's errors: status, name, message and details of every refusal, in Google's words."""

from __future__ import annotations

import json
import re
import secrets
from math import ceil
from typing import Any

from helpers.gateway.dialects.gemini.fields import snake
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, own_words

RPC = "type.googleapis.com/google.rpc."
MESSAGES = "type.googleapis.com/google.ai.generativelanguage.v1beta."
LIMITS_PAGE = "https://ai.google.dev/gemini-api/docs/rate-limits"
STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
# The numbers that google.rpc.Status gives these names, where an error stands inside a batch.
RPC_CODES = {
    "INVALID_ARGUMENT": 3,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
}
SCALARS = {"string": "TYPE_STRING", "number": "TYPE_FLOAT", "integer": "TYPE_INT32", "boolean": "TYPE_BOOL"}
# Fields whose type has another name than they have.
TYPES = {
    "contents": MESSAGES + "Content",
    "system_instruction": MESSAGES + "Content",
    "parts": MESSAGES + "Part",
    "tools": MESSAGES + "Tool",
    "function_declarations": MESSAGES + "FunctionDeclaration",
    "parameters": MESSAGES + "Schema",
    "response_schema": MESSAGES + "Schema",
    "items": MESSAGES + "Schema",
    "value": MESSAGES + "Schema",
    "mode": MESSAGES + "FunctionCallingConfig.Mode",
    "media_resolution": MESSAGES + "GenerationConfig.MediaResolution",
    "response_modalities": MESSAGES + "GenerationConfig.Modality",
    "category": MESSAGES + "HarmCategory",
    "threshold": MESSAGES + "SafetySetting.HarmBlockThreshold",
    "ttl": "type.googleapis.com/google.protobuf.Duration",
    "expire_time": "type.googleapis.com/google.protobuf.Timestamp",
}
REQUESTS = {
    "batchGenerateContent": "BatchGenerateContentRequest",
    "countTokens": "CountTokensRequest",
    "cachedContents": "CreateCachedContentRequest",
}
FUNCTION_NAME = (
    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), "
    "dots (.), colons (:), or dashes (-), with a maximum length of 128."
)

MODEL_METHOD = re.compile(r"/models/([^/:]+):(\w+)$")

Details = list[dict[str, Any]]


def error_body(refusal: Refusal, call: Call | None = None) -> dict[str, Any]:
    """The body of an error; its code is the HTTP status."""
    name, message, details = words(refusal, call)
    error: dict[str, Any] = {"code": STATUS[name], "message": message, "status": name}
    return {"error": {**error, "details": details} if details else error}


# Interactions have words for codes, by the types and tests of google-genai 3.6.1; `invalid_request` is what users were shown in June 2026.
INTERACTION_CODES = {
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "RESOURCE_EXHAUSTED": "too_many_requests",
}


def interaction_error(refusal: Refusal, call: Call | None = None) -> tuple[int, dict[str, Any]]:
    """The status and the body of an error of the Interactions API, which has another form than the others'."""
    name, message, _ = words(refusal, call)
    return STATUS[name], {"error": {"message": message, "code": INTERACTION_CODES.get(name, name.lower())}}


def batch_error(refusal: Refusal, call: Call) -> dict[str, Any]:
    """The error of one request inside a batch."""
    name, message, _ = words(refusal, call)
    return {"code": RPC_CODES[name], "message": message}


def words(refusal: Refusal, call: Call | None) -> tuple[str, str, Details]:
    """The name of the status, the message and the details."""
    facts = refusal.facts
    match refusal.kind:
        case "bad_key":
            return "INVALID_ARGUMENT", *_bad_key()
        case "no_key":
            text = (
                "Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API."
            )
            return "PERMISSION_DENIED", text, []
        case "unknown_model" | "retired_model" | "wrong_kind":
            return "NOT_FOUND", _unknown_model(facts, call), []
        case "wrong_type" | "unknown_field" | "bad_value" | "missing" | "unsupported":
            return "INVALID_ARGUMENT", *_bad_field(refusal, call)
        case "bad_json":
            return "INVALID_ARGUMENT", f"Invalid JSON payload received. {refusal.message}", []
        case "too_long":
            text = f"The input token count ({facts['tokens']}) exceeds the maximum number of tokens allowed ({facts['maximum']})."
            return "INVALID_ARGUMENT", text, []
        case "rate_limited":
            return "RESOURCE_EXHAUSTED", *_rate_limited(facts)
        case "out_of_credit":
            return "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please add credits to your project and try again.", []
        case "overloaded":
            text = "This model is currently experiencing high demand. Spikes in demand are usually temporary. Please try again later."
            return "UNAVAILABLE", text, []
        case "server_error":
            return "INTERNAL", "An internal error has occurred. Please retry.", []
        case "no_route":
            if named := MODEL_METHOD.search(facts["path"]):  # a method that no model has here, such as predict, for pictures
                return "NOT_FOUND", _unknown_model({"model": named[1], "method": named[2]}, call), []
            return "NOT_FOUND", f"Requested entity was not found: {facts['method']} {facts['path']}", []
        case "not_found":
            return "NOT_FOUND", refusal.message, []
        case "conflict":
            return "ALREADY_EXISTS", refusal.message, []
        case "forbidden":
            return "PERMISSION_DENIED", refusal.message, []
        case "not_ready":
            return "FAILED_PRECONDITION", refusal.message, []
        case "no_recording":
            return "NOT_FOUND", own_words(refusal), []
    return "FAILED_PRECONDITION", own_words(refusal), []


def _bad_key() -> tuple[str, Details]:
    text = "API key not valid. Please pass a valid API key."
    service = {"service": "generativelanguage.googleapis.com"}
    return text, [
        {"@type": RPC + "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com", "metadata": service},
        {"@type": RPC + "LocalizedMessage", "locale": "en-US", "message": text},
    ]


def _unknown_model(facts: dict[str, Any], call: Call | None) -> str:
    version = (call and call.groups.get("version")) or "v1beta"
    method = facts.get("method") or (_method(call) if call and ":" in call.path else "generateContent")
    if method == "batchEmbedContents":  # it says what embedContent does, as recorded
        method = "embedContent"
    return (
        f"models/{facts['model']} is not found for API version {version}, or is not supported for {method}. "
        "Call ListModels to see the list of available models and their supported methods."
    )


def _method(call: Call) -> str:
    """The last word of a path: generateContent, cachedContents and the like."""
    return call.path.replace(":", "/").rpartition("/")[2]


# ---- fields ----------------------------------------------------------------
def _bad_field(refusal: Refusal, call: Call | None) -> tuple[str, Details]:
    """What Google's parser refuses has details that name the field; what the model's server refuses has none."""
    path, facts = snake(refusal.param or ""), refusal.facts
    if refusal.message:
        return refusal.message, []
    if refusal.kind == "unknown_field":
        return _violation(_owner(path), _unknown_field(refusal.param or ""))
    if refusal.kind == "wrong_type":
        return _violation(path, _wrong_type(path, facts["expected"], facts.get("value")))
    if _name(path) in ("ttl", "expire_time") and facts.get("rule") in (None, "pattern"):
        return _violation(path, _invalid(path, TYPES[_name(path)], facts.get("value")))
    request = REQUESTS.get(_method(call), "GenerateContentRequest") if call else "GenerateContentRequest"
    return f"* {request}.{path}: {_rule(refusal.kind, _name(path), facts)}\n", []


def _violation(path: str, text: str) -> tuple[str, Details]:
    violation = {"field": path, "description": text} if path else {"description": text}
    return text, [{"@type": RPC + "BadRequest", "fieldViolations": [violation]}]


def _unknown_field(param: str) -> str:
    owner, _, name = param.rpartition(".")
    where = f" at '{snake(owner)}'" if owner else ""
    return f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'


def _wrong_type(path: str, expected: str, value: Any) -> str:
    if isinstance(value, list) and expected != "array":
        where = f" at '{_owner(path)}'" if _owner(path) else ""
        return f'Invalid JSON payload received. Unknown name "{_name(path)}"{where}: Proto field is not repeating, cannot start list.'
    name = _name(path)
    return _invalid(path, SCALARS.get(expected) or TYPES.get(name) or MESSAGES + name.title().replace("_", ""), value)


def _invalid(path: str, kind: str, value: Any) -> str:
    return f"Invalid value at '{path}' ({kind}), {json.dumps(value)[:60]}"


def _rule(kind: str, name: str, facts: dict[str, Any]) -> str:
    rule, bound = facts.get("rule"), facts.get("bound")
    if kind == "missing":
        return f"{name} is not specified"
    if rule == "pattern":
        return FUNCTION_NAME
    named = {"minimum": f"must be at least {bound}", "maximum": f"must be at most {bound}", "maxItems": f"must have at most {bound} items"}
    return f"{name} {named[rule]}." if rule in named else rule or f"{name} is invalid."


def _name(path: str) -> str:
    return path.rpartition(".")[2].partition("[")[0]


def _owner(path: str) -> str:
    return path.rpartition(".")[0]


# ---- quotas ----------------------------------------------------------------
def _rate_limited(facts: dict[str, Any]) -> tuple[str, Details]:
    """A quota of one's own says which, and how long to wait; the shared capacity's 429 has no details."""
    if "limit" not in facts:
        return "Resource has been exhausted (e.g. check quota).", []
    tokens = facts["family"] != "requests"
    span = "Day" if facts.get("per_day") else "Minute"
    embeds = facts["model"].startswith("gemini-embedding")
    name = "embed_content" if embeds else "generate_content"
    metric = f"{name}_paid_tier_input_token_count" if tokens else f"{name}_paid_tier_requests"
    quota = "GenerateContentPaidTierInputTokensPerModelPerMinute" if tokens else f"GenerateRequestsPer{span}PerProjectPerModel"
    if embeds:  # as users of the free tier were shown it in 2026, there with -FreeTier at the end
        quota = "EmbedContentInputTokensPerModelPerMinute" if tokens else f"EmbedContentRequestsPer{span}PerUserPerProjectPerModel"
    # The delay is the same without its fraction, so that the whole seconds cover the wait. Of a day's quota it does not: users were
    # told to wait for seconds all day long (22 s with 250 of 250 used up), as if it were a minute's.
    seconds = ceil(facts["wait"]) if span == "Minute" else ceil(facts["wait"]) % 60 or 60
    wait = seconds + secrets.randbelow(10**9) / 1e9
    violation = {
        "quotaMetric": f"generativelanguage.googleapis.com/{metric}",
        "quotaId": quota,
        "quotaDimensions": {"location": "global", "model": facts["model"]},
        "quotaValue": str(facts["limit"]),
    }
    text = (
        "You exceeded your current quota, please check your plan and billing details.\n"
        f"* Quota exceeded for metric: {violation['quotaMetric']}, limit: {facts['limit']}, model: {facts['model']}\n"
        f"Please retry in {wait:.9f}s."
    )
    return text, [
        {"@type": RPC + "Help", "links": [{"description": "Learn more about Gemini API quotas", "url": LIMITS_PAGE}]},
        {"@type": RPC + "QuotaFailure", "violations": [violation]},
        {"@type": RPC + "RetryInfo", "retryDelay": f"{int(wait)}s"},
    ]
