"""What the SDKs can send, held against what the dialects know."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from helpers.drift import declared, schemas
from helpers.drift.findings import Finding
from helpers.drift.schemas import Schema

DIALECTS = Path(__file__).parents[1] / "gateway/dialects"
# Settings of Google's client that share a type with the fields of a request, and are never sent.
CLIENTS_OWN = {"httpOptions", "abortSignal", "automaticFunctionCalling", "automaticFunctionCallingHistory", "parsed", "sdkHttpResponse", "shouldReturnHttpResponse"}

DATED = re.compile(r"_20\d{6}$")  # Anthropic's tools bear the day of their version


@dataclass(frozen=True)
class Request:
    """An operation: the schema of what its SDK can send, and the names that the dialect has a rule for, where it refuses all others."""

    provider: str
    operation: str
    schema: Schema
    known: Collection[str] = ()


def all_requests() -> list[Request]:
    """The operations whose bodies the SDKs have types for."""
    from anthropic.types import message_create_params as messages
    from google.genai import types
    from openai.types.chat import completion_create_params as chats
    from openai.types.responses import response_create_params as responses

    from helpers.gateway.dialects.anthropic import messages as anthropic_messages
    from helpers.gateway.dialects.openai import chat as openai_chat
    from helpers.gateway.dialects.openai import response_fields as openai_responses

    return [
        Request("openai", "chat", schemas.of(chats.CompletionCreateParamsNonStreaming), openai_chat.FIELDS),
        Request("openai", "responses", schemas.of(responses.ResponseCreateParamsNonStreaming), openai_responses.FIELDS),
        Request("anthropic", "messages", schemas.of(messages.MessageCreateParamsNonStreaming), anthropic_messages.FIELDS),
        Request("gemini", "generateContent", schemas.of(types.GenerateContentConfig)),
        Request("gemini", "generateContent", schemas.of(types.Content)),
        Request("bedrock", "Converse", schemas.of_operation("Converse", "input")),
    ]


def findings(request: Request) -> Iterator[Finding]:
    """What the dialect refuses, what it does not look at, and what it knows that the SDK does not."""
    names = schemas.resolved(request.schema, request.schema).get("properties", {})
    told = declared.words(request.provider)
    if request.known:
        yield from (_finding("refused", request, name) for name in names if name not in request.known and name not in told)
        yield from (_finding("own", request, name) for name in request.known if name not in {*names, *told, "stream"})
    yield from _unread(request, request.schema, "", frozenset(), {*spoken(request.provider), *told})


def _unread(request: Request, schema: Schema, path: str, seen: frozenset[int], known: Collection[str]) -> Iterator[Finding]:
    """Fields whose names the dialect's source never says. What is inside of such a field is passed over."""
    for one in schemas.variants(schema, request.schema):
        if id(one) in seen:
            continue
        if "items" in one:
            yield from _unread(request, one["items"], f"{path}[]", seen, known)
        mark = schemas.label(one)
        values = re.findall(r"[\w.-]+", mark.partition("=")[2])
        if values and not any(value in known or DATED.sub("", value) in known for value in values):
            yield _finding("unread", request, f"{path}({mark})")
            continue
        for name, inner in one.get("properties", {}).items():
            place = f"{path}.{name}".lstrip(".")
            if name in CLIENTS_OWN:
                continue
            if name in known:
                yield from _unread(request, inner, place, seen | {id(one)}, known)
            elif not (path == "" and request.known):  # these are said to be refused
                yield _finding("unread", request, place)


def _finding(kind: str, request: Request, place: str) -> Finding:
    return Finding(kind, request.provider, f"{request.operation}: {place}")


@cache
def spoken(provider: str) -> frozenset[str]:
    """Every word in the source of a dialect, and in what all dialects share."""
    files = [*(DIALECTS / provider).glob("*.py"), *DIALECTS.glob("*.py")]
    return frozenset(word for file in files for word in re.findall(r"[\w.-]*\w", file.read_text(encoding="utf-8")))


@cache
def _errors() -> frozenset[str]:
    """What stands in AWS's streams in the place of an answer."""
    whole = schemas.of_operation("ConverseStream", "output")
    return frozenset(name for name in whole["$defs"]["ConverseStreamOutput"]["properties"] if name.endswith("Exception"))


def unsent(provider: str, operation: str, fields: Iterator[tuple[str, str]]) -> Iterator[Finding]:
    """Fields of an answer that no sample had, and that neither the dialect nor DEVIATIONS.md names."""
    known = spoken(provider) | declared.words(provider) | CLIENTS_OWN | _errors()
    yield from (Finding("unsent", provider, f"{operation}: {place}.{name}".replace(": .", ": ")) for place, name in fields if name not in known)
