"""What the gateway does wrong on purpose, so that a lesson can see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from helpers import models
from helpers.gateway.checks import is_number, is_whole
from helpers.gateway.clock import CENTURY, Clock
from helpers.gateway.exchange import Refusal

# Answered instead of the model, in the provider's own error shape.
REFUSALS = {
    "rate_limited": "rate_limited",
    "overloaded": "overloaded",
    "server_error": "server_error",
    "wrong_key": "bad_key",
    "out_of_credit": "out_of_credit",
    "outage": "overloaded",
}
# A filter of the provider's stops the prompt: an answer with 200, in each provider's own form.
FILTERS = ("blocked",)
# Done to the connection or to the stream.
DISTURBANCES = ("slow", "stalled", "connection_reset", "stream_cut", "stream_ended", "overloaded_in_stream")
IN_ANSWER = ("stalled", "stream_cut", "stream_ended", "overloaded_in_stream")  # once it has begun, after some events
IN_BATCH = ("slow_batch",)  # done to a batch when it is made; all others are done to questions
MOST = 1000  # faults that are set at once
KINDS = (*REFUSALS, *FILTERS, *DISTURBANCES, *IN_BATCH)


@dataclass(eq=False)
class Fault:
    """One fault. `provider` None means all; `times` None means until it is cleared or its time is over."""

    kind: str
    provider: str | None = None
    times: int | None = None
    seconds: float = 0.0  # slow: the delay; slow_batch: how long it runs; rate_limited: the wait it asks for; outage: how long it lasts
    chunk: int = 3  # those IN_ANSWER: after how many events; before the last one of a shorter stream
    until: float | None = field(default=None, repr=False, init=False)

    def refusal(self) -> Refusal | None:
        """The refusal this fault stands for, or None where it disturbs the connection instead."""
        if self.kind not in REFUSALS:
            return None
        wait = self.seconds if self.kind == "rate_limited" else 0.0  # nobody says how long an outage lasts
        return Refusal(REFUSALS[self.kind], wait=wait or 1.0)


class Faults:
    """The faults that are set. At most one strikes a request: the first that fits."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Set a fault. Raises ValueError for a kind or provider that does not exist, saying which do, and for wrong numbers."""
        if fault.kind not in KINDS:
            raise ValueError(f"there is no fault {fault.kind!r}; there are {', '.join(KINDS)}")
        providers = models.table()["limits"]
        if fault.provider is not None and fault.provider not in list(providers):
            raise ValueError(f"there is no provider {fault.provider!r}; there are {', '.join(providers)}")
        if fault.times is not None and (not is_whole(fault.times) or fault.times < 1):
            raise ValueError("times is how many requests the fault strikes: a whole number, 1 or more")
        if not is_whole(fault.chunk) or fault.chunk < 0:
            raise ValueError("chunk is after how many events the fault strikes: a whole number of 0 or more")
        if not is_number(fault.seconds) or not 0 <= fault.seconds <= CENTURY:
            raise ValueError("seconds is a number of 0 or more, and at most a century")
        if fault.kind == "outage":
            if fault.seconds <= 0:
                raise ValueError("an outage needs seconds=...: how long it lasts by the course's clock")
            fault.until = self._clock.now() + fault.seconds
        if len(self._set) >= MOST:
            raise ValueError(f"{MOST:,} faults are set; clear_faults() takes them back")
        self._set.append(fault)

    def clear(self) -> None:
        self._set.clear()

    def restore(self, fault: Fault) -> None:
        """Give back a fault that found nothing to strike: the next request that fits has it."""
        if fault.times is not None:
            fault.times += 1
            if fault not in self._set:
                self._set.insert(0, fault)

    def strike_batch(self, provider: str) -> Fault | None:
        """The fault for a batch that is being made, counted down."""
        return self._strike(provider, lambda kind: kind in IN_BATCH)

    def strike(self, provider: str, *, stream: bool = True, filtered: bool = True) -> Fault | None:
        """The fault for a question that just came in, counted down.

        A stream that ends too soon waits for a stream, and a filter for a question that one looks at: it does at none for vectors.
        """
        return self._strike(provider, lambda kind: kind not in IN_BATCH and (stream or kind != "stream_ended") and (filtered or kind not in FILTERS))

    def _strike(self, provider: str, fits: Callable[[str], bool]) -> Fault | None:
        now = self._clock.now()
        self._set = [fault for fault in self._set if fault.until is None or fault.until > now]
        for fault in self._set:
            if fault.provider in (None, provider) and fits(fault.kind):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._set.remove(fault)
                return fault
        return None
