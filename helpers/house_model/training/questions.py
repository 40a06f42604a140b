"""The questions that the house model is taught, read from questions/*.txt."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("questions")
MORE = Path(__file__).with_name("more_questions.txt")
STATUS = re.compile(r"status-\d{3}")


@dataclass
class Topic:
    """One question: how people ask it, how it may be answered, and what an answer has to contain to be right."""

    key: str
    ask: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)  # wordings that came later, for the training alone
    held_out: list[str] = field(default_factory=list)  # wordings that are never trained on
    answers: list[str] = field(default_factory=list)
    must_say: list[tuple[str, ...]] = field(default_factory=list)  # of each tuple, one alternative


@cache
def topics() -> tuple[Topic, ...]:
    """All topics. Raises ValueError for a line that cannot be read, naming it."""
    found = {topic.key: topic for path in sorted(FOLDER.glob("*.txt")) for topic in _read(path)}
    for line in MORE.read_text(encoding="utf-8").splitlines()[1:]:
        key, *wordings = line.split(" | ")
        for one in [status for status in found if STATUS.fullmatch(status)] if key == "{status}" else [key]:
            found[one].more += [wording.replace("{n}", one[-3:]) for wording in wordings]
    return tuple(found.values())


def _read(path: Path) -> list[Topic]:
    found: list[Topic] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        kind, _, text = line.partition(": ")
        if line.startswith("## "):
            found.append(Topic(line[3:].strip()))
        elif kind == "Ask" and found:
            found[-1].ask.append(text)
        elif kind == "Held out" and found:
            found[-1].held_out.append(text)
        elif kind == "Answer" and found:
            found[-1].answers.append(text)
        elif kind == "Must say" and found:
            found[-1].must_say.append(tuple(text.split(" | ")))
        elif line.strip():
            raise ValueError(f"{path.name}, line {number}: begin it with ##, Ask, Held out, Answer or Must say")
    return found


def says(answer: str, must_say: list[tuple[str, ...]] | tuple[tuple[str, ...], ...]) -> bool:
    """Whether an answer contains, of every tuple, at least one alternative; case does not count."""
    answer = answer.lower()
    return all(any(word.strip().lower() in answer for word in words) for words in must_say)
