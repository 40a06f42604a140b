"""Who may do what in the stand-in: tokens that end, and policies, which say what may be done where."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from typing import Any

from helpers.local_vault.bounds import LONGEST, Refused, listed, room

OWN = ("auth/token/lookup-self", "auth/token/revoke-self")  # whatever one's policies
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Access:
    """The tokens and the policies. Each token may do what its policies allow, the first one everything."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._policies: dict[str, dict[str, list[str]]] = {}  # what may be done, by path
        self._tokens: dict[str, dict[str, Any]] = {}
        self.root_token = self._made(["root"], 0)

    def check(self, token: str, wanted: str, path: str) -> None:
        """Raise Refused where a token may not do what is wanted, such as read, at a path."""
        held = self._tokens.get(token)
        if held is None or (held["ends"] and held["ends"] <= self._clock()):
            raise Refused(403, "permission denied")
        if "root" in held["policies"] or path in OWN:
            return
        rules = [able for name in held["policies"] for where, able in self._policies.get(name, {}).items() if _covers(where, path)]
        if not any(wanted in able for able in rules) or any("deny" in able for able in rules):
            raise Refused(403, "1 error occurred:\n\t* permission denied\n\n")

    def make(self, _: str, __: Any, body: dict[str, Any]) -> dict[str, Any]:
        room(self._tokens)
        token = self._made(sorted({*listed(body, "policies", str, []), "default"}), _seconds(body.get("ttl", 0)))
        held = self._tokens[token]
        facts = {"policies": held["policies"], "token_policies": held["policies"], "lease_duration": int(held["ttl"])}
        return {"auth": {"client_token": token, **facts}}

    def look_up(self, token: str, *_: Any) -> dict[str, Any]:
        held = self._tokens[token]
        left = max(int(held["ends"] - self._clock()), 0) if held["ends"] else 0
        return {"data": {"id": token, "policies": held["policies"], "creation_ttl": int(held["ttl"]), "ttl": left, "type": "service"}}

    def revoke(self, token: str, *_: Any) -> None:
        del self._tokens[token]

    def set_policy(self, name: str, _: Any, body: dict[str, Any]) -> None:
        room(self._policies, name)
        self._policies[name] = _policy(body.get("policy", ""))

    def _made(self, policies: list[str], ttl: float) -> str:
        token = f"s.{secrets.token_urlsafe(18)}"
        self._tokens[token] = {"policies": policies, "ttl": ttl, "ends": self._clock() + ttl if ttl else 0}
        return token


def _seconds(ttl: Any) -> float:
    """Of a duration such as 3600, "3600", "90m" or "1h30m"."""
    number = rf"\d{{1,{LONGEST}}}"
    parts = re.fullmatch(f"(?:{number}[smhd]){{1,4}}|{number}", str(ttl))
    if not parts:
        raise Refused(400, f"time: invalid duration {str(ttl)[:40]!r}")
    return sum(int(number) * UNITS[unit or "s"] for number, unit in re.findall(r"(\d+)([smhd]?)", str(ttl)))


def _policy(text: Any) -> dict[str, list[str]]:
    """Paths, each with what may be done there, from HCL or JSON. A path may end with *, which stands for any rest."""
    rule = r'path\s+"([^"]+)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}\s*'
    if isinstance(text, str) and re.fullmatch(f"(?:{rule})+", text.strip()):
        rules = {path: re.findall(r'"(\w+)"', able) for path, able in re.findall(rule, text)}
    else:
        try:
            rules = {path: [*rule["capabilities"]] for path, rule in json.loads(text)["path"].items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Refused(400, 'failed to parse policy: give path "secret/data/..." { capabilities = ["read"] }, or the same as JSON') from None
    if any("+" in path for path in rules):
        raise Refused(400, "the course's stand-in for a vault knows * at the end of a path, and no +")
    return rules


def _covers(where: str, path: str) -> bool:
    return path.startswith(where[:-1]) if where.endswith("*") else path == where
