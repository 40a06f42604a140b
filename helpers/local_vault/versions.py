"""The stand-in's secrets: each has versions, of which a few are kept; what is deleted can come back, what is destroyed cannot."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from helpers.local_vault.bounds import LONGEST, Refused, listed, room

VERSIONS = 10  # of a secret, as in Vault; the oldest goes
STATE = ("created_time", "deletion_time", "destroyed")


class Secrets:
    """All secrets. What its methods return is what an answer holds; None is an answer without a body."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._versions: dict[str, dict[int, dict[str, Any]]] = {}  # of each secret

    def __contains__(self, path: str) -> bool:
        return path in self._versions

    def write(self, path: str, _: Any, body: dict[str, Any]) -> dict[str, Any]:
        if "data" not in body:
            raise Refused(400, "no data provided")
        if not isinstance(body["data"], dict):
            raise Refused(400, "data has to be a JSON object of names and values")
        options = body.get("options") or {}
        if not isinstance(options, dict):
            raise Refused(400, "options has to be a JSON object")
        kept, expected = self._versions.get(path, {}), options.get("cas")
        newest = max(kept, default=0)
        if expected is not None and expected != newest:
            raise Refused(400, "check-and-set parameter did not match the current version")
        room(self._versions, path)
        kept[newest + 1] = {"created_time": self._now(), "deletion_time": "", "destroyed": False, "data": body["data"]}
        self._versions[path] = dict(list(kept.items())[-VERSIONS:])
        return {"data": _described(newest + 1, kept[newest + 1])}

    def read(self, path: str, query: dict[str, str], _: Any) -> dict[str, Any]:
        kept, number = self._versions.get(path, {}), query.get("version", "0")
        if not number.isdecimal() or len(number) > LONGEST:
            raise Refused(400, "version has to be a whole number")
        version = kept.get(int(number) or max(kept, default=0))
        if version is None:
            raise Refused(404)
        number = next(number for number, one in kept.items() if one is version)
        answer = {"data": {"data": version["data"], "metadata": _described(number, version)}}
        if version["destroyed"] or version["deletion_time"]:
            raise Gone({"data": {**answer["data"], "data": None}})
        return answer

    def delete(self, path: str, _: Any, body: dict[str, Any]) -> None:
        self._set(path, listed(body, "versions", int, [max(self._versions.get(path, {}), default=0)]), deletion_time=self._now())

    def undelete(self, path: str, _: Any, body: dict[str, Any]) -> None:
        self._set(path, listed(body, "versions", int, []), deletion_time="")

    def destroy(self, path: str, _: Any, body: dict[str, Any]) -> None:
        self._set(path, listed(body, "versions", int, []), destroyed=True, data=None)

    def _set(self, path: str, numbers: list[int], **change: Any) -> None:
        for number, version in self._versions.get(path, {}).items():
            if number in numbers and not version["destroyed"]:
                version.update(change)

    def describe(self, path: str, *_: Any) -> dict[str, Any]:
        if path not in self._versions:
            raise Refused(404)
        kept = self._versions[path]
        stated = {str(number): {name: one[name] for name in STATE} for number, one in kept.items()}
        return {"data": {"current_version": max(kept), "oldest_version": min(kept) if min(kept) > 1 else 0, "versions": stated}}

    def names(self, folder: str, *_: Any) -> dict[str, Any]:
        start = f"{folder.strip('/')}/".lstrip("/")
        found = {name + slash for path in self._versions if path.startswith(start) for name, slash, _ in [path[len(start) :].partition("/")]}
        if not found:
            raise Refused(404)
        return {"data": {"keys": sorted(found)}}

    def forget(self, path: str, *_: Any) -> None:
        self._versions.pop(path, None)

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).isoformat().replace("+00:00", "Z")


class Gone(Exception):
    """A version that was deleted: an answer with status 404 that still says when."""


def _described(number: int, version: dict[str, Any]) -> dict[str, Any]:
    return {**{name: version[name] for name in STATE}, "custom_metadata": None, "version": number}
