"""Which keys the gateway takes: any, but for none at all, one that contains `invalid`, and one that was revoked."""

from __future__ import annotations

import hashlib

from helpers.gateway.exchange import Refusal

MOST = 1000  # keys that are revoked at once


class Keys:
    """Those that were revoked. No key is kept: only what tells whether another is the same."""

    def __init__(self) -> None:
        self._revoked: set[bytes] = set()

    def revoke(self, key: str) -> None:
        """Refuse a key from now on, as a provider whose customer took it back. Raises ValueError for what is no key, and for too many."""
        if not isinstance(key, str) or not key:
            raise ValueError("give the key that is revoked: a text that is not empty")
        if len(self._revoked) >= MOST:
            raise ValueError(f"{MOST:,} keys are revoked; reset() forgets them")
        self._revoked.add(_digest(key))

    def check(self, key: str | None) -> None:
        """Raise Refusal for a key that is not taken."""
        if not key:
            raise Refusal("no_key")
        if "invalid" in key.lower() or (self._revoked and _digest(key) in self._revoked):
            raise Refusal("bad_key", key=key)

    def clear(self) -> None:
        self._revoked.clear()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
