"""Taking secrets and ids out of what is recorded.

Each is replaced by as many characters of plain text. So lengths stay, chunks can be cut where they were,
and JSON stays JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

# Where a word can begin. The letter of a JSON escape, as in \nsk-..., is no part of the word after it.
ESCAPE = rb"(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})"
WORD = rb"(?:(?<![A-Za-z0-9])|" + ESCAPE + rb")"
KEYS = re.compile(
    WORD + rb"(?:sk-[A-Za-z0-9_-]{16,}|A[KS]IA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30,}|AQ\.[0-9A-Za-z_-]{20,}"
    rb"|Bearer [A-Za-z0-9._~+/=-]{16,}|eyJ[A-Za-z0-9_-]{16,4096}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?)"
)
EMAIL = re.compile(
    rb"(?:(?<![\w.+\\-])|" + ESCAPE + rb")\w[\w.+-]*@(?!example\.)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}"
)
# Who asked: organisations, projects, workspaces, users and cloud accounts, each as (what stays, what goes).
ACCOUNTS = (
    re.compile(WORD + rb"(org-|proj_|wrkspc_|user-)([A-Za-z0-9]{16,})"),
    re.compile(rb"(organi[sz]ation.{1,20}?)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE),
    re.compile(rb"(projects/)(\d{6,})"),
    re.compile(rb"(:)(\d{12})(?=:)"),
)
# A key as a provider repeats it: its ends, and stars between.
MASKED = re.compile(rb"[\w.-]+\*{3,}[\w.-]*|\*{3,}[\w.-]+")
PART = 8  # characters of a key from which on a part of it is hidden in an error
SURE = 16  # characters from which on a key is no word that an answer may hold; the key of a server of one's own may be "anything"
# What was asked: ids of requests, answers and tool calls.
IDS = re.compile(
    WORD + rb"(chatcmpl-|batch_req_|msg_bdrk_|(?:req|resp|msg|rs|fc|toolu|srvtoolu)_(?=\w{0,64}\d)|call_(?=[A-Za-z0-9]{24}\b))([A-Za-z0-9]{16,})"
    rb'|("responseId":\s*")([^"\\]+)'
)


class Scrubber:
    """Knows the keys in use beside the patterns that keys, accounts and addresses have."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = [secret for secret in secrets if len(secret) >= 8]
        # JSON may write a slash as \/, an address writes it as %2F.
        self._secrets = sorted({form.encode() for secret in long_enough for form in (secret, secret.replace("/", "\\/"), quote(secret, safe=""))}, key=len, reverse=True)
        pieces = {secret[start : start + PART] for secret in self._secrets for start in range(len(secret) - PART + 1)}
        # Looks ahead, so that the pieces that it finds may overlap.
        self._parts = re.compile(b"(?=" + (b"|".join(map(re.escape, sorted(pieces))) or b"(?!)") + b")")

    def reveals(self, data: bytes) -> bool:
        """Whether there is a key, an account or an e-mail address in it."""
        return self._without_secrets(data) != data

    def scrub(self, data: bytes) -> bytes:
        """The same bytes with secrets as x, and ids as numbers from 0 on: equal ids stay equal, others differ."""
        known: dict[bytes, int] = {}

        def numbered(found: re.Match[bytes]) -> bytes:
            prefix, id = (found[1], found[2]) if found[1] is not None else (found[3], found[4])
            return prefix + str(known.setdefault(id, len(known))).encode().zfill(len(id))

        return IDS.sub(numbered, self._without_secrets(data))

    def hide(self, data: bytes) -> tuple[bytes, bytes]:
        """What may be shown of the beginning of an answer, with the learner's keys as x; and its end, where that may be half of one."""
        keys = [secret for secret in self._secrets if len(secret) >= SURE]
        data = _without(keys, data)
        held = max((n for key in keys for n in range(1, len(key)) if data.endswith(key[:n])), default=0)
        return data[: len(data) - held], data[len(data) - held :]

    def scrub_error(self, data: bytes) -> bytes:
        """An error as it may be shown: without keys, also where it quotes a part of one, accounts and addresses. Ids stay, for the provider's support."""
        data = self._without_secrets(data)
        data = MASKED.sub(lambda found: re.sub(rb"[^*]", b"x", found[0]), data)
        shown = bytearray(data)
        for found in self._parts.finditer(data):
            shown[found.start() : found.start() + PART] = b"x" * PART
        return bytes(shown)

    def _without_secrets(self, data: bytes) -> bytes:
        data = _without(self._secrets, data)
        data = KEYS.sub(lambda found: b"x" * len(found[0]), data)
        data = EMAIL.sub(lambda found: re.sub(rb"[^@.]", b"x", found[0]), data)
        for pattern in ACCOUNTS:
            data = pattern.sub(lambda found: found[1] + zeros(found[2]), data)
        return data


def _without(keys: list[bytes], data: bytes) -> bytes:
    for key in keys:
        data = data.replace(key, b"x" * len(key))
    return data


def spoken(payloads: list[Any]) -> bytes:
    """What the events of a stream say together: each field joined over all events, as one may hold half a key."""
    joined: dict[str, list[str]] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, str):
            joined.setdefault(path, []).append(value)
        elif isinstance(value, list):
            for child in value:
                walk(child, path)
        elif isinstance(value, dict):
            for name, child in value.items():
                walk(child, f"{path}.{name}")

    for payload in payloads:
        walk(payload, "")
    joined.pop(".obfuscation", None)  # OpenAI's padding, which is random
    return "\n".join("".join(pieces) for pieces in joined.values()).encode("utf-8", "replace")


def zeros(id: bytes) -> bytes:
    """An id of the same format with nothing in it: digits and letters become 0."""
    return re.sub(rb"[0-9A-Za-z]", b"0", id)
