"""When to try again, and when not: full jitter, what the provider asks for, a deadline, and a budget that keeps retries a small share.

The loop itself is tenacity's. Rules by the providers' documents and the SDKs' sources, 2026-11.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

from helpers.limits.clocks import Clock
from helpers.limits.quotas import DAY, body_of, headers_of, quota

if TYPE_CHECKING:
    import tenacity  # which brings tornado, where that is installed: so it is loaded when it is first used

RETRIED = (408, 409, 429)  # and every 5xx, as the SDKs of OpenAI and Anthropic do it
# A 429 with one of these does not go away by waiting: money, a limit that somebody set, a request larger than the limit, or a
# day's quota that comes back at midnight (OpenAI's comes back all day long, and says when).
HOPELESS = (
    *("insufficient_quota", "credit_balance_exhausted", "enforced_spend_limit_reached"),
    *("organization_spend_limit_exceeded", "project_spend_limit_exceeded", "organization_usage_limit_exceeded"),
)
HOPELESS_WORDS = ("Request too large", "credits are depleted", "tokens per day", "PerDayPer")
# Connections that broke, and waits that ended: nothing was answered. Base classes by name, so that no SDK is imported for it.
BROKEN = (
    *("APIConnectionError", "TransportError", "RequestException", "HTTPClientError"),
    *("ProtocolError", "ReadTimeoutError"),  # urllib3's, in a stream
    *("ClientConnectionError", "ClientPayloadError"),  # aiohttp's, under google-genai's code that is awaited
)
MISTAKEN = ("ValueError", "UnsupportedProtocol", "InvalidJSONError")  # of the same families, where it was no request, or no JSON came
# What an error in the middle of a stream calls itself, at OpenAI, Anthropic and AWS, where the same may succeed later. Its status was 200.
IN_STREAM = (
    *("server_is_overloaded", "server_error", "rate_limit_exceeded", "overloaded_error", "api_error", "rate_limit_error", "timeout_error"),
    *("serviceUnavailableException", "throttlingException", "internalServerException", "modelStreamErrorException"),
)


def full_jitter(attempt: int, *, base: float = 0.5, most: float = 8.0, rng: random.Random | None = None) -> float:
    """Seconds to wait after the attempt (1 for the first): anything from 0 to base * 2 ** (attempt - 1), at most `most`."""
    return (rng or random).uniform(0.0, min(most, base * 2.0 ** min(attempt - 1, 1000)))


def worth_retrying(error: BaseException) -> bool:
    """Whether the same request may succeed later: a broken connection or stream, a time-out, 408, 409, 429 and 5xx do; a 429 for money does not."""
    status = _status(error)
    if status is None or status == 200:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        broken = isinstance(error, ConnectionError | TimeoutError) or (bool(kinds & set(BROKEN)) and not kinds & set(MISTAKEN))
        return broken or bool(_names(error) & set(IN_STREAM))
    says = (headers_of(error) or {}).get("x-should-retry")
    if _is_hopeless(error) or says == "false":
        return False
    return says == "true" or status in RETRIED or status >= 500


def _is_hopeless(error: BaseException) -> bool:
    """By its names; and by its text, as litellm keeps the body of some providers there alone."""
    return bool(_names(error) & set(HOPELESS)) or any(words in str(error) for words in (*HOPELESS, *HOPELESS_WORDS))


def _names(error: BaseException) -> set[str]:
    """What the error calls itself in its body: code, type, and where there is one a closer code."""
    response = getattr(error, "response", None)
    body = response if isinstance(response, Mapping) else body_of(error)  # botocore's ClientError
    inner = body.get("error") or body.get("Error") or body
    inner = inner if isinstance(inner, Mapping) else {}
    details = inner.get("details")
    told = (inner.get("code"), inner.get("type"), inner.get("Code"), details.get("error_code") if isinstance(details, Mapping) else None)
    return {name for name in told if isinstance(name, str)}


def _status(error: BaseException) -> int | None:
    """The HTTP status that an SDK's error carries."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore's ClientError
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        kept = (getattr(error, "status_code", None), getattr(error, "code", None), getattr(response, "status_code", None))  # the last: of an HTTP client's own
        found = next((status for status in kept if isinstance(status, int)), None)
    return found if isinstance(found, int) else None


