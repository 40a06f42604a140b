"""HTTP as the gateway speaks it: asyncio carries the bytes, httptools (the parser of Node.js) reads them."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import responses as REASONS
from urllib.parse import parse_qs

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from helpers.gateway.wire import Headers
from helpers.network import OFFLINE

LARGEST_REQUEST = 210_000_000  # bytes; OpenAI takes batch files of 200 MB
LARGEST_HEAD = 1_000_000  # bytes
BACKLOG = 256  # clients that may wait to be let in
MOST_WAITING = 8  # requests of one client that are read before the one before them is answered
LINGER = 2.0  # seconds that a refused client has to stop sending
LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


class TooLarge(Exception):
    """A request has more bytes than the gateway takes."""


class AskedAsProxy(Exception):
    """A client wants to be connected to another machine."""


class Request:
    """One whole HTTP request, and the ways to answer it. Header names are in lower case."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.method = ""
        self.target = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        self._keep_alive = self._in_chunks = False
        self.has_sent = False  # a piece of an answer

    # ---- what was asked --------------------------------------------------
    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query's fields; of one that is given twice, the last."""
        fields = parse_qs(self.target.partition("?")[2], keep_blank_values=True)
        return {name: values[-1] for name, values in fields.items()}

    @property
    def is_from_this_machine(self) -> bool:
        """False for a page in a browser that tries to reach the gateway, by its Origin or a name that is not ours."""
        host = self.headers.get("host", "")
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.rsplit(":", 1)[0]
        own_page = self.headers.get("origin") in (None, f"http://{host}")
        return name.lower() in LOOPBACK and "," not in host and own_page and self.headers.get("sec-fetch-site") in (None, "same-origin", "none")

    def when_closed(self, act: Callable[[], object]) -> None:
        """Call `act` should the connection close before the answer is finished."""
        self._connection.when_closed = act

    # ---- a whole answer --------------------------------------------------
    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer with its length. An answer to HEAD states its length and has no body."""
        head = self._head(status, [*headers, ("Content-Length", str(len(body)))])
        await self._connection.send(head if self.method == "HEAD" else head + body)
        self._connection.finished(self._keep_alive)

    async def answer_half(self, status: int, headers: Headers, body: bytes) -> None:
        """Promise a whole answer, send the first half and hang up."""
        head = self._head(status, [*headers, ("Content-Length", str(len(body)))])
        await self._connection.send(head + body[: len(body) // 2])
        self.close()

    # ---- an answer piece by piece ----------------------------------------
    async def start(self, status: int, headers: Headers) -> None:
        """Begin an answer whose length is not known."""
        await self._connection.send(self._head(status, [*headers, ("Transfer-Encoding", "chunked")] if self._in_chunks else headers))

    async def write(self, piece: bytes) -> None:
        """Send a piece. Raises ConnectionError when the client has gone."""
        if piece:  # an empty chunk would be the end
            self.has_sent = True
            await self._connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if self._in_chunks else piece)

    async def finish(self) -> None:
        """End an answer that was sent piece by piece."""
        if self._in_chunks:
            await self._connection.send(b"0\r\n\r\n")
        self._connection.finished(self._keep_alive)

    # ---- no answer -------------------------------------------------------
    def close(self) -> None:
        """Close the connection without another byte."""
        self._connection.transport.close()

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        with suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self._connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._connection.transport.abort()

    def received(self, method: str, body: bytes, version: str, keep_alive: bool) -> None:
        """The request is whole. HTTP/1.0 knows no chunks: there, the end of the connection is the end of an answer."""
        self.method, self.body, self._in_chunks = method, body, version != "1.0"
        self._keep_alive = keep_alive and self._in_chunks

    def _head(self, status: int, headers: Headers) -> bytes:
        last = [] if self._keep_alive else [("Connection", "close")]
        return _lines(f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}", [*headers, *last])


class Connection(asyncio.Protocol):
    """A client's connection: its requests one after the other, each answered before the next is begun."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = HttpRequestParser(self)
        self._coming = Request(self)  # what is being read
        self._in_head, self._head_size = True, 0
        self._url, self._body, self._room = b"", [], LARGEST_REQUEST
        self._waiting: deque[Callable[[], None]] = deque()  # what came before the answer to the request before it
        self._busy = self._garbled = False
        self._may_write = asyncio.Event()
        self._may_write.set()
        self.when_closed: Callable[[], object] | None = None

    # ---- asyncio calls these ---------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        if self._server.is_closed:  # it was let in just before
            return transport.abort()
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            while data and not self._garbled:
                data = self._read(data)
        except HttpParserCallbackError as error:
            if not isinstance(error.__context__, TooLarge):
                raise  # a defect of ours: asyncio logs it and hangs up
            self._hear_no_more(413, str(error.__context__))
        except AskedAsProxy:
            self._hear_no_more(403, OFFLINE)
        except HttpParserError as error:
            self._hear_no_more(400, str(error))

    def eof_received(self) -> None:
        self._left()  # a client that has gone and one that only says no more look the same

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        self._left()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    # ---- the parser calls these ------------------------------------------
    def on_message_begin(self) -> None:
        self._coming = Request(self)
        self._url, self._body, self._room = b"", [], LARGEST_REQUEST

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # after the body: nothing that counts here
        key, text, headers = name.decode("latin-1").lower(), value.decode("latin-1"), self._coming.headers
        headers[key] = f"{headers[key]},{text}" if key in headers else text

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._coming.target = self._url.decode("latin-1")
        if self._coming.headers.get("expect", "").lower() == "100-continue" and not self._busy:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        self._room -= len(piece)
        if self._room < 0:
            raise TooLarge(f"a request has at most {LARGEST_REQUEST:,} bytes")
        self._body.append(piece)

    def on_message_complete(self) -> None:
        self._in_head, self._head_size = True, 0
        parser, request = self._parser, self._coming
        if parser.should_upgrade():
            return
        request.received(parser.get_method().decode(), b"".join(self._body), parser.get_http_version(), parser.should_keep_alive())
        self._body = []
        self._in_turn(partial(self._server.then, request))

    # ---- reading ---------------------------------------------------------
    def _read(self, data: bytes) -> bytes:
        """Read bytes; returns those that are still to be read. Raises HttpParserError for what is no request."""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            return self._without_upgrade() + data[upgrade.args[0] :]
        self._head_size = self._head_size + len(data) if self._in_head else 0
        if self._head_size > LARGEST_HEAD:
            raise HttpParserError(f"the head of a request has at most {LARGEST_HEAD:,} bytes")
        return b""

    def _without_upgrade(self) -> bytes:
        """The head again, for a client that offers another protocol, HTTP/2 say: it is answered as if it had not."""
        method, version, asked = self._parser.get_method().decode(), self._parser.get_http_version(), self._coming
        if method == "CONNECT":
            raise AskedAsProxy
        kept = {name: value for name, value in asked.headers.items() if name not in ("connection", "upgrade", "expect")}
        if "close" in asked.headers.get("connection", "").lower():
            kept["connection"] = "close"
        self._parser = HttpRequestParser(self)
        return _lines(f"{method} {asked.target} HTTP/{version}", list(kept.items()))

    def _hear_no_more(self, status: int, why: str) -> None:
        """What came is no request. Those before it are answered first."""
        self._garbled = True
        self._in_turn(partial(self._refuse, status, why))

    # ---- answers ---------------------------------------------------------
    async def send(self, data: bytes) -> None:
        """Send bytes, and wait while the client is slow to read. Raises ConnectionError when it has gone."""
        if self.transport.is_closing():
            raise ConnectionResetError("the client went away")
        self.transport.write(data)
        if not self._may_write.is_set():
            await self._may_write.wait()

    def finished(self, keep_alive: bool) -> None:
        """The answer is sent: the next request's turn, or the end."""
        self._busy, self.when_closed = False, None
        if not keep_alive:
            return self.transport.close()
        self.transport.resume_reading()
        self._next()

    def _in_turn(self, act: Callable[[], None]) -> None:
        self._waiting.append(act)
        if not self._busy:
            self._next()
        elif len(self._waiting) >= MOST_WAITING:
            self.transport.pause_reading()

    def _next(self) -> None:
        if self._waiting and not self.transport.is_closing():
            self._busy = True
            self._waiting.popleft()()

    def _refuse(self, status: int, why: str) -> None:
        """Say what is wrong with bytes that are no request, and hang up."""
        body = f"{why}\n".encode()
        reason = why if status == 403 else REASONS[status]  # of a proxy's answer, clients show nothing else
        head = _lines(f"HTTP/1.1 {status} {reason}", [("Connection", "close"), ("Content-Length", str(len(body)))])
        self.transport.write(head + body)
        with suppress(OSError):  # the client may have gone by now
            self.transport.write_eof()  # and go on reading: to close on a client that still sends would reset what it has not read yet
        asyncio.get_running_loop().call_later(LINGER, self.transport.close)

    def _left(self) -> None:
        act, self.when_closed = self.when_closed, None
        if act:
            act()


