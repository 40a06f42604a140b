"""Rate limits as the providers keep them: buckets that refill continuously, one set a model; Google's day ends at its midnight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from helpers import models
from helpers.gateway.checks import is_whole
from helpers.gateway.clock import Clock, moment
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.models import Model

MINUTE, DAY = 60.0, 86_400.0  # seconds
PER_DAY = "-per-day"  # the end of a family's name
# Limits a day that users of these providers were shown (2024 to 2026). No model has one until somebody sets it.
DAILY = {"openai": ("requests",), "gemini": ("requests",), "bedrock": ("tokens",)}
INSTANT = 1e-4  # seconds; a client that waited as long as it was told is let in, whatever floats made of it
MOST = 10**15  # a minute or a day, so that a bucket stays a number


def reserved_output(question: Question) -> int:
    """Output tokens that a provider sets aside before it answers: Bedrock the model's maximum when none is named."""
    if question.provider == "bedrock":
        return question.limit or question.model.max_output
    return question.limit or 0 if question.provider in ("openai", "azure") else 0


@dataclass
class Level:
    """A bucket: `limit` every `per` seconds, of which `left` are there at time `at` (seconds)."""

    limit: int
    left: float
    at: float
    per: float = MINUTE

    def refill(self, now: float) -> None:
        if self.left < self.limit:
            self.left = min(self.limit, self.left + (now - self.at) * self.limit / self.per)
        self.at = now

    @property
    def seconds_to_full(self) -> float:
        return (self.limit - self.left) / self.limit * self.per

    def seconds_until(self, amount: float) -> float:
        """How long until `amount` is there."""
        return max(0.0, (amount - self.left) / self.limit * self.per)

    def holds(self, amount: float) -> bool:
        """Whether `amount` is there, or will be in less than a clock can tell."""
        return amount <= self.left or self.seconds_until(amount) < INSTANT


class PacificDay(Level):
    """A number for each day in California: all of it is there again at midnight there, and nothing before (Google's page on limits, 2026)."""

    def refill(self, now: float) -> None:
        if _pacific_date(now) != _pacific_date(self.at):
            self.left = self.limit
        self.at = now

    def seconds_until(self, amount: float) -> float:
        return _seconds_to_pacific_midnight(self.at) if amount > self.left else 0.0


def _pacific_date(seconds: float) -> date:
    return moment(seconds).astimezone(ZoneInfo("America/Los_Angeles")).date()


def _seconds_to_pacific_midnight(seconds: float) -> float:
    midnight = datetime.combine(_pacific_date(seconds) + timedelta(days=1), time(), ZoneInfo("America/Los_Angeles"))
    return midnight.timestamp() - seconds


class Quotas:
    """The buckets of all models. Families: requests, tokens, input-tokens, output-tokens; with -per-day those of a day."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._levels: dict[tuple[str, str], dict[str, Level]] = {}
        self._own_limits: dict[tuple[str, str], int] = {}

    def set_limits(self, provider: Any, limits: dict[Any, Any]) -> None:
        """Give every model of a provider other limits by family, a minute or (with -per-day) a day, from full buckets on.

        Raises ValueError for a provider or a family that there is not, and for what is no limit; then none is set.
        """
        known = models.table()["limits"]
        if provider not in list(known):
            raise ValueError(f"there is no provider {provider!r}; there are {', '.join(known)}")
        families = [*known[provider], *(family + PER_DAY for family in DAILY.get(provider, ()))]
        for family, limit in limits.items():
            if family not in families:
                raise ValueError(f"{provider} has no limit of {family}; it has {', '.join(families) or 'none'}")
            if not is_whole(limit) or not 1 <= limit <= MOST:
                raise ValueError(f"a limit is a whole number, at least 1 and at most {MOST:,} a minute or a day")
        self._own_limits |= {(provider, family): int(limit) for family, limit in limits.items()}
        self._levels = {key: value for key, value in self._levels.items() if key[0] != provider}

    def reset(self) -> None:
        self._levels.clear()
        self._own_limits.clear()

    def levels(self, model: Model) -> dict[str, Level]:
        """The buckets of a model, refilled up to now."""
        now = self._clock.now()
        found = self._levels.get((model.provider, model.id))
        if found is None:
            own = {family: limit for (provider, family), limit in self._own_limits.items() if provider == model.provider}
            found = {family: _full(model.provider, family, limit, now) for family, limit in (dict(model.limits) | own).items()}
            self._levels[model.provider, model.id] = found
        for level in found.values():
            level.refill(now)
        return found

    def take(self, question: Question) -> dict[str, Level]:
        """Take a request and its tokens out of the buckets. Raises Refusal("rate_limited"), taking nothing."""
        levels = self.levels(question.model)
        prompt = question.prompt_tokens
        requests, tokens = question.counts_as, prompt + reserved_output(question)
        # Of Anthropic's output tokens one has to be left; they are taken when they are written, whatever max_tokens says.
        wanted = {
            "requests": requests,
            "requests" + PER_DAY: requests,
            "tokens": tokens,
            "tokens" + PER_DAY: tokens,
            "input-tokens": prompt,
            "output-tokens": 1,
        }
        for family, level in levels.items():
            if not level.holds(wanted[family]):
                raise self._refusal(question, family, levels, wanted[family])
        for family, level in levels.items():
            if family != "output-tokens":
                level.left = max(0.0, level.left - wanted[family])
        return levels

    def spare(self, question: Question, cache_read_tokens: int) -> None:
        """Give back at once the input that was read from a cache: Anthropic does not count it."""
        level = self.levels(question.model).get("input-tokens")
        if level:
            level.left = min(level.limit, level.left + cache_read_tokens)

    def settle(self, question: Question, usage: Usage) -> None:
        """Replace the output that was reserved by what was written, when the answer has ended.

        Output tokens beyond their limit are owed: the bucket fills from below zero.
        """
        levels = self.levels(question.model)
        unused = reserved_output(question) - usage.output_tokens
        for family in ("tokens", "tokens" + PER_DAY):
            level = levels.get(family)
            if level:
                level.left = min(level.limit, max(0.0, level.left + unused))
        if "output-tokens" in levels:
            levels["output-tokens"].left -= usage.output_tokens

    @staticmethod
    def _refusal(question: Question, family: str, levels: dict[str, Level], requested: int) -> Refusal:
        level = levels[family]
        return Refusal(
            "rate_limited",
            model=question.model.id,
            family=family.removesuffix(PER_DAY),
            per_day=family.endswith(PER_DAY),
            levels=levels,
            limit=level.limit,
            used=round(level.limit - level.left),
            requested=requested,
            too_large=requested > level.limit,
            wait=ceil(level.seconds_until(requested) * 1000 - 1e-6) / 1000,  # in whole milliseconds, and not a moment less
        )


def _full(provider: str, family: str, limit: int, now: float) -> Level:
    if not family.endswith(PER_DAY):
        return Level(limit, limit, now)
    return (PacificDay if provider == "gemini" else Level)(limit, limit, now, DAY)
