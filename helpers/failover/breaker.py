"""A circuit breaker: who failed several times in a row is left alone for a while, so that not every request finds out anew."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from helpers.limits import Clock


@dataclass
class Breaker:
    """Says whether a provider is worth asking: no for `stays_open` seconds after `opens_after` failures in a row.

    Then one request may try, and the others wait for what it finds for as long again. Ask `allows` before a call, and tell `succeeded` or
    `failed` after it. A failure is the provider's (refused, broken, too slow), not a request that is wrong. One breaker a provider; for one
    thread, or the tasks of one loop. Raises ValueError for fewer failures than 1, and for a time that is none.
    """

    opens_after: int = 5
    stays_open: float = 60.0
    clock: Clock = field(default_factory=Clock, repr=False)
    _failures: int = 0  # in a row
    _until: float = -math.inf

    def __post_init__(self) -> None:
        if self.opens_after < 1:
            raise ValueError(f"opens_after is {self.opens_after}: a breaker opens after 1 failure or more")
        if not 0 <= self.stays_open < math.inf:
            raise ValueError(f"stays_open is {self.stays_open}: give seconds, 0 or more")

    @property
    def is_open(self) -> bool:
        """Whether it has had enough: also while one request tries."""
        return self._failures >= self.opens_after

    def allows(self) -> bool:
        """Whether to ask. A yes while it is open is for this one request, which is to find out."""
        if self.is_open:
            if self.clock.now() < self._until:
                return False
            self._rest()
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        if self._failures == self.opens_after:  # those that were sent before it opened, and fail later, are no news
            self._rest()

    def _rest(self) -> None:
        self._until = self.clock.now() + self.stays_open
