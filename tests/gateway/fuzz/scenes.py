"""The scenes of the fuzzer. Each is a generator that yields requests, one or several at once, and is sent their answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from helpers.gateway.faults import KINDS
from tests.gateway.fuzz import bodies, mutate
from tests.gateway.fuzz.requests import QUESTIONS, READS, Scene, named, post, question, spoilt
from tests.gateway.fuzz.stories import (
    background,
    cached,
    conversation,
    file_batch,
    file_prompt,
    files,
    inline_batch,
    kept_response,
    message_batch,
    message_files,
    stored_chat,
)
from tests.gateway.fuzz.wire import Request

FAMILIES = ("requests", "tokens", "input-tokens", "output-tokens")
ODD_LINES = [b"content-length: -1", b"content-length: 5", b"transfer-encoding: gzip, chunked", b"transfer-encoding: chunked"]
ODD_LINES += [b": x", b"a b: c", b"x: \0", b"x" * 300]


# ---- the small scenes ----------------------------------------------------------------------------------------
def one(r: Random) -> Scene:
    yield spoilt(r, question(r))


def read(r: Random) -> Scene:
    request = Request("GET", named(r, r.choice(READS)))
    yield mutate.disturbed(r, request) if r.random() < 0.4 else request


def pipelined(r: Random) -> Scene:
    """Several at once, more than the gateway reads ahead now and then; the last may be no HTTP."""
    many = [question(r) for _ in range(r.choice((2, 3, 12)))]
    yield [*many, Request("", "", raw=r.randbytes(40) + b"\r\n\r\n")] if r.random() < 0.3 else many


def left(r: Random) -> Scene:
    """A client that goes away: before the answer, in the middle, just before the end."""
    request = question(r)
    request.leave = r.choice((0, 0, 1, 100, 300, 1000))
    yield request


def half(r: Random) -> Scene:
    """A request of which only the beginning comes."""
    request = question(r)
    whole = request.bytes()
    yield Request("", "", raw=whole[: r.randrange(1, len(whole))], leave=0)


def noise(r: Random) -> Scene:
    """Bytes that are no HTTP, or almost."""
    request = question(r)
    whole = request.bytes()
    place = r.randrange(whole.index(b"\r\n\r\n") + 2)
    odd = [whole[:place] + r.randbytes(3) + whole[place:], whole.replace(b"\r\n", b"\n")]
    odd += [whole.replace(b"\r\n", b"\r\n" + r.choice(ODD_LINES) + b"\r\n", 1)]
    odd += [b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3" + r.randbytes(200), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n"]
    odd += [b"GET /" + b"x" * 1_100_000, whole.replace(b"HTTP/1.1", r.choice((b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9", b"RTSP/1.0")), 1)]
    yield Request("", "", raw=r.choice(odd), patience=0.3)


def large(r: Random) -> Scene:
    """A body of up to some megabytes: one long word, many words, many turns, many tools, a wide schema."""
    path, make = r.choice(QUESTIONS)
    body, size = make(r), r.choice((30_000, 100_000, 300_000, 1_000_000, 3_000_000))
    grown: list[Any] = [" ".join(r.choices(bodies.WORDS, k=size // 5)), "x" * size, "東" * (size // 3)]
    grown += [{f"k{n}": {"type": "string"} for n in range(size // 50)}]
    places = [(owner, name) for owner, name in mutate.places(body) if not isinstance(owner[name], bool)]
    lists = [(owner, name) for owner, name in places if isinstance(owner[name], list) and owner[name]]
    if lists and r.random() < 0.4:
        owner, name = r.choice(lists)
        owner[name] = owner[name] * (size // len(json.dumps(owner[name])))
    else:
        texts = [(owner, name) for owner, name in places if isinstance(owner[name], str | dict)]
        owner, name = r.choice(texts)
        owner[name] = r.choice(grown[:3] if isinstance(owner[name], str) else grown)
    yield post(named(r, path), body)


# ---- the gateway's own controls ------------------------------------------------------------------------------
def clock(r: Random) -> Scene:
    seconds = r.choice((1, 60, 600, 0, -1, None, "", "1e3", "nan", [], 1e308, 10**30, True))
    yield post("/course/advance", r.choice(({"seconds": seconds}, {"seconds": seconds}, {}, {"hours": 1}, {"minutes": seconds}, [seconds])))
    yield post(r.choice(("/course/stop_clock", "/course/start_clock")), r.choice(({}, {"seconds": seconds})))
    yield post("/course/start_clock", {})


def faults(r: Random) -> Scene:
    """A fault, a few questions that it may strike, and its end."""
    path, make = r.choice(QUESTIONS)
    order: Any = {"kind": r.choice(KINDS), "provider": path.split("/")[1], "times": r.choice((1, 2))}
    order |= {"seconds": 0.01, "chunk": r.choice((0, 1, 3))}
    yield post("/course/faults", mutate.mutated(r, order) if r.random() < 0.3 else order)
    for _ in range(r.choice((1, 2, 3))):
        request = post(named(r, path), make(r))
        request.patience = 0.3
        yield request
    yield Request("DELETE", "/course/faults")


def answers(r: Random) -> Scene:
    """An answer that the program sets, and a few questions that may get it."""
    path, make = r.choice(QUESTIONS)
    order: dict[str, Any] = {"provider": r.choice((path.split("/")[1], None)), "times": r.choice((1, 2)), "to": r.choice(("", "a"))}
    order |= r.choice(({"text": r.choice(("Yes.", "", "y" * 5000))}, {"call": ["lookup", {"id": 7}]}))
    yield post("/course/answers", mutate.mutated(r, order) if r.random() < 0.3 else order)
    for _ in range(r.choice((1, 2, 3))):
        yield post(named(r, path), make(r))


def limits(r: Random) -> Scene:
    """A tight limit, and questions that meet it."""
    path, make = r.choice(QUESTIONS)
    order: Any = {"provider": path.split("/")[1], "family": r.choice(FAMILIES), "per_minute": r.choice((1, 2, 100))}
    yield post("/course/limits", mutate.mutated(r, order) if r.random() < 0.3 else order)
    for _ in range(3):
        yield post(named(r, path), make(r))
    yield from unlimited(r)


def unlimited(r: Random) -> Scene:
    """Limits that nobody meets, so that a 429 hides nothing."""
    for provider in bodies.PROVIDERS:
        for family in FAMILIES:
            yield post("/course/limits", {"provider": provider, "family": family, "per_minute": 10**9})


def reset(r: Random) -> Scene:
    yield Request("GET", "/course/log")
    yield post("/course/revoke", {"key": r.choice(("a key that nobody has", "", None, [], 5, "\ud800"))})
    yield Request("POST", "/course/reset")
    yield from unlimited(r)


SHARES = {one: 780, read: 60, left: 30, half: 10, noise: 15, pipelined: 15, large: 8, clock: 8, faults: 12, limits: 4, reset: 1}
SHARES |= {conversation: 15, kept_response: 15, background: 12, stored_chat: 10, files: 12, message_files: 12, file_prompt: 12}
SHARES |= {message_batch: 12, inline_batch: 12, file_batch: 12, cached: 12}
ALONE = (faults, answers, limits, reset)  # while one of these plays, nothing else does


def scene_of(seed: int, number: int) -> tuple[Callable[[Random], Scene], Random]:
    """The scene with a number, and the luck that it plays with."""
    r = Random(f"{seed} {number}")
    return r.choices(list(SHARES), list(SHARES.values()))[0], r
