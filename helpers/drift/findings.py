"""One thing that has moved, and how much a learner would notice of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# From what breaks a learner's program to what few would ever see.
KINDS = {
    "missing": "The SDK requires it, the gateway's answer lacks it",
    "value": "The gateway sends a value that the SDK does not know",
    "extra": "The gateway sends a field that the SDK does not know",
    "answer": "The provider answers otherwise today than the gateway",
    "ended": "A model's end, by another table on another day",
    "price": "A model's price, in another table another one",
    "window": "A model's window or limit, in another table another one",
    "refused": "The SDK can send it, the gateway takes it for unknown",
    "unread": "The SDK can send it, the gateway never looks at it",
    "own": "The gateway takes a field that the SDK does not know",
    "unsent": "The SDK knows it, the gateway never sent it in the samples",
    "unlisted": "A model of the course that no other table lists",
}


@dataclass(frozen=True)
class Finding:
    """`kind` is one of KINDS; `where` is an operation and a path of fields, or a model."""

    kind: str
    provider: str
    where: str
    says: str = ""

    @property
    def name(self) -> str:
        """The last step of a path of fields, or the model."""
        return re.split(r"\.|: ", self.where)[-1] if ": " in self.where else self.where

    @property
    def rank(self) -> tuple[int, str, str]:
        """To sort by: first what a learner would notice first."""
        return list(KINDS).index(self.kind), self.provider, self.where
