"""A second look, for what was said in nearly the words of a recording.

It is taken only where no recording has the very words. Case, white space, the form of quotes, the mark at the end and a "please" make no
difference. In a recording, "..." in the place of a message stands for any turns or none, as an instruction for any long text, and
{name} for a few words that the answer may repeat: a learner's own name is in no list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Generic, TypeVar

from helpers.gateway.exchange import Message, Question
from helpers.gateway.harm import without_marks

LONGEST = 600  # characters of what is compared; longer prompts are no variations of a chapter's
A_LONG_TEXT = "..."  # in a recording, in the place of an instruction that is longer than that, whatever it says
MOST_TURNS = 40
FEW_TURNS = 3  # up to here slots are filled where turns are left out: in a longer talk, what somebody said of themselves may have been taken back
ANY_TURNS = "..."
QUOTES = str.maketrans("‘’‚‛“”„«»", "''''" + '"' * 5)
MARKS = " .?!…¿¡"
POLITE = re.compile(r"please,? |,? please$", re.IGNORECASE)
SLOT = re.compile(r"\{(\w+)\}")
MOST_WORDS = {"word": 1, "name": 2}  # that a slot of this name takes
LONGEST_SLOT = 40  # characters
NO_SLOT = re.compile(r"""^not\b|[\n.,;:!?"{}]""")  # what the words of a slot do not begin with, or do not hold
T = TypeVar("T")
Turns = Sequence[tuple[str, str]]  # (role, text)
Owner = tuple[str, str]  # (provider, model)
ANYBODY: Owner = ("", "")


class Wordings(Generic[T]):
    """What is known for a conversation, by provider and model. Where no model is named (""), it is known for all of them, and
    for the other providers too where they have nothing of their own: a capital is the same at each of them."""

    def __init__(self) -> None:
        self._fixed: dict[Owner, dict[str, T]] = {}
        self._open: dict[Owner, list[tuple[list[str], T]]] = {}  # the texts between slots and, every second, a slot's name

    def add(self, owners: Iterable[Owner], turns: Turns, known: T) -> None:
        """Know this from now on. Raises ValueError where something is known for these words already."""
        said = _plain(turns).lower()
        pieces = SLOT.split(said)
        owners = list(owners)
        for owner in owners:
            if len(pieces) > 1:
                self._open.setdefault(owner, []).append((pieces, known))
            elif self._fixed.setdefault(owner, {}).setdefault(said, known) is not known:
                raise ValueError(f"two scripted recordings for {' '.join(owner)}: {said!r}")
        if any(not model for _, model in owners):
            if len(pieces) > 1:
                self._open.setdefault(ANYBODY, []).append((pieces, known))
            else:
                self._fixed.setdefault(ANYBODY, {}).setdefault(said, known)

    def find(self, question: Question) -> tuple[T, dict[str, str]] | None:
        """What is known for these words or nearly these, and what was said in the place of its slots."""
        readings = [_plain(turns) for turns in _readings(question.messages)]
        owners = [(question.provider, question.model.id), (question.provider, ""), ANYBODY]
        for said in readings:
            for owner in owners:
                if (known := self._fixed.get(owner, {}).get(said.lower())) is not None:
                    return known, {}
        for said in readings if len(question.messages) <= FEW_TURNS else readings[: _are_short(question.messages)]:  # the first is of all turns
            lower = said.lower()
            for pieces, known in chain.from_iterable(self._open.get(owner, ()) for owner in owners):
                if (slots := _slots(pieces, said, lower)) is not None:
                    return known, slots
        return None


def plain(text: str) -> str:
    """The text without what makes no difference, but for its case."""
    if not text.isascii():
        text = text.translate(QUOTES)
    return POLITE.sub("", " ".join(without_marks(text).split()).strip(MARKS)).strip(MARKS)


def _plain(turns: Turns) -> str:
    return "\n".join(f"{role}: {plain(text)}" for role, text in turns)


def _slots(pieces: Sequence[str], said: str, lower: str) -> dict[str, str] | None:
    """What was said in the place of each slot, where all else was said as it stands. A slot that comes again has to be filled as before."""
    if not (lower.startswith(pieces[0]) and lower.endswith(pieces[-1]) and len(lower) == len(said)):
        return None
    slots: dict[str, str] = {}
    begin = len(pieces[0])
    for name, after in zip(pieces[1::2], pieces[2::2], strict=True):
        end = lower.find(after, begin + 1) if after else len(said)
        words = said[begin : max(end, begin)]
        if not _fits(name, words) or slots.setdefault(name, words).lower() != words.lower():
            return None
        begin = end + len(after)
    return slots if begin == len(said) else None


def _fits(name: str, words: str) -> bool:
    if not 0 < len(words) <= LONGEST_SLOT or NO_SLOT.search(words):
        return False
    return len(words.split()) <= MOST_WORDS.get(name, LONGEST_SLOT)


def _readings(messages: Sequence[Message]) -> Iterator[Turns]:
    """The conversation whole, its first turn and its last, and its last alone; an instruction is never left out.

    Under a long instruction: the turns after it, and the last of many.
    """
    if not messages or len(messages) > MOST_TURNS:
        return
    first, last = messages[0], messages[-1]
    if first.role == "system" and len(messages) > 1 and not (first.text.strip() or any(part.kind != "text" for part in first.parts)):
        yield from _readings(messages[1:])  # an empty instruction is none
        return
    if _are_short(messages):
        yield [(m.role, m.text) for m in messages]
    elif first.role == "system" and len(first.text) > LONGEST:
        if _are_short(messages[1:]):
            yield [("system", A_LONG_TEXT), *((m.role, m.text) for m in messages[1:])]
        if len(messages) > 2 and _are_short((last,)):
            yield [("system", A_LONG_TEXT), (ANY_TURNS, ""), (last.role, last.text)]
    if any(m.role == "system" for m in messages) or not _are_short((first, last)):
        return
    if len(messages) > 1:
        yield [(first.role, first.text), (ANY_TURNS, ""), (last.role, last.text)]
    yield [(ANY_TURNS, ""), (last.role, last.text)]


def _are_short(messages: Sequence[Message]) -> bool:
    """Whether they are of text alone, and not much of it."""
    parts = [part for message in messages for part in message.parts]
    return all(part.kind == "text" for part in parts) and sum(len(part.text) for part in parts) <= LONGEST
