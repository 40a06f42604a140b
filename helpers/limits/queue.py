"""A waiting line in front of a throttle: the most urgent request goes next, and among equals the one that came first."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from numbers import Real
from typing import Generic, TypeVar

from helpers.limits.throttle import Throttle

T = TypeVar("T")
SHORTEST = 1e-6  # seconds: a clock that jumps over waits does not move for less


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
        """Let it wait. Raises ValueError for amounts that the throttle never lets through, and for a priority that is no number; then it is not taken in."""
        if not isinstance(priority, Real) or priority != priority:
            raise ValueError(f"priority is {priority!r}: a number is needed, 0 for the most urgent")
        self._throttle.delay(**amounts)
        heapq.heappush(self._waiting, (priority, next(self._numbers), item, amounts))

    def delay(self) -> float:
        """Seconds until the most urgent one may go. Raises IndexError where none waits.

        Raises ValueError where a limit that the throttle has learned meanwhile is smaller than what that one needs: `drop` it, as it never goes.
        """
        return self._throttle.delay(**self._waiting[0][3])

    def get(self) -> T:
        """Sleep until one may go; the most urgent of that moment. Raises IndexError where none waits, and ValueError as `delay` does."""
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

    def discard(self, item: T) -> None:
        """Take this one out, wherever it waits; nothing where it does not."""
        self._waiting = [waiting for waiting in self._waiting if waiting[2] is not item]
        heapq.heapify(self._waiting)


class Turns:
    """The same for code that is awaited: `await turns.turn(priority=1, tokens=900)`, then make the call."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._loop: asyncio.AbstractEventLoop | None = None

    async def turn(self, *, priority: float = 0, **amounts: float) -> None:
        """Wait until it is this one's turn. Who is cancelled while it waits takes nothing of the quota.

        Raises ValueError for what never gets a turn: at once, or when the throttle learns of a limit that is too small for it. Raises
        RuntimeError where tasks of another loop wait here.
        """
        loop = asyncio.get_running_loop()
        self._follow(loop)
        queue, mine = self._queue, loop.create_future()
        queue.put(mine, priority=priority, **amounts)
        self._arrived.set()
        if self._caller is None or self._caller.done():
            self._caller = loop.create_task(_call(queue, self._arrived))
        try:
            await mine
        except asyncio.CancelledError:
            queue.discard(mine)
            raise

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin anew in another loop, such as that of the next asyncio.run: of one that has ended nobody waits any more."""
        if loop is self._loop:
            return
        if self._loop and self._loop.is_running() and len(self._queue):
            raise RuntimeError("tasks of another loop wait here: make a Turns for each loop")
        self._loop, self._queue, self._arrived = loop, Queue[asyncio.Future[None]](self._throttle), asyncio.Event()
        self._caller: asyncio.Task[None] | None = None


async def _call(queue: Queue[asyncio.Future[None]], arrived: asyncio.Event) -> None:
    """Call one after the other, as long as any waits. Who arrives meanwhile may be more urgent than those that wait."""
    try:
        while len(queue):
            await _call_first(queue, arrived)
    except asyncio.CancelledError:
        _send_away(queue, None)
        raise
    except Exception as error:  # nobody is to wait for what does not come
        _send_away(queue, error)


def _send_away(queue: Queue[asyncio.Future[None]], error: Exception | None) -> None:
    """End all that wait: with this error, or as if they had been cancelled."""
    while len(queue):
        if error and not queue.first.done():
            ended = RuntimeError("who calls the turns has failed")
            ended.__cause__ = error
            queue.first.set_exception(ended)
        queue.first.cancel()
        queue.drop()


async def _call_first(queue: Queue[asyncio.Future[None]], arrived: asyncio.Event) -> None:
    """Call the first one, or wait until it may go or another one arrives."""
    first = queue.first
    if first.done():  # its task was cancelled
        return queue.drop()
    try:
        seconds = queue.delay()
    except ValueError as error:  # by a limit that was learned since it came
        first.set_exception(error)
        return queue.drop()
    if seconds > 0:
        arrived.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(arrived.wait(), max(seconds, SHORTEST))
    else:
        queue.get().set_result(None)
