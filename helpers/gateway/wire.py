"""What the server, the dialects and the sources pass to one another: calls, responses, routes, and what a dialect is."""

from __future__ import annotations

import json
import os
import re
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from json.scanner import py_make_scanner
from math import isfinite
from typing import Any, Protocol

from pydantic_core import to_json

from helpers import models
from helpers.gateway.answer import Answer
from helpers.gateway.batches import Batches, File
from helpers.gateway.clock import Clock
from helpers.gateway.events import Sent
from helpers.gateway.exchange import Provenance, Question, Refusal, Usage
from helpers.gateway.faults import Faults
from helpers.gateway.lazy import lazy
from helpers.gateway.prompt_cache import PromptCache
from helpers.gateway.quotas import Level

Headers = list[tuple[str, str]]


class Services(Protocol):
    """What a dialect may ask of the server around it."""

    clock: Clock
    batches: Batches
    faults: Faults
    prompt_cache: PromptCache
    mode: str  # offline | live | record
    base_url: str

    async def answer(self, question: Question) -> Answer: ...

    async def work(self, size: int, action: Callable[..., Any], *arguments: Any) -> Any:
        """Do something that takes time in proportion to `size` (bytes), beside the event loop where that is much."""


@dataclass
class Call:
    """One HTTP request, as a dialect sees it. Header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    mount: str
    services: Services
    groups: dict[str, str]  # what the path names, of its route

    @property
    def base_url(self) -> str:
        """Where the dialect is, as its client reaches it."""
        return self.services.base_url + self.mount

    @lazy
    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises Refusal("bad_json")."""
        try:
            value = parse_json(self.body)
        except ValueError as error:
            raise Refusal("bad_json", str(error)) from None
        if not isinstance(value, dict):
            raise Refusal("bad_json", "the body is not a JSON object")
        return value

    def with_json(self, body: dict[str, Any]) -> Call:
        """The same call with another body: a line of a batch."""
        other = replace(self, body=b"")
        other.__dict__["json"] = body
        return other


@dataclass
class Response:
    status: int
    headers: Headers
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    when_sent: Callable[[], None] | None = None  # called once the answer has gone, or its client has
    when_left: Callable[[], None] | None = None  # called before that, where its client went first
    said: Callable[[], str] | None = None  # the text of the answer, as far as it is known
    provenance: Provenance | None = None  # of an answer that is no model's, where it has one


class Cut(Exception):
    """Raised by a stream that breaks off: its connection is closed, as the network would."""


Read = Callable[[Call], Question]
Write = Callable[[Question, Answer], bytes]
Handle = Callable[[Call], Response | Awaitable[Response]]  # one that does not wait is no coroutine: a large body is then handled beside the loop


class Begun(Protocol):
    """An answer that was begun and goes on by itself."""

    def body(self) -> bytes:
        """What is known of it now."""

    def stream(self) -> AsyncIterator[bytes]:
        """What it is made of, as it comes."""


@dataclass(frozen=True)
class Route:
    """A method and path. Either `read`, `write` and `stream` (a question to a model), or `handle` (all else)."""

    method: str
    pattern: re.Pattern[str]
    operation: str
    read: Read | None = None
    write: Write | None = None
    stream: Callable[[Question, Answer], AsyncIterator[bytes]] | None = None
    begin: Callable[[Question, Answer, Callable[[], None]], Begun] | None = None  # in the background; the last is called in the end
    handle: Handle | None = None
    weigh: Callable[[Call], int] | None = None  # the bytes of what a call names beside its body, such as a stored conversation
    is_local: bool = False  # a `handle` that answers in live mode, too: what it hands out is no key of the provider's


def route(method: str, pattern: str, operation: str, **actions: Any) -> Route:
    return Route(method, re.compile(pattern + "$"), operation, **actions)


