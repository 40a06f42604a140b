"""The gateway: a handler with a port, a thread, and the controls that a cell gives orders by."""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from helpers.gateway import memory
from helpers.gateway.faults import Fault
from helpers.gateway.handler import Handler
from helpers.gateway.listener import Server
from helpers.gateway.quotas import PER_DAY
from helpers.gateway.sources.recordings import FOLDER
from helpers.gateway.sources.scripts import Script

if TYPE_CHECKING:
    from helpers.gateway.meter import Log
    from helpers.gateway.sources.upstream import Upstream
    from helpers.gateway.verdict import Verdict

T = TypeVar("T")


class Gateway(Handler):
    """One gateway: its state and its thread. Controls may be called from any thread of the process that started it.

    A process that is forked from that one reaches the gateway like any other program; it gives no orders.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        pace: float = 1.0,
        recordings: Path = FOLDER,
        upstream: Upstream | None = None,
    ) -> None:
        super().__init__(strict=strict, pace=pace, recordings=recordings, upstream=upstream)
        self._server = Server(self.receive)
        self._thread: threading.Thread | None = None
        self._process = 0  # in which it was started
        self._life = threading.RLock()  # held while it starts, stops, or carries out an order

    # ---- life ------------------------------------------------------------
    def start(self, port: int = 0) -> Gateway:
        """Serve on a loopback port (0: any free one) in a thread, until stop() or the end of the program.

        Raises OSError when the port is taken, ValueError for recordings that cannot be read, naming the line,
        and RuntimeError for a gateway that was started before.
        """
        self.check_process()
        with self._life:
            if self._thread is not None:
                raise RuntimeError(f"the gateway runs already, on port {self.port}")
            if self._server.is_closed:
                raise RuntimeError("a gateway that was stopped does not start again: make a new one")
            self.recordings.load()
            memory.share_one_heap()
            listener = socket.create_server(("127.0.0.1", port))
            self.port = listener.getsockname()[1]
            try:
                self._thread, self._process = self._started(listener), os.getpid()
            except BaseException:
                listener.close()
                raise
            _running.add(self)
            atexit.register(self.stop)  # what is still being said is broken off in order, and nothing is printed about it
        return self

    def _started(self, listener: socket.socket) -> threading.Thread:
        listener.setblocking(False)
        ready: Future[None] = Future()
        thread = threading.Thread(target=self._run, args=(listener, ready), name="llm-gateway", daemon=True)
        thread.start()
        ready.result()
        return thread

    def _run(self, listener: socket.socket, ready: Future[None]) -> None:
        try:
            asyncio.run(self._live(listener, ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _live(self, listener: socket.socket, ready: Future[None]) -> None:
        self._loop, self._told_to_stop = asyncio.get_running_loop(), asyncio.Event()
        await self._server.listen(listener)
        ready.set_result(None)
        await self._told_to_stop.wait()
        await self._server.close()
        self.abandon()
        answering = asyncio.all_tasks() - {asyncio.current_task()}
        if answering:  # each was told that its client has gone
            await asyncio.wait(answering, timeout=1)
        if self.upstream:
            await self.upstream.close()
        self.close()

    def stop(self) -> None:
        """Close the port and end the thread. Does nothing where it does not run, and in a forked process."""
        if self.is_elsewhere:
            return
        with self._life:
            if self._thread is None:
                return
            atexit.unregister(self.stop)
            self._loop.call_soon_threadsafe(self._told_to_stop.set)
            self._thread.join(timeout=5)
            self._thread = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether it runs in the process from which this one was forked."""
        return self._process not in (0, os.getpid())

    @property
    def is_running(self) -> bool:
        """Whether it serves, and in this process."""
        return self._thread is not None and not self.is_elsewhere

    def check_process(self) -> None:
        """Raise RuntimeError in a process that was forked from the one in which the gateway runs."""
        if self.is_elsewhere:
            raise RuntimeError(
                f"this gateway runs in process {self._process}, from which this one was forked: give it orders and read its log there. "
                "Calls from here reach it; helpers.start() gives this process a gateway of its own"
            )

    def in_loop(self, action: Callable[[], T]) -> T:
        """Run a short action in the gateway's own thread and return what it returns. Raises RuntimeError when it is not running here."""
        self.check_process()  # before the lock: in a forked process nobody would release it

        async def act() -> T:
            return action()

        with self._life:
            if self._thread is None:
                raise RuntimeError("the gateway is not running: call start() first")
            return asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    # ---- what a cell can order -------------------------------------------
    def fault(self, kind: str, provider: str | None = None, *, times: int | None = 1, seconds: float = 0.0, chunk: int = 3) -> None:
        """Do something wrong with the next `times` questions (None: with all, until clear_faults).

        kind: rate_limited (for `seconds`, 1 unless given), overloaded, server_error, wrong_key, out_of_credit, blocked (by a filter of
        the provider's), outage
        (for `seconds` of the course's clock), slow (by `seconds`, 5 unless given), slow_batch (the next batch runs for `seconds` of
        the course's clock; two days unless given, so that it expires), connection_reset, stalled, stream_cut, stream_ended
        (without an error, too soon), overloaded_in_stream. The last four strike after `chunk` events of a stream, and in a
        shorter stream before its last one. Raises ValueError for any other, and for wrong numbers.
        """
        fault = Fault(kind, provider, None if kind == "outage" else times, seconds, chunk)
        self.in_loop(lambda: self.faults.add(fault))

    def clear_faults(self) -> None:
        """Go back to answering as well as it can."""
        self.in_loop(self.faults.clear)

    def script(
        self,
        text: str | None = None,
        *,
        to: str = "",
        call: tuple[str, dict[str, Any]] | None = None,
        provider: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Answer the next `times` questions (None: all) with this text, or with a call of this function, whatever model is asked.

        to: only questions whose last turn (what the user said, or a tool's result) has these words. call: a function's name and its
        arguments. Answers that fit are given in the order in which they were set, before any recording; limits, stop sequences, pace and
        usage are as for every answer. Raises ValueError for what is no answer, and in live and record mode, where the provider gives it.
        """
        script = Script(text, to, call, provider, times)
        self.in_loop(lambda: self.scripts.add(script))

    def revoke(self, key: str) -> None:
        """Refuse a key from now on, until reset(), as a provider does whose customer has revoked it. The key itself is not kept, and no provider hears of it.

        Raises ValueError for what is no key.
        """
        self.in_loop(lambda: self.keys.revoke(key))

    def advance(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move the course's clock: quotas refill, caches expire, batches end, outages pass.

        Raises ValueError for a step back, one of more than a century, and one beyond the year 9999.
        """
        self.in_loop(lambda: self.clock.advance(seconds=seconds, minutes=minutes, hours=hours))

    def stop_clock(self) -> None:
        """Let the course's clock stand still, so that only advance() moves it: what depends on time is then the same in every run."""
        self.in_loop(self.clock.stop)

    def start_clock(self) -> None:
        """Let the course's clock run again, from where it stands."""
        self.in_loop(self.clock.go_on)

    def limit(
        self,
        provider: str,
        *,
        requests: int | None = None,
        tokens: int | None = None,
        output_tokens: int | None = None,
        requests_per_day: int | None = None,
        tokens_per_day: int | None = None,
    ) -> None:
        """Set a provider's limits a minute. Anthropic limits input tokens (`tokens`) and output tokens apart.

        Requests a day are limited by OpenAI and Gemini, tokens a day by Bedrock; here only when it is set.
        Raises ValueError for a limit that the provider does not have, and for none at all.
        """
        family = "input-tokens" if provider == "anthropic" else "tokens"
        given = {"requests": requests, family: tokens, "output-tokens": output_tokens}
        given |= {"requests" + PER_DAY: requests_per_day, "tokens" + PER_DAY: tokens_per_day}
        limits = {name: value for name, value in given.items() if value is not None}
        if not limits:
            raise ValueError("say which limit: requests=..., tokens=... or, for Anthropic, output_tokens=...; for a day, requests_per_day=... or tokens_per_day=...")
        self.in_loop(lambda: self.quotas.set_limits(provider, limits))

    def log(self) -> Log:
        """Every request that was received so far, in order, with the source of its answer. Raises RuntimeError in a process that was forked from its own."""
        self.check_process()
        return self.meter.log()

    def verdict(self, *, since: int = 0, until: int | None = None, budget_usd: Decimal | float | str | None = None) -> Verdict:
        """What the client did well and badly, rule by rule: Retry-After, hopeless retries, retry storm, jitter, paid twice, broken answers,
        time-out, limit headers, budget.

        since, until: judge those requests of the log alone whose number is above the one, and not above the other. budget_usd: what they
        may cost live; without it that rule is unknown. Raises ValueError for a budget that is no amount.
        """
        from helpers.gateway.verdict import judge

        entries = [entry for entry in self.log() if since < entry.number and (until is None or entry.number <= until)]
        try:
            budget = None if budget_usd is None else Decimal(str(budget_usd))
        except ArithmeticError:
            raise ValueError(f"budget_usd is {budget_usd!r}: give an amount of 0 or more") from None
        return judge(entries, budget)

    def reset(self) -> None:
        """Forget everything: log, faults, answers that were set, revoked keys, limits, caches, batches, files, conversations and what was done to the clock.

        Recordings begin with their first answer.
        """
        self.in_loop(self.forget)


_running: weakref.WeakSet[Gateway] = weakref.WeakSet()


def _let_go() -> None:
    """In a process that was just forked: the gateways run in the other one, and so do their ports and connections."""
    for gateway in tuple(_running):
        gateway._server.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
