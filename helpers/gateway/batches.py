"""Batches with a life cycle on the course's clock, and the files that OpenAI's batches read and write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.clock import Clock

DAY = 86_400.0
MOST_BATCHES = MOST_FILES = 400_000_000  # bytes of all batches, and of all files; the oldest go first
PATIENCE = 3.0  # seconds that the first look at a batch which is due waits for its answers; later ones do not wait

# Real batches take minutes (63 s validating and 133 s in all for two requests were recorded); these are
# short enough to wait for, and a cell can move the clock.
VALIDATING, RUNNING, FINALIZING = 2.0, 5.0, 1.0


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
    """State is worked out from the clock; only cancelling and running are events of their own."""

    id: str
    provider: str
    created: float
    speed: float
    items: list[Item]
    run: Callable[[Item], Awaitable[None]]
    details: dict[str, Any] = field(default_factory=dict)
    cancelled: float | None = None
    failed: bool = False
    answered: int = 0
    is_kept: Callable[[], bool] = field(default=lambda: True, repr=False)
    grown: Callable[[int], None] = field(default=lambda _: None, repr=False)  # is told how many bytes a result takes
    _running: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def started(self) -> float:
        return self.created + VALIDATING * self.speed

    @property
    def finalizing(self) -> float:
        return self.started + RUNNING * self.speed

    @property
    def ended(self) -> float:
        end = self.finalizing + FINALIZING * self.speed
        return end if self.cancelled is None else min(end, self.cancelled + FINALIZING * self.speed)

    def state(self, now: float) -> str:
        """validating | running | finalizing | ended | cancelling | cancelled | failed, at a moment."""
        if self.failed:
            return "failed" if now >= self.started else "validating"
        if self.cancelled is not None:
            return "cancelled" if now >= self.ended else "cancelling"
        for moment, name in ((self.ended, "ended"), (self.finalizing, "finalizing"), (self.started, "running")):
            if now >= moment:
                return name
        return "validating"

    async def settle(self, now: float) -> str:
        """The state. A batch that is due is being finalized until all requests are answered; a cancelled one answers none."""
        state = self.state(now)
        if state != "ended" or self.answered == len(self.items):
            return state
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._answer())
            await asyncio.wait([self._running], timeout=PATIENCE)
        if self._running.done():
            running, self._running = self._running, None
            running.result()  # raises what went wrong; the next look tries again
        return "ended" if self.answered == len(self.items) else "finalizing"

    async def _answer(self) -> None:
        """Answer what is not answered yet, one request after the other, as long as anybody can ask for it."""
        while self.answered < len(self.items) and self.is_kept():
            item = self.items[self.answered]
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


@dataclass
class File:
    id: str
    name: str
    purpose: str
    content: bytes
    created: float
    expires: float | None = None

    def is_gone(self, now: float) -> bool:
        """Whether it has expired at a moment."""
        return self.expires is not None and now >= self.expires


class Batches:
    """All batches and files of this gateway; they are gone when it stops."""

    def __init__(self, clock: Clock, speed: Callable[[], float]) -> None:
        self.clock = clock
        self._speed = speed
        self._batches: Bounded[str, Batch] = Bounded(MOST_BATCHES, lambda _, batch: sum(item.size for item in batch.items))
        self.files: Bounded[str, File] = Bounded(MOST_FILES, lambda _, file: len(file.content))

    def clear(self) -> None:
        self._batches.clear()
        self.files.clear()

    def create(self, id: str, provider: str, items: list[Item], run: Callable[[Item], Awaitable[None]], **details: Any) -> Batch:
        for item in items:
            item.size = weight(item.request)
        batch = Batch(id, provider, self.clock.now(), self._speed(), items, run, details)
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
