"""The engine's own thread: step after step while somebody waits for tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:  # numpy takes a while to import: whoever loads the model does that, in this thread
    from helpers.house_model.scheduler import Outcome, Scheduler

ORDERS = 0.005  # seconds that go on orders between two steps, and on the one that goes on longer
T = TypeVar("T")


class EngineCore:
    """One thread for all that the model computes. Between two steps it does what others ask of it; with nothing to do it sleeps.

    `deliver` is called in that thread with what each step gave. Any thread may give orders; what loads the model sets `scheduler`.
    """

    def __init__(self, deliver: Callable[[list[Outcome]], None]) -> None:
        self.scheduler: Scheduler | None = None
        self._deliver = deliver
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._ended = False
        threading.Thread(target=self._run, name="house-model", daemon=True).start()

    def do(self, action: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have something short done between two steps."""
        future: Future[T] = Future()

        def order() -> None:
            if future.set_running_or_notify_cancel():  # else nobody waits for it any more
                try:
                    future.set_result(action(*arguments))
                except BaseException as error:
                    future.set_exception(error)

        self._orders.put(order)
        return future

    def close(self) -> None:
        """End the thread after the step that it is in."""
        self._orders.put(self._end)

    def _end(self) -> None:
        self._ended = True

    @property
    def _is_busy(self) -> bool:
        return self.scheduler is not None and self.scheduler.is_busy

    def _run(self) -> None:
        while not self._ended:
            until = time.monotonic() + ORDERS
            while self._obey(wait=not self._is_busy) and not self._ended and time.monotonic() < until:
                pass
            if self._is_busy and not self._ended:
                self._deliver(self._step())

    def _step(self) -> list[Outcome]:
        """What a step gives: where it fails, the error for all that it was for, since whoever waits has to hear of it."""
        try:
            return self.scheduler.step()
        except Exception as error:
            return self.scheduler.give_up(error)

    def _obey(self, wait: bool) -> bool:
        """Carry out the next order. Returns whether there was one."""
        try:
            order = self._orders.get(block=wait)
        except Empty:
            return False
        order()
        return True
