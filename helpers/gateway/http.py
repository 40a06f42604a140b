"""HTTP as the gateway speaks it: asyncio carries the bytes, httptools (the parser of Node.js) reads them."""

from __future__ import annotations

import asyncio
import errno
import logging
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

from helpers.gateway.lazy import lazy
from helpers.gateway.wire import Headers
from helpers.network import OFFLINE

LARGEST_REQUEST = 210_000_000  # bytes; OpenAI takes batch files of 200 MB
LARGEST_HEAD = 128_000  # bytes; a query of that length is read in some milliseconds
LONG_HEAD = "the head of a request has at most {:,} bytes"
LARGEST_SUM = 1_000_000_000  # bytes of all requests that are being read or answered
PIECE = 64_000  # bytes that are handed to the socket at once, so that a client that does not read holds no more
BACKLOG = 256  # clients that may wait to be let in
MOST_CONNECTIONS = 4096  # or half of the files that this process may open, if that is less
NO_FILE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE = 0.2  # seconds, when no more clients can be let in
MOST_WAITING = 8  # requests of one client that are read before the one before them is answered
LINGER = 2.0  # seconds that a refused client has to stop sending
log = logging.getLogger("helpers.gateway")
LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


class TooLarge(Exception):
    """A request has more bytes than the gateway takes, or than it has room for (503)."""

    def __init__(self, message: str, status: int = 413) -> None:
        super().__init__(message)
        self.status = status


class AskedAsProxy(Exception):
    """A client wants to be connected to another machine."""


