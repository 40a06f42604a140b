"""Whose a call is, by its key. No key is kept, only what tells whether another is the same."""

from __future__ import annotations

import hashlib

from helpers.gateway.wire import Call


def given_key(call: Call) -> str | None:
    """The key of a call, in any of the ways in which Google takes one."""
    bearer = call.headers.get("authorization", "").removeprefix("Bearer ").strip()
    return call.headers.get("x-goog-api-key") or call.query.get("key") or bearer or None


def owner(call: Call) -> str:
    return hashlib.sha256((given_key(call) or "").encode("utf-8", "surrogatepass")).hexdigest()
