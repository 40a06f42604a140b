"""The events of an answer that is written while nobody waits for it: kept for whoever reads them, now or later, from any place on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Frames:
    """A list that grows until it is over. It is written and read in the event loop alone."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._news = asyncio.Event()
        self.is_over = False

    def __len__(self) -> int:
        return len(self._kept)

    def all(self) -> tuple[bytes, ...]:
        """Those that there are now."""
        return tuple(self._kept)

    def add(self, frame: bytes) -> None:
        self._kept.append(frame)
        self._tell()

    def end(self) -> None:
        """No more will come."""
        self.is_over = True
        self._tell()

    async def stream(self, after: int = 0) -> AsyncIterator[bytes]:
        """Those after the first so many: those of the past at once, the others as they come, until it is over."""
        place = after
        while True:
            while place < len(self._kept):
                yield self._kept[place]
                place += 1
            if self.is_over:
                return
            await self._news.wait()

    def _tell(self) -> None:
        """Wake all who wait; who waits from now on waits for the next news."""
        news, self._news = self._news, asyncio.Event()
        news.set()