class Request:
    """One whole HTTP request, and the ways to answer it. Header names are in lower case."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.method = ""
        self.target = ""
        self.headers: dict[str, str] = {}
        self._body = bytearray()
        self._keep_alive = self._in_chunks = False
        self.has_sent = False  # a piece of an answer

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

    def when_closed(self, act: Callable[[], object]) -> None:
        """Call `act` should the connection close before the answer is finished."""
        self._connection.when_closed = act

    # ---- a whole answer --------------------------------------------------
    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer with its length. An answer to HEAD states its length and has no body."""
        head = self._head(status, [*headers, ("Content-Length", str(len(body)))])
        await self._connection.send(head, b"" if self.method == "HEAD" else body)
        self._connection.finished(self._keep_alive, self.size)

    async def answer_half(self, status: int, headers: Headers, body: bytes) -> None:
        """Promise a whole answer, send the first half and hang up."""
        head = self._head(status, [*headers, ("Content-Length", str(len(body)))])
        await self._connection.send(head, body[: len(body) // 2])
        self.close()

    # ---- an answer piece by piece ----------------------------------------
    async def start(self, status: int, headers: Headers) -> None:
        """Begin an answer whose length is not known."""
        await self._connection.send(self._head(status, [*headers, ("Transfer-Encoding", "chunked")] if self._in_chunks else headers))

    async def write(self, piece: bytes) -> None:
        """Send a piece. Raises ConnectionError when the client has gone."""
        if piece:  # an empty chunk would be the end
            self.has_sent = True
            before, after = (b"%x\r\n" % len(piece), b"\r\n") if self._in_chunks else (b"", b"")
            await self._connection.send(before, piece, after)

    async def finish(self) -> None:
        """End an answer that was sent piece by piece."""
        if self._in_chunks:
            await self._connection.send(b"0\r\n\r\n")
        self._connection.finished(self._keep_alive, self.size)

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

    def received(self, method: str, body: bytearray, version: str, keep_alive: bool) -> None:
        """The request is whole. HTTP/1.0 knows no chunks: there, the end of the connection is the end of an answer."""
        self.method, self._body, self._in_chunks = method, body, version != "1.0"
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
        self._in_head, self._is_reading, self._unended = True, False, 0  # bytes of a head that goes on
        self._url, self._headers = bytearray(), []
        self._body, self._held = bytearray(), 0
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
        # asyncio leaves it out for a listener made without a protocol's number; without it the second piece of an answer waits 40 ms.
        client = transport.get_extra_info("socket")
        with suppress(OSError):  # it may have gone by now
            if client is not None:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.connections[self] = None

    def data_received(self, data: bytes) -> None:
        try:
            while data and not self._garbled:
                data = self._read(data)
        except HttpParserCallbackError as error:
            if not isinstance(error.__context__, TooLarge):
                raise  # a defect of ours: asyncio logs it and hangs up
            self._hear_no_more(error.__context__.status, str(error.__context__))
        except AskedAsProxy:
            self._hear_no_more(403, OFFLINE)
        except HttpParserError as error:
            self._hear_no_more(400, str(error))

    def eof_received(self) -> None:
        self._left()  # a client that has gone and one that only says no more look the same

    def connection_lost(self, error: Exception | None) -> None:
        self._server.gone(self)
        self._release(self._held)
        self._left()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    # ---- the parser calls these ------------------------------------------
    def on_message_begin(self) -> None:
        self._coming, self._is_reading = Request(self), True
        self._url, self._headers, self._body = bytearray(), [], bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what comes after a body does not count
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._head_size() > LARGEST_HEAD:
            raise TooLarge(LONG_HEAD.format(LARGEST_HEAD), 400)
        self._coming.headers = headers = _joined(self._headers)
        self._coming.target = self._url.decode("latin-1")
        if headers.get("expect", "").lower() == "100-continue" and not self._busy:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        if len(self._body) + len(piece) > LARGEST_REQUEST:
            raise TooLarge(f"a request has at most {LARGEST_REQUEST:,} bytes")
        if self._server.held + len(piece) > LARGEST_SUM:
            raise TooLarge(f"all requests at once have at most {LARGEST_SUM:,} bytes: send fewer large ones at a time", 503)
        self._release(-len(piece))
        self._body += piece

    def on_message_complete(self) -> None:
        self._in_head, self._is_reading = True, False
        parser, request = self._parser, self._coming
        if parser.should_upgrade():
            return
        request.received(parser.get_method().decode(), self._body, parser.get_http_version(), parser.should_keep_alive())
        self._body = bytearray()
        self._in_turn(partial(self._server.then, request))

    def _head_size(self) -> int:
        """Bytes of the head, as far as it was read."""
        return len(self._url) + sum([len(name) + len(value) + 4 for name, value in self._headers])

    # ---- reading ---------------------------------------------------------
    def _read(self, data: bytes) -> bytes:
        """Read bytes; returns those that are still to be read. Raises HttpParserError for what is no request."""
        began = self._coming
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            return self._without_upgrade() + data[upgrade.args[0] :]
        if self._in_head and self._is_reading:
            self._unended = self._unended + len(data) if self._coming is began else self._head_size()
            if self._unended > LARGEST_HEAD:
                raise HttpParserError(LONG_HEAD.format(LARGEST_HEAD))
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
    async def send(self, *parts: bytes) -> None:
        """Send bytes, and wait while the client is slow to read. Raises ConnectionError when it has gone."""
        if sum(map(len, parts)) <= PIECE:
            return await self._send(b"".join(parts))
        for part in map(memoryview, parts):
            for start in range(0, len(part), PIECE):
                await self._send(part[start : start + PIECE])

    async def _send(self, data: bytes | memoryview) -> None:
        if self.transport.is_closing():
            raise ConnectionResetError("the client went away")
        self.transport.write(data)
        if not self._may_write.is_set():
            await self._may_write.wait()

    def finished(self, keep_alive: bool, size: int) -> None:
        """The answer to a request of `size` bytes is sent: the next one's turn, or the end."""
        self._busy, self.when_closed = False, None
        self._release(size)
        self._server.rested(self)
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

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being read or answered, so that nobody misses it."""
        return not self._busy and not self._waiting and not self._is_reading

    def _release(self, size: int) -> None:
        """Give back bytes that requests held; below 0, take them."""
        self._held -= size
        self._server.held -= size

    def _left(self) -> None:
        act, self.when_closed = self.when_closed, None
        if act:
            act()


class Server:
    """Listens on a socket and hands each whole request to `then`."""

    def __init__(self, then: Callable[[Request], None]) -> None:
        self.then = then
        self.connections: dict[Connection, None] = {}  # the one that was used last comes last
        self.held = 0  # bytes of the requests that are being read or answered
        self.is_closed = False
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._room = asyncio.Event()  # is set when a connection ends or has nothing to do

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return [self._listener.getsockname()[0]] if self._listener else []

    async def listen(self, listener: socket.socket) -> None:
        """Accept connections from now on."""
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._listener = listener
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listener))

    async def _accept(self, listener: socket.socket) -> None:
        """Let clients in one by one. Where no more can be, they wait; asyncio's own loop would log each of them, over and over."""
        loop, most, full = asyncio.get_running_loop(), _most_connections(), False
        while True:
            await self._make_room(most)
            try:
                client, _ = await loop.sock_accept(listener)
                await loop.connect_accepted_socket(lambda: Connection(self), client)
                full = False
            except OSError as error:
                if error.errno in NO_FILE_LEFT and not full:
                    log.warning("the gateway lets nobody in for the moment: %s", error)
                full = error.errno in NO_FILE_LEFT
                await asyncio.sleep(PAUSE if full else 0)

    async def _make_room(self, most: int) -> None:
        """Return when another connection can be taken. One that has nothing to do makes room for it: its client opens another."""
        while len(self.connections) >= most:
            idle = next((connection for connection in self.connections if connection.is_idle), None)
            if idle is None:
                self._room.clear()
                await self._room.wait()
            else:
                del self.connections[idle]
                idle.transport.close()

    def rested(self, connection: Connection) -> None:
        """A connection has answered what it was asked."""
        if connection in self.connections:
            del self.connections[connection]
            self.connections[connection] = None
        self._room.set()

    def gone(self, connection: Connection) -> None:
        """A connection has ended."""
        self.connections.pop(connection, None)
        self._room.set()

    def let_go(self) -> None:
        """In a forked process: let go of the sockets, so that each closes when the process that uses it closes it."""
        listening = [self._listener] if self._listener else []
        sockets = [*listening, *(connection.transport.get_extra_info("socket") for connection in self.connections)]
        with open(os.devnull) as nothing:
            for number in (held.fileno() for held in sockets):
                if number >= 0:  # its objects stay as they are: what they close at their end is the null device
                    os.dup2(nothing.fileno(), number, inheritable=False)

    async def close(self) -> None:
        """Take no more connections and end those that there are."""
        self.is_closed = True
        if self._accepting:
            self._accepting.cancel()
        if self._listener:
            self._listener.close()
        for connection in tuple(self.connections):
            connection.transport.abort()
        while self.connections:
            await asyncio.sleep(0)


def _most_connections() -> int:
    """How many connections are taken at once: in a notebook the gateway shares its kernel's descriptors."""
    try:
        import resource
    except ImportError:  # Windows
        return MOST_CONNECTIONS
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else max(1, min(MOST_CONNECTIONS, files // 2))


def _joined(lines: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by their names in lower case; the values of one that is given twice are joined."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in lines}
    if len(headers) < len(lines):
        given: dict[str, list[str]] = {}
        for name, value in lines:
            given.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        headers = {name: ",".join(values) for name, values in given.items()}
    return headers


def _lines(first: str, headers: Headers) -> bytes:
    """The head of a request or an answer. Raises ValueError for a line break inside a line."""
    lines = [first, *[f"{name}: {value}" for name, value in headers]]
    head = "\r\n".join(lines)
    if head.count("\n") + head.count("\r") != 2 * (len(lines) - 1):
        raise ValueError("a header with a line break")
    return f"{head}\r\n\r\n".encode("latin-1")
