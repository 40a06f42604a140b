"""OpenAI's chat completions: the body both ways. Azure and the compatible servers share it."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from helpers.gateway.answer import Answer, Choice, TokenScore
from helpers.gateway.dialects.images import part as part_of
from helpers.gateway.dialects.openai import rules
from helpers.gateway.dialects.openai.images import data_of
from helpers.gateway.dialects.schema import (
    ANY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    between,
    checker,
    list_of,
    nullable,
    one_of,
    shape,
)
from helpers.gateway.exchange import Function, Message, Part, Question, Refusal, Usage
from helpers.gateway.wire import compact, random_id
from helpers.models import Model

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SAMPLING = (*rules.SAMPLING, "seed", "top_k", "min_p", "logprobs", "top_logprobs")

NAME = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9_-]+$"}
CALL_ID = {"type": "string", "maxLength": 40}
PART = shape(
    "type",
    type=one_of("text", "image_url", "input_audio", "refusal", "audio", "file"),
    text=STRING,
    refusal=STRING,
    image_url=shape("url", url=STRING, detail=nullable(one_of("low", "high", "auto", "original"))),
    input_audio=OBJECT,
    audio=OBJECT,
    file=OBJECT,
)
CALLED = shape("name arguments", name=NAME, arguments=STRING)
MESSAGE = shape(
    "role",
    role=one_of("system", "assistant", "user", "function", "tool", "developer"),
    content={"type": ["string", "array", "null"], "items": PART},
    refusal=nullable(STRING),
    audio=nullable(OBJECT),
    function_call=nullable(CALLED),
    tool_calls=nullable(list_of(shape("id function", id=CALL_ID, type=one_of("function"), function=CALLED), minItems=1)),
    tool_call_id=nullable(CALL_ID),
    name=nullable(NAME),
)
DEFINITION = shape("name", name=NAME, description=nullable(STRING), parameters=nullable(OBJECT), strict=nullable(BOOLEAN))
TOOL = shape("type", type=one_of("function", "custom"), function=DEFINITION, custom=OBJECT)
NAMED = shape("name", name=STRING)  # a tool, by its name
ALLOWED = shape(mode=STRING, tools=list_of(shape(name=STRING, function=NAMED)))
TOOL_CHOICE = {
    "type": ["string", "object", "null"],
    "title": "one of one of 'none', 'auto', or 'required' or object",
    "properties": {"type": STRING, "function": NAMED, "custom": NAMED, "allowed_tools": ALLOWED, **ALLOWED["properties"], "name": STRING},
}
FORMAT = shape("type", type=one_of("json_object", "json_schema", "text"), json_schema=shape("name", name=NAME, schema=nullable(OBJECT), strict=nullable(BOOLEAN)))
METADATA = {"type": "object", "title": "a metadata object", "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 512}}
WAY = nullable(shape("mode", mode=one_of("score", "block")))
POLICY = shape(input=WAY, output=WAY)  # of a moderated chat
PREDICTION = shape("type content", type=one_of("content"), content={"type": ["string", "array"], "items": shape("type text", type=one_of("text"), text=STRING)})
CACHE_OPTIONS = shape(closed=True, mode=one_of("implicit", "explicit"), ttl=STRING)
# What other providers' own endpoints for OpenAI's SDK read of a chat; all else they pass over.
READ_ELSEWHERE = {
    "model": STRING,
    "messages": list_of(MESSAGE, minItems=1),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "n"), nullable(INTEGER)),
    **dict.fromkeys(("temperature", "top_p"), nullable(NUMBER)),
    "stream": nullable(BOOLEAN),
    "stream_options": nullable(shape(include_usage=nullable(BOOLEAN))),
    "stop": {"type": ["string", "array", "null"], "items": STRING},
    "tools": nullable(list_of(shape("function", function=shape("name", name=STRING, parameters=nullable(OBJECT))))),
    "tool_choice": TOOL_CHOICE,
}
# In the order in which OpenAI looks at them, as measured in public on 2026-08-30.
FIELDS = {
    "model": STRING,
    "messages": list_of(MESSAGE, minItems=1),
    "functions": nullable({**list_of(DEFINITION), "title": "an array of function definitions"}),
    "function_call": {"type": ["string", "object", "null"], "required": ["name"], "properties": {"name": STRING}},
    "tools": nullable(list_of(TOOL, maxItems=128)),
    "tool_choice": TOOL_CHOICE,
    "parallel_tool_calls": nullable(BOOLEAN),
    "max_completion_tokens": nullable(between("integer", 1)),
    "n": nullable(between("integer", 1, 128)),
    "temperature": nullable(between("number", 0, 2)),
    "top_p": nullable(between("number", 0, 1)),
    "presence_penalty": nullable(between("number", -2, 2)),
    "frequency_penalty": nullable(between("number", -2, 2)),
    "logprobs": nullable(BOOLEAN),
    "top_logprobs": nullable(between("integer", 0)),
    "user": nullable({**STRING, "maxLength": 64}),
    "seed": nullable(INTEGER),
    "moderation": nullable(shape("model", model=STRING, policy=nullable(POLICY))),
    "safety_identifier": nullable({**STRING, "maxLength": 64}),
    "prompt_cache_options": nullable(CACHE_OPTIONS),
    "prompt_cache_key": nullable({**STRING, "maxLength": 64}),
    "prompt_cache_retention": {"type": ["string", "null"], "title": "one of 'in_memory' or '24h'"},
    "response_format": nullable(FORMAT),
    "service_tier": nullable(one_of("auto", "default", "fast", "flex", "priority")),
    "max_tokens": nullable(between("integer", 1)),
    "reasoning_effort": ANY,  # what it takes depends on the model
    "logit_bias": nullable(OBJECT),
    "stop": {"type": ["string", "array", "null"], "items": STRING, "maxItems": 4},
    "stream": nullable(BOOLEAN),
    "stream_options": nullable(shape(closed=True, include_usage=nullable(BOOLEAN), include_obfuscation=nullable(BOOLEAN))),
    "store": nullable(BOOLEAN),
    "metadata": nullable(METADATA),
    "prediction": nullable(PREDICTION),
    "verbosity": nullable(one_of("low", "medium", "high")),
    "audio": nullable(shape("voice format", format=one_of("wav", "aac", "mp3", "flac", "opus", "pcm16"))),
    "modalities": nullable(list_of(one_of("text", "audio"))),
    "web_search_options": nullable(shape(search_context_size=nullable(one_of("low", "medium", "high")), user_location=nullable(OBJECT))),
}
_check_names = checker(shape("messages", closed=True, **dict.fromkeys(FIELDS, ANY)))
_check_fields = checker(shape(**FIELDS))


def check(body: dict[str, Any]) -> None:
    """Raise a Refusal for a body that does not fit: unknown names come before all else."""
    if not body.keys() <= FIELDS.keys() or "messages" not in body:  # most bodies need no closer look
        _check_names(body)
    _check_fields(body)


# ---- reading ---------------------------------------------------------------
def question(body: dict[str, Any], model: Model, provider: str) -> Question:
    """The neutral question of a body whose fields were checked."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    stop = body.get("stop") or []
    return Question(
        provider=provider,
        model=model,
        messages=tuple([message(m, f"messages[{i}]", model) for i, m in enumerate(body["messages"])]),
        tools=tuple([json.dumps(tool, sort_keys=True) for tool in body.get("tools") or ()]),
        functions=functions(body),
        must_call=must_call(body),
        schema=schema(body.get("response_format")),
        top_logprobs=(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
        limit=limit,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        n=body.get("n") or 1,
        stream=bool(body.get("stream")),
        effort=body.get("reasoning_effort") or model.default_effort,
        sampling=sampling(body),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        caches_marks_only=caches_marks_only(body),
        tier=tier(body, provider),
        echo=body,
    )


def tier(body: dict[str, Any], provider: str) -> str:
    """The tier that serves a request, where that is not the standard one. Only OpenAI itself is known to keep to what was asked."""
    asked = body.get("service_tier") if provider == "openai" else None
    return {"flex": "flex", "priority": "priority", "fast": "priority"}.get(asked, "")


def functions(body: dict[str, Any]) -> tuple[Function, ...]:
    """The tools that are functions."""
    declared = [tool["function"] for tool in body.get("tools") or [] if tool.get("type", "function") == "function"]  # vLLM may leave it out
    return tuple([Function(function["name"], function.get("parameters") or {}) for function in declared])


def must_call(body: dict[str, Any]) -> tuple[str, ...]:
    """The functions of which one has to be called: all for `required`, one that is named, else none. Raises Refusal."""
    choice = body.get("tool_choice")
    if choice in (None, "auto", "none"):
        return ()
    names = tuple(f.name for f in functions(body))
    if not names:
        return ()
    if choice == "required":
        return names
    if isinstance(choice, str):  # OpenAI has refused it before; who else speaks its form has no words of their own that are known
        raise Refusal("bad_value", f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'.", param="tool_choice")
    if choice.get("type") == "allowed_tools":
        return _allowed(choice, names)
    if "function" not in choice:
        return ()  # a custom tool
    named = choice["function"]["name"]
    if named not in names:
        # These are OpenAI's words for tools too, though they speak of functions.
        text = f"Invalid value for 'function_call': no function named '{named}' was specified in the 'functions' parameter."
        raise Refusal("bad_value", text, param="function_call", code=None)
    return (named,)


def _allowed(choice: dict[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """tool_choice allowed_tools: some of the tools, in mode auto or required."""
    allowed = choice.get("allowed_tools") or choice
    named = {(tool.get("function") or tool).get("name") for tool in allowed.get("tools") or []}
    return tuple(name for name in names if name in named) if allowed.get("mode") == "required" else ()


def schema(response_format: dict[str, Any] | None) -> dict[str, Any] | None:
    """The JSON schema that a response format asks for; any object for JSON mode."""
    kind = (response_format or {}).get("type")
    if kind == "json_object":
        return {"type": "object"}
    if kind != "json_schema":
        return None
    if response_format.get("json_schema") is None:
        raise Refusal("missing", param="response_format.json_schema")
    return response_format["json_schema"].get("schema") or {"type": "object"}


def sampling(body: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple([(name, body[name]) for name in SAMPLING if body.get(name) is not None])


def message(said: dict[str, Any], path: str, model: Model) -> Message:
    role, content = said["role"], said.get("content") or ()
    parts = [Part(content)] if isinstance(content, str) else [part(p, f"{path}.content[{i}]", model) for i, p in enumerate(content)]
    if said.get("name"):
        parts.insert(0, Part(said["name"], "name"))
    called = [call["function"] for call in said.get("tool_calls") or []]
    called += [said["function_call"]] if said.get("function_call") else []
    parts += [Part(f"{function['name']}({function['arguments']})", "tool_use") for function in called]
    return Message({"developer": "system", "function": "tool"}.get(role, role), tuple(parts))


def part(given: dict[str, Any], path: str, model: Model) -> Part:
    kind = given["type"]
    if kind in ("text", "refusal"):
        text = given.get("text", given.get("refusal"))
        if not isinstance(text, str):
            raise Refusal("missing", param=f"{path}.text")
        return Part(text, cache_ttl=cache_mark(given))
    if kind not in given:
        raise Refusal("missing", param=f"{path}.{kind}")
    shown = given[kind]
    return part_of(shown, data_of(shown.get("url") if isinstance(shown, dict) else None), model, cache_mark(given))


def caches_marks_only(body: dict[str, Any]) -> bool:
    """Whether the client wants nothing cached but what it marked. Those of other servers do not look at these options before."""
    options = body.get("prompt_cache_options")
    return isinstance(options, dict) and options.get("mode") == "explicit"


def cache_mark(given: dict[str, Any]) -> str | None:
    """The time to live of the cache breakpoint after a part, None where there is none."""
    mark = given.get("prompt_cache_breakpoint")
    return mark.get("ttl") or "30m" if isinstance(mark, dict) else None


# ---- writing ---------------------------------------------------------------
def usage_body(usage: Usage, model: Model) -> dict[str, Any]:
    prompt = {"cached_tokens": usage.cache_read_tokens, "audio_tokens": 0}
    if model.cache and model.cache.charges_writes:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.thinking_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def finish_reason(choice: Choice, question: Question) -> str:
    """stop, length, content_filter or tool_calls; a call of the one function that tool_choice names ends with stop."""
    if choice.finish == "call":
        return "stop" if isinstance(question.echo.get("tool_choice"), dict) else "tool_calls"
    return {"length": "length", "refusal": "content_filter"}.get(choice.finish, "stop")


def fingerprint_of(model: Model) -> str | None:
    """system_fingerprint: null for models that think."""
    return f"fp_{hashlib.sha256(model.served_as.encode()).hexdigest()[:10]}" if model.thinks == "never" else None


def choice_body(index: int, choice: Choice, question: Question) -> dict[str, Any]:
    body = {
        "index": index,
        "message": {"role": "assistant", "content": choice.text, "refusal": None, "annotations": []},
        "logprobs": logprobs(said(choice.scores)),
        "finish_reason": finish_reason(choice, question),
    }
    if choice.function:
        body["message"] |= {"content": None, "tool_calls": [tool_call(choice.function, choice.text)]}
    if question.model.thinks != "never" and not choice.scores:
        del body["logprobs"]
    return body


def tool_call(name: str, arguments: str) -> dict[str, Any]:
    return {"id": random_id("call_", 24), "type": "function", "function": {"name": name, "arguments": arguments}}


def logprobs(scores: Sequence[TokenScore]) -> dict[str, Any] | None:
    """The logprobs field of a choice; null where none were asked for."""
    if not scores:
        return None
    content = [{**_scored(s.token, s.logprob), "top_logprobs": [_scored(*pair) for pair in s.top]} for s in scores]
    return {"content": content, "refusal": None}


def said(scores: Sequence[TokenScore]) -> list[TokenScore]:
    """The scores of the tokens that are text: OpenAI does not show the one that ends the turn."""
    return [score for score in scores if not score.ends]


def _scored(token: bytes, logprob: float) -> dict[str, Any]:
    return {"token": token.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(token)}


def completion(answer: Answer) -> dict[str, Any]:
    model = answer.question.model
    return {
        "id": random_id("chatcmpl-", 29),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model.served_as,
        "choices": [choice_body(i, choice, answer.question) for i, choice in enumerate(answer.choices)],
        "usage": usage_body(answer.usage, model),
        "service_tier": answer.question.tier or "default",
        "system_fingerprint": fingerprint_of(model),
    }


def frame(chunk: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % compact(chunk)


DONE = b"data: [DONE]\n\n"


async def chunks(answer: Answer, head: dict[str, Any], first_delta: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """The chunks of a stream: a role, the text, a finish reason, for each choice; then the usage if asked for."""
    tail = {"usage": None} if answer.question.include_usage else {}

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None, scores: Sequence[TokenScore] = ()) -> dict[str, Any]:
        return {**head, "choices": [{"index": index, "delta": delta, "logprobs": logprobs(scores), "finish_reason": finish}], **tail}

    for index, choice in enumerate(answer.choices):
        call = {"content": None, "tool_calls": [{"index": 0, **tool_call(choice.function, "")}]} if choice.function else {}
        yield chunk(index, {**first_delta, **call})
    async for piece in answer.stream():
        called = answer.choices[piece.choice].function
        if piece.text and called:
            yield chunk(piece.choice, {"tool_calls": [{"index": 0, "function": {"arguments": piece.text}}]})
        else:
            scores = said(piece.scores) if piece.scores else ()
            if piece.text or scores:
                yield chunk(piece.choice, {"content": piece.text}, scores=scores)
    for index, choice in enumerate(answer.choices):
        yield chunk(index, {}, finish_reason(choice, answer.question))
    if answer.question.include_usage:
        yield {**head, "choices": [], "usage": usage_body(answer.usage, answer.question.model)}


def stream_head(answer: Answer) -> dict[str, Any]:
    """The fields that are the same in every chunk."""
    model = answer.question.model
    return {
        "id": random_id("chatcmpl-", 29),
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model.served_as,
        "service_tier": answer.question.tier or "default",
        "system_fingerprint": fingerprint_of(model),
    }


PADDING = random_id("", 4096)  # made once: it is needed for every chunk, and need not be secret


def obfuscation(question: Question) -> dict[str, str]:
    """OpenAI's padding of random length, which hides the length of the text from onlookers; it can be turned off."""
    if (question.echo.get("stream_options") or {}).get("include_obfuscation") is False:
        return {}
    start = int(4000 * random.random())
    return {"obfuscation": PADDING[start : start + 2 + int(12 * random.random())]}


def parse_usage(payloads: list[dict[str, Any]]) -> Usage | None:
    """The usage in a chat, responses or embeddings answer of a real server; vectors have no output tokens."""
    stated = [p.get("usage") or (p.get("response") or {}).get("usage") for p in payloads]
    found = next((usage for usage in reversed(stated) if usage), None)
    if found is None:
        return None
    given = found.get("prompt_tokens_details") or found.get("input_tokens_details") or {}
    made = found.get("completion_tokens_details") or found.get("output_tokens_details") or {}
    written = "completion_tokens" if "completion_tokens" in found else "output_tokens"
    return Usage(
        input_tokens=found["prompt_tokens"] if "prompt_tokens" in found else found["input_tokens"],
        cache_read_tokens=given.get("cached_tokens") or 0,
        cache_write_tokens=given.get("cache_write_tokens") or 0,
        output_tokens=0 if payloads[-1].get("object") == "list" else found[written],  # a list of vectors
        thinking_tokens=made.get("reasoning_tokens") or 0,
    )

