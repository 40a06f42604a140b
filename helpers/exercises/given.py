"""In a kernel that is graded: what an exercise gave, kept so that the checks find it again."""

from __future__ import annotations

from typing import Any

_kept: dict[str, Any] = {}


def keep(namespace: dict[str, Any], names: list[str]) -> None:
    """Remember what these names mean now."""
    _kept.update({name: namespace[name] for name in names if name in namespace})


def restore(namespace: dict[str, Any]) -> None:
    """Let the names mean again what they meant."""
    namespace.update(_kept)
