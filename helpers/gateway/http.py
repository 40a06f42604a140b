"""HTTP as the gateway speaks it, over tornado's connections: a whole request in, an answer out."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from http.client import responses as REASONS

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    parse_qs_bytes,
)

LARGEST_BODY = 210_000_000  # OpenAI takes batch files of 200 MB
LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


class Request(HTTPMessageDelegate):
    """One HTTP request; `then` is called with it once it is whole. Header names are in lower case."""

    def __init__(self, connection: HTTP1Connection, then: Callable[[Request], None]) -> None:
        self.connection, self._then = connection, then
        self.method = self.path = self._query = ""
        self.headers: dict[str, str] = {}
        self._chunks: list[bytes] = []

    def headers_received(self, start_line: RequestStartLine, headers: HTTPHeaders) -> None:
        self.method = start_line.method
        self.path, _, self._query = start_line.path.partition("?")
        self.headers = {name.lower(): value for name, value in headers.items()}

    def data_received(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def finish(self) -> None:
        self._then(self)

    @property
    def body(self) -> bytes:
        return b"".join(self._chunks)

    @property
    def query(self) -> dict[str, str]:
        """The query's fields; of one that is given twice, the last."""
        fields = parse_qs_bytes(self._query, True) if self._query else {}
        return {name: values[-1].decode("latin-1") for name, values in fields.items()}

    @property
    def is_from_this_machine(self) -> bool:
        """False for a page in a browser that tries to reach the gateway, by its Origin or a name that is not ours."""
        host = self.headers.get("host", "")
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.rsplit(":", 1)[0]
        own_page = self.headers.get("origin") in (None, f"http://{host}")
        return name.lower() in LOOPBACK and own_page and self.headers.get("sec-fetch-site") in (None, "same-origin", "none")

    async def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send a whole answer with its length. An answer to HEAD states its length and has no body."""
        sized = HTTPHeaders({**dict(headers), "Content-Length": str(len(body))})
        await self.connection.write_headers(start_line(status), sized, b"" if self.method == "HEAD" else body)
        self.connection.finish()

    def close(self) -> None:
        """Close the connection without another byte."""
        self.connection.stream.close()

    def reset(self) -> None:
        """Close the connection with a TCP reset."""
        with suppress(OSError):
            self.connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class _Front(HTTPServerConnectionDelegate):
    def __init__(self, then: Callable[[Request], None]) -> None:
        self._then = then

    def start_request(self, server_conn: object, request_conn: HTTP1Connection) -> Request:
        return Request(request_conn, self._then)


def server(then: Callable[[Request], None]) -> HTTPServer:
    """A tornado server that hands over each whole request."""
    made = HTTPServer(_Front(then), max_buffer_size=LARGEST_BODY, max_body_size=LARGEST_BODY)
    made.conn_params.header_timeout = None  # else every request sets a timer; on loopback an idle client may stay
    return made


def start_line(status: int) -> ResponseStartLine:
    return ResponseStartLine("HTTP/1.1", status, REASONS.get(status, "Unknown"))
