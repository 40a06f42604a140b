"""Listens on a port, lets clients in one by one, and hears from their first bytes which HTTP they speak."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from contextlib import suppress

from helpers.gateway.connections import Connections
from helpers.gateway.http import Connection

BACKLOG = 256  # clients that may wait to be let in
MOST_CONNECTIONS = 4096  # or half of the files that this process may open, if that is less
NO_FILE_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE = 0.2  # seconds, when no more clients can be let in
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113, 3.4: what a client begins with that knows that this server speaks HTTP/2
log = logging.getLogger("helpers.gateway")


class Greeting(asyncio.Protocol):
    """A connection before it is known what its client speaks. The second byte of nearly all tells, so that HTTP/1.1 pays nothing for this."""

    transport: asyncio.Transport
    is_idle = True

    def __init__(self, server: Server) -> None:
        self._server, self._heard = server, b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        if self._server.is_closed:  # it was let in just before
            return transport.abort()
        # asyncio leaves it out for a listener made without a protocol's number; without it the second piece of an answer waits 40 ms.
        client = transport.get_extra_info("socket")
        with suppress(OSError):  # it may have gone by now
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.come(self)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if len(self._heard) < len(PREFACE) and PREFACE.startswith(self._heard):
            return
        self._server.gone(self)
        protocol = self._protocol()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(self._heard)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.gone(self)

    def hang_up(self) -> None:
        self.transport.close()

    def _protocol(self) -> asyncio.Protocol:
        if not self._heard.startswith(PREFACE):
            return Connection(self._server)
        from helpers.gateway import http2  # when it is first spoken: most programs never do, and its library takes a while to load

        return http2.Connection(self._server)


class Server(Connections):
    """Listens on a socket."""

    _listener: socket.socket | None = None
    _accepting: asyncio.Task[None] | None = None

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
                await loop.connect_accepted_socket(lambda: Greeting(self), client)
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
                self.room.clear()
                await self.room.wait()
            else:
                del self.connections[idle]
                idle.hang_up()

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
            connection.hang_up()
            connection.transport.abort()  # what is not sent by now never will be
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
