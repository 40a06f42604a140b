"""HTTP as the gateway speaks it: asyncio carries the bytes, httptools (the parser of Node.js) reads them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.client import responses as REASONS
from urllib.parse import parse_qs

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from helpers.gateway.wire import Headers

LARGEST_REQUEST = 210_000_000  # bytes; OpenAI takes batch files of 200 MB
LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


class Request:
    """One whole HTTP request, and the ways to answer it. Header names are in lower case."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.method = ""
        self.target = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        self._keep_alive = self._in_chunks = False

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
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if not self._keep_alive:
            lines.append("Connection: close")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1:
            raise ValueError("a header with a line break")
        return f"{head}\r\n\r\n".encode("latin-1")


class Connection(asyncio.Protocol):
    """A client's connection: its requests one after the other, each answered before the next is looked at."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = HttpRequestParser(self)
        self._coming: Request | None = None  # what is being read
        self._url, self._body, self._room = b"", [], LARGEST_REQUEST
        self._waiting: deque[Request] = deque()  # sent before the answer to the one before
        self._busy = False
        self._may_write = asyncio.Event()
        self._may_write.set()
        self.when_closed: Callable[[], object] | None = None

    # ---- asyncio calls these ---------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        if self.when_closed:
            self.when_closed()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._stay_with_http(data[upgrade.args[0] :])
        except HttpParserError as error:
            self._refuse(413 if self._room < 0 else 400, str(error.__context__ or error))

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
        self._take(len(name) + len(value))
        key, text, headers = name.decode("latin-1").lower(), value.decode("latin-1"), self._coming.headers
        headers[key] = f"{headers[key]},{text}" if key in headers else text

    def on_headers_complete(self) -> None:
        self._coming.target = self._url.decode("latin-1")
        if self._coming.headers.get("expect", "").lower() == "100-continue" and not self._busy:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        self._take(len(piece))
        self._body.append(piece)

    def on_message_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade():
            return
        self._coming.received(parser.get_method().decode(), b"".join(self._body), parser.get_http_version(), parser.should_keep_alive())
        self._waiting.append(self._coming)
        if self._busy:
            self.transport.pause_reading()
        else:
            self._next()

    def _stay_with_http(self, rest: bytes) -> None:
        """A client that offers another protocol, HTTP/2 say, is answered as if it had not."""
        method, asked = self._parser.get_method().decode(), self._coming
        if method == "CONNECT":
            return self._refuse(405, "This gateway is no proxy.")
        lines = [f"{name}: {value}\r\n" for name, value in asked.headers.items() if name not in ("connection", "upgrade")]
        self._parser = HttpRequestParser(self)
        self.data_received(f"{method} {asked.target} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1") + rest)

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise ValueError(f"a request has at most {LARGEST_REQUEST:,} bytes")

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

    def _next(self) -> None:
        if self._waiting:
            self._busy = True
            self._server.then(self._waiting.popleft())

    def _refuse(self, status: int, why: str) -> None:
        """Say what is wrong with bytes that are no request, and hang up."""
        body = f"{why}\n".encode()
        if not self._busy:
            self.transport.write(b"HTTP/1.1 %d %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (status, REASONS[status].encode(), len(body), body))
        self.transport.close()


class Server:
    """Listens on a socket and hands each whole request to `then`."""

    def __init__(self, then: Callable[[Request], None]) -> None:
        self.then = then
        self.connections: set[Connection] = set()
        self._listening: asyncio.Server | None = None

    async def listen(self, listener: socket.socket) -> None:
        """Accept connections from now on."""
        self._listening = await asyncio.get_running_loop().create_server(lambda: Connection(self), sock=listener)

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return [listener.getsockname()[0] for listener in self._listening.sockets] if self._listening else []

    def close(self) -> None:
        """Take no more connections and end those that there are."""
        if self._listening:
            self._listening.close()
        for connection in tuple(self.connections):
            connection.transport.abort()
