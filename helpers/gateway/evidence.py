"""What can be seen of a client's manners in one request and its answer; verdict.py judges it."""

from __future__ import annotations

import hashlib
from collections import deque
from contextlib import suppress
from typing import Any

from helpers.gateway.clock import Clock, moment
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.meter import Evidence
from helpers.gateway.quotas import MINUTE
from helpers.gateway.wire import Call, Response, parse_json
from helpers.gateway.worker import SMALL

PATIENCE = "x-stainless-read-timeout"  # sent by openai and anthropic
LEFT = ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining")  # as the gateway itself and httpx write them
PROVIDERS_OWN = {401: "bad_key", 403: "forbidden", 429: "rate_limited", 500: "server_error", 502: "server_error", 503: "overloaded", 529: "overloaded"}  # in live mode
REMEMBERED, LONGEST, SHORTEST = 50, 4000, 8  # broken answers; characters that are kept of one, and that have to come again


def of_call(call: Call, found: Evidence) -> None:
    """Add what a request shows before it is answered."""
    # Python's own hash is the quicker one of what is small; of what is large the other lets all else go on meanwhile.
    body = call.body if len(call.body) <= SMALL else hashlib.blake2b(call.body).digest()
    found.asked = hash((call.method, call.path, body))
    patience = call.headers.get(PATIENCE)
    if patience:
        with suppress(ValueError):
            found.patience = float(patience)


def kind(refusal: Refusal) -> str:
    """Why it was refused; a request that is larger than a limit ever holds is no matter of rate, nor is a day that is used up."""
    facts = refusal.facts
    if facts.get("too_large"):
        return "too_large"
    return "day_used_up" if facts.get("per_day") and facts["wait"] > MINUTE else refusal.kind


def of_response(response: Response, found: Evidence, clock: Clock) -> None:
    """Add what the answer told its client."""
    for name, value in response.headers:
        if name in LEFT:
            with suppress(ValueError):  # in live mode they are the provider's, whatever it writes
                found.left = int(value)
    found.refusal = found.refusal or PROVIDERS_OWN.get(response.status, "")
    if found.refusal:
        from helpers.limits.quotas import retry_after  # when it is first needed, as it brings more than this

        told = {name.lower(): value for name, value in response.headers}
        found.wait = retry_after(told, _error(response.body), moment(clock.now()))


def _error(body: bytes) -> dict[str, Any]:
    """The body of a refusal, where it may say how long to wait: Gemini's."""
    if b"retryDelay" not in body:
        return {}
    try:
        found = parse_json(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Broken:
    """The answers that were broken off of late, as they would have been."""

    def __init__(self) -> None:
        self._texts: deque[tuple[int, str]] = deque(maxlen=REMEMBERED)

    def add(self, number: int, text: str) -> None:
        """Remember the answer to the request of this number in the log."""
        self._texts.append((number, text[:LONGEST]))

    def taken_for_whole(self, question: Question) -> int | None:
        """The number of a broken answer that stands in this conversation as if it were whole; None where there is none."""
        texts = tuple(self._texts)
        if not texts:
            return None
        turns = [turn.text.rstrip() for turn in question.messages[:-1] if turn.role == "assistant"]
        return next((number for number, text in texts if any(_is_beginning(turn, text) for turn in turns)), None)

    def clear(self) -> None:
        self._texts.clear()


def _is_beginning(turn: str, text: str) -> bool:
    """Whether somebody's turn is a part of the text from its beginning on, and not all of it."""
    return SHORTEST <= len(turn) < len(text.rstrip()) and text.startswith(turn)
