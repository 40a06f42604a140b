"""When requests come: at random moments, evenly through the day or with a busy afternoon."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

DAY = 86_400.0  # seconds
MOST = 1_000_000_000  # requests a day
BUSIEST = 15 * 3600.0  # three in the afternoon; the quietest moment is twelve hours later


def load(at: float, a_day: float, peak: float = 1.0) -> float:
    """Requests a second at a moment of the day (seconds since midnight): a wave around the mean, `peak` times the mean at three in the afternoon.

    peak: from 1, the same at every moment, to 2, none at three in the night. Raises ValueError for any other.
    """
    if not 1 <= peak <= 2:
        raise ValueError(f"peak is {peak}: a wave around the mean reaches from 1 to 2 times the mean")
    return a_day / DAY * (1 + (peak - 1) * math.cos(2 * math.pi * (at - BUSIEST) / DAY))


def arrivals(
    a_day: float, begins: float, ends: float, *, peak: float = 1.0, kinds: Mapping[str, float] | None = None, seed: int = 0
) -> list[tuple[float, str]]:
    """The moment and the kind of each request between two moments of the day, in order: a Poisson process with the rate of `load`.

    begins, ends: seconds since midnight. kinds: the share of each kind, all of one kind, "request", unless given. The same seed gives the same.
    Raises ValueError for numbers that make no sense.
    """
    if not 0 <= a_day <= MOST:
        raise ValueError(f"a_day is {a_day}: give a number of requests from 0 to {MOST:,}")
    if not -math.inf < begins <= ends < math.inf:
        raise ValueError(f"from {begins} to {ends} is no stretch of a day: give seconds since midnight, the earlier first")
    if kinds is not None and (not kinds or min(kinds.values()) < 0 or not 0 < sum(kinds.values()) < math.inf):
        raise ValueError(f"kinds is {kinds}: give shares of 0 or more, not all of them 0")
    load(begins, a_day, peak)
    rng, names = random.Random(seed), dict(kinds or {"request": 1.0})
    at, found, most = begins, [], a_day / DAY * peak
    while most > 0 and (at := at + rng.expovariate(most)) < ends:
        if rng.random() * most < load(at, a_day, peak):  # thinned to the rate of its moment
            found.append((at, rng.choices(list(names), list(names.values()))[0]))
    return found
