"""Gemini's safety settings: what they block of a harmful prompt or answer, and how a blocked one looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.gateway import harm
from helpers.gateway.exchange import Harm, Message

# From which level on a threshold blocks. Without a setting nothing is blocked: "the default block threshold is Off for Gemini 2.5
# and 3 models" (Google's page on safety settings, 2026).
FROM = {"BLOCK_LOW_AND_ABOVE": 0, "BLOCK_MEDIUM_AND_ABOVE": 1, "BLOCK_ONLY_HIGH": 2}


def blocked(body: dict[str, Any], messages: Sequence[Message]) -> Harm | None:
    """The first harm that the settings of a request do not let pass."""
    thresholds = {setting.get("category"): FROM.get(setting.get("threshold"), len(harm.LEVELS)) for setting in body.get("safetySettings", ())}
    return next((one for one in harm.found(messages) if harm.LEVELS.index(one.level) >= thresholds.get(_name(one), len(harm.LEVELS))), None)


def feedback(found: Harm) -> dict[str, Any]:
    """What is said of a blocked prompt, in the place of candidates."""
    return {"blockReason": "SAFETY", "safetyRatings": ratings(found)}


def ratings(found: Harm) -> list[dict[str, Any]]:
    return [{"category": _name(found), "probability": found.level.upper(), "blocked": True}]


def _name(found: Harm) -> str:
    return "HARM_CATEGORY_" + found.category.upper().replace(" ", "_")
