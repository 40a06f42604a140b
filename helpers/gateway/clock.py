"""The course's clock: real time, plus what a cell has added to it."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime


CENTURY = 100 * 365 * 86_400  # seconds


class Clock:
    """Quotas, caches, batches and outages all read this clock, so a cell can let a day pass in an instant."""

    def __init__(self) -> None:
        self._added = 0.0

    def now(self) -> float:
        """Seconds since 1970, by the course's clock."""
        return time.time() + self._added

    def today(self) -> date:
        """The date by the course's clock, in UTC."""
        return datetime.fromtimestamp(self.now(), UTC).date()

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`. Raises ValueError for a step back."""
        if not 0 <= seconds <= CENTURY - self._added:
            raise ValueError("the clock only moves forward, and by a century at most: give a number of seconds of 0 or more")
        self._added += seconds
