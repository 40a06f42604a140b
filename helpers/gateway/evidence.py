"""What can be seen of a client's manners in one request and its answer; verdict.py judges it."""

from __future__ import annotations

import hashlib
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any

from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.meter import Evidence
from helpers.gateway.quotas import MINUTE
from helpers.gateway.wire import Call, Response, parse_json

PATIENCE = "x-stainless-read-timeout"  # sent by openai and anthropic
LEFT = ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining")
TOLD = {*LEFT, "retry-after", "retry-after-ms"}
PROVIDERS_OWN = {401: "bad_key", 403: "forbidden", 429: "rate_limited", 500: "server_error", 502: "server_error", 503: "overloaded", 529: "overloaded"}  # in live mode
REMEMBERED, LONGEST, SHORTEST = 50, 4000, 8  # broken answers; characters that are kept of one, and that have to come again


def of_call(call: Call) -> Evidence:
    """What a request shows before it is answered."""
    asked = hashlib.blake2b(b"\n".join((call.method.encode(), call.path.encode(), call.body)), digest_size=8)
    found = Evidence(asked=asked.hexdigest())
    with suppress(ValueError, KeyError):
        found.patience = float(call.headers[PATIENCE])
    return found


def kind(refusal: Refusal) -> str:
    """Why it was refused; a request that is larger than a limit ever holds is no matter of rate, nor is a day that is used up."""
    facts = refusal.facts
    if facts.get("too_large"):
        return "too_large"
    return "day_used_up" if facts.get("per_day") and facts["wait"] > MINUTE else refusal.kind


def of_response(response: Response, found: Evidence, now: datetime) -> None:
    """Add what the answer told its client."""
    told = {low: value for name, value in response.headers if (low := name.lower()) in TOLD}
    found.refusal = found.refusal or PROVIDERS_OWN.get(response.status, "")
    with suppress(ValueError):  # in live mode they are the provider's, whatever it writes
        found.left = int(next(told[name] for name in LEFT if name in told)) if told.keys() & set(LEFT) else None
    if found.refusal:
        from helpers.limits.quotas import retry_after  # when it is first needed, as it brings more than this

        found.wait = retry_after(told, _error(response.body), now)


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
        turns = [turn.text.rstrip() for turn in question.messages[:-1] if turn.role == "assistant"] if texts else []
        return next((number for number, text in texts if any(_is_beginning(turn, text) for turn in turns)), None)

    def clear(self) -> None:
        self._texts.clear()


def _is_beginning(turn: str, text: str) -> bool:
    """Whether somebody's turn is a part of the text from its beginning on, and not all of it."""
    return SHORTEST <= len(turn) < len(text.rstrip()) and text.startswith(turn)
