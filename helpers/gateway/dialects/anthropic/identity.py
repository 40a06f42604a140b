"""Anthropic's workload identity: a token by which a platform vouches for a program is exchanged for one that the API takes, for an hour.

Source: anthropic 2.14.0 (lib/credentials/_workload.py, read on 2026-11-27); how long a token lasts and
the words of the exchange's refusals are assumed.
Nobody signed the token here, so any is taken that is not empty and does not say `invalid`.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict

from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, Response, compact, random_id

PATH = "/v1/oauth/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
NEEDED = ("assertion", "federation_rule_id", "organization_id")
LASTS = 3600  # seconds, by the course's clock
MOST = 1000  # tokens; the oldest is forgotten, and then taken like any key


class Identities:
    """The tokens that were handed out, and when they end."""

    def __init__(self) -> None:
        self._ends: OrderedDict[str, float] = OrderedDict()

    def clear(self) -> None:
        self._ends.clear()

    def exchange(self, call: Call) -> Response:
        """A new token, or a refusal in OAuth's form."""
        body = call.json
        if body.get("grant_type") != GRANT:
            return _answer(400, {"error": "unsupported_grant_type", "error_description": f"grant_type has to be {GRANT}"})
        for name in NEEDED:
            if not isinstance(body.get(name), str) or not body[name]:
                return _answer(400, {"error": "invalid_request", "error_description": f"{name}: a text is required"})
        if "invalid" in body["assertion"].lower():
            return _answer(401, {"error": "invalid_grant", "error_description": "The assertion matches no federation rule."})
        token = f"course-token-{secrets.token_urlsafe(24)}"
        self._ends[token] = call.services.clock.now() + LASTS
        if len(self._ends) > MOST:
            self._ends.popitem(last=False)
        return _answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": LASTS})

    def check(self, key: str | None, now: float) -> None:
        """Raise Refusal for a token that has ended."""
        if key and self._ends.get(key, now + 1) <= now:
            raise Refusal("bad_token")


def _answer(status: int, body: dict[str, object]) -> Response:
    return Response(status, [("Content-Type", "application/json"), ("request-id", random_id("req_01", 22))], compact(body))