class Dialect:
    """One provider's wire format. Subclasses set the three names and fill in the methods."""

    provider = ""
    mount = ""
    json_type = "application/json"
    stream_type = "text/event-stream; charset=utf-8"
    has_upstream = True  # whether live mode passes its calls on; one that only stands in for a server of the learner's has none
    stops_when_left = True  # whether a model stops, and its bill, when the client of a stream leaves

    def routes(self) -> list[Route]:
        raise NotImplementedError

    def forget(self) -> None:
        """Forget what was kept of earlier calls; most dialects keep nothing."""

    def key(self, call: Call) -> str | None:
        """The API key of a call, or None when there is none."""
        raise NotImplementedError

    def ok(self, body: Any, *more: tuple[str, str]) -> Response:
        """A 200 for what is no question to a model, such as a list of files; with `more` headers."""
        raise NotImplementedError

    def error(self, refusal: Refusal, call: Call) -> Response:
        """A refusal in the provider's own shape, with its status and headers."""
        raise NotImplementedError

    def stream_error(self, refusal: Refusal, content_type: str, *, first: bool) -> bytes:
        """A refusal that arrives inside a stream of this type, which began with 200; `first` where nothing stands before it."""
        raise NotImplementedError

    def stream_end(self, refusal: Refusal, content_type: str, operation: str, gone: Sent) -> bytes:
        """How a stream of an operation, of which something has gone, ends with a refusal."""
        return self.stream_error(refusal, content_type, first=not gone.first)

    def admit(self, call: Call, question: Question) -> None:
        """Raise Refusal for what the provider would refuse of a question, and nobody but the gateway can offline: in live mode this is not asked."""

    def headers(self, call: Call, question: Question, answer: Answer, levels: dict[str, Level]) -> Headers:
        """Headers of a 200 that answers a question to a model; the content type is not among them."""
        raise NotImplementedError

    def content_type(self, question: Question) -> str:
        """The content type of a 200 that answers this question."""
        return self.stream_type if question.stream else self.json_type

    def usage(self, payloads: list[Any]) -> Usage | None:
        """The usage that a real provider's answer states: its JSON body, or the JSON events of its stream."""
        raise NotImplementedError

    def events(self, body: bytes, content_type: str) -> list[Any]:
        """The JSON payloads of an answer, plain or streamed, for `usage`."""
        if "event-stream" not in content_type:
            return [json.loads(body)]
        lines = (line[5:].strip() for line in body.replace(b"\r\n", b"\n").split(b"\n") if line.startswith(b"data:"))
        return [json.loads(line) for line in lines if line and line != b"[DONE]"]

    def batch_file(self, call: Call) -> File | None:
        """The file that a call uploads for a batch; None where it uploads something else, or a part."""
        return None

    def batch_questions(self, call: Call) -> list[tuple[Question, dict[str, Any]]]:
        """The questions in a call that makes a batch, each with its body; none where they are not known. Raises Refusal."""
        return []

    def stated_usage(self, body: bytes, content_type: str) -> Usage | None:
        """The usage that the bytes of an answer state; None where they are not in the provider's format, such as a proxy's page."""
        try:
            return self.usage(self.events(body, content_type))
        except Exception:
            return None

    # ---- shared by the subclasses ----------------------------------------
    def model(self, name: Any, call: Call, param: str = "model", kind: str | None = "chat") -> models.Model:
        """The named model. Raises Refusal for one that is unknown, retired by the course's clock, of another kind (None: any will do), or no string.

        Raises other_models.NotRead where the course does not have it and the other tables have to be read first.
        """
        if not isinstance(name, str):
            raise Refusal("wrong_type", param=param, expected="string", value=name)
        found = self.find(name)
        if found is None:
            raise Refusal("unknown_model", param=param, model=name)
        if found.retires and found.is_retired(call.services.clock.today()):
            raise Refusal("retired_model", param=param, model=name)
        if kind not in (None, found.kind):
            raise Refusal("wrong_kind", param=param, model=name, wanted=kind)
        return found

    def find(self, name: str) -> models.Model | None:
        """The model of this name, of the course's or of another table; None when there is none. Raises other_models.NotRead."""
        return models.find(self.provider, name) or models.elsewhere(self.provider, name)

    def check_length(self, question: Question) -> Question:
        """Raise Refusal("too_long") for a prompt that the model's window does not hold."""
        count = question.prompt_tokens
        if count > question.model.context:
            raise Refusal("too_long", model=question.model.id, tokens=count, maximum=question.model.context, limit=question.limit)
        return question


