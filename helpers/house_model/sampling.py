"""From scores to one token: temperature, top_p, top_k, a seed, a constraint, and the log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from helpers.house_model.model import Array

COLDEST = 1e-5  # a temperature below is taken for 0, as vLLM does: the division would overflow


class ConstraintError(ValueError):
    """A constraint that cannot be followed, and why."""


class Constraint(Protocol):
    """What a text has to be, such as JSON of a schema: which tokens may come next."""

    def allowed(self) -> Array:
        """True for each token that may come next. Raises ConstraintError."""

    def accept(self, token: int) -> None: ...

    def copy(self) -> Constraint:
        """One like it, as far as it has got."""


class Words:
    """A constraint on one answer: these tokens and no others, the last of which ends it."""

    def __init__(self, tokens: list[int], count: int) -> None:
        """`count` is how many tokens there are to choose from."""
        self._tokens, self._count, self._place = tokens, count, 0

    def allowed(self) -> Array:
        """True for the next of the tokens alone."""
        return np.arange(self._count) == self._tokens[self._place]

    def accept(self, token: int) -> None:
        """Go on to the one after it."""
        self._place += 1

    def copy(self) -> Words:
        """The same from the beginning."""
        return Words(self._tokens, self._count)


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen. temperature 0 takes the best; top_k 0 and top_p 1 leave all; stop holds texts that end the answer.

    top_logprobs is how many likeliest tokens are told with each one's own log-probability; None for not even that.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    constraint: Constraint | None = None

    def again(self, seed: int) -> Sampling:
        """The same for another answer, whose constraint begins anew."""
        return replace(self, seed=seed, constraint=self.constraint and self.constraint.copy())


def probabilities(logits: Array, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0) -> Array:
    """The distribution that the next token is drawn from. temperature 0 leaves the best token alone."""
    if temperature < COLDEST:
        return (np.arange(len(logits)) == logits.argmax()).astype(np.float64)
    found = weights(logits, temperature, top_p, top_k)
    return found / found.sum(dtype=np.float64)


def weights(logits: Array, temperature: float, top_p: float, top_k: int) -> Array:
    """The same, but for a factor: to draw from it, its sum need not be 1."""
    found = np.exp((logits - logits.max()) / temperature)
    if top_k <= 0 and top_p >= 1:
        return found
    order = np.argsort(-found, kind="stable")
    kept = len(order) if top_k <= 0 else min(top_k, len(order))
    if top_p < 1:
        # The smallest set of tokens, likeliest first, that together reach top_p.
        reached = found[order].cumsum(dtype=np.float64)
        kept = min(kept, int(reached.searchsorted(top_p * reached[-1])) + 1)
    found[order[kept:]] = 0
    return found


def choose(logits: Array, sampling: Sampling, random: np.random.Generator) -> int:
    """The next token by these rules."""
    if sampling.constraint:
        logits = np.where(sampling.constraint.allowed(), logits, -np.inf)
    if sampling.temperature < COLDEST:
        return int(logits.argmax())
    reached = weights(logits, sampling.temperature, sampling.top_p, sampling.top_k).cumsum(dtype=np.float64)
    return int(reached.searchsorted(random.random() * reached[-1], side="right"))


def logprobs(logits: Array, id: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
    """The log-probability of a token, and the `count` likeliest tokens with theirs, before temperature and constraint."""
    logs = logits.astype(np.float64) - logits.max()
    logs -= np.log(np.exp(logs).sum())
    best = np.argsort(-logs, kind="stable")[:count] if count else ()
    return float(logs[id]), tuple((int(i), float(logs[i])) for i in best)
