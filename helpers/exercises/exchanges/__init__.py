"""Exercise 01: exchanges with seven dialects as they were on the wire, five from files and any number made anew.

An exchange is a dict: `request` has `headers` and `body`, `response` has `status`, `headers`, `raw` (as it was sent), and `body` (its
JSON) or, of a stream, `events` (the JSON of each). A field is named by the way to it, as in `response.body.choices[].message.content`.
"""

from __future__ import annotations

import json
import os
import re
import traceback
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import httpx2
from botocore.eventstream import EventStreamBuffer

from helpers.gateway.server import Gateway

Exchange = dict[str, Any]
DIALECTS = ("openai", "azure", "vllm", "anthropic", "invoke", "converse", "gemini")
FOLDER = Path(__file__).parent
LEFT_OUT = "<left out>"
OPENAI_LIKE = ("openai", "azure", "vllm")
LIMITS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(OPENAI_LIKE, {"max_completion_tokens": 500}),
    **dict.fromkeys(("anthropic", "invoke"), {"max_tokens": 500}),
    "converse": {"inferenceConfig": {"maxTokens": 500}},
    "gemini": {"generationConfig": {"maxOutputTokens": 500}},
}
# What marks an instruction for the cache, where a mark is needed.
MARKS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("anthropic", "invoke"), {"cache_control": {"type": "ephemeral"}}),
    "converse": {"system": [{"cachePoint": {"type": "default"}}]},
}
KEY, WRONG_KEY = "any-key-will-do", "an-invalid-key"
MODELS = {
    **dict.fromkeys(("openai", "azure"), "gpt-6-luna"),
    **dict.fromkeys(("invoke", "converse"), "us.anthropic.claude-haiku-5-5"),
    "vllm": "meta-llama/Llama-3.1-8B-Instruct",
    "anthropic": "claude-haiku-5-5",
    "gemini": "gemini-3.5-flash-lite",
}
# Headers that any client, proxy or web server may set; they say nothing of a dialect.
ANYBODYS = ("accept-encoding", "connection", "content-length", "date", "host", "server", "transfer-encoding", "vary")


# ---- from files -------------------------------------------------------------------
def load(name: str) -> Exchange:
    """One of the five exchanges of the log, from a to e."""
    exchange = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    request, response = exchange["request"], exchange["response"]
    return made(request["headers"], request["body"], response["status"], response["headers"], response["body"].encode())


def made(request_headers: dict[str, str], body: str | bytes, status: int, headers: dict[str, str], raw: bytes) -> Exchange:
    """An exchange of its parts."""
    kind = headers.get("content-type", "")
    response: dict[str, Any] = {"status": status, "headers": headers, "raw": raw if "eventstream" in kind else raw.decode()}
    if "stream" in kind:
        response["events"] = list(_binary_events(raw) if "eventstream" in kind else _events(raw.decode()))
    else:
        response["body"] = json.loads(raw)
    return {"request": {"headers": request_headers, "body": json.loads(body)}, "response": response}


def _events(text: str) -> Iterator[Any]:
    """The data of server-sent events."""
    for line in text.splitlines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield data if data == "[DONE]" else json.loads(data)


def _binary_events(raw: bytes) -> Iterator[dict[str, Any]]:
    """The events of AWS's binary frames. Those of InvokeModel hold the model's own events as base64."""
    frames = EventStreamBuffer()
    frames.add_data(raw)
    for frame in frames:
        event = json.loads(frame.payload)
        inner = json.loads(b64decode(event["bytes"])) if "bytes" in event else event
        yield {**{name: value for name, value in frame.headers.items() if name.endswith("-type") and name != ":message-type"}, **inner}


# ---- made anew --------------------------------------------------------------------
def question(dialect: str, text: str) -> dict[str, Any]:
    """A body with one question of a user's, without the model's name and without any limit."""
    _known(dialect)
    if dialect == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    body = {"messages": [{"role": "user", "content": [{"text": text}] if dialect == "converse" else text}]}
    return {"anthropic_version": "bedrock-2023-05-31", **body} if dialect == "invoke" else body


def send(dialect: str, body: dict[str, Any], *, stream: bool = False, key: str = KEY, model: str | None = None) -> Exchange:
    """Send a body to the course's gateway in a dialect, with a plain HTTP client, and return the exchange.

    It adds the address, the key, the model's name and, for a stream, what asks for one. Whatever the status is, it raises nothing.
    """
    _known(dialect)
    model = model or MODELS[dialect]
    url, headers = _address(dialect, model, stream, key)
    if dialect in (*OPENAI_LIKE, "anthropic"):
        body = {"model": model, **body, **({"stream": True} if stream else {})}
    sent = httpx2.Request("POST", url, headers=headers, json=body)
    got = _client().send(sent)
    asked = {name: value.replace(key, LEFT_OUT) for name, value in said(sent.headers).items()}
    return made(asked, sent.content, got.status_code, said(got.headers), got.content)


