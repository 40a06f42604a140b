"""Answers kept in the repository: one JSON object a line, sorted, matched on meaning.

A scripted recording holds one or more answers (text, thinking tokens), which the gateway sets into the
provider's wire format. A captured one holds the bytes that a real server sent, with their timing, and
matches only a request with the same limits, stops and stream flag. Captured outranks scripted.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain
from pathlib import Path
from typing import Any

from helpers.gateway.exchange import Draft, Provenance, Question, key_of

FORM = ("schema", "must_call")  # what a question may ask of the form of its answer
FOLDER = Path(__file__).parents[2] / "recordings"


@dataclass
class Captured:
    """The bytes of a real answer. `chunks` are (second at which it came, bytes)."""

    status: int
    headers: list[tuple[str, str]]
    chunks: list[tuple[float, bytes]]
    provenance: Provenance


@dataclass
class Recording:
    """One line of a recordings file, and how often it has been given in this session."""

    line: dict[str, Any]
    name: str
    given: int = 0

    @property
    def prompt(self) -> str:
        return " ".join(text for _, said in self.line["messages"] for text in _texts(said))

    def provenance(self) -> Provenance:
        line = self.line
        detail = " ".join(filter(None, (line.get("server"), line.get("versions"))))
        return Provenance(line["kind"], line["date"], detail, self.name)

    def next(self) -> dict[str, Any]:
        """The answers in turn, and then from the first again."""
        answers = self.line["answers"]
        answer = answers[self.given % len(answers)]
        self.given += 1
        return answer


class Recordings:
    """All recordings of a folder."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._scripted: dict[str, Recording] = {}
        self._captured: dict[str, list[Recording]] = {}  # by meaning; one for each shape of the request
        self._loaded = False

    def answer(self, question: Question) -> Draft | Captured | None:
        """What is recorded for this question, or None."""
        self.load()
        for captured in self._captured.get(question.key, ()):
            if captured.line["shape"] == shape(question):
                return _captured(captured)
        found = self._scripted.get(question.key)
        return _draft(found, question.n) if found is not None else None

    def nearest(self, question: Question) -> Recording | None:
        """The recording of the same provider whose prompt is most like this one."""
        self.load()
        said = " ".join(message.text for message in question.messages)[:500]
        rows = [r for r in self._all() if r.line["provider"] == question.provider]
        return max(rows, key=lambda r: SequenceMatcher(None, r.prompt[:500], said).quick_ratio(), default=None)

    def rewind(self) -> None:
        """Begin again with the first answer of every recording."""
        for recording in self._all():
            recording.given = 0

    def add(self, line: dict[str, Any]) -> None:
        """Know a recording from now on."""
        for model in line["models"]:
            meaning = {"provider": line["provider"], "model": model, "messages": line["messages"], "tools": line.get("tools", [])}
            meaning |= {name: line[name] for name in FORM if name in line}
            name = key_of(meaning)
            if line["kind"] == "captured":
                alike = [known for known in self._captured.get(name, ()) if known.line["shape"] != line["shape"]]
                self._captured[name] = [*alike, Recording(line, key_of({**meaning, "shape": line["shape"]}))]
            elif name in self._scripted:
                raise ValueError(f"two scripted recordings for {model}: {line['messages']!r}")
            else:
                self._scripted[name] = Recording(line, name)

    def _all(self) -> Iterable[Recording]:
        return (*self._scripted.values(), *chain.from_iterable(self._captured.values()))

    def load(self) -> None:
        """Read the folder, once. Raises ValueError for a line that is no recording, naming it."""
        if self._loaded:
            return
        for path in sorted(self._folder.glob("*.jsonl")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                try:
                    self.add(json.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError(f"{path.name}, line {number} is no recording: {type(error).__name__}: {error}") from None
        self._loaded = True


def shape(question: Question) -> dict[str, Any]:
    """What a captured answer has to have in common with a request beside its meaning."""
    return {
        "limit": question.limit,
        "stop": list(question.stop),
        "n": question.n,
        "stream": question.stream,
        "effort": question.effort,
        "sampling": [list(pair) for pair in question.sampling],
    }


def _texts(said: Any) -> Iterable[str]:
    return [said] if isinstance(said, str) else [text for kind, text in said if kind == "text"]


def _draft(recording: Recording, n: int) -> Draft:
    answers = [recording.next() for _ in range(n)]
    thinking = answers[0].get("thinking_tokens", 0)
    return Draft(tuple(answer["text"] for answer in answers), recording.provenance(), thinking)


def _captured(recording: Recording) -> Captured:
    answer = recording.next()
    chunks = [(at, _bytes(data)) for at, data in answer["chunks"]]
    return Captured(answer["status"], [tuple(pair) for pair in answer["headers"]], chunks, recording.provenance())


def _bytes(data: Any) -> bytes:
    """Text as it stands; bytes that are no text as {"base64": ...}."""
    return data.encode() if isinstance(data, str) else base64.b64decode(data["base64"])
