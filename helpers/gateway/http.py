"""HTTP/1.1: asyncio carries the bytes, httptools (the parser of Node.js) reads them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import responses as REASONS

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from helpers.gateway import connections
from helpers.gateway.connections import LONG_HEAD, PIECE, Connections, TooLarge
from helpers.gateway.request import Line, Request, joined
from helpers.gateway.wire import Headers
from helpers.network import OFFLINE

MOST_WAITING = 8  # requests of one client that are read before the one before them is answered
_numbers = itertools.count(1)  # of connections


class AskedAsProxy(Exception):
    """A client wants to be connected to another machine."""


class Http1Request(Request):
    """A request whose answer follows it on the connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self.line = connection, connection.line
        self._keep_alive = self._in_chunks = False

    def when_closed(self, act: Callable[[], object]) -> None:
        self._connection.when_closed = act

    # ---- a whole answer --------------------------------------------------
    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        head = self._head(status, [*headers, ("Content-Length", str(len(body)))])
        await self._connection.send_last(head, b"" if self.method == "HEAD" else body)
        self._connection.finished(self._keep_alive, len(self.body))

    async def answer_half(self, status: int, headers: Headers, body: bytes) -> None:
        head = self._head(status, [*headers, ("Content-Length", str(len(body)))])
        await self._connection.send(head, body[: len(body) // 2])
        self.close()

    # ---- an answer piece by piece ----------------------------------------
    async def start(self, status: int, headers: Headers) -> None:
        await self._connection.send(self._head(status, [*headers, ("Transfer-Encoding", "chunked")] if self._in_chunks else headers))

    async def write(self, piece: bytes) -> None:
        if piece:  # an empty chunk would be the end
            if not self._in_chunks:
                await self._connection.send(piece)
            elif len(piece) <= PIECE:
                await self._connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            else:  # which is not copied
                await self._connection.send(b"%x\r\n" % len(piece), piece, b"\r\n")

    async def finish(self) -> None:
        await self._connection.send_last(b"0\r\n\r\n" if self._in_chunks else b"")
        self._connection.finished(self._keep_alive, len(self.body))

    # ---- no answer -------------------------------------------------------
    def close(self) -> None:
        self._connection.flush()
        self._connection.transport.close()

    def reset(self) -> None:
        connections.reset(self._connection.transport)

    def received(self, method: str, body: bytearray, version: str, keep_alive: bool) -> None:
        """The request is whole. HTTP/1.0 knows no chunks: there, the end of the connection is the end of an answer."""
        self.method, self.body, self._in_chunks = method, body, version != "1.0"
        self._keep_alive = keep_alive and self._in_chunks

    def _head(self, status: int, headers: Headers) -> bytes:
        if not self._keep_alive:
            headers = [*headers, ("Connection", "close")]
        return _lines(f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}", headers)


class Connection(asyncio.Protocol):
    """A client's connection: its requests one after the other, each answered before the next is begun."""

    transport: asyncio.Transport

    def __init__(self, server: Connections) -> None:
        self._server, self.line = server, Line(next(_numbers), time.monotonic())
        self._parser = HttpRequestParser(self)
        self._coming = Http1Request(self)  # what is being read
        self._in_head, self._is_reading, self._unended = True, False, 0  # bytes of a head that goes on
        self._url, self._headers = bytearray(), []
        self._body, self._held = bytearray(), 0
        self._waiting: deque[Callable[[], None]] = deque()  # what came before the answer to the request before it
        self._busy = self._garbled = False
        self._unsent: list[bytes] = []
        self._unsent_size = 0
        self._flushes: asyncio.Handle | None = None  # when nothing more is due at this moment
        self._is_slow, self._may_write = False, asyncio.Event()  # whether its client does not read what was sent, and when it does
        self.when_closed: Callable[[], object] | None = None

    # ---- asyncio calls these ---------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._server.come(self)

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
        self._is_slow = True
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._is_slow = False
        self._may_write.set()

    # ---- the parser calls these ------------------------------------------
    def on_message_begin(self) -> None:
        self._coming, self._is_reading = Http1Request(self), True
        self._url, self._headers, self._body = bytearray(), [], bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what comes after a body does not count
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._head_size() > connections.LARGEST_HEAD:
            raise TooLarge(LONG_HEAD.format(connections.LARGEST_HEAD), 400)
        self._coming.headers = headers = joined(self._headers)
        self._coming.target = self._url.decode("latin-1")
        if headers.get("expect", "").lower() == "100-continue" and not self._busy:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        self._server.check(len(self._body), len(piece))
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
            if self._unended > connections.LARGEST_HEAD:
                raise HttpParserError(LONG_HEAD.format(connections.LARGEST_HEAD))
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
        """Send bytes, and wait while the client is slow to read. Raises ConnectionError when it has gone.

        What is due at the same moment goes out in one piece: a call to the system, and a client that wakes up, cost more than all else.
        """
        if self.transport.is_closing():
            raise ConnectionResetError("the client went away")
        if not self._flushes:
            self._flushes = asyncio.get_running_loop().call_soon(self.flush)
        self._unsent += parts
        for part in parts:
            self._unsent_size += len(part)
        if self._unsent_size > PIECE:
            await self._send_all()
        elif self._is_slow:
            await self._may_write.wait()

    async def send_last(self, *parts: bytes) -> None:
        """Send the end of an answer, after which nothing is due."""
        if self.transport.is_closing() or self._unsent_size + sum(map(len, parts)) > PIECE:
            return await self.send(*parts)
        if self._unsent:
            self._unsent += parts
            self.flush()
        else:
            self.transport.write(b"".join(parts))
        if self._is_slow:
            await self._may_write.wait()

    async def _send_all(self) -> None:
        """Send much, a piece at a time."""
        for part in map(memoryview, self._taken()):
            for start in range(0, len(part), PIECE):
                if self.transport.is_closing():
                    raise ConnectionResetError("the client went away")
                self.transport.write(part[start : start + PIECE])
                if self._is_slow:
                    await self._may_write.wait()

    def flush(self) -> None:
        """Hand to the socket what is due."""
        data = b"".join(self._taken())
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def _taken(self) -> list[bytes]:
        """What is due, which is no longer."""
        if self._flushes:
            self._flushes.cancel()
        due, self._unsent, self._unsent_size, self._flushes = self._unsent, [], 0, None
        return due

    def finished(self, keep_alive: bool, size: int) -> None:
        """The answer to a request of `size` bytes is sent: the next one's turn, or the end."""
        self._busy, self.when_closed = False, None
        self._release(size)
        self._server.rested(self)
        if not keep_alive:
            return self.transport.close()
        if self._waiting:
            self.transport.resume_reading()
            self._begin(self._waiting.popleft())

    def _in_turn(self, act: Callable[[], None]) -> None:
        if not self._busy:
            return self._begin(act)
        self._waiting.append(act)
        if len(self._waiting) >= MOST_WAITING:
            self.transport.pause_reading()

    def _begin(self, act: Callable[[], None]) -> None:
        if not self.transport.is_closing():
            self._busy = True
            act()

    def _refuse(self, status: int, why: str) -> None:
        """Say what is wrong with bytes that are no request, and hang up."""
        body = f"{why}\n".encode()
        reason = why if status == 403 else REASONS[status]  # of a proxy's answer, clients show nothing else
        head = _lines(f"HTTP/1.1 {status} {reason}", [("Connection", "close"), ("Content-Length", str(len(body)))])
        self.transport.write(head + body)
        with suppress(OSError):  # the client may have gone by now
            self.transport.write_eof()  # and go on reading: to close on a client that still sends would reset what it has not read yet
        asyncio.get_running_loop().call_later(connections.LINGER, self.transport.close)

    @property
    def is_idle(self) -> bool:
        return not self._busy and not self._waiting and not self._is_reading

    def hang_up(self) -> None:
        self.transport.close()

    def _release(self, size: int) -> None:
        """Give back bytes that requests held; below 0, take them."""
        self._held -= size
        self._server.held -= size

    def _left(self) -> None:
        self.line.closed = self.line.closed or time.monotonic()
        act, self.when_closed = self.when_closed, None
        if act:
            act()


def _lines(first: str, headers: Headers) -> bytes:
    """The head of a request or an answer. Raises ValueError for a line break inside a line."""
    head = first + "".join([f"\r\n{name}: {value}" for name, value in headers])
    if head.count("\n") + head.count("\r") != 2 * len(headers):
        raise ValueError("a header with a line break")
    return f"{head}\r\n\r\n".encode("latin-1")
