"""One HTTP exchange as the handler sees it, whichever version of HTTP carries it: what was asked, and the ways to answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from urllib.parse import parse_qs

from helpers.gateway.lazy import lazy
from helpers.gateway.wire import Headers

LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


class Request(ABC):
    """One whole HTTP request, and the ways to answer it. Header names are in lower case.

    Whatever sends raises ConnectionError when the client has gone.
    """

    def __init__(self) -> None:
        self.method = ""
        self.target = ""
        self.headers: dict[str, str] = {}
        self._body = bytearray()

    # ---- what was asked --------------------------------------------------
    @lazy
    def path(self) -> str:
        """What is asked for, without the query."""
        return self.target.partition("?")[0]

    @property
    def size(self) -> int:
        """The bytes of the body."""
        return len(self._body)

    @lazy
    def body(self) -> bytes:
        """The body, which is copied: that takes a while where it is large."""
        return bytes(self._body)

    @property
    def query(self) -> dict[str, str]:
        """The query's fields; of one that is given twice, the last, and of a list (`name[]`) all, with commas between them."""
        given = self.target.partition("?")[2]
        fields = parse_qs(given, keep_blank_values=True) if given else {}
        return {name: ",".join(values) if name.endswith("[]") else values[-1] for name, values in fields.items()}

    @property
    def is_from_this_machine(self) -> bool:
        """False for a page in a browser that tries to reach the gateway, by its Origin or a name that is not ours."""
        host = self.headers.get("host", "")
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.rsplit(":", 1)[0]
        own_page = self.headers.get("origin") in (None, f"http://{host}")
        return name.lower() in LOOPBACK and "," not in host and own_page and self.headers.get("sec-fetch-site") in (None, "same-origin", "none")

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


def joined(lines: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by their names in lower case; the values of one that is given twice are joined."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in lines}
    if len(headers) < len(lines):
        given: dict[str, list[str]] = {}
        for name, value in lines:
            given.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        headers = {name: ",".join(values) for name, values in given.items()}
    return headers
