"""The gateway: a handler with a port, a thread, and the controls that a cell gives orders by."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from helpers.gateway.faults import Fault
from helpers.gateway.handler import Handler
from helpers.gateway.http import Server
from helpers.gateway.sources.recordings import FOLDER
from helpers.gateway.sources.upstream import Upstream

T = TypeVar("T")


class Gateway(Handler):
    """One gateway: its state and its thread. Controls may be called from any thread."""

    def __init__(
        self,
        *,
        strict: bool = False,
        pace: float = 1.0,
        recordings: Path = FOLDER,
        upstream: Upstream | None = None,
    ) -> None:
        super().__init__(strict=strict, pace=pace, recordings=recordings, upstream=upstream)
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._server = Server(self.receive)

    # ---- life ------------------------------------------------------------
    def start(self, port: int = 0) -> Gateway:
        """Serve on a loopback port (0: any free one) in a thread. Raises OSError when the port is taken.

        Raises ValueError for recordings that cannot be read, naming the line.
        """
        self.recordings.load()
        listener = socket.create_server(("127.0.0.1", port))
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listener, ready), name="llm-gateway", daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.listen(listener))
        ready.set()
        self._loop.run_forever()
        self._loop.close()

    def stop(self) -> None:
        """Close the port and end the thread."""
        if self._thread is None:
            return

        async def close() -> None:
            await self._server.close()
            answering = asyncio.all_tasks() - {asyncio.current_task()}
            if answering:  # each was told that its client has gone
                await asyncio.wait(answering, timeout=1)
            if self.upstream:
                await self.upstream.close()
            self.close()
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(close(), self._loop)
        self._thread.join(timeout=5)
        self._thread = None

    def in_loop(self, action: Callable[[], T]) -> T:
        """Run a short action in the gateway's own thread and return what it returns. Raises RuntimeError when it is not running."""
        if self._thread is None:
            raise RuntimeError("the gateway is not running: call start() first")

        async def act() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    # ---- what a cell can order -------------------------------------------
    def fault(self, kind: str, provider: str | None = None, *, times: int | None = 1, seconds: float = 0.0, chunk: int = 3) -> None:
        """Do something wrong with the next `times` questions (None: with all, until clear_faults).

        kind: rate_limited, overloaded, server_error, wrong_key, out_of_credit, outage (for `seconds` of the
        course's clock), slow (by `seconds`), stalled, connection_reset, stream_cut, overloaded_in_stream (the
        last two, and stalled, after `chunk` chunks of a stream). Raises ValueError for any other.
        """
        fault = Fault(kind, provider, None if kind == "outage" else times, seconds, chunk)
        self.in_loop(lambda: self.faults.add(fault))

    def clear_faults(self) -> None:
        """Go back to answering as well as it can."""
        self.in_loop(self.faults.clear)

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move the course's clock: quotas refill, caches expire, batches end, outages pass. Raises ValueError for a step back."""
        self.in_loop(lambda: self.clock.advance(seconds + 60 * minutes + 3600 * hours))

    def limit(self, provider: str, *, requests: int | None = None, tokens: int | None = None) -> None:
        """Set a provider's limits a minute. For Anthropic, tokens are input tokens. Raises ValueError for one that it does not have."""
        family = "input-tokens" if provider == "anthropic" else "tokens"
        for name, value in (("requests", requests), (family, tokens)):
            if value is not None:
                self.in_loop(lambda name=name, value=value: self.quotas.set_limit(provider, name, value))

    def reset(self) -> None:
        """Forget everything: log, faults, limits, caches, batches, conversations; recordings begin with their first answer."""
        for part in (self.meter, self.faults, self.prompt_cache, self.batches):
            self.in_loop(part.clear)
        self.in_loop(self.quotas.reset)
        self.in_loop(self.recordings.rewind)
        self.in_loop(self.house.forget)
