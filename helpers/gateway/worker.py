"""What takes time in proportion to a request is done beside the event loop, so that nobody waits for another's size."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from helpers.gateway import memory
from helpers.gateway.threads import in_thread

SMALL = 32_000  # bytes; what is smaller takes some milliseconds at most, and is done at once
LARGE = 1_000_000  # bytes of a request, after which memory is given back
TURN = 0.0002  # seconds that who waits for Python's lock waits while large work goes on; usually 5 ms, and every byte sent waits for it anew
T = TypeVar("T")


def whole_size(size: int, named: Callable[[], int]) -> int:
    """The size of a request, with that of what it names, which is looked up where the request is small: a large one is no work for the event loop anyway."""
    return size + named() if size <= SMALL else size


class Worker:
    """One thread for all large requests, one after the other: more would only take more of Python's lock from the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="llm-gateway-worker")

    async def do(self, size: int, action: Callable[..., T], *arguments: Any) -> T:
        """Do something that takes time in proportion to `size` (bytes): at once where that is little, else in the thread."""
        if size <= SMALL:
            return action(*arguments)
        return await in_thread(self._pool, _politely, _uncollected, action, *arguments)

    def tidy(self, _: object = None) -> None:
        """Give back the memory of a large request that is over."""
        with suppress(RuntimeError):  # closed by now
            self._pool.submit(memory.give_back)

    def close(self) -> None:
        """Begin nothing more. What has begun ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _politely(action: Callable[..., T], *arguments: Any) -> T:
    """Do it while all other threads get their turn soon."""
    usual = sys.getswitchinterval()
    if usual <= TURN:
        return action(*arguments)
    sys.setswitchinterval(TURN)
    try:
        return action(*arguments)
    finally:
        sys.setswitchinterval(usual)


def _uncollected(action: Callable[..., T], *arguments: Any) -> T:
    """Do it without Python's search for unreachable cycles: among a million new objects that stops every thread for a second."""
    if not gc.isenabled():
        return action(*arguments)
    gc.disable()
    try:
        return action(*arguments)
    finally:
        gc.enable()
