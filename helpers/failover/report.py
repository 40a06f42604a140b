"""What became of many requests, as a few numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import fmean

from helpers.failover.simulation import Outcome


@dataclass(frozen=True)
class Report:
    """Counts of requests; seconds of those that were answered; USD of all. `by` and `asked` count answers and attempts by provider."""

    sent: int
    lost: int
    mean: float
    p99: float  # 99 of 100 were answered as quickly, or more quickly
    slowest: float
    usd: float
    by: Counter[str]
    asked: Counter[str]


def report(outcomes: Sequence[Outcome]) -> Report:
    """Sum them up. Seconds are 0 where nothing was answered."""
    times = sorted(outcome.seconds for outcome in outcomes if outcome.by)
    return Report(
        sent=len(outcomes),
        lost=len(outcomes) - len(times),
        mean=fmean(times) if times else 0.0,
        p99=_share(times, 0.99),
        slowest=_share(times, 1.0),
        usd=sum(outcome.usd for outcome in outcomes),
        by=Counter(outcome.by for outcome in outcomes if outcome.by),
        asked=Counter(name for outcome in outcomes for name in outcome.asked),
    )


def waits(outcomes: Sequence[Outcome], every: float = 300.0) -> dict[float, float]:
    """How long those that came in each stretch of `every` seconds waited on average, lost ones too: the stretch's beginning, and seconds."""
    found: dict[float, list[float]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.at // every * every, []).append(outcome.seconds)
    return {begins: sum(times) / len(times) for begins, times in sorted(found.items())}


def _share(times: Sequence[float], share: float) -> float:
    """The time within which this share of them was over."""
    return times[ceil(share * len(times)) - 1] if times else 0.0
