"""Tokens of Microsoft Entra ID in the place of a key: whether one has ended, and whether it was made for this service.

Nobody signed them here, so the signature is not looked at. A bearer token that is none of Entra's passes as any key does.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

from helpers.gateway.checks import is_number
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import Call, parse_json

AUDIENCES = ("https://cognitiveservices.azure.com", "https://ai.azure.com")
MESSAGE = "Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired."
BODY = {"statusCode": 401, "message": MESSAGE}  # with no `error` around it, as users were shown


def check(call: Call) -> None:
    """Raise Refusal("bad_token") for a token that has ended by the course's clock, or is for another service."""
    claims = _claims(call.headers.get("authorization", ""))
    ends, audience = claims.get("exp"), claims.get("aud")
    has_ended = is_number(ends) and ends <= call.services.clock.now()
    if has_ended or (isinstance(audience, str) and audience.rstrip("/") not in AUDIENCES):
        raise Refusal("bad_token")


def _claims(header: str) -> dict[str, Any]:
    """What a JSON Web Token says; nothing where it is none."""
    parts = header.partition(" ")[2].strip().split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = parse_json(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
