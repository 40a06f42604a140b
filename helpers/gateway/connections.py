"""The connections that are open, and the bytes that their requests hold: both have a bound."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from helpers.gateway.request import Request

LARGEST_REQUEST = 210_000_000  # bytes of a body; OpenAI takes batch files of 200 MB
LARGEST_HEAD = 128_000  # bytes; a query of that length is read in some milliseconds
LONG_HEAD = "the head of a request has at most {:,} bytes"
LARGEST_SUM = 1_000_000_000  # bytes of all requests that are being read or answered
PIECE = 64_000  # bytes that are handed to the socket at once, so that a client that does not read holds no more
LINGER = 2.0  # seconds that a refused client has to stop sending


class TooLarge(Exception):
    """A request has more bytes than the gateway takes, or than it has room for (503)."""

    def __init__(self, message: str, status: int = 413) -> None:
        super().__init__(message)
        self.status = status


class Connection(Protocol):
    """A client's connection, whatever it speaks."""

    transport: asyncio.Transport

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being read or answered, so that nobody misses it."""

    def hang_up(self) -> None:
        """Say that the end has come, where the protocol has words for it, and close."""


class Connections:
    """All connections of a server. Each hands whole requests to `then`."""

    def __init__(self, then: Callable[[Request], None]) -> None:
        self.then = then
        self.connections: dict[Connection, None] = {}  # the one that was used last comes last
        self.held = 0  # bytes of the requests that are being read or answered
        self.is_closed = False
        self.room = asyncio.Event()  # is set when a connection ends or has nothing to do

    def come(self, connection: Connection) -> None:
        """A connection has begun."""
        self.connections[connection] = None

    def rested(self, connection: Connection) -> None:
        """A connection has answered what it was asked."""
        if connection in self.connections:
            del self.connections[connection]
            self.connections[connection] = None
        self.room.set()

    def gone(self, connection: Connection) -> None:
        """A connection has ended."""
        self.connections.pop(connection, None)
        self.room.set()

    def check(self, size: int, more: int) -> None:
        """Raise TooLarge where a body of `size` bytes has no room for `more`."""
        if size + more > LARGEST_REQUEST:
            raise TooLarge(f"a request has at most {LARGEST_REQUEST:,} bytes")
        if self.held + more > LARGEST_SUM:
            raise TooLarge(f"all requests at once have at most {LARGEST_SUM:,} bytes: send fewer large ones at a time", 503)


def reset(transport: asyncio.Transport) -> None:
    """Close a connection with a TCP reset."""
    with suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
