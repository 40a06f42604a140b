"""What can be seen of a client's manners in one request and its answer; verdict.py judges it."""

from __future__ import annotations

import hashlib
import math
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

from helpers.gateway.clock import Clock, moment
from helpers.gateway.exchange import Question, Refusal
from helpers.gateway.meter import Evidence
from helpers.gateway.quotas import MINUTE
from helpers.gateway.wire import Call, Response, parse_json
from helpers.gateway.worker import SMALL
from helpers.limits.quotas import quota, retry_after, said_at

PATIENCE, RETRY = "x-stainless-read-timeout", "x-stainless-retry-count"  # sent by openai and anthropic
TELLING = 2  # their major version in Python from which on no word of a patience means that it is endless
# By whom, and in which version of the API: whoever changes that asks something else.
CALLERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "anthropic-version", "anthropic-beta", "openai-organization", "openai-project")
SILENCE = 0.25  # seconds; who leaves a stream sooner after it last said something did not leave for its silence
# To go on, to finish, or that it broke off: in English, and the stems of it in German, French and Spanish.
GOES_ON = re.compile(
    r"\b(go(es)? on|carry on|keep going|left off|stopped|interrupted|(cut|broke|broken|breaks) (off|short)|incomplete|rest of|resume|finish|complete)\b"
    r"|\b(contin|weiter|fortf|fortsetz|fahre|beende|abgebrochen|poursui|termin|sigue)",
    re.IGNORECASE,
)
LEFT = ("x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining")  # as the gateway itself and httpx write them
PROVIDERS_OWN = {401: "bad_key", 403: "forbidden", 429: "rate_limited", 500: "server_error", 502: "server_error", 503: "overloaded", 529: "overloaded"}  # in live mode
REMEMBERED, LONGEST, SHORTEST = 50, 4000, 8  # broken answers; characters that are kept of one, and that have to come again


def of_call(call: Call, found: Evidence) -> None:
    """Add what a request shows before it is answered."""
    # Python's own hash is the quicker one of what is small; of what is large the other lets all else go on meanwhile.
    body = call.body if len(call.body) <= SMALL else hashlib.blake2b(call.body).digest()
    given = call.headers.get
    callers = [given(name) for name in CALLERS]
    if callers[0] and callers[0].startswith("AWS4-"):
        callers[0] = callers[0].partition("/")[0]  # the rest is of this moment, and signed anew for each
    found.asked = hash((call.method, call.path, tuple(call.query.items()), tuple(callers), body))
    found.patience = _patience(given)
    if (retry := given(RETRY, "")).isdecimal():
        found.retry = int(retry[:9])


def _patience(given: Callable[..., str | None]) -> float | None:
    """Seconds of silence that the SDK bears, as it says itself."""
    told = given(PATIENCE)
    if not told:
        version = given("x-stainless-package-version", "").partition(".")[0]
        return math.inf if given("x-stainless-lang") == "python" and version.isdecimal() and int(version[:9]) >= TELLING else None
    try:
        seconds = float(told)
    except ValueError:
        return None
    return None if math.isnan(seconds) else seconds


def of_leaving(silence: float | None, found: Evidence) -> None:
    """Add how a client left a stream: so many seconds after it last said something; None: before it said anything."""
    found.was_running = silence is not None and silence < min(SILENCE, 0.9 * (found.patience or math.inf))


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
    if not found.refusal and found.left != 0:
        return
    told = {name.lower(): value for name, value in response.headers}
    now = said_at(told) or moment(clock.now())
    if found.refusal:
        # A client cannot begin to wait sooner than this, and whether this machine is busy while it is sent does not make it early.
        found.wait, found.ended = retry_after(told, _error(response.body), now), clock.now()
    elif (requests := quota(told, now=now).families.get("requests")) and requests.limit and requests.reset is not None:
        found.one_more = requests.reset / requests.limit


def _error(body: bytes) -> dict[str, Any]:
    """The body of a refusal, where it may say how long to wait: Gemini's."""
    if b"retryDelay" not in body:
        return {}
    try:
        found = parse_json(body)
    except ValueError:
        return {}
    found = found[0] if isinstance(found, list) and found else found  # a stream of Gemini's that is no SSE
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
        pairs = [(turn.text.rstrip(), after.text) for turn, after in pairwise(question.messages) if turn.role == "assistant"]
        # Who says that it broke off, or asks to go on, has not taken it for whole.
        return next((number for number, text in texts for turn, after in pairs if _is_beginning(turn, text) and not GOES_ON.search(after[:LONGEST])), None)

    def clear(self) -> None:
        self._texts.clear()


def _is_beginning(turn: str, text: str) -> bool:
    """Whether somebody's turn is a part of the text from its beginning on, and not all of it."""
    return SHORTEST <= len(turn) < len(text.rstrip()) and text.startswith(turn)