@cache
def _client() -> httpx2.Client:
    """One for all calls. They stay on this machine and are not encrypted, so there is nothing to verify."""
    return httpx2.Client(timeout=60, verify=False)


def _address(dialect: str, model: str, stream: bool, key: str) -> tuple[str, dict[str, str]]:
    """Where a dialect is spoken, and the headers that it asks for."""
    at, bearer = os.environ, {"authorization": f"Bearer {key}"}
    match dialect:
        case "openai":
            return f"{at['OPENAI_BASE_URL']}/chat/completions", bearer
        case "azure":
            return f"{at['AZURE_OPENAI_ENDPOINT']}/openai/v1/chat/completions", bearer
        case "vllm":
            return f"{at['COMPATIBLE_BASE_URL']}/chat/completions", bearer
        case "anthropic":
            return f"{at['ANTHROPIC_BASE_URL']}/v1/messages", {**bearer, "anthropic-version": "2026-10-21"}
        case "invoke":
            return f"{at['AWS_ENDPOINT_URL_BEDROCK_RUNTIME']}/model/{model}/invoke{'-with-response-stream' if stream else ''}", bearer
        case "converse":
            return f"{at['AWS_ENDPOINT_URL_BEDROCK_RUNTIME']}/model/{model}/converse{'-stream' if stream else ''}", bearer
        case "gemini":
            action = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"{at['GOOGLE_GEMINI_BASE_URL']}/v1/models/{model}:{action}", {"x-goog-api-key": key}
    raise ValueError(dialect)


def _known(dialect: str) -> None:
    """Raises ValueError for a dialect that is none of the seven."""
    if dialect not in DIALECTS:
        raise ValueError(f"there is no dialect {dialect!r}; there are {', '.join(DIALECTS)}")


def said(headers: httpx2.Headers) -> dict[str, str]:
    """Headers without those that are anybody's, and without the marks of the course's gateway."""
    return {name: value for name, value in headers.items() if name not in ANYBODYS and not name.startswith("x-course-")}


def samples(dialect: str, gateway: Gateway) -> dict[str, Exchange]:
    """One dialect now, by a plain HTTP client: a plain answer, a stream, one that breaks, a refused key, and an older model's answer."""
    body = merged(question(dialect, "Say thank you in five words."), LIMITS.get(dialect, {}))
    streamed = merged(body, {"stream_options": {"include_usage": True}}) if dialect in OPENAI_LIKE else body
    older = merged(question(dialect, "Say thank you in five words."), {"max_tokens": 500}) if dialect in OPENAI_LIKE else body
    found = {"plain": send(dialect, body), "stream": send(dialect, streamed, stream=True), "refused": send(dialect, body, key=WRONG_KEY)}
    found["older"] = send(dialect, older, model="gpt-4o-mini" if dialect in ("openai", "azure") else None)
    gateway.fault("overloaded_in_stream")
    return {**found, "broken": send(dialect, streamed, stream=True)}


# ---- fields -----------------------------------------------------------------------
def fields(exchange: Exchange) -> set[str]:
    """The names of all fields of an exchange that hold no others, and of those that hold nothing."""
    parts = {side: {name: part for name, part in content.items() if name != "raw"} for side, content in exchange.items()}
    return set(_fields(parts, ""))


