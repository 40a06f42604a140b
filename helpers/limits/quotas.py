"""What an answer says of the limits: the headers of OpenAI, Azure and Anthropic, and what Gemini writes into a refusal, as one Quota.

Bedrock says nothing (2026-11); its quotas are to be looked up, and kept to by one's own count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

FAMILIES = ("requests", "tokens", "input_tokens", "output_tokens")
HEADER = re.compile(r"(?:x|anthropic)-ratelimit-(?:(limit|remaining|reset)-([a-z-]+)|([a-z-]+)-(limit|remaining|reset))")
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
MINUTE, DAY = 60.0, 86_400.0  # seconds
LONGEST = 60  # characters of a duration; more is none
GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")


@dataclass(frozen=True)
class Limit:
    """One limit: its size, what is left of it, and the seconds until all of it is there again. None: not said."""

    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None

    @property
    def per(self) -> float:
        """Seconds in which all of it refills, a minute or a day: told by how much is missing, and how long that takes to come back."""
        missing = (self.limit or 0) - (self.remaining or 0) if self.remaining is not None else 0
        return DAY if missing > 0 and (self.reset or 0) * (self.limit or 0) / missing > DAY / 2 else MINUTE


@dataclass(frozen=True)
class Quota:
    """All that an answer said: limits by family (requests, tokens, input_tokens, output_tokens), and seconds to wait before a retry."""

    families: dict[str, Limit] = field(default_factory=dict)
    retry_after: float | None = None


def quota(answer: Any, *, now: datetime | None = None) -> Quota:
    """Read the limits out of an answer or a refusal of any SDK, or out of headers as they are.

    answer: an exception of openai, anthropic, google-genai or botocore; a raw or HTTP response; an answer of google-genai or boto3; a
    mapping of headers. now: what the reset of Anthropic, a moment, is measured from; the answer's own date unless given.
    A header that cannot be read counts as not said. Raises TypeError for what has no headers.
    """
    headers = headers_of(answer)
    if headers is None:
        raise TypeError(f"a {type(answer).__name__} has no headers; give an SDK's error, a raw response (client.….with_raw_response) or the headers")
    now = now or said_at(headers) or datetime.now(UTC)
    told: dict[str, dict[str, float | None]] = {}
    for name, value in headers.items():
        if match := HEADER.fullmatch(name):
            part, family = match[1] or match[4], (match[2] or match[3]).replace("-", "_")
            told.setdefault(family, {})[part] = _seconds(value, now) if part == "reset" else _number(value)
    return Quota({family: Limit(**told[family]) for family in FAMILIES if family in told}, retry_after(headers, body_of(answer), now))


def headers_of(answer: Any) -> dict[str, str] | None:
    """The headers of an answer or an error, with names in small letters; None where there are none."""
    if isinstance(answer, Mapping) and "ResponseMetadata" in answer:  # boto3
        found = answer["ResponseMetadata"].get("HTTPHeaders", {})
    elif isinstance(answer, Mapping):
        found = answer
    else:
        inner = getattr(answer, "response", None) or getattr(answer, "sdk_http_response", None)
        if isinstance(inner, Mapping):  # of botocore's ClientError
            return headers_of(inner)
        kept = (getattr(answer, "headers", None), getattr(answer, "litellm_response_headers", None), getattr(inner, "headers", None))
        found = next((headers for headers in kept if headers), kept[-1])
    return None if found is None else {str(name).lower(): str(value) for name, value in found.items()}


def said_at(headers: Mapping[str, str]) -> datetime | None:
    """The moment that an answer has in its headers; None where it has none that can be read."""
    return _date(headers.get("date"))


def body_of(error: Any) -> Mapping[str, Any]:
    """The body of an error as JSON, where the SDK keeps it."""
    kept = (getattr(error, name, None) for name in ("details", "body"))  # google-genai's name; openai's and anthropic's
    return next((found for found in kept if isinstance(found, Mapping)), {})


def retry_after(headers: Mapping[str, str], body: Mapping[str, Any], now: datetime) -> float | None:
    """The seconds to wait: out of the milliseconds first, as they are more exact; then seconds or a date; then Gemini's RetryInfo.

    headers: names in small letters. body: the error as JSON. None: not said.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None and milliseconds > 0:
        return milliseconds / 1000
    if (value := headers.get("retry-after")) is not None:
        date = _date(value)
        return _number(value) if date is None else max(0.0, (date - now).total_seconds())
    return next((_go_seconds(detail.get("retryDelay")) for detail in _details(body) if "retryDelay" in detail), None)


def _details(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    error = body.get("error", body)
    details = error.get("details") if isinstance(error, Mapping) else None
    return (detail for detail in (details if isinstance(details, list) else []) if isinstance(detail, Mapping))


def _seconds(value: str, now: datetime) -> float | None:
    """A reset, in any of its three forms: a Go duration, a moment, or Azure's bare number, of milliseconds (some deployments mean seconds)."""
    if (milliseconds := _number(value)) is not None:
        return milliseconds / 1000
    if (seconds := _go_seconds(value)) is not None:
        return seconds
    try:
        return max(0.0, (datetime.fromisoformat(value.upper()) - now).total_seconds())  # RFC 3339 has t and z in small letters, too
    except (ValueError, TypeError):
        return None


def _go_seconds(value: Any) -> float | None:
    """A duration as Go writes it, such as 1m30.5s or 6ms, in seconds."""
    text = str(value)
    parts = GO_DURATION.findall(text) if len(text) <= LONGEST else []
    whole = "".join(number + unit for number, unit in parts) == text
    return sum(float(number) * UNITS[unit] for number, unit in parts) if parts and whole else None


def _number(value: Any) -> float | None:
    """A number of 0 or more that is one: what is less, endless or no number was not said."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < math.inf else None


def _date(value: str | None) -> datetime | None:
    """A date of HTTP; one without a zone is in UTC."""
    try:
        date = parsedate_to_datetime(value) if value else None
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date and date.tzinfo is None else date
