"""What providers' filters see, without a harmful word: a text that stands for one.

A user's turn with `[[harm: harassment, medium]]` counts as harmful in that way, with that probability; `[[harm in the answer: harassment,
medium]]` makes the answer count so. The categories are those that Google documents, the levels low, medium and high. Nothing else is
ever found harmful, but by the fault `blocked`. Whether it is blocked is for the provider's settings to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from helpers.gateway.exchange import Harm, Message

CATEGORIES = ("harassment", "hate speech", "sexually explicit", "dangerous content")
LEVELS = ("low", "medium", "high")
MARK = re.compile(r"\[\[harm\b[^\]]*\]\]\s*", re.IGNORECASE)  # with a category that is none, too
TRIGGER = re.compile(rf"\[\[harm( in the answer)?: ({'|'.join(CATEGORIES)}), ({'|'.join(LEVELS)})\]\]", re.IGNORECASE)


ORDERED = Harm("dangerous content", "high")  # by the fault `blocked`, whatever the settings


def found(messages: Iterable[Message]) -> list[Harm]:
    """What the user's turns have of it, in order."""
    said = (message.text for message in messages if message.role == "user")
    marks = (mark for text in said if "[[" in text for mark in TRIGGER.finditer(text))
    return [Harm(mark[2].lower(), mark[3].lower(), bool(mark[1])) for mark in marks]


def without_marks(text: str) -> str:
    """What is said beside them: a mark is for the filter alone, and the sources answer what stands around it."""
    return MARK.sub("", text) if "[[" in text else text