def _fields(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _fields(inner, f"{name}[]")
    else:
        yield name


def met(exchanges: Iterable[Exchange]) -> set[str]:
    """The names of all fields of some exchanges, and of all that hold them: what is null in one may hold fields in another."""
    found = set().union(*map(fields, exchanges))
    return found | {field[: mark.start()] for field in found for mark in re.finditer(r"\.|\[\]", field)}


def values(exchange: Exchange, field: str) -> list[Any]:
    """All values of a field, in order, without those that are null. Where there is no such field, the list is empty."""
    found: list[Any] = [exchange]
    for part in field.split("."):
        key = part.removesuffix("[]")
        found = [value[key] for value in found if isinstance(value, dict) and key in value]
        if part.endswith("[]"):
            found = [item for value in found if isinstance(value, list) for item in value]
    return [value for value in found if value is not None]


# ---- bodies -----------------------------------------------------------------------
def merged(*bodies: dict[str, Any]) -> dict[str, Any]:
    """Bodies put together: of two lists the second goes behind the first, two objects are merged, else the later value counts."""
    out: dict[str, Any] = {}
    for body in bodies:
        for name, value in body.items():
            before = out.get(name)
            if isinstance(before, list) and isinstance(value, list):
                out[name] = [*before, *value]
            elif isinstance(before, dict) and isinstance(value, dict):
                out[name] = merged(before, value)
            else:
                out[name] = value
    return out


def filled(pattern: Any, values: dict[str, Any]) -> Any:
    """A copy of a pattern in which each of these words, where it stands alone, has become its value."""
    if isinstance(pattern, dict):
        return {name: filled(inner, values) for name, inner in pattern.items()}
    if isinstance(pattern, list):
        return [filled(inner, values) for inner in pattern]
    return values.get(pattern, pattern) if isinstance(pattern, str) else pattern


# ---- what a check asks of a learner's functions -----------------------------------
def asked(function: Callable[..., Any], *given: Any) -> Any:
    """What a learner's function returns. Raises AssertionError where another function, which it calls, is not written yet."""
    try:
        return function(*given)
    except NotImplementedError as error:
        inner = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
        assert inner == function.__name__, f"{function.__name__}() calls {inner}() of an earlier step, which is not written yet"
        raise


def table(function: Callable[[], Any], names: Sequence[str], kind: type, *columns: str, step: int | None = None) -> dict[str, Any]:
    """The rows that a function returns, in the order of `names`. Raises AssertionError with what is missing, or is of another type.

    columns: those that the check looks at; the others may still be empty.
    step: where the function is written, if that is an earlier step than the check's.
    """
    try:
        found = asked(function)
    except NotImplementedError:
        assert step is None, f"{function.__name__}() of step {step} is needed here, and is not written yet"
        raise
    who = f"{function.__name__}()"
    assert isinstance(found, dict), f"{who} should return a dictionary, it returned {found!r}" + (". Is there a return?" if found is None else "")
    missing, more = [name for name in names if name not in found], [name for name in found if name not in names]
    assert not missing, f"{who} has no row for {', '.join(map(repr, missing))}; rows for {', '.join(names)} were expected"
    assert not more, f"{who} has a row for {', '.join(map(repr, more))} too; rows for {', '.join(names)} were expected"
    for name in names:
        _row(name, found[name], kind, columns)
    return {name: found[name] for name in names}


def _row(name: str, row: Any, kind: type, columns: Sequence[str]) -> None:
    """Raises AssertionError where a row is none of its kind, or has in a column a value of another type than its class says."""
    assert type(row) is kind, f"{name}: a row of the class {kind.__name__} was expected, this is {row!r}"
    hints = get_type_hints(kind)
    for column in columns:
        value, wanted = getattr(row, column), get_origin(hints[column]) or hints[column]
        names = value if isinstance(value, tuple) else ()
        holds = type(value) is wanted and all(isinstance(item, str) for item in names)
        note = "; a tuple with one name is written (name,), with a comma" if wanted is tuple and isinstance(value, str) else ""
        assert holds, f"{name}: {column} should be of the type {wanted.__name__}{' of names' * (wanted is tuple)}, it is {value!r}{note}"


def fitting(dialect: str, pattern: dict[str, Any], **word: str) -> None:
    """Raises AssertionError where a word stands nowhere alone in a pattern, or the pattern cannot be merged into a question."""
    ((name, text),) = word.items()
    assert filled(pattern, {text: None}) != pattern, f"{dialect}: the word {name} stands nowhere alone in the pattern {pattern}"
    body = question(dialect, "")
    for field in pattern.keys() & body.keys():
        own, theirs = type(pattern[field]).__name__, type(body[field]).__name__
        assert own == theirs, f"{dialect}: {field} is a {theirs} in the body of a question and a {own} in your pattern {pattern}, so merged keeps only one of them"


def absent(field: str, *exchanges: Exchange) -> str:
    """For the end of a message: that exchanges have no field of this name; empty where one has it."""
    if field in met(exchanges):
        return ""
    return ". There is no field of this name" + (": a list is named with [], without a number" if re.search(r"\[\d+\]", field) else "")


def counted(tokens: Callable[[Exchange, str], Any], what: str, exchange: Exchange, dialect: str) -> tuple[int, int] | None:
    """What a learner's `tokens` says of an exchange. Raises AssertionError where that is neither None nor two whole numbers."""
    found = asked(tokens, exchange, dialect)
    is_pair = type(found) is tuple and [type(count) for count in found] == [int, int]
    assert found is None or is_pair, f"{what}: a tuple of two whole numbers, or None, was expected; yours: {found!r}"
    return found