def _checked(least: float, **numbers: float) -> None:
    for name, number in numbers.items():
        if not isinstance(number, Real) or not least <= number < math.inf:
            raise ValueError(f"{name} is {number!r}: a number of {least:g} or more is needed")


@dataclass
class RetryBudget:
    """Lets retries be a share of the requests: each first try adds `share` of a retry, up to `most`, each retry takes one.

    In an outage it is soon empty: then everybody fails at once, instead of sending everything several times. Safe with threads.
    """

    share: float = 0.1
    most: float = 10.0
    left: float = -1.0  # full, unless told otherwise
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        _checked(0, share=self.share, most=self.most)
        _checked(-1, left=self.left)
        self.left = self.most if self.left < 0 else self.left

    def first_try(self) -> None:
        with self._lock:
            self.left = min(self.most, self.left + self.share)

    def take(self) -> bool:
        """One retry, where there is one left."""
        with self._lock:
            granted = self.left >= 1.0
            self.left -= granted
            return granted


def retrying(
    *,
    attempts: int = 5,
    base: float = 0.5,
    most: float = 8.0,
    deadline: float | None = None,
    budget: RetryBudget | None = None,
    retry: Callable[[BaseException], bool] = worth_retrying,
    rng: random.Random | None = None,
    clock: Clock | None = None,
) -> tenacity.Retrying:
    """A loop of tenacity that calls a function until it succeeds: retrying(attempts=4)(client.chat.completions.create, model=…).

    It waits by full jitter (`base` doubled each time, at most `most` seconds), on top of what the provider asked for. It gives up with the
    error of the last attempt: after `attempts` in all, where the next wait would end past `deadline` seconds after the first one began, where
    `budget` has no retry left, where it would wait for more than a day, and where `retry` says no. The SDK's own retries go on underneath:
    build the client with max_retries=0. Raises ValueError for numbers that make no sense.
    """
    import tenacity

    _checked(1, attempts=attempts)
    _checked(0, base=base, most=most, deadline=0 if deadline is None else deadline)
    clock = clock or Clock()
    rules = _Rules(attempts, base, most, deadline, budget, rng or random.Random(), clock)
    return tenacity.Retrying(
        sleep=clock.sleep, before=rules.begin, wait=rules.wait, stop=rules.stop, retry=tenacity.retry_if_exception(retry), reraise=True
    )


def retrying_async(**options: Any) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The same for code that is awaited: await retrying_async(attempts=4)(client.chat.completions.create, model=…)."""
    import tenacity

    same = retrying(**options)
    loop = tenacity.AsyncRetrying(sleep=asyncio.sleep, before=same.before, wait=same.wait, stop=same.stop, retry=same.retry, reraise=True)

    async def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def attempt() -> Any:  # methods of openai and anthropic are plain functions that return a coroutine: tenacity would not await it
            return await function(*args, **kwargs)

        return await loop(attempt)

    return call


@dataclass(frozen=True)
class _Rules:
    """What tenacity asks around each attempt."""

    attempts: int
    base: float
    most: float
    deadline: float | None
    budget: RetryBudget | None
    rng: random.Random
    clock: Clock

    def begin(self, state: tenacity.RetryCallState) -> None:
        if state.attempt_number == 1:
            state.began = self.clock.now()  # type: ignore[attr-defined]  # tenacity's own start is by the real clock
            if self.budget:
                self.budget.first_try()

    def wait(self, state: tenacity.RetryCallState) -> float:
        """What the provider asks for, and jitter on top: otherwise all that were refused together come back together."""
        jitter = full_jitter(state.attempt_number, base=self.base, most=self.most, rng=self.rng)
        return (_asked(state.outcome.exception()) if state.outcome else 0.0) + jitter

    def stop(self, state: tenacity.RetryCallState) -> bool:
        if state.attempt_number >= self.attempts or state.upcoming_sleep > DAY:
            return True
        if self.deadline is not None and self.clock.now() + state.upcoming_sleep - state.began > self.deadline:  # type: ignore[attr-defined]
            return True
        return self.budget is not None and not self.budget.take()


def _asked(error: BaseException | None) -> float:
    """Seconds that the provider asked to wait."""
    return quota(error).retry_after or 0.0 if headers_of(error) is not None else 0.0
