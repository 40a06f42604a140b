"""Rate limits as the providers keep them: buckets that refill continuously, one set a model."""

from __future__ import annotations

from dataclasses import dataclass

from helpers import models
from helpers.gateway.clock import Clock
from helpers.gateway.exchange import Question, Refusal, Usage
from helpers.models import Model

MINUTE = 60.0


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


class Quotas:
    """The buckets of all models. Families: requests, tokens, input-tokens, output-tokens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._levels: dict[tuple[str, str], dict[str, Level]] = {}
        self._own_limits: dict[tuple[str, str], int] = {}

    def set_limit(self, provider: str, family: str, per_minute: int) -> None:
        """Give every model of a provider another limit, from a full bucket on. Raises ValueError for one that it does not have."""
        families = models.table()["limits"].get(provider, {})
        if family not in families:
            raise ValueError(f"{provider} has no limit of {family}; it has {', '.join(families) or 'none'}")
        if not isinstance(per_minute, int) or per_minute < 1:
            raise ValueError("a limit is a whole number, at least 1 a minute")
        self._own_limits[provider, family] = per_minute
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
        wanted = {"requests": 1, "tokens": prompt + reserved_output(question), "input-tokens": prompt, "output-tokens": 0}
        for family, level in levels.items():
            if wanted[family] > level.left:
                raise self._refusal(question, family, level, wanted[family])
        for family, level in levels.items():
            level.left -= wanted[family]
        return levels

    def spare(self, question: Question, cache_read_tokens: int) -> None:
        """Give back at once the input that was read from a cache: Anthropic does not count it."""
        level = self.levels(question.model).get("input-tokens")
        if level:
            level.left = min(level.limit, level.left + cache_read_tokens)

    def settle(self, question: Question, usage: Usage) -> None:
        """Replace the output that was reserved by what was written, when the answer has ended."""
        spent = usage.output_tokens
        back = {"tokens": reserved_output(question) - spent, "output-tokens": -spent}
        for family, level in self.levels(question.model).items():
            level.left = min(level.limit, max(0.0, level.left + back.get(family, 0)))

    @staticmethod
    def _refusal(question: Question, family: str, level: Level, requested: int) -> Refusal:
        return Refusal(
            "rate_limited",
            model=question.model.id,
            family=family,
            limit=level.limit,
            used=round(level.limit - level.left),
            requested=requested,
            too_large=requested > level.limit,
            wait=level.seconds_until(requested),
        )
