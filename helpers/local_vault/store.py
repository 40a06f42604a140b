"""What the stand-in answers to a request: whether it is open, whether the token may, and then the part that knows."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from typing import Any

from helpers.local_vault.access import Access
from helpers.local_vault.bounds import Refused
from helpers.local_vault.versions import Gone, Secrets

ABILITIES = {"GET": "read", "LIST": "list", "DELETE": "delete"}
EMPTY = {"lease_id": "", "renewable": False, "lease_duration": 0, "data": None, "wrap_info": None, "warnings": None, "auth": None}


class Store:
    """A vault that holds nothing yet. One request at a time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.access, self.secrets, self.sealed = Access(clock), Secrets(clock), False
        self.unseal_key = f"u.{secrets.token_urlsafe(18)}"
        kept, may = self.secrets, self.access
        # Of each path, what is done by which method.
        self._routes: list[tuple[str, dict[str, Callable[..., Any]]]] = [
            (r"secret/data/(.+)", {"GET": kept.read, "POST": kept.write, "DELETE": kept.delete}),
            (r"secret/delete/(.+)", {"POST": kept.delete}),
            (r"secret/undelete/(.+)", {"POST": kept.undelete}),
            (r"secret/destroy/(.+)", {"POST": kept.destroy}),
            (r"secret/metadata/?(.*)", {"GET": kept.describe, "LIST": kept.names, "DELETE": kept.forget}),
            (r"sys/polic(?:y|ies/acl)/([^/]+)", {"POST": may.set_policy}),
            (r"sys/seal", {"POST": self._seal}),
            (r"auth/token/create", {"POST": may.make}),
            (r"auth/token/lookup-self", {"GET": may.look_up}),
            (r"auth/token/revoke-self", {"POST": may.revoke}),
        ]
        self._open = {"sys/health": self._health, "sys/seal-status": self._seal_status, "sys/unseal": self._unseal}  # without a token

    def answer(self, method: str, path: str, query: dict[str, str], token: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON of an answer; None for none. Raises Refused."""
        method = "LIST" if method == "GET" and query.get("list") == "true" else "POST" if method == "PUT" else method
        if path in self._open:
            return self._open[path](_json(body))
        if self.sealed:
            raise Refused(503, "Vault is sealed")
        self.access.check(token, self._wanted(method, path), path)
        for pattern, actions in self._routes:
            if (found := re.fullmatch(pattern, path)) and method in actions:
                try:
                    return 200, _wrapped(actions[method](found.group(1) if found.groups() else token, query, _json(body)))
                except Gone as gone:
                    return 404, _wrapped(*gone.args)
        raise Refused(405, f"the course's stand-in for a vault does not know {method} {path}; a real Vault or OpenBao may")

    def _wanted(self, method: str, path: str) -> str:
        """What a token has to be allowed to do."""
        is_new = path.startswith("secret/data/") and path.removeprefix("secret/data/") not in self.secrets
        return ABILITIES.get(method, "create" if is_new else "update")

    # ---- open and sealed -------------------------------------------------------
    def _seal(self, *_: Any) -> None:
        self.sealed = True

    def _health(self, _: Any) -> tuple[int, Any]:
        return (503 if self.sealed else 200), {"initialized": True, "sealed": self.sealed, "standby": self.sealed, "version": "stand-in"}

    def _seal_status(self, _: Any = None) -> tuple[int, Any]:
        return 200, {"type": "shamir", "initialized": True, "sealed": self.sealed, "t": 1, "n": 1, "progress": 0, "version": "stand-in"}

    def _unseal(self, body: dict[str, Any]) -> tuple[int, Any]:
        if not secrets.compare_digest(str(body.get("key", "")).encode(), self.unseal_key.encode()):
            raise Refused(400, "this is not the key that opens it")
        self.sealed = False
        return self._seal_status()


def _wrapped(answer: dict[str, Any] | None) -> dict[str, Any] | None:
    return answer and {"request_id": secrets.token_hex(16), **EMPTY, **answer}


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "failed to decode JSON input: a JSON object was expected")
    return value
