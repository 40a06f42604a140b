"""The course's clock: real time, plus what a cell has added to it."""

from __future__ import annotations

import os
import time
from datetime import UTC, date, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

from helpers.gateway.checks import is_number

CENTURY = 100 * 365 * 86_400  # seconds
# The ends of the calendar in seconds since 1970: the first second of the year 1, the last of the year 9999.
FIRST, LAST = -62_135_596_800, 253_402_300_799


def moment(seconds: float) -> datetime:
    """A moment (in seconds since 1970) as a date in UTC; one beyond the calendar is its first or last second."""
    return datetime.fromtimestamp(min(max(seconds, FIRST), LAST), UTC)


@lru_cache(maxsize=1)  # many answers have the same
def http_date(seconds: int) -> str:
    """A moment (in seconds since 1970) as headers of HTTP write it."""
    return format_datetime(moment(seconds), usegmt=True)


class Clock:
    """Quotas, caches, batches and outages all read this clock, so a cell can let a day pass in an instant.

    It starts now, or at the noon of COURSE_DATE (such as 2026-11-23): on that day the course's models are all there.
    """

    def __init__(self) -> None:
        day = os.environ.get("COURSE_DATE")
        self._ahead = datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp() - time.time() if day else 0.0
        self._added = 0.0
        self._stopped: float | None = None  # the real time at which it was stopped

    def now(self) -> float:
        """Seconds since 1970, by the course's clock."""
        real = time.time() if self._stopped is None else self._stopped
        return real + self._ahead + self._added

    def today(self) -> date:
        """The date by the course's clock, in UTC."""
        return moment(self.now()).date()

    def advance(self, *, seconds: Any = 0, minutes: Any = 0, hours: Any = 0) -> None:
        """Move the clock forward. Raises ValueError for a step back, one of more than a century, and one out of the calendar."""
        if not all(map(is_number, (seconds, minutes, hours))):
            raise ValueError("seconds, minutes and hours are numbers of 0 or more")
        try:
            step = float(seconds) + 60 * float(minutes) + 3600 * float(hours)
        except OverflowError:
            step = -1.0
        if min(seconds, minutes, hours) < 0 or not 0 <= step <= CENTURY:
            raise ValueError("the clock only moves forward, and by a century at most: give a number of seconds, minutes or hours of 0 or more")
        if self.now() + step > LAST:
            raise ValueError("the clock stops with the year 9999, where the calendar ends")
        self._added += step

    def stop(self) -> None:
        """Stand still: from now on nothing but advance() moves it."""
        self._stopped = time.time() if self._stopped is None else self._stopped

    def go_on(self) -> None:
        """Run again, from where it stands."""
        if self._stopped is not None:
            self._added -= time.time() - self._stopped
            self._stopped = None

    def reset(self) -> None:
        """Take back what was added, and run."""
        self._added, self._stopped = 0.0, None
