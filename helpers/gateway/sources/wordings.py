"""A second look, for what was said in nearly the words of a recording.

It is taken only where no recording has the very words. Case, white space, the form of quotes, the mark at the end and a "please" make no
difference. In a recording, "..." in the place of a message stands for any turns or none, and {name} for a few words that the answer
may repeat: a learner's own name is in no list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Generic, TypeVar

from helpers.gateway.exchange import Message, Question

LONGEST = 600  # characters of what is compared; longer prompts are no variations of a chapter's
MOST_TURNS = 40
ANY_TURNS = "..."
QUOTES = str.maketrans("‘’‚‛“”„«»", "''''" + '"' * 5)
MARKS = " .?!…¿¡"
POLITE = re.compile(r"please,? |,? please$", re.IGNORECASE)
SLOT = re.compile(r"\\\{(\w+)\\\}")  # as it stands in a text that was escaped
FEW_WORDS = r"""(?!not\b)[^\n.,;:!?"{}]{1,40}?"""
T = TypeVar("T")
Turns = Sequence[tuple[str, str]]


class Wordings(Generic[T]):
    """What is known for a conversation, by provider and model. Where no model is named (""), it is known for all of them."""

    def __init__(self) -> None:
        self._fixed: dict[tuple[str, str, str], T] = {}
        self._open: dict[tuple[str, str], list[tuple[re.Pattern[str], T]]] = {}

    def add(self, provider: str, model: str, turns: Turns, known: T) -> None:
        """Know this from now on. Raises ValueError where something is known for these words already."""
        said = _plain(turns)
        escaped = re.escape(said)
        if SLOT.search(escaped):
            self._open.setdefault((provider, model), []).append((_pattern(escaped), known))
        elif self._fixed.setdefault((provider, model, said.casefold()), known) is not known:
            raise ValueError(f"two scripted recordings for {provider} {model}: {said!r}")

    def find(self, question: Question) -> tuple[T, dict[str, str]] | None:
        """What is known for these words or nearly these, and what was said in the place of its slots."""
        readings = [_plain(turns) for turns in _readings(question.messages)]
        owners = [(question.provider, question.model.id), (question.provider, "")]
        for said in readings:
            for owner in owners:
                if (known := self._fixed.get((*owner, said.casefold()))) is not None:
                    return known, {}
        for said in readings:
            for pattern, known in chain.from_iterable(self._open.get(owner, ()) for owner in owners):
                if match := pattern.fullmatch(said):
                    return known, match.groupdict()
        return None


def plain(text: str) -> str:
    """The text without what makes no difference, but for its case."""
    return POLITE.sub("", " ".join(text.translate(QUOTES).split()).strip(MARKS)).strip(MARKS)


def _plain(turns: Turns) -> str:
    return "\n".join(f"{role}: {plain(text)}" for role, text in turns)


def _pattern(escaped: str) -> re.Pattern[str]:
    """A slot that comes again has to be filled as it was the first time."""
    seen: set[str] = set()

    def group(slot: re.Match[str]) -> str:
        name = slot[1]
        known = name in seen
        seen.add(name)
        return f"(?P={name})" if known else f"(?P<{name}>{FEW_WORDS})"

    return re.compile(SLOT.sub(group, escaped), re.IGNORECASE)


def _readings(messages: Sequence[Message]) -> Iterator[Turns]:
    """The conversation whole, its first turn and its last, and its last alone; an instruction is never left out."""
    if not messages or len(messages) > MOST_TURNS:
        return
    first, last = messages[0], messages[-1]
    if _are_short(messages):
        yield [(m.role, m.text) for m in messages]
    if any(m.role == "system" for m in messages) or not _are_short((first, last)):
        return
    if len(messages) > 1:
        yield [(first.role, first.text), (ANY_TURNS, ""), (last.role, last.text)]
    yield [(ANY_TURNS, ""), (last.role, last.text)]


def _are_short(messages: Sequence[Message]) -> bool:
    """Whether they are of text alone, and not much of it."""
    parts = [part for message in messages for part in message.parts]
    return all(part.kind == "text" for part in parts) and sum(len(part.text) for part in parts) <= LONGEST
