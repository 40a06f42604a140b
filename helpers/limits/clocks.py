"""What tells the time to a limiter, and lets it pass: this machine's clock, or a virtual one on which waiting takes no time."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


def _now() -> float:
    """Seconds by the clock of the event loop that runs, so that `simulate` reaches all that asks; without one, this machine's."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


@dataclass(frozen=True)
class Clock:
    """The time in seconds, from any beginning, and how to wait. Code that is awaited waits with asyncio.sleep instead."""

    now: Callable[[], float] = _now
    sleep: Callable[[float], None] = time.sleep


class VirtualClock(Clock):
    """A clock that stands still until somebody sleeps, for code that is not awaited: an hour passes in an instant."""

    def __init__(self, start: float = 0.0) -> None:
        at = [start]

        def sleep(seconds: float) -> None:
            if seconds < 0:
                raise ValueError("sleep length must be non-negative")
            at[0] += seconds

        super().__init__(lambda: at[0], sleep)


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine, and all that it starts, with a clock that jumps over every wait; what it returns.

    asyncio.sleep, asyncio.timeout, loop.time() and the default Clock all follow that clock, which begins at 0 seconds. For tasks
    that wait for time and for one another alone: an answer over the network would come too late for it. Works in a notebook too.
    Raises RuntimeError where every task waits for something that never comes. To interrupt it cancels all of its tasks.
    """
    loop = _JumpingLoop()
    with ThreadPoolExecutor(1, "simulation") as thread:  # of its own, as a notebook's thread runs a loop already
        try:
            return thread.submit(_run, main, loop).result()
        except KeyboardInterrupt:
            with contextlib.suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(_cancel_all, loop)
            raise


def _run(main: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


class _Jump(selectors.SelectSelector):
    """Where asyncio would sleep until its next timer, the time goes on to that timer."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing can happen any more: every task waits for another one, or for the network")
        self.elapsed += timeout if timeout and not ready else 0.0
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.elapsed
