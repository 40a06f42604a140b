"""Requests that go from one provider to the next, on a clock that jumps over every wait. The same seed gives the same to the last digit.

What it leaves out: providers that are only slower than usual, and that an outage also breaks what was being answered when it began.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from helpers.failover.breaker import Breaker
from helpers.limits import Throttle, full_jitter, simulate

REFUSAL = 0.2  # seconds that a refusal takes; chosen
SPREAD = 0.4  # of the times of answers: the logarithm's standard deviation; chosen


@dataclass(frozen=True)
class Provider:
    """A provider, as the simulation sees it. What is given by kind of request has no entry for a kind that it does not take.

    seconds: the median time of an answer. usd: what one costs. down: from when to when it answers nobody, in seconds since midnight;
    silent: whether it then says nothing at all, instead of refusing at once. limit: requests a minute that it lets through for us, counted as
    a bucket. places: requests that it works on at once; others wait. useless: the share of its answers that the program cannot use. Raises
    ValueError for numbers that make no sense.
    """

    name: str
    seconds: Mapping[str, float]
    usd: Mapping[str, float] = field(default_factory=dict)
    down: Sequence[tuple[float, float]] = ()
    silent: bool = False
    limit: float | None = None
    places: int | None = None
    useless: float = 0.0

    def __post_init__(self) -> None:
        for name in ("limit", "places"):
            if (number := getattr(self, name)) is not None and not 1 <= number < math.inf:
                raise ValueError(f"{name} is {number}: give 1 or more, or None for as many as come")
        if not 0 <= self.useless <= 1:
            raise ValueError(f"useless is {self.useless}: a share is from 0 to 1")
        for name in ("seconds", "usd"):
            for kind, number in getattr(self, name).items():
                if not 0 <= number < math.inf:
                    raise ValueError(f"{name} of {kind!r} is {number}: give 0 or more")
        for begins, ends in self.down:
            if not begins <= ends:
                raise ValueError(f"down has ({begins}, {ends}): an outage begins before it ends")


@dataclass(frozen=True)
class Policy:
    """What the program does. timeout: seconds that it waits for one attempt. attempts: how often it asks one provider, waiting in between
    by full jitter. patience: seconds that a request may wait for its turn under a provider's limit. opens_after: failures in a row after
    which a provider is left alone for stays_open seconds; None: never. Raises ValueError for numbers that make no sense.
    """

    timeout: float = 30.0
    attempts: int = 1
    patience: float = 0.0
    opens_after: int | None = None
    stays_open: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.timeout < math.inf:
            raise ValueError(f"timeout is {self.timeout}: give seconds, more than 0")
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}: with fewer than 1 nobody is asked")
        if not 0 <= self.patience < math.inf:
            raise ValueError(f"patience is {self.patience}: give seconds, 0 or more")
        if self.opens_after is not None:
            Breaker(self.opens_after, self.stays_open)  # which says what is wrong with them


@dataclass(frozen=True)
class Outcome:
    """What became of a request. by: who answered, None where it was lost. seconds: how long it took, or until it was given up.

    asked: the providers that were sent something, in order. usd: what was paid for it, answers that nobody waited for included.
    """

    at: float
    kind: str
    by: str | None
    seconds: float
    asked: tuple[str, ...]
    usd: float


def play(arrivals: Sequence[tuple[float, str]], providers: Sequence[Provider], policy: Policy | None = None, *, seed: int = 0) -> list[Outcome]:
    """What becomes of requests (their moments and kinds) that ask the providers in this order, until one answers.

    The same request takes the same time at the same provider in every play with this seed, so that what differs is the policy's doing.
    Raises ValueError for two providers of one name, and for a moment that is none.
    """
    if len({provider.name for provider in providers}) < len(providers):
        raise ValueError(f"two providers have one name, among {', '.join(provider.name for provider in providers)}: nobody could tell who answered")
    if bad := [at for at, _ in arrivals if not 0 <= at < math.inf]:
        raise ValueError(f"a request comes at {bad[0]}: give seconds since midnight, 0 or more")

    async def main() -> list[Outcome]:
        desks = [_Desk(provider, policy or Policy()) for provider in providers]
        return await asyncio.gather(*[_serve(number, at, kind, desks, seed) for number, (at, kind) in enumerate(arrivals)])

    return simulate(main())


async def _serve(number: int, at: float, kind: str, desks: Sequence[_Desk], seed: int) -> Outcome:
    loop, call = asyncio.get_running_loop(), _Call(kind)
    await asyncio.sleep(at - loop.time())
    began, by = loop.time(), None
    for desk in desks:
        if await desk.answers(call, random.Random(f"{seed} {number} {desk.provider.name}")):
            by = desk.provider.name
            break
    return Outcome(at, kind, by, loop.time() - began, tuple(call.asked), call.usd)


@dataclass
class _Call:
    """A request on its way."""

    kind: str
    asked: list[str] = field(default_factory=list)
    usd: float = 0.0


class _Desk:
    """A provider at work, with what the program knows of it."""

    def __init__(self, provider: Provider, policy: Policy) -> None:
        self.provider, self._policy = provider, policy
        self._breaker = Breaker(policy.opens_after, policy.stays_open) if policy.opens_after else None
        self._throttle = Throttle(requests=provider.limit) if provider.limit else None
        self._places = asyncio.Semaphore(provider.places or 1_000_000)

    async def answers(self, call: _Call, rng: random.Random) -> bool:
        """Whether the call gets an answer here that can be used."""
        if call.kind not in self.provider.seconds:
            return False
        for attempt in range(1, self._policy.attempts + 1):
            if attempt > 1:
                await asyncio.sleep(full_jitter(attempt - 1, rng=rng))
            if not await self._may_ask():
                return False
            call.asked.append(self.provider.name)
            answered = await self._attempt(call, rng)
            if self._breaker:
                tell = self._breaker.succeeded if answered else self._breaker.failed
                tell()
            if answered:
                return rng.random() >= self.provider.useless
        return False

    async def _may_ask(self) -> bool:
        """Its turn under the limit has to come soon enough, and the breaker to allow it: asked last, as its yes may be for this one alone."""
        if self._throttle and self._throttle.delay() > self._policy.patience:
            return False
        if self._breaker and not self._breaker.allows():
            return False
        if self._throttle:
            await self._throttle.wait_async()
        return True

    async def _attempt(self, call: _Call, rng: random.Random) -> bool:
        takes = self.provider.seconds[call.kind] * rng.lognormvariate(0.0, SPREAD)
        if self._is_down():
            await asyncio.sleep(self._policy.timeout if self.provider.silent else min(REFUSAL, self._policy.timeout))
            return False
        try:
            async with asyncio.timeout(self._policy.timeout), self._places:
                call.usd += self.provider.usd.get(call.kind, 0.0)  # it is being made, and paid for, whoever waits
                await asyncio.sleep(takes)
        except TimeoutError:
            return False
        return True

    def _is_down(self) -> bool:
        now = asyncio.get_running_loop().time()
        return any(begins <= now < ends for begins, ends in self.provider.down)
