"""The scenes of the fuzzer. Each is a generator that yields requests, one or several at once, and is sent their answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from random import Random
from typing import Any

from helpers.gateway.faults import KINDS
from tests.gateway.fuzz import bodies, mutate
from tests.gateway.fuzz.wire import Answer, Request

Scene = Generator[Request | list[Request], Any, None]
AZURE = "/azure/openai/deployments/{azure}/chat/completions?api-version=2024-10-21"
GEMINI, BEDROCK = "/gemini/v1beta/models/{gemini}", "/bedrock/model/{bedrock}"
QUESTIONS: list[tuple[str, Callable[[Random], bodies.Body]]] = [
    ("/openai/v1/chat/completions", bodies.chat),
    ("/openai/v1/responses", bodies.response),
    ("/openai/v1/responses/input_tokens", bodies.response),
    (AZURE, bodies.azure_chat),
    ("/azure/openai/v1/chat/completions", bodies.azure_chat),
    ("/compatible/v1/chat/completions", bodies.compatible_chat),
    ("/anthropic/v1/messages", bodies.message),
    ("/anthropic/v1/messages/count_tokens", bodies.counted_message),
    (GEMINI + ":generateContent", bodies.contents),
    (GEMINI + ":streamGenerateContent", bodies.contents),
    (GEMINI + ":streamGenerateContent?alt=sse", bodies.contents),
    (GEMINI + ":countTokens", bodies.counted_contents),
    ("/gemini/v1beta/cachedContents", bodies.cache),
    (BEDROCK + "/converse", bodies.converse),
    (BEDROCK + "/converse-stream", bodies.converse),
    ("/bedrock/model/{claude}/invoke", bodies.claude_invoked),
    ("/bedrock/model/{claude}/invoke-with-response-stream", bodies.claude_invoked),
    ("/bedrock/model/{llama}/invoke", bodies.llama),
    ("/bedrock/model/{llama}/invoke-with-response-stream", bodies.llama),
    ("/bedrock/model/{nova}/invoke", bodies.nova),
    ("/bedrock/model/{nova}/invoke-with-response-stream", bodies.nova),
    (BEDROCK + "/count-tokens", bodies.counted_converse),
]
READS = [
    *[f"/openai/v1/{what}" for what in ("models", "models/{openai}", "files", "files/file-none", "batches", "batches/batch_none")],
    *[f"/anthropic/v1/{what}" for what in ("models", "models/{anthropic}", "messages/batches", "messages/batches/none/results")],
    *[f"/gemini/v1beta/{what}" for what in ("models", "models/{gemini}", "cachedContents", "cachedContents/none", "batches", "batches/none")],
    *["/azure/openai/v1/models", "/compatible/v1/models", "/compatible/health", "/compatible/version", "/course/status", "/", "/nowhere"],
]
LATER = {"seconds": 60}  # after which a batch at no pace has ended


# ---- requests ------------------------------------------------------------------------------------------------
def named(r: Random, path: str) -> str:
    """The path with a model in place of its provider's name: one that there is, or now and then another's."""
    return path.format(**{whose: r.choice(bodies.STRANGERS if r.random() < 0.05 else ids) for whose, ids in bodies.MODELS.items()})


def post(path: str, body: Any) -> Request:
    return Request("POST", path, json.dumps(body).encode())


def question(r: Random) -> Request:
    """A valid question to any model, or to a route that counts or keeps."""
    path, make = r.choice(QUESTIONS)
    return post(named(r, path), make(r))


def spoilt(r: Random, request: Request) -> Request:
    """The request, often with something wrong in its values, its text or its head."""
    luck = r.random()
    if luck < 0.6 and request.body.startswith(b"{"):
        request.body = mutate.written(r, mutate.mutated(r, json.loads(request.body)))
    elif luck < 0.7:
        request.body = mutate.broken(r, request.body)
    return mutate.disturbed(r, request) if 0.55 < luck < 0.85 else request


def read_of(answer: Answer, *names: str) -> str:
    """A text in a JSON answer, such as its id; `none` where there is none."""
    try:
        value = json.loads(answer.body)
        for name in names:
            value = value[name]
        return value if isinstance(value, str) and value.isascii() and value else "none"
    except (ValueError, LookupError, TypeError):
        return "none"


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
    lines = [b"content-length: -1", b"content-length: 5", b"transfer-encoding: gzip, chunked", b"transfer-encoding: chunked", b": x", b"a b: c", b"x: \0", b"x" * 300]
    odd = [whole[:place] + r.randbytes(3) + whole[place:], whole.replace(b"\r\n", b"\r\n" + r.choice(lines) + b"\r\n", 1), whole.replace(b"\r\n", b"\n")]
    odd += [b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3" + r.randbytes(200), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n"]
    odd += [b"GET /" + b"x" * 1_100_000, whole.replace(b"HTTP/1.1", r.choice((b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/9", b"RTSP/1.0")), 1)]
    yield Request("", "", raw=r.choice(odd), patience=0.3)


def large(r: Random) -> Scene:
    """A body of up to some megabytes: one long word, many words, many turns, many tools, a wide schema."""
    path, make = r.choice(QUESTIONS)
    body, size = make(r), r.choice((30_000, 100_000, 300_000, 1_000_000, 3_000_000))
    grown = [" ".join(r.choices(bodies.WORDS, k=size // 5)), "x" * size, "東" * (size // 3), {f"k{n}": {"type": "string"} for n in range(size // 50)}]
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


# ---- what is kept from one request to the next ---------------------------------------------------------------
def conversation(r: Random) -> Scene:
    """Stored responses, each going on from the last."""
    answer, before = Answer(), {}
    for _ in range(r.choice((2, 3, 5))):
        request = post("/openai/v1/responses", {**bodies.response(r), **before})
        answer = yield spoilt(r, request) if r.random() < 0.2 else request
        before = {"previous_response_id": read_of(answer, "id")}


def form(r: Random, name: str, content: bytes) -> Request:
    """An upload as a multipart form, often a little wrong."""
    odd = r.choice(('"a.jsonl"', '"a.jsonl"', '"gr\xf6\xdfe.jsonl"', '"a\\"b"', '""', "a", "\"x\"; filename*=utf-8''%ff", "\"x\"; filename*=koi9''a"))
    purpose = r.choice((b"batch", b"batch", b"batch", b"vision", b"", b"\xff", b"\xe2\x80\xa8"))
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"; filename={odd}\r\nContent-Type: {r.choice(mutate.HEADERS[:4])[1]}\r\n\r\n'
    parts = [b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n' + purpose, head.encode("latin-1" if r.random() < 0.5 else "utf-8") + content]
    request = Request("POST", "/openai/v1/files", b"\r\n".join([*parts, b"--B--\r\n"]))
    request.headers["content-type"] = r.choice(("multipart/form-data; boundary=B", 'multipart/form-data; boundary="B"'))
    return request


def files(r: Random) -> Scene:
    """A file of lines that goes up, becomes a batch, is looked at, and may be cancelled or deleted."""
    endpoint, make = r.choice((("/v1/chat/completions", bodies.chat), ("/v1/responses", bodies.response)))
    model = r.choice(bodies.MODELS["openai"])
    lines = [{"custom_id": f"c{n}", "method": "POST", "url": endpoint, "body": {**make(r), "model": model}} for n in range(r.choice((1, 2, 5)))]
    written = [mutate.written(r, mutate.mutated(r, line) if r.random() < 0.3 else line) for line in lines]
    content = r.choice((b"\n", b"\n", b"\r\n", b"\xe2\x80\xa8")).join(written)
    request = form(r, "file" if r.random() < 0.9 else "data", mutate.broken(r, content) if r.random() < 0.15 else content)
    answer = yield mutate.disturbed(r, request) if r.random() < 0.15 else request
    file = read_of(answer, "id")
    asked = post("/openai/v1/batches", {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"})
    batch = read_of((yield spoilt(r, asked) if r.random() < 0.2 else asked), "id")
    if r.random() < 0.2:
        yield post(f"/openai/v1/batches/{batch}/cancel", {})
    yield post("/course/advance", LATER)
    answer = yield Request("GET", f"/openai/v1/batches/{batch}")
    for name in ("output_file_id", "error_file_id"):
        if (result := read_of(answer, name)) != "none":
            yield Request("GET", f"/openai/v1/files/{result}/content")
            yield Request("DELETE", f"/openai/v1/files/{result}")
    for path in (f"files/{file}", f"files/{file}/content", "files"):
        yield Request("GET", f"/openai/v1/{path}")
    yield Request("DELETE", f"/openai/v1/files/{file}")


def message_batch(r: Random) -> Scene:
    asked = {"requests": [{"custom_id": f"c{n}", "params": bodies.message(r)} for n in range(r.choice((1, 2, 5)))]}
    request = post("/anthropic/v1/messages/batches", asked)
    batch = "/anthropic/v1/messages/batches/" + read_of((yield spoilt(r, request) if r.random() < 0.6 else request), "id")
    if r.random() < 0.2:
        yield post(f"{batch}/cancel", {})
    yield Request("GET", batch)
    yield post("/course/advance", LATER)
    yield Request("GET", f"{batch}/results")
    yield Request("DELETE", batch)


def inline_batch(r: Random) -> Scene:
    requests = [{"request": bodies.contents(r), **bodies.some(r, metadata={"key": "k"})} for _ in range(r.choice((1, 2, 5)))]
    asked = {"batch": {"displayName": "d", "inputConfig": {"requests": {"requests": requests}}}}
    request = post(named(r, GEMINI + ":batchGenerateContent"), asked)
    batch = "/gemini/v1beta/" + read_of((yield spoilt(r, request) if r.random() < 0.6 else request), "name")
    if r.random() < 0.2:
        yield post(f"{batch}:cancel", {})
    yield post("/course/advance", LATER)
    yield Request("GET", batch)
    yield Request("DELETE", batch)


def cached(r: Random) -> Scene:
    """An explicit cache that is made, used, prolonged and deleted."""
    made = post("/gemini/v1beta/cachedContents", {**bodies.cache(r), "model": "models/gemini-2.5-flash"})
    name = read_of((yield made), "name")
    asked = {**bodies.contents(r), "cachedContent": name}
    yield spoilt(r, post("/gemini/v1beta/models/gemini-2.5-flash:" + r.choice(("generateContent", "countTokens")), asked))
    patch = post(f"/gemini/v1beta/{name}", {"ttl": "9s"})
    patch.method = "PATCH"
    yield spoilt(r, patch)
    yield Request("DELETE", f"/gemini/v1beta/{name}")


# ---- the gateway's own controls ------------------------------------------------------------------------------
def clock(r: Random) -> Scene:
    seconds = r.choice((1, 60, 600, 0, -1, None, "", "1e3", "nan", [], 1e308, 10**30, True))
    yield post("/course/advance", r.choice(({"seconds": seconds}, {"seconds": seconds}, {}, {"hours": 1}, [seconds])))


def faults(r: Random) -> Scene:
    """A fault, a few questions that it may strike, and its end."""
    path, make = r.choice(QUESTIONS)
    order: Any = {"kind": r.choice(KINDS), "provider": path.split("/")[1], "times": r.choice((1, 2)), "seconds": 0.01, "chunk": r.choice((0, 1, 3))}
    yield post("/course/faults", mutate.mutated(r, order) if r.random() < 0.3 else order)
    for _ in range(r.choice((1, 2, 3))):
        request = post(named(r, path), make(r))
        request.patience = 0.3
        yield request
    yield Request("DELETE", "/course/faults")


def limits(r: Random) -> Scene:
    """A tight limit, and questions that meet it."""
    path, make = r.choice(QUESTIONS)
    order: Any = {"provider": path.split("/")[1], "family": r.choice(("requests", "tokens", "input-tokens", "output-tokens")), "per_minute": r.choice((1, 2, 100))}
    yield post("/course/limits", mutate.mutated(r, order) if r.random() < 0.3 else order)
    for _ in range(3):
        yield post(named(r, path), make(r))
    yield from unlimited(r)


def unlimited(r: Random) -> Scene:
    """Limits that nobody meets, so that a 429 hides nothing."""
    for provider in bodies.PROVIDERS:
        for family in ("requests", "tokens", "input-tokens", "output-tokens"):
            yield post("/course/limits", {"provider": provider, "family": family, "per_minute": 10**9})


def reset(r: Random) -> Scene:
    yield Request("GET", "/course/log")
    yield Request("POST", "/course/reset")
    yield from unlimited(r)


SHARES = {one: 780, read: 60, left: 30, half: 10, noise: 15, pipelined: 15, conversation: 15, files: 12, message_batch: 12, inline_batch: 12, cached: 12, clock: 8}
SHARES |= {large: 8, faults: 12, limits: 4, reset: 1}
ALONE = (faults, limits, reset)  # while one of these plays, nothing else does


def scene_of(seed: int, number: int) -> tuple[Callable[[Random], Scene], Random]:
    """The scene with a number, and the luck that it plays with."""
    r = Random(f"{seed} {number}")
    return r.choices(list(SHARES), list(SHARES.values()))[0], r
