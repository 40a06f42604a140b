"""Answers that a program has set itself, for the questions that it is going to ask."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from helpers import models
from helpers.gateway.checks import is_whole
from helpers.gateway.exchange import Draft, Message, Provenance, Question

MOST = 1000  # answers that are set at a time
LARGEST = 100_000  # characters of one
SPOKEN = ("text", "tool_result")  # what words are looked for in


@dataclass(eq=False)
class Script:
    """One answer: what it says or which function it calls, to which questions, and to how many of them (None: all)."""

    text: str | None = None
    to: str = ""  # words in the last turn; none: any question
    call: tuple[str, dict[str, Any]] | None = None
    provider: str | None = None
    times: int | None = 1

    def fits(self, question: Question) -> bool:
        return self.provider in (None, question.provider) and self.to in _said(question.messages[-1:])

    def draft(self) -> Draft:
        played = Provenance("scripted", f"{datetime.now(UTC):%Y-%m-%d}", "set by the program itself")
        if self.call is None:
            return Draft((self.text or "",), played)
        return Draft((_written(self.call),), played, function=self.call[0])


class Scripts:
    """The answers that are set, in the order in which they were. A long question is compared with them in another thread."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._set: list[Script] = []
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._set)

    def add(self, script: Script) -> None:
        """Set an answer. Raises ValueError for what is none, saying what to do, and where the providers themselves answer."""
        if self._mode != "offline":
            raise ValueError(f"in {self._mode} mode the provider answers: set answers offline")
        _check(script)
        with self._lock:
            if len(self._set) >= MOST:
                raise ValueError(f"{MOST:,} answers are set that nobody has asked for; reset() forgets them")
            self._set.append(script)

    def clear(self) -> None:
        with self._lock:
            self._set.clear()

    def take(self, question: Question) -> Draft | None:
        """The first answer that fits, counted down; None where none fits, and for a question to an embedding model."""
        if question.vectors is not None:
            return None
        with self._lock:
            found = next((script for script in self._set if script.fits(question)), None)
            if found is None:
                return None
            if found.times is not None:
                found.times -= 1
                if found.times == 0:
                    self._set.remove(found)
        return found.draft()


def _said(messages: tuple[Message, ...]) -> str:
    return "\n".join(part.text for message in messages for part in message.parts if part.kind in SPOKEN)


def _check(script: Script) -> None:
    providers = list(models.table()["limits"])
    if (script.text is None) == (script.call is None):
        raise ValueError('give either text="..." or call=("function", {...}): an answer says something, or it calls a function')
    if script.provider is not None and script.provider not in providers:
        raise ValueError(f"there is no provider {script.provider!r}; there are {', '.join(providers)}")
    if script.times is not None and (not is_whole(script.times) or script.times < 1):
        raise ValueError("times is how many questions get this answer: a whole number, 1 or more, or None for all")
    called = "" if script.call is None else _written(script.call)
    for name, value in (("text", script.text or ""), ("to", script.to), ("the arguments of a call", called)):
        if not isinstance(value, str):
            raise ValueError(f"{name} is a string: what the answer says (text), words of the question's last turn (to)")
        if len(value) > LARGEST:
            raise ValueError(f"{name} has {len(value):,} characters; at most {LARGEST:,} are kept")


def _written(call: Any) -> str:
    """The arguments of a call as JSON."""
    match call:
        case [str(name), dict(arguments)] if name:
            try:
                return json.dumps(arguments, allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:
                raise ValueError(f"the arguments of {name} cannot be written as JSON: {error}") from None
    raise ValueError('call is the name of a function and its arguments, as in call=("weather", {"city": "Oslo"})')
