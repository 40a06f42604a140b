"""The course's clock: real time, plus what a cell has added to it."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime

LATEST = 32_503_680_000  # the year 3000: dates go no further than 9999
CENTURY = 100 * 365 * 86_400  # seconds


class Clock:
    """Quotas, caches, batches and outages all read this clock, so a cell can let a day pass in an instant.

    It starts now, or at the noon of COURSE_DATE (such as 2026-11-23): on that day the course's models are all there.
    """

    def __init__(self) -> None:
        day = os.environ.get("COURSE_DATE")
        self._added = datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp() - time.time() if day else 0.0

    def now(self) -> float:
        """Seconds since 1970, by the course's clock."""
        return time.time() + self._added

    def today(self) -> date:
        """The date by the course's clock, in UTC."""
        return datetime.fromtimestamp(self.now(), UTC).date()

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`. Raises ValueError for a step back."""
        if not 0 <= seconds <= CENTURY or self.now() + seconds > LATEST:
            raise ValueError("the clock only moves forward, and by a century at most: give a number of seconds of 0 or more")
        self._added += seconds
