"""What an answer is asked to be: text, which every model here makes, or pictures, sound and film, which none does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from helpers.gateway.exchange import Refusal

PATH = "generationConfig.responseModalities"
TEXT = ("MODALITY_UNSPECIFIED", "TEXT")
OTHERS = ("IMAGE", "AUDIO", "VIDEO")
# As users of gemini-2.5-flash and later models were shown it in 2025 and 2026; gemini-2.0 named the modalities instead.
TEXT_ALONE = "This model only supports text output."


def check(config: dict[str, Any]) -> None:
    """Raise a Refusal for what is no modality, and for those that a text model does not have. Their names may be in any case."""
    asked = config.get("responseModalities", ())
    for place, name in enumerate(asked):
        if name.upper() not in TEXT + OTHERS:
            raise Refusal("wrong_type", param=f"{PATH}[{place}]", expected="modality", value=name)
    check_text_alone([*asked, *config.get("responseFormat", ())])


def check_text_alone(asked: Iterable[str]) -> None:
    """Raise a Refusal where anything but text is asked for."""
    if any(name.upper() not in TEXT for name in asked):
        raise Refusal("unsupported", TEXT_ALONE, param=PATH)
