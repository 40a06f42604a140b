"""Gemini's safety settings: what they block of a harmful prompt or answer, and how a blocked one looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from helpers.gateway import harm
from helpers.gateway.exchange import Harm, Message, Refusal

# From which level on a threshold blocks. Without a setting nothing is blocked: "the default block threshold is Off for Gemini 2.5
# and 3 models" (Google's page on safety settings, 2026).
FROM = {"BLOCK_LOW_AND_ABOVE": 0, "BLOCK_MEDIUM_AND_ABOVE": 1, "BLOCK_ONLY_HIGH": 2}
THRESHOLDS = (*FROM, "BLOCK_NONE", "OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED")
# Google's parser knows more categories than generateContent takes, those of PaLM (its REST reference on HarmCategory).
TAKEN = ("HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "HARASSMENT", "CIVIC_INTEGRITY")
PARSED = (*TAKEN, "UNSPECIFIED", "DEROGATORY", "TOXICITY", "VIOLENCE", "SEXUAL", "MEDICAL", "DANGEROUS")
PREFIX = "HARM_CATEGORY_"


def check(body: dict[str, Any]) -> None:
    """Refuse settings of categories and thresholds that are none, in the words that Google's users were shown in 2024 to 2026."""
    for place, setting in enumerate(body.get("safetySettings", ())):
        path, category = f"safetySettings[{place}]", setting.get("category", PREFIX + "UNSPECIFIED")
        if category not in [PREFIX + name for name in PARSED]:
            raise Refusal("wrong_type", param=f"{path}.category", expected="category", value=category)
        if setting.get("threshold", "OFF") not in THRESHOLDS:
            raise Refusal("wrong_type", param=f"{path}.threshold", expected="threshold", value=setting["threshold"])
        if category not in [PREFIX + name for name in TAKEN]:
            names = ", ".join(f"HarmCategory.{PREFIX}{name}" for name in TAKEN)
            raise Refusal("bad_value", param=path, rule=f"element predicate failed: $.category in ({names})")


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
    return PREFIX + found.category.upper().replace(" ", "_")
