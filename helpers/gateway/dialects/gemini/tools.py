"""Gemini's functions and structured answers: which function has to be called, which schema an answer has to fit; a call, and logprobs."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from typing import Any

from helpers.gateway.answer import Choice, TokenScore
from helpers.gateway.dialects.gemini.schema import plain
from helpers.gateway.dialects.schema import Schema
from helpers.gateway.exchange import Function, Refusal
from helpers.gateway.wire import parse_json, random_id
from helpers.models import Model

MODES = ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED")
TEXT, JSON, ENUM = "text/plain", "application/json", "text/x.enum"
MIME_TYPES = (TEXT, JSON, "application/xml", "application/yaml", ENUM)
MIME_RULE = "allowed mimetypes are `text/plain`, `application/json`, `application/xml`, `application/yaml` and `text/x.enum`."
CONFIG = "generationConfig"
CALLING = "toolConfig.functionCallingConfig"


# ---- reading: functions ------------------------------------------------------
def functions(body: dict[str, Any]) -> tuple[Function, ...]:
    """The functions declared. Raises Refusal for a schema that is none, and for a name that two have."""
    found, names = [], set()
    for place, tool in enumerate(body.get("tools", ())):
        for index, declared in enumerate(tool.get("functionDeclarations", ())):
            path = f"tools[{place}].functionDeclarations[{index}]"
            if declared["name"] in names:
                raise Refusal("bad_value", f"Duplicate function declaration found: {declared['name']}", param=path)
            names.add(declared["name"])
            found.append(Function(declared["name"], _parameters(declared, path)))
    return tuple(found)


def _parameters(declared: dict[str, Any], path: str) -> Schema:
    if "parametersJsonSchema" in declared:
        return _json_schema(declared["parametersJsonSchema"], f"{path}.parametersJsonSchema")
    return plain(declared["parameters"], f"{path}.parameters", may_be_empty=True) if "parameters" in declared else {}


def _json_schema(given: Any, path: str) -> Schema:
    """A schema that is plain JSON schema already."""
    if not isinstance(given, dict):
        raise Refusal("wrong_type", param=path, expected="object", value=given)
    return given


def must_call(body: dict[str, Any], declared: Sequence[Function]) -> tuple[str, ...]:
    """The functions of which one has to be called: all, or those allowed, in mode ANY; else none. Raises Refusal."""
    config = body.get("toolConfig", {}).get("functionCallingConfig")
    if not config:
        return ()
    names, allowed = [function.name for function in declared], config.get("allowedFunctionNames", [])
    mode = config.get("mode", "AUTO").upper()
    if mode not in MODES:
        raise Refusal("wrong_type", param=f"{CALLING}.mode", expected="mode", value=config["mode"])
    if not names and not (mode == "AUTO" and body.get("tools")):  # beside tools of Google's own it is taken, as recorded in 2026
        raise Refusal("bad_value", "Function calling config is set without function_declarations.", param=CALLING)
    if allowed and mode not in ("ANY", "VALIDATED"):
        text = "allowed_function_names should only be set when the function calling mode is ANY or VALIDATED."
        raise Refusal("bad_value", text, param=CALLING)
    if set(allowed) - set(names):
        text = "allowed_function_names should be a subset of the provided function_declarations."
        raise Refusal("bad_value", text, param=CALLING)
    return tuple(dict.fromkeys(allowed or names)) if mode == "ANY" else ()


# ---- reading: the form of the answer -----------------------------------------
def schema(body: dict[str, Any], model: Model) -> Schema | None:
    """The JSON schema that the text of the answer has to fit. Raises Refusal."""
    config = body.get(CONFIG, {})
    kind = config.get("responseMimeType", TEXT)
    if kind not in MIME_TYPES:
        raise Refusal("bad_value", param=f"{CONFIG}.responseMimeType", rule=MIME_RULE)
    if kind not in (JSON, ENUM):
        return None  # a schema without a MIME type has no effect
    _check_tools_beside(body, kind, model)
    given = _asked(config)
    if kind == JSON:
        return given or {"type": "object"}
    if not isinstance(given.get("enum"), list):
        raise Refusal("bad_value", param=f"{CONFIG}.responseSchema.enum", rule="must be specified for mimetype `text/x.enum`.")
    return {"enum": given["enum"]}


def _asked(config: dict[str, Any]) -> Schema:
    """The schema that stands in the request, in either form; empty where there is none."""
    for name in ("responseJsonSchema", "_responseJsonSchema"):
        if name in config:
            return _json_schema(config[name], f"{CONFIG}.{name}")
    return plain(config["responseSchema"], f"{CONFIG}.responseSchema") if "responseSchema" in config else {}


def _check_tools_beside(body: dict[str, Any], kind: str, model: Model) -> None:
    """Up to Gemini 2.5 an answer has a form or there are tools."""
    if model.id.startswith("gemini-2.") and body.get("tools"):
        use = "Function calling" if functions(body) else "Tool use"
        raise Refusal("unsupported", f"{use} with a response mime type: '{kind}' is unsupported", param=f"{CONFIG}.responseMimeType")


def is_bare(body: dict[str, Any]) -> bool:
    """Whether the answer is one word of an enum, without the quotes that JSON has."""
    return body.get(CONFIG, {}).get("responseMimeType") == ENUM


def bare(text: str) -> str:
    """The word that a JSON string says, also where its end was cut off."""
    try:
        word = parse_json(text)
    except ValueError:
        return text.removeprefix('"')
    return word if isinstance(word, str) else text


def top_logprobs(body: dict[str, Any], model: Model) -> int | None:
    """How many likely tokens to name beside each token; None where no logprobs are asked for. Raises Refusal."""
    config = body.get(CONFIG, {})
    if not config.get("responseLogprobs"):
        if "logprobs" in config:
            raise Refusal("bad_value", param=f"{CONFIG}.logprobs", rule="can only be set if response_logprobs is true.")
        return None
    if "logprobs" not in model.accepts:
        raise Refusal("unsupported", "Logprobs is not enabled for this model", param=f"{CONFIG}.responseLogprobs")
    return config.get("logprobs", 0)


# ---- writing -----------------------------------------------------------------
def arguments(choice: Choice) -> dict[str, Any] | None:
    """The arguments of a call; None where they are no JSON object, as when a stop sequence cut them short."""
    try:
        given = parse_json(choice.text)
    except ValueError:
        return None
    return given if isinstance(given, dict) else None


def call_parts(choice: Choice, model: Model) -> list[dict[str, Any]]:
    """A call as the parts of a candidate: none where it was cut short. Gemini 3 and later give it an id and a signature."""
    given = arguments(choice)
    if given is None:
        return []
    call = {"name": choice.function, "args": given}
    if model.id.startswith("gemini-2."):
        return [{"functionCall": call}]
    signature = base64.b64encode(secrets.token_bytes(96)).decode()
    return [{"functionCall": {**call, "id": random_id("", 8, "abcdefghijklmnopqrstuvwxyz0123456789")}, "thoughtSignature": signature}]


def logprobs_result(scores: Sequence[TokenScore]) -> dict[str, Any]:
    """The log-probabilities of some tokens of a candidate."""
    top = [{"candidates": [_scored(*pair) for pair in score.top]} for score in scores if score.top]
    return {
        **({"topCandidates": top} if top else {}),
        "chosenCandidates": [_scored(score.token, score.logprob) for score in scores],
        "logProbabilitySum": sum(score.logprob for score in scores),
    }


def _scored(token: bytes, logprob: float) -> dict[str, Any]:
    return {"token": token.decode("utf-8", "replace"), "logProbability": logprob}