def model_headers(model: models.Model) -> Headers:
    """A header that no provider sends: whose facts a model's are, where the course did not check them."""
    return [] if model.is_checked else [("x-course-model", f"{model.source}, not checked by the course")]


LETTERS = string.ascii_letters + string.digits


def random_id(prefix: str, length: int, alphabet: str = LETTERS) -> str:
    """An id in a provider's style, such as chatcmpl- and 29 letters and digits."""
    return prefix + os.urandom(length).translate(_places(alphabet)).decode()


@cache
def _places(alphabet: str) -> bytes:
    """For each byte a letter of an alphabet."""
    return bytes(ord(alphabet[byte % len(alphabet)]) for byte in range(256))


def hex_id(prefix: str, length: int) -> str:
    return prefix + os.urandom((length + 1) // 2).hex()[:length]


LONG = 1_000_000  # characters of JSON that are read in some milliseconds
MOST_NESTED = 100  # levels, as Google's parser has it


def parse_json(text: bytes | str) -> Any:
    """JSON as strictly as the providers read it. Raises ValueError for what Python alone would take.

    That is NaN, numbers beyond 64 bits, halves of a surrogate pair, and nesting without end: none of them
    could be written into an answer.
    """
    try:
        text = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    try:
        value = (_strict if len(text) <= LONG else _patient).decode(text)
        if "\\u" in text:
            _check_surrogates(value, len(text))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair in a string") from None
    # What has few brackets cannot be deep; most requests need no closer look.
    if text.count("[") + text.count("{") > MOST_NESTED and _is_deep(value):
        raise ValueError("nested too deeply")
    return value


def _check_surrogates(value: Any, size: int) -> None:
    """Raise UnicodeEncodeError for half of a surrogate pair. Of a large value the JSON is written piece by piece, as above."""
    encoder = json.JSONEncoder(ensure_ascii=False)
    for piece in [encoder.encode(value)] if size <= LONG else encoder.iterencode(value):
        piece.encode()


def _is_deep(value: Any) -> bool:
    """Whether lists and objects stand inside one another more than MOST_NESTED deep."""
    level = [value]
    for _ in range(MOST_NESTED):
        level = [child for item in level if isinstance(item, dict | list) for child in (item.values() if isinstance(item, dict) else item)]
    return bool(level)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON")


def _integer(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise ValueError(f"number out of range: {text[:30]}")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_number(text)


_strict = json.JSONDecoder(parse_constant=_no_number, parse_int=_integer, parse_float=_float)
# The same in Python: slower, but it gives way to the event loop, where the one in C keeps Python's lock until the whole text is read.
_patient = json.JSONDecoder(parse_constant=_no_number, parse_int=_integer, parse_float=_float)
_patient.scan_once = py_make_scanner(_patient)


def compact(value: Any) -> bytes:
    """JSON without spaces, as most providers send it."""
    return to_json(value)


def pretty(value: Any) -> bytes:
    """JSON laid out with two spaces and a last newline, as OpenAI and Google send it."""
    return to_json(value, indent=2) + b"\n"


def own_words(refusal: Refusal) -> str:
    """The gateway's own refusals, which no provider has: what happened and what to do."""
    facts = refusal.facts
    if refusal.kind == "no_recording":
        nearest = f' The nearest recorded prompt is: "{facts["nearest"]}".' if facts.get("nearest") else ""
        return f"The offline gateway runs in strict mode and has no recording for this request to {facts['model']}.{nearest}"
    return refusal.message or f"The gateway refused this request: {refusal.kind}."
