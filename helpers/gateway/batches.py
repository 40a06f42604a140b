"""Batches with a life cycle on the course's clock, and the files that OpenAI's batches read and write."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from math import floor
from typing import Any
from zlib import crc32

from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.clock import Clock
from helpers.gateway.faults import Fault
from helpers.gateway.lazy import lazy

DAY = 86_400.0
MOST_BATCHES = MOST_FILES = 400_000_000  # bytes of all batches, and of all files; the oldest go first
FILE_OVERHEAD = 1_000  # bytes that are kept beside a file's content: there may be many empty ones
PATIENCE = 3.0  # seconds that the first look at a batch which is due waits for its answers; later ones do not wait

# Real batches take minutes (63 s validating and 133 s in all for two requests were recorded); these are
# short enough to wait for, and a cell can move the clock.
VALIDATING, RUNNING, FINALIZING = 2.0, 5.0, 1.0
SLOW = 2 * DAY  # how long a batch runs that the fault slow_batch struck, unless it says otherwise


@dataclass
class Item:
    """One request of a batch and what came of it. `ok` False means that the result is an error."""

    custom_id: str
    request: Any
    result: Any = None
    ok: bool | None = None
    size: int = 0  # bytes of the request


@dataclass
class Batch:
    """State, and how far it has come, are worked out from the clock; only cancelling and running are events of their own.

    Requests are answered at a steady rate while it runs, in an order of the batch's own. When it is cancelled or its
    time is over, what is not answered stays so.
    """

    id: str
    provider: str
    created: float
    speed: float
    items: list[Item]
    run: Callable[[Item], Awaitable[None]]
    window: float = DAY  # seconds after which it expires
    running: float | None = None  # seconds that it runs; None for the usual few
    details: dict[str, Any] = field(default_factory=dict)
    cancelled: float | None = None
    failed: bool = False
    answered: int = 0
    is_kept: Callable[[], bool] = field(default=lambda: True, repr=False)
    grown: Callable[[int], None] = field(default=lambda _: None, repr=False)  # is told how many bytes a result takes
    _running: asyncio.Task[None] | None = field(default=None, repr=False)
    _due: int = field(default=0, repr=False)  # how many requests are to be answered by now

    def __post_init__(self) -> None:
        # Nobody promises an order. This one is no order that a reader could rely on, and the same in every run.
        self.order = sorted(self.items, key=lambda item: crc32(item.custom_id.encode("utf-8", "replace")))

    @property
    def expires(self) -> float:
        return self.created + self.window

    @property
    def started(self) -> float:
        return self.created + VALIDATING * self.speed

    @property
    def finalizing(self) -> float:
        return self.started + (RUNNING * self.speed if self.running is None else self.running)

    @property
    def ended(self) -> float:
        end = self.finalizing + FINALIZING * self.speed
        end = end if self.finalizing < self.expires else self.expires
        return end if self.cancelled is None else min(end, self.cancelled + FINALIZING * self.speed)

    def due(self, now: float) -> int:
        """How many of its requests are answered at a moment."""
        now = min(now, self.expires, now if self.cancelled is None else self.cancelled)
        if now >= self.finalizing:
            return len(self.items)
        return floor(len(self.items) * max(0.0, now - self.started) / (self.finalizing - self.started))

    def state(self, now: float) -> str:
        """validating | running | finalizing | ended | expired | cancelling | cancelled | failed, at a moment."""
        if self.failed:
            return "failed" if now >= self.started else "validating"
        if self.cancelled is not None:
            return "cancelled" if now >= self.ended else "cancelling"
        if now >= self.expires <= self.finalizing:
            return "expired"
        for moment, name in ((self.ended, "ended"), (self.finalizing, "finalizing"), (self.started, "running")):
            if now >= moment:
                return name
        return "validating"

    async def settle(self, now: float) -> str:
        """The state, once the requests that are due are answered. A batch does not end before."""
        state = self.state(now)
        self._due = self.due(now) if state != "failed" else 0
        if self.answered < self._due and self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._answer())
            await asyncio.wait([self._running], timeout=PATIENCE)
        if self._running is not None and self._running.done():
            running, self._running = self._running, None
            running.result()  # raises what went wrong; the next look tries again
        if self.answered < self._due and state in UNFINISHED:
            return UNFINISHED[state]
        return state

    async def _answer(self) -> None:
        """Answer what is due, one request after the other, as long as anybody can ask for it."""
        while self.answered < self._due and self.is_kept():
            item = self.order[self.answered]
            await self.run(item)
            self.grown(weight(item.result))
            self.answered += 1
            await asyncio.sleep(0)  # a large batch does not hold up the others

    def cancel(self, now: float) -> bool:
        """Ask for the end. False when it is too late."""
        if self.state(now) not in ("validating", "running"):
            return False
        self.cancelled = now
        return True


# What a batch that is over is said to be while requests that it was to answer are not answered.
UNFINISHED = {"ended": "finalizing", "expired": "finalizing", "cancelled": "cancelling"}


@dataclass
class File:
    """A file that was uploaded, or written for a batch."""

    id: str
    name: str
    purpose: str
    content: bytes
    created: float
    expires: float | None = None
    provider: str = "openai"
    mime_type: str = ""
    owner: str = ""  # whose it is, where the provider keeps files apart by key
    ready: float = 0.0  # the moment from which it can be used
    shown: str = ""  # a name for people, where the provider has one beside its own

    @lazy
    def digest(self) -> str:
        """SHA-256 of its bytes, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def size(self) -> int:
        """Bytes that are kept of it, about: what its owner says of it may be long too."""
        return len(self.content) + sum(map(len, (self.name, self.purpose, self.mime_type, self.shown))) + FILE_OVERHEAD

    def is_gone(self, now: float) -> bool:
        """Whether it has expired at a moment."""
        return self.expires is not None and now >= self.expires


