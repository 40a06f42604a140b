"""With keys: recorded requests, sent to the provider again and to the gateway, and what differs in meaning between the two answers.

What a model says differs each time and is not compared; which fields come, why the answer ended and how many tokens went in is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx2

from helpers.drift import asking, samples
from helpers.drift.findings import Finding
from helpers.drift.samples import Sample
from helpers.gateway.server import Gateway
from helpers.gateway.sources.recordings import FOLDER, lines

PROVIDERS = ("openai", "anthropic", "gemini", "bedrock")
ENDS = ("finish_reason", "stop_reason", "finishReason", "stopReason", "status")
COUNTED = ("prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens")
CLOSE = 0.1  # of the tokens: what a count may be off, as the real tokenizers are not known


def findings(live: Gateway, each: int) -> list[Finding]:
    """Send `each` recorded prompts of every provider that there is a key for, plain and streamed. `live` keeps the budget."""
    offline = Gateway(pace=0).start()
    try:
        with httpx2.Client(trust_env=False) as client:
            return [found for sample in _recorded(live, each) for found in _compared(client, sample, live, offline)]
    finally:
        offline.stop()


def providers(live: Gateway) -> list[str]:
    """Those that there is a key for."""
    return [provider for provider in PROVIDERS if live.upstream and live.upstream.has_key(provider)]


def _recorded(live: Gateway, each: int) -> Iterator[Sample]:
    for provider in providers(live):
        for line in islice(_lines(provider), each):
            yield from samples.questions(provider, line["models"][0], line["messages"][0][1])


def _lines(provider: str) -> Iterator[dict[str, Any]]:
    """The recordings of one question by a user, in the order of the chapters."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        for _, text in lines(path):
            line = json.loads(text)
            if line.get("provider") == provider and [role for role, _ in line["messages"]] == ["user"] and isinstance(line["messages"][0][1], str) and not line.get("tools"):
                yield line


def _compared(client: httpx2.Client, sample: Sample, live: Gateway, offline: Gateway) -> Iterator[Finding]:
    ours = asking.ask(client, offline.base_url, sample)
    try:
        theirs = asking.ask(client, live.base_url, sample)
    except asking.Refused as error:
        yield _finding(sample, f"refused: {error}"[:300])
        return
    yield from (_finding(sample, said) for said in differences(ours, theirs))


def _finding(sample: Sample, says: str) -> Finding:
    return Finding("answer", sample.provider, sample.operation, says)


def differences(ours: list[Any], theirs: list[Any]) -> Iterator[str]:
    """What a client could tell two answers to one request apart by, in words."""
    here, there = _fields(ours), _fields(theirs)
    yield from (f"{name} comes from the provider, not from the gateway" for name in sorted(there - here))
    yield from (f"{name} comes from the gateway, not from the provider" for name in sorted(here - there))
    for name in ENDS:
        if (mine := _values(ours, name)) != (now := _values(theirs, name)):
            yield f"{name} is {_said(now)}, with the gateway {_said(mine)}"
    mine, now = (max((n for name in COUNTED for n in _values(answer, name) if isinstance(n, int)), default=0) for answer in (ours, theirs))
    if abs(mine - now) > CLOSE * max(now, 1):
        yield f"the prompt has {now} tokens, by the gateway {mine}"


def _fields(value: Any, path: str = "") -> set[str]:
    """The paths of all fields, whatever their place in a list."""
    if isinstance(value, list):
        return set().union(*(_fields(item, path) for item in value))
    if not isinstance(value, dict):
        return set()
    inside = {name: f"{path}.{name}".lstrip(".") for name in value}
    return {*inside.values()}.union(*(_fields(item, inside[name]) for name, item in value.items()))


def _values(value: Any, name: str) -> set[Any]:
    """All values of the fields of a name."""
    if isinstance(value, list):
        return set().union(*(_values(item, name) for item in value))
    if not isinstance(value, dict):
        return set()
    found = {value[name]} if isinstance(value.get(name), str | int) else set()
    return found.union(*(_values(item, name) for item in value.values()))


def _said(values: set[Any]) -> str:
    return " and ".join(sorted(map(repr, values))) or "not there"
