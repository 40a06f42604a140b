"""What can go wrong with a valid request: its values, its text, its head, and the way that its bytes arrive."""

import json
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

from tests.gateway.fuzz.wire import Request

ODD: list[Any] = [None, True, False, 0, -1, 1, 7, 0.5, -0.0, 2**31, 2**63, -(2**63), 2**64, 10**30, 1e308, 5e-324]
ODD += [float("nan"), float("-inf"), "", " ", "x", "null", "\ud800", "\udfff\ud800", "\0", "a\r\nb", "\u2028\u2029\x85\ufeff", "🙂" * 50]
ODD += ["../..", "9999-12-31T23:59:59Z", "1e999s", "$&%{}[]", "data:;base64,", "http://[::1", "gpt-4o", "claude-haiku-5-5"]
ODD += ["text", "image", "assistant", "system", "tool", "function", "none", "auto", "max"]
ODD += [[], {}, [None], [[]], [{}], {"": None}, {"type": "text"}, {"type": "text", "text": None}, {"type": "object"}, {"$ref": "#"}]
ODD += [{"role": "user"}, [1, "a", {}]]
SPLINTERS = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0", b'"', b",", b"}", b"\xe2\x80\xa8", b"NaN", b"1e999"]
NAMES = ["type", "text", "role", "content", "thinking", "tools", "model", "stream", "cache_control", "fileData", "metadata", "$defs", "ä", ""]
METHODS = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "POST", "TRACE", "PROPFIND"]
QUERIES = ["?", "?alt=sse", "?alt=json", "?key=", "?api-version=", "?a=%ff&a=%00", "?limit=-1&after=x", "?%zz", "?" + "a=b&" * 300, "#x"]
PATHS = ["/", "//", "/../", "/%2e%2e/", "/%00", "/ä", "/v1/", "/.well-known", ":", ":generateContent", "/cancel", "/content", "/%E2%80%A8"]
PATHS += ["/" + "x" * 5000]
CONTENT_TYPES = ["", "text/plain", "application/json; charset=utf-16", "multipart/form-data", "multipart/form-data; boundary=", "a/b; c=\xe9"]
KEYS = ["", "Bearer", "Bearer invalid", "Basic Og==", "Bearer \xff", "AWS4-HMAC-SHA256 Credential=AKIA/20261123/us-east-1/bedrock"]
HEADERS: list[tuple[str, str]] = [
    *[("content-type", kind) for kind in CONTENT_TYPES],
    *[("authorization", key) for key in KEYS],
    *[("anthropic-version", version) for version in ("", "2026-10-21", "2023-01-01", "\xb2023")],
    *[("host", name) for name in ("", "example.org", "[::1", "127.0.0.1:x", "localhost,localhost")],
    *[("connection", "close"), ("connection", "upgrade"), ("upgrade", "h2c"), ("expect", "100-continue"), ("origin", "http://example.org")],
    *[("anthropic-beta", "structured-outputs-2025-11-13"), ("content-encoding", "gzip"), ("accept", "text/event-stream")],
    *[("range", "bytes=0-1"), ("x-long", "y" * 9000), ("cookie", "\x80=;;"), ("x-amz-date", "never"), ("content-md5", "?")],
]


# ---- values --------------------------------------------------------------------------------------------------
def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place inside a value, as what holds it and its name or index there."""
    for name in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, name
        yield from places(value[name])


def odd(r: Random) -> Any:
    """An odd value: one of the list, or one that is long, wide or deep."""
    if r.random() < 0.9:
        return deepcopy(r.choice(ODD))
    size = r.choice((50, 99, 100, 101, 200))
    nested: Any = r.choice(ODD[:20])
    for _ in range(size):
        nested = [nested] if r.random() < 0.5 else {"a": nested}
    return r.choice((nested, ["a"] * size, {str(n): n for n in range(size)}, "b" * size**2, "word " * size, [{}] * size * 10))


def mutated(r: Random, body: Any) -> Any:
    """The body after one to three mishaps."""
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        found = list(places(body))
        if not found:
            return odd(r)
        (owner, name), (other, its_name) = r.choice(found), r.choice(found)
        match r.choice(("retype", "retype", "retype", "drop", "list", "object", "double", "add", "copy", "rename")):
            case "retype":
                owner[name] = odd(r)
            case "drop":
                del owner[name]
            case "list":
                owner[name] = [owner[name]]
            case "object":
                owner[name] = {r.choice(NAMES): owner[name]}
            case "double":
                owner[name] = [owner[name], deepcopy(owner[name])]
            case "copy":
                owner[name] = deepcopy(other[its_name])
            case "rename" if isinstance(owner, dict):
                owner[r.choice(NAMES)] = owner.pop(name)
            case _ if isinstance(owner, dict):
                owner[r.choice(NAMES)] = odd(r)
            case _:
                owner.append(odd(r))
    return body


# ---- text ----------------------------------------------------------------------------------------------------
def written(r: Random, body: Any) -> bytes:
    """The body as JSON, in one of the ways to write it."""
    try:
        return json.dumps(body, ensure_ascii=r.random() < 0.7).encode()
    except UnicodeEncodeError:  # half of a surrogate pair can only be written as an escape
        return json.dumps(body).encode()


def broken(r: Random, body: bytes) -> bytes:
    """Bytes that were JSON, or still are by an inch."""
    place = r.randrange(len(body) + 1)
    match r.randrange(9):
        case 0:
            return body[:place]
        case 1:
            return body[:place] + r.choice(SPLINTERS) + body[place:]
        case 2:
            return b"\xef\xbb\xbf" + body
        case 3:
            return body.decode(errors="replace").encode(r.choice(("utf-16", "utf-32-le", "latin-1")), "replace")
        case 4:
            return body.replace(b"{", b'{"model": 1, "model": "house", ', 1)
        case 5:
            return r.choice((b"[" * 50_000, b'{"a":' * 50_000, b"[]", b"null", b"1" * 5000, b'"a"', b"", b" ", b"-", b"{} {}"))
        case 6:
            return body + r.choice((b"}", b"\n\n", b"\0", body))
        case 7:
            return body.replace(b":", r.choice((b"=", b"::", b" : ", b":\t")))
        case _:
            return r.randbytes(r.choice((1, 10, 1000)))


# ---- the request ---------------------------------------------------------------------------------------------
def disturbed(r: Random, request: Request) -> Request:
    """The request with an odd head, or on an odd way."""
    match r.randrange(8):
        case 0:
            request.method = r.choice(METHODS)
        case 1:
            request.path += r.choice(QUERIES)
        case 2:
            place = r.randint(1, len(request.path))
            request.path = request.path[:place] + r.choice(PATHS) + request.path[place if r.random() < 0.5 else len(request.path) :]
        case 3 | 4:
            request.headers |= dict(r.choices(HEADERS, k=r.choice((1, 1, 2))))
        case 5:
            request.headers.pop(r.choice(list(request.headers)))
        case 6:
            request.chunk = r.choice((1, 7, 100, 5000)) if len(request.body) < 50_000 else 5000
        case _:
            request.pieces = r.randint(2, 5)
    return request
