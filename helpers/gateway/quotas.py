"""Rate limits as the providers keep them: buckets that refill continuously, one set a model."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from helpers import models
from helpers.gateway.checks import is_whole
from helpers.gateway.clock import Clock
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.models import Model

MINUTE = 60.0
INSTANT = 1e-4  # seconds; a client that waited as long as it was told is let in, whatever floats made of it
MOST = 10**15  # a minute, so that a bucket stays a number


def reserved_output(question: Question) -> int:
    """Output tokens that a provider sets aside before it answers: Bedrock the model's maximum when none is named."""
    if question.provider == "bedrock":
        return question.limit or question.model.max_output
    return question.limit or 0 if question.provider in ("openai", "azure") else 0


@dataclass
class Level:
    """A bucket: `limit` a minute, of which `left` are there at time `at` (seconds)."""

    limit: int
    left: float
    at: float

    def refill(self, now: float) -> None:
        self.left = min(self.limit, self.left + (now - self.at) * self.limit / MINUTE)
        self.at = now

    @property
    def seconds_to_full(self) -> float:
        return (self.limit - self.left) / self.limit * MINUTE

    def seconds_until(self, amount: float) -> float:
        """How long until `amount` is there."""
        return max(0.0, (amount - self.left) / self.limit * MINUTE)

    def holds(self, amount: float) -> bool:
        """Whether `amount` is there, or will be in less than a clock can tell."""
        return self.seconds_until(amount) < INSTANT


class Quotas:
    """The buckets of all models. Families: requests, tokens, input-tokens, output-tokens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._levels: dict[tuple[str, str], dict[str, Level]] = {}
        self._own_limits: dict[tuple[str, str], int] = {}

    def set_limits(self, provider: Any, limits: dict[Any, Any]) -> None:
        """Give every model of a provider other limits a minute, by family, from full buckets on.

        Raises ValueError for a provider or a family that there is not, and for what is no limit; then none is set.
        """
        known = models.table()["limits"]
        if provider not in list(known):
            raise ValueError(f"there is no provider {provider!r}; there are {', '.join(known)}")
        for family, per_minute in limits.items():
            if family not in known[provider]:
                raise ValueError(f"{provider} has no limit of {family}; it has {', '.join(known[provider]) or 'none'}")
            if not is_whole(per_minute) or not 1 <= per_minute <= MOST:
                raise ValueError(f"a limit is a whole number, at least 1 and at most {MOST:,} a minute")
        self._own_limits |= {(provider, family): int(per_minute) for family, per_minute in limits.items()}
        self._levels = {key: value for key, value in self._levels.items() if key[0] != provider}

    def reset(self) -> None:
        self._levels.clear()
        self._own_limits.clear()

    def levels(self, model: Model) -> dict[str, Level]:
        """The buckets of a model, refilled up to now."""
        now = self._clock.now()
        found = self._levels.get((model.provider, model.id))
        if found is None:
            limits = {family: self._own_limits.get((model.provider, family), limit) for family, limit in model.limits.items()}
            found = {family: Level(limit, limit, now) for family, limit in limits.items()}
            self._levels[model.provider, model.id] = found
        for level in found.values():
            level.refill(now)
        return found

    def take(self, question: Question) -> dict[str, Level]:
        """Take a request and its tokens out of the buckets. Raises Refusal("rate_limited"), taking nothing."""
        levels = self.levels(question.model)
        prompt = question.prompt_tokens
        # Of Anthropic's output tokens one has to be left; they are taken when they are written, whatever max_tokens says.
        wanted = {"requests": question.counts_as, "tokens": prompt + reserved_output(question), "input-tokens": prompt, "output-tokens": 1}
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
        if "tokens" in levels:
            level = levels["tokens"]
            level.left = min(level.limit, max(0.0, level.left + reserved_output(question) - usage.output_tokens))
        if "output-tokens" in levels:
            levels["output-tokens"].left -= usage.output_tokens

    @staticmethod
    def _refusal(question: Question, family: str, levels: dict[str, Level], requested: int) -> Refusal:
        level = levels[family]
        return Refusal(
            "rate_limited",
            model=question.model.id,
            family=family,
            levels=levels,
            limit=level.limit,
            used=round(level.limit - level.left),
            requested=requested,
            too_large=requested > level.limit,
            wait=ceil(level.seconds_until(requested) * 1000 - 1e-6) / 1000,  # in whole milliseconds, and not a moment less
        )