class Server:
    """Listens on a socket and hands each whole request to `then`."""

    def __init__(self, then: Callable[[Request], None]) -> None:
        self.then = then
        self.connections: set[Connection] = set()
        self.is_closed = False
        self._listening: asyncio.Server | None = None

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return [listener.getsockname()[0] for listener in self._listening.sockets] if self._listening else []

    async def listen(self, listener: socket.socket) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Connection(self), sock=listener, backlog=BACKLOG)

    def let_go(self) -> None:
        """In a forked process: let go of the sockets, so that each closes when the process that uses it closes it."""
        listening = self._listening.sockets if self._listening else ()
        sockets = [*listening, *(connection.transport.get_extra_info("socket") for connection in self.connections)]
        with open(os.devnull) as nothing:
            for number in (held.fileno() for held in sockets):
                if number >= 0:  # its objects stay as they are: what they close at their end is the null device
                    os.dup2(nothing.fileno(), number, inheritable=False)

    async def close(self) -> None:
        """Take no more connections and end those that there are."""
        self.is_closed = True
        if self._listening:
            self._listening.close()
        for connection in tuple(self.connections):
            connection.transport.abort()
        while self.connections:
            await asyncio.sleep(0)


def _lines(first: str, headers: Headers) -> bytes:
    """The head of a request or an answer. Raises ValueError for a line break inside a line."""
    lines = [first, *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join(lines)
    if head.count("\n") + head.count("\r") != 2 * (len(lines) - 1):
        raise ValueError("a header with a line break")
    return f"{head}\r\n\r\n".encode("latin-1")
