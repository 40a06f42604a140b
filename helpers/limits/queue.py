"""A waiting line in front of a throttle: the most urgent request goes next, and among equals the one that came first."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from typing import Generic, TypeVar

from helpers.limits.throttle import Throttle

T = TypeVar("T")


class Queue(Generic[T]):
    """Requests that wait for their turn, each with a priority (0 the most urgent) and the amounts that the throttle is to count.

    Nothing is dropped, and no capacity is added: while urgent ones come as quickly as the quota lets them go, the others wait.
    For one thread; `turn` is for the tasks of one loop. Only the queue may use its throttle.
    """

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._waiting: list[tuple[float, int, T, dict[str, float]]] = []
        self._numbers = itertools.count()  # of arrival

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, item: T, *, priority: float = 0, **amounts: float) -> None:
        """Let it wait. Raises ValueError for amounts that the throttle never lets through; then it is not taken in."""
        self._throttle.delay(**amounts)
        heapq.heappush(self._waiting, (priority, next(self._numbers), item, amounts))

    def delay(self) -> float:
        """Seconds until the most urgent one may go. Raises IndexError where none waits."""
        return self._throttle.delay(**self._waiting[0][3])

    def get(self) -> T:
        """Sleep until one may go; the most urgent of that moment. Raises IndexError where none waits."""
        while (seconds := self.delay()) > 0:
            self._throttle.clock.sleep(seconds)
        _, _, item, amounts = heapq.heappop(self._waiting)
        self._throttle.reserve(**amounts)
        return item

    @property
    def first(self) -> T:
        """The one that goes next, as things are. Raises IndexError where none waits."""
        return self._waiting[0][2]

    def drop(self) -> None:
        """Take the first one out without its turn, as it does not need it any more."""
        heapq.heappop(self._waiting)


class Turns:
    """The same for code that is awaited: `await turns.turn(priority=1, tokens=900)`, then make the call."""

    def __init__(self, throttle: Throttle) -> None:
        self._queue: Queue[asyncio.Future[None]] = Queue(throttle)
        self._arrived = asyncio.Event()
        self._caller: asyncio.Task[None] | None = None

    async def turn(self, *, priority: float = 0, **amounts: float) -> None:
        """Wait until it is this one's turn. Who is cancelled while it waits takes nothing of the quota."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(mine, priority=priority, **amounts)
        self._arrived.set()
        if self._caller is None or self._caller.done():
            self._caller = asyncio.create_task(self._call())
        await mine

    async def _call(self) -> None:
        """Call one after the other, as long as any waits. Who arrives meanwhile may be more urgent than those that wait."""
        while len(self._queue):
            if self._queue.first.done():  # its task was cancelled
                self._queue.drop()
            elif (seconds := self._queue.delay()) > 0:
                self._arrived.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._arrived.wait(), seconds)
            else:
                self._queue.get().set_result(None)
