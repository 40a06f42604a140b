"""Outages over years: each provider's own, and those with one cause that strike several at once."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from helpers.failover.traffic import DAY

YEAR = 365 * DAY  # seconds
MOST = 1_000_000  # outages a year, minutes, years
Windows = list[tuple[float, float]]  # from when to when, in seconds


def incidents(providers: int, a_year: float, minutes: float, *, common: float = 0.0, years: float = 1.0, seed: int = 0) -> list[Windows]:
    """The outages of some providers, each with `a_year` of them on average, at random moments, `minutes` long.

    common: the share of a provider's outages that has a cause which all of them share, and strikes all at the same moment. Raises
    ValueError for numbers that make no sense.
    """
    for name, number in {"a_year": a_year, "minutes": minutes, "years": years}.items():
        if not 0 <= number <= MOST:
            raise ValueError(f"{name} is {number}: give a number from 0 to {MOST:,}")
    if not 0 <= common <= 1:
        raise ValueError(f"common is {common}: a share is from 0 to 1")
    rng = random.Random(seed)
    shared = _moments(a_year * common, years, rng)
    own = (_moments(a_year * (1 - common), years, rng) for _ in range(providers))
    return [_merged((at, at + 60 * minutes) for at in shared + moments) for moments in own]


def together(outages: Sequence[Windows]) -> Windows:
    """When all were down at the same time. The outages of one may overlap."""
    edges = sorted((at, step) for windows in outages for window in _merged(windows) for at, step in zip(window, (1, -1), strict=True))
    found, down, began = [], 0, 0.0
    for at, step in edges:  # an end before a beginning of the same moment
        if down == len(outages) and at > began:
            found.append((began, at))
        down, began = down + step, at
    return found


def _moments(a_year: float, years: float, rng: random.Random) -> list[float]:
    at, found = 0.0, []
    while a_year > 0 and (at := at + rng.expovariate(a_year / YEAR)) < years * YEAR:
        found.append(at)
    return found


def _merged(windows: Iterable[tuple[float, float]]) -> Windows:
    """In order, and where one begins before another has ended, both as one."""
    merged: Windows = []
    for begins, ends in sorted(windows):
        if merged and begins <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(ends, merged[-1][1])
        else:
            merged.append((begins, ends))
    return merged