class Batches:
    """All batches and files of this gateway; they are gone when it stops."""

    def __init__(self, clock: Clock, speed: Callable[[], float]) -> None:
        self.clock = clock
        self._speed = speed
        self._batches: Bounded[str, Batch] = Bounded(MOST_BATCHES, lambda _, batch: sum(item.size for item in batch.items))
        self.files: Bounded[str, File] = Bounded(MOST_FILES, lambda _, file: file.size)

    @property
    def pace(self) -> float:
        """1 where things take their usual time, less where they are to be quick."""
        return self._speed()

    def clear(self) -> None:
        self._batches.clear()
        self.files.clear()

    def create(
        self,
        id: str,
        provider: str,
        items: list[Item],
        run: Callable[[Item], Awaitable[None]],
        *,
        window: float = DAY,
        slow: Fault | None = None,
        **details: Any,
    ) -> Batch:
        """A batch that begins now. window: seconds until it expires. slow: the fault that strikes it, if one does."""
        for item in items:
            item.size = weight(item.request)
        running = (slow.seconds or SLOW) if slow else None
        batch = Batch(id, provider, self.clock.now(), self._speed(), items, run, window, running, details)
        batch.is_kept, batch.grown = (lambda: self._batches.get(id) is batch), partial(self._batches.grow, id)
        self._batches[id] = batch
        return batch

    def get(self, provider: str, id: str) -> Batch | None:
        batch = self._batches.get(id)
        return batch if batch is not None and batch.provider == provider else None

    def remove(self, batch: Batch) -> None:
        del self._batches[batch.id]

    def size(self, batch: Batch) -> int:
        """The bytes of a batch with its results."""
        return self._batches.size(batch.id)

    def of(self, provider: str) -> list[Batch]:
        """A provider's batches, newest first."""
        return [batch for batch in reversed(self._batches.values()) if batch.provider == provider]
