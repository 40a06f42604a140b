"""Sends no faster than a quota allows: every request is told when it may go, so that none is refused for its rate."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Protocol

from helpers.limits.clocks import Clock
from helpers.limits.quotas import FAMILIES, MINUTE, Quota


MOST = 1e15  # of anything, so that a sum of them stays exact enough


class Law(Protocol):
    """How a limit is counted. Moments are seconds; each is no earlier than the one before."""

    limit: float
    per: float  # seconds

    def left(self, at: float) -> float:
        """How much may be taken at that moment."""

    def ready(self, at: float, amount: float) -> float:
        """The first moment from `at` on at which `amount` may be taken."""

    def take(self, at: float, amount: float) -> None:
        """Take it."""


@dataclass
class Bucket:
    """Holds `limit` and refills it continuously every `per` seconds: so count OpenAI, Azure and Anthropic (their headers, 2026-11).

    In any t seconds no more is taken than limit + t * limit / per. Their pages also say that a burst may be refused, as a limit a minute can be
    counted in shorter stretches: Bucket(limit / 60, per=1.0) is a law for that, Throttle's are of a minute.
    """

    limit: float
    per: float = MINUTE
    _level: float = math.inf  # at the moment `_at`; full to begin with
    _at: float = 0.0

    def left(self, at: float) -> float:
        return min(self.limit, self._level + max(0.0, at - self._at) * self.limit / self.per)

    def ready(self, at: float, amount: float) -> float:
        return at + max(0.0, amount - self.left(at)) * self.per / self.limit

    def take(self, at: float, amount: float) -> None:
        self._level, self._at = self.left(at) - amount, at


@dataclass
class Window:
    """No more than `limit` in any `per` seconds, wherever they begin: within the quota however a provider counts.

    A burst takes up to one `per` longer than from a bucket, which may be emptied at once and refills all the same.
    """

    limit: float
    per: float = MINUTE
    _taken: deque[tuple[float, float]] = field(default_factory=deque, repr=False)  # moment and amount, oldest first

    def left(self, at: float) -> float:
        return self.limit - sum(amount for then, amount in self._taken if then + self.per > at)

    def ready(self, at: float, amount: float) -> float:
        room = self.limit - amount
        for then, taken in reversed(self._taken):
            room -= taken
            if room < 0:  # this one, and with it all older ones, has to be out of the window
                return max(at, then + self.per)
        return at

    def take(self, at: float, amount: float) -> None:
        while self._taken and self._taken[0][0] + self.per <= at:
            self._taken.popleft()
        self._taken.append((at, amount))


class Throttle:
    """Holds requests to limits a minute, such as Throttle(requests=200, tokens=30_000): each goes as soon as all limits allow.

    First come, first served; safe with threads and tasks. `law` says how the limits are counted. Without a limit, and for a family that has
    none, nothing waits, until `learn` has read one in an answer. Families: requests, tokens, input_tokens, output_tokens.
    """

    def __init__(self, *, law: type[Bucket] | type[Window] = Bucket, clock: Clock | None = None, **limits: float) -> None:
        self._law, self.clock, self._lock = law, clock or Clock(), threading.Lock()
        self._last = -math.inf  # when the newest of those that were let through goes
        self._seen, self._behind = -math.inf, 0.0  # the time when it was last looked at, and how far the clock has been set back in all
        self._laws: dict[str, Law] = {family: law(limit) for family, limit in _checked(limits).items()}

    def delay(self, **amounts: float) -> float:
        """Seconds until a request of these amounts could go, which is not booked by that; one request unless told otherwise.

        Raises ValueError for a family that there is not, for what is no amount, and for more than a limit ever holds.
        """
        with self._lock:
            now = self._now()
            return self._ready(now, self._wanted(amounts)) - now

    def reserve(self, **amounts: float) -> float:
        """Book a request of these amounts: seconds until it may go. Raises ValueError as `delay` does; then nothing is booked."""
        with self._lock:
            now, wanted = self._now(), self._wanted(amounts)
            self._last = self._ready(now, wanted)
            for family, amount in wanted.items():
                self._laws[family].take(self._last, amount)
            return self._last - now

    def wait(self, **amounts: float) -> float:
        """Book a request, and sleep until it may go. Returns the seconds slept. Raises ValueError as `delay` does."""
        seconds = self.reserve(**amounts)
        self.clock.sleep(seconds)
        return seconds

    async def wait_async(self, **amounts: float) -> float:
        """The same for code that is awaited. Who is cancelled while it waits has booked all the same; of `Turns` it takes nothing."""
        seconds = self.reserve(**amounts)
        await asyncio.sleep(seconds)
        return seconds

    def learn(self, quota: Quota) -> None:
        """Take over the limits that an answer named, and what it said is left where that is less than what was known.

        Less is left where other programs use the same key. More is never believed: an answer does not know of the requests
        that were on their way when it was written.
        """
        with self._lock:
            at = max(self._now(), self._last)
            for family, told in quota.families.items():
                if told.limit:
                    law = self._laws.setdefault(family, self._law(told.limit, told.per))
                    law.limit, law.per = told.limit, max(law.per, told.per)  # of a full one it is not told that it is a day's
                elif family in self._laws:
                    law = self._laws[family]  # whose limit is known: Azure may name what is left alone
                else:
                    continue
                if told.remaining is not None and told.remaining < law.left(at):
                    law.take(at, law.left(at) - told.remaining)

    def _now(self) -> float:
        """The time, which stands still where the clock is set back: nobody waits for an hour to come a second time."""
        now = self.clock.now() + self._behind
        if now < self._seen:
            self._behind, now = self._behind + self._seen - now, self._seen
        self._seen = now
        return now

    def _ready(self, now: float, wanted: Mapping[str, float]) -> float:
        """When all limits allow it, in the order of the requests: each family's moment, later and later until all agree."""
        at = max(now, self._last)
        while (later := max((self._laws[family].ready(at, amount) for family, amount in wanted.items()), default=at)) > at:
            at = later
        return at

    def _wanted(self, amounts: Mapping[str, float]) -> dict[str, float]:
        wanted = _checked({"requests": 1, **amounts}, least=0)
        for family, amount in wanted.items():
            if family in self._laws and amount > self._laws[family].limit:
                limit = f"{self._laws[family].limit:,} {family}"
                raise ValueError(f"{amount:,} {family} never fit into a limit of {limit}: no wait helps, make the request smaller")
        return {family: amount for family, amount in wanted.items() if family in self._laws}


def _checked(amounts: Mapping[str, float], least: float = 1) -> dict[str, float]:
    for family, amount in amounts.items():
        if family not in FAMILIES:
            raise ValueError(f"there is no limit of {family!r}; there are {', '.join(FAMILIES)}")
        if not isinstance(amount, Real) or not least <= amount <= MOST:
            raise ValueError(f"{family}: a number of {least} or more is needed, not {amount!r}")
    return dict(amounts)
