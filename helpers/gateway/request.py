"""One HTTP exchange as the handler sees it, whichever version of HTTP carries it: what was asked, and the ways to answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs

from helpers.gateway.lazy import lazy
from helpers.gateway.wire import Headers

LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


@dataclass(slots=True, eq=False)
class Line:
    """A connection that carries one request after the other. Times are by time.monotonic()."""

    number: int  # tells it from others for who reads the log over HTTP
    opened: float
    closed: float | None = None  # None while it is open


class Request(ABC):
    """One whole HTTP request, and the ways to answer it. Header names are in lower case.

    Whatever sends raises ConnectionError when the client has gone.
    """

    method = ""
    target = ""
    headers: dict[str, str]
    body: bytearray  # as it came: to copy it takes a while where it is large
    line: Line | None = None  # on which it came; None where that carries many at once

    # ---- what was asked --------------------------------------------------
    @lazy
    def path(self) -> str:
        """What is asked for, without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query's fields; of one that is given twice, the last, and of a list (`name[]`) all, with commas between them."""
        given = self.target.partition("?")[2]
        if not given:
            return {}
        fields = parse_qs(given, keep_blank_values=True)
        return {name: ",".join(values) if name.endswith("[]") else values[-1] for name, values in fields.items()}

    @property
    def is_from_this_machine(self) -> bool:
        """False for a page in a browser that tries to reach the gateway, by its Origin or a name that is not ours."""
        given = self.headers.get
        return _is_from_this_machine(given("host", ""), given("origin"), given("sec-fetch-site"))

    @abstractmethod
    def when_closed(self, act: Callable[[], object]) -> None:
        """Call `act` should the client go before the answer is finished."""

    # ---- a whole answer --------------------------------------------------
    @abstractmethod
    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer with its length. An answer to HEAD states its length and has no body."""

    @abstractmethod
    async def answer_half(self, status: int, headers: Headers, body: bytes) -> None:
        """Promise a whole answer, send the first half and break off."""

    # ---- an answer piece by piece ----------------------------------------
    @abstractmethod
    async def start(self, status: int, headers: Headers) -> None:
        """Begin an answer whose length is not known."""

    @abstractmethod
    async def write(self, piece: bytes) -> None:
        """Send a piece."""

    @abstractmethod
    async def finish(self) -> None:
        """End an answer that was sent piece by piece."""

    # ---- no answer -------------------------------------------------------
    @abstractmethod
    def close(self) -> None:
        """Break off without another byte, as a server that closes the connection."""

    @abstractmethod
    def reset(self) -> None:
        """Break off as a connection that is reset on its way."""


@lru_cache(maxsize=100)  # a client says the same each time
def _is_from_this_machine(host: str, origin: str | None, site: str | None) -> bool:
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.rsplit(":", 1)[0]
    return name.lower() in LOOPBACK and "," not in host and origin in (None, f"http://{host}") and site in (None, "same-origin", "none")


def joined(lines: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by their names in lower case; the values of one that is given twice are joined."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in lines}
    if len(headers) < len(lines):
        given: dict[str, list[str]] = {}
        for name, value in lines:
            given.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        headers = {name: ",".join(values) for name, values in given.items()}
    return headers
