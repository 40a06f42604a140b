"""Moments as Google writes them."""

from __future__ import annotations

from helpers.gateway.clock import moment


def timestamp(seconds: float) -> str:
    """A moment (in seconds since 1970) in UTC, to the microsecond."""
    return moment(seconds).isoformat(timespec="microseconds").replace("+00:00", "Z")
