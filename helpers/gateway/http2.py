"""HTTP/2 in the clear, with prior knowledge (RFC 9113, 3.3): asyncio carries the bytes, h2 reads and writes the frames.

What a client can make the gateway do or keep has a bound: streams at once, the head of a request, bytes that wait to be read by it, and
frames that ask for nothing (resets, settings, pings, empty data).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, RemoteSettingsChanged, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import H2Error, ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Decoder, OversizedHeaderListError
from hyperframe.frame import Frame, GoAwayFrame

from helpers.gateway import connections
from helpers.gateway.connections import LONG_HEAD, PIECE, Connections, TooLarge
from helpers.gateway.request import Request, joined
from helpers.gateway.wire import Headers
from helpers.network import OFFLINE

MOST_STREAMS = 100  # of a client at once; RFC 9113, 6.5.2 advises against fewer
WINDOW = 1_000_000  # bytes that a client may send ahead, on a stream and in all
SLICE = 16_000  # bytes that are read at once: the smallest frames take some milliseconds, and others have their turn after them
MOST_CLOSED = 1000  # streams that are over, of which it is remembered how they ended
MOST_UNREAD = 4 * PIECE  # bytes that wait for a client: only one that asks on and reads nothing has more
MOST_SETTINGS = 100  # changes of a connection; clients make one to three
TABLE = 4096  # bytes of headers that the compression remembers, whatever a client would let it
TINY = 64  # bytes of a frame that is as dear as one with nothing in it
PATIENCE, PATIENCE_A_SECOND = 1000, 100  # frames that ask for nothing: as many at once, and so many more a second
PATIENCE_A_FRAME = 2  # and for each frame of an answer, of which a client says that it has read it
OF_A_CONNECTION = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}  # headers that HTTP/2 forbids: RFC 9113, 8.2.2
TEXT = [("content-type", "text/plain; charset=utf-8")]


class Http2Request(Request):
    """A request that is answered on a stream of its own, beside others on the connection."""

    def __init__(self, connection: Connection, number: int, lines: list[tuple[bytes, bytes]]) -> None:
        self._connection, self.number, self.body = connection, number, bytearray()
        named = {name: value.decode("latin-1") for name, value in lines if name.startswith(b":")}
        self.method, self.target = named.get(b":method", ""), named.get(b":path", "")
        self.headers = joined([line for line in lines if not line[0].startswith(b":")])
        self.headers.setdefault("host", named.get(b":authority", ""))
        self.head_size = sum([len(name) + len(value) + 4 for name, value in lines])
        self.held = 0  # bytes of the head and the body
        self.may_go_on = asyncio.Event()  # is set when the client's window has opened
        self._act: Callable[[], object] | None = None

    def when_closed(self, act: Callable[[], object]) -> None:
        self._act = act

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        body = b"" if self.method == "HEAD" else body
        await self._connection.begin(self, status, [*headers, ("content-length", str(len(body)))], is_all=not body)
        await self._connection.send(self, body, is_last=True)
        self._connection.finished(self)

    async def answer_half(self, status: int, headers: Headers, body: bytes) -> None:
        await self._connection.begin(self, status, [*headers, ("content-length", str(len(body)))])
        await self._connection.send(self, body[: len(body) // 2])
        self.close()

    async def start(self, status: int, headers: Headers) -> None:
        await self._connection.begin(self, status, headers)

    async def write(self, piece: bytes) -> None:
        if piece:
            await self._connection.send(self, piece)

    async def finish(self) -> None:
        self._connection.end(self)

    def close(self) -> None:
        self._connection.break_off(self)

    def reset(self) -> None:
        self._connection.reset(self)

    def came(self, piece: bytes) -> None:
        """A piece of the body has come."""
        self.body += piece

    def left(self) -> None:
        """The client takes no answer any more."""
        act, self._act = self._act, None
        if act:
            act()


class Connection(asyncio.Protocol):
    """A client's connection: many requests at once, each on a stream."""

    transport: asyncio.Transport

    def __init__(self, server: Connections) -> None:
        self._server = server
        self._h2 = _h2()
        self._requests: dict[int, Http2Request] = {}  # by their streams: those that are being read or answered
        self._held = self._settings = 0
        self._unheard, self._is_hearing = bytearray(), False
        self._unsent, self._sends_soon = 0, False
        self._is_over = self._is_leaving = False
        self._patience, self._since = float(PATIENCE), 0.0
        self._may_write = asyncio.Event()
        self._may_write.set()

    # ---- asyncio calls these ---------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self._server.come(self)
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._unheard += data
        if not self._is_hearing:
            self._hear()

    def eof_received(self) -> None:
        self._all_left()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_over = True
        self._server.gone(self)
        self._all_left()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    # ---- reading ---------------------------------------------------------
    def _hear(self) -> None:
        """Read a slice of what has come; the rest, and others, come next."""
        piece = bytes(self._unheard[:SLICE])
        del self._unheard[:SLICE]
        try:
            self._understand(piece)
        except BaseException:  # a defect of ours
            self.transport.abort()
            raise
        self._is_hearing = bool(self._unheard) and not self._is_over
        if self._is_hearing:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._hear)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _understand(self, piece: bytes) -> None:
        if self._is_over:
            return
        try:
            for event in self._h2.receive_data(piece):
                self._bear(event)
                if type(event) in self.ACTS:
                    self.ACTS[type(event)](self, event)
        except ProtocolError:  # h2 has written down what is wrong
            return self._hear_no_more()
        self._flush()

    def _bear(self, event: Event) -> None:
        """Count a frame that asks for nothing. Raises ProtocolError where they are too many."""
        if isinstance(event, RequestReceived | StreamEnded) or (isinstance(event, DataReceived) and event.flow_controlled_length > TINY):
            return
        now = asyncio.get_running_loop().time()
        self._patience = min(float(PATIENCE), self._patience + PATIENCE_A_SECOND * (now - self._since)) - 1
        self._since = now
        if self._patience < 0:
            self._lose_patience()

    def _lose_patience(self) -> None:
        self._h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
        raise ProtocolError("more frames that ask for nothing than anybody needs")

    def _hear_no_more(self) -> None:
        """The client was told what is wrong; it has a while to read that."""
        self._is_over = True
        self._flush()
        self._all_left()
        with suppress(OSError):  # the client may have gone by now
            self.transport.write_eof()
        asyncio.get_running_loop().call_later(connections.LINGER, self.transport.close)

    # ---- what comes ------------------------------------------------------
    def _on_request(self, event: RequestReceived) -> None:
        request = self._requests[event.stream_id] = Http2Request(self, event.stream_id, event.headers)
        if request.head_size > connections.LARGEST_HEAD:
            return self._refuse(request, 400, LONG_HEAD.format(connections.LARGEST_HEAD))
        if request.method == "CONNECT":
            return self._refuse(request, 403, OFFLINE)
        if not self._takes(request, 0, request.head_size):
            return
        if request.headers.get("expect", "").lower() == "100-continue" and not event.stream_ended:
            with suppress(H2Error):  # reset by now
                self._h2.send_headers(event.stream_id, [(b":status", b"100")])

    def _on_data(self, event: DataReceived) -> None:
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        request = self._requests.get(event.stream_id)
        if request and self._takes(request, len(request.body), len(event.data)):
            request.came(event.data)

    def _takes(self, request: Http2Request, size: int, more: int) -> bool:
        """Whether there is room for more bytes of a request, which are then taken."""
        try:
            self._server.check(size, more)
        except TooLarge as error:
            self._refuse(request, error.status, str(error))
            return False
        self._release(-more)
        request.held += more
        return True

    def _on_end(self, event: StreamEnded) -> None:
        request = self._requests.get(event.stream_id)
        if request:
            self._server.then(request)

    def _on_reset(self, event: StreamReset) -> None:
        request = self._requests.get(event.stream_id)
        if request:
            self._forget(request)
            request.left()

    def _on_window(self, event: WindowUpdated) -> None:
        for request in [self._requests.get(event.stream_id)] if event.stream_id else self._requests.values():
            if request:
                request.may_go_on.set()

    def _on_settings(self, event: RemoteSettingsChanged) -> None:
        self._settings += 1
        if self._settings > MOST_SETTINGS:
            self._lose_patience()
        if self._h2.encoder.header_table_size > TABLE:
            self._h2.encoder.header_table_size = TABLE
        for request in self._requests.values():
            request.may_go_on.set()

    def _on_goodbye(self, event: ConnectionTerminated) -> None:
        """The client asks for nothing more. Where nothing is wrong with it, what it has asked for is still answered (RFC 9113, 6.8)."""
        self._is_leaving = True
        if event.error_code != ErrorCodes.NO_ERROR:
            self._is_over = True
            self._all_left()
        self._close_when_idle()

    ACTS = {
        RequestReceived: _on_request,
        DataReceived: _on_data,
        StreamEnded: _on_end,
        StreamReset: _on_reset,
        WindowUpdated: _on_window,
        RemoteSettingsChanged: _on_settings,
        ConnectionTerminated: _on_goodbye,
    }

    # ---- answers ---------------------------------------------------------
    async def begin(self, request: Http2Request, status: int, headers: Headers, is_all: bool = False) -> None:
        """Send the head of an answer, which may be all of it."""
        await self._may_write.wait()
        self._check(request)
        self._h2.send_headers(request.number, [(b":status", b"%d" % status), *_lines(headers)], end_stream=is_all)
        self._send_soon(0)

    async def send(self, request: Http2Request, data: bytes, is_last: bool = False) -> None:
        """Send bytes of an answer, as the client's windows allow."""
        rest = memoryview(data)
        while rest:
            room = await self._room(request)
            piece, rest = rest[:room], rest[room:]
            self._h2.send_data(request.number, piece, end_stream=is_last and not rest)
            self._send_soon(len(piece))

    async def _room(self, request: Http2Request) -> int:
        """How many bytes may be sent in a frame, once there are any."""
        while True:
            self._check(request)
            room = min(self._h2.local_flow_control_window(request.number), self._h2.max_outbound_frame_size, PIECE)
            if room > 0 and self._may_write.is_set():
                return room
            self._flush()
            request.may_go_on.clear()
            await (request.may_go_on if room <= 0 else self._may_write).wait()

    def _check(self, request: Http2Request) -> None:
        if request.number not in self._requests or self.transport.is_closing():
            raise ConnectionResetError("the client went away")

    def end(self, request: Http2Request) -> None:
        """The answer has no more pieces."""
        self._check(request)
        self._h2.end_stream(request.number)
        self.finished(request)

    def finished(self, request: Http2Request) -> None:
        """The answer is sent."""
        self._forget(request)
        self._flush()
        self._close_when_idle()

    def _close_when_idle(self) -> None:
        """Close the connection of a client that asks for nothing more, once it has all its answers."""
        if self._is_leaving and not self._requests:
            self._is_over = True
            self.transport.close()

    def break_off(self, request: Http2Request, error: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        """Answer no further. Other streams go on."""
        if request.number in self._requests:
            with suppress(H2Error):  # it may be over by now
                self._h2.reset_stream(request.number, error)
            self.finished(request)

    def reset(self, request: Http2Request) -> None:
        """Reset the connection; where others are on it, for whom nobody ordered that, the stream alone."""
        if len(self._requests) > 1:
            return self.break_off(request)
        self._requests.clear()  # it is not the client who leaves
        connections.reset(self.transport)

    def _refuse(self, request: Http2Request, status: int, why: str) -> None:
        """Say what is wrong with a request that may go on, and that nothing more of it is read."""
        with suppress(H2Error):  # reset by now
            body = f"{why}\n".encode()[: max(0, self._h2.local_flow_control_window(request.number))]
            self._h2.send_headers(request.number, [(b":status", b"%d" % status), *_lines(TEXT)])
            self._h2.send_data(request.number, body, end_stream=True)
        self.break_off(request, ErrorCodes.NO_ERROR)

    def _send_soon(self, size: int) -> None:
        """Hand what is written to the socket when nothing more is due at this moment, or it is much."""
        self._unsent += size
        self._patience += PATIENCE_A_FRAME
        if self._unsent >= PIECE:
            return self._flush()
        if not self._sends_soon:
            self._sends_soon = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._unsent, self._sends_soon = 0, False
        data = self._h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)
            if self.transport.get_write_buffer_size() > MOST_UNREAD:
                self.transport.abort()

    # ---- the end ---------------------------------------------------------
    @property
    def is_idle(self) -> bool:
        return not self._requests

    def hang_up(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._h2.close_connection()
            self._flush()
        self.transport.close()

    def _forget(self, request: Http2Request) -> None:
        """A request is over."""
        del self._requests[request.number]
        self._release(request.held)
        self._server.rested(self)

    def _release(self, size: int) -> None:
        """Give back bytes that requests held; below 0, take them."""
        self._held -= size
        self._server.held -= size

    def _all_left(self) -> None:
        self._release(self._held)
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.left()


class _Compressed(Decoder):
    """Heads as they come. One that is large before it is unpacked is no better than one that is so afterwards."""

    def decode(self, data: bytes, raw: bool = False):
        if len(data) > 2 * connections.LARGEST_HEAD:
            raise OversizedHeaderListError("a head that is far too large")
        return super().decode(data, raw)


class _H2(H2Connection):
    MAX_CLOSED_STREAMS = MOST_CLOSED

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        """What h2 tells of it, and nothing more: h2 itself sends nothing afterwards, and would leave the open streams unanswered."""
        said = ConnectionTerminated()
        said.error_code, said.last_stream_id = frame.error_code, frame.last_stream_id
        return [], [said]


def _h2() -> H2Connection:
    """The state of a connection. A head that is somewhat too large is refused in words, one far too large ends the connection while it is read."""
    made = _H2(H2Configuration(client_side=False, validate_outbound_headers=False, normalize_outbound_headers=False))
    limits = {SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS, SettingCodes.INITIAL_WINDOW_SIZE: WINDOW}
    made.local_settings = Settings(client=False, initial_values={**limits, SettingCodes.MAX_HEADER_LIST_SIZE: connections.LARGEST_HEAD})
    made.decoder = _Compressed()
    made.decoder.max_header_list_size = 2 * connections.LARGEST_HEAD
    return made


def _lines(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The headers of an answer. Raises ValueError for a line break inside a line."""
    lines = [(name.lower(), value) for name, value in headers]
    if any("\n" in part or "\r" in part for line in lines for part in line):
        raise ValueError("a header with a line break")
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines if name not in OF_A_CONNECTION]
