"""Answers kept in the repository: one JSON object a line, sorted, matched on meaning.

A scripted recording holds one or more answers (text, thinking tokens), which the gateway sets into the
provider's wire format; one that names an effort is given to questions with that effort alone, one that names a function calls it
with its text as the arguments, and one that names a refusal is broken off for that reason. A captured one holds the bytes that a real server sent, with their timing, and
matches only a request with the same limits, stops and stream flag. Captured outranks scripted.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from helpers.gateway.exchange import Draft, Provenance, Question, key_of
from helpers.gateway.lazy import lazy

FORM = ("schema", "must_call")  # what a question may ask of the form of its answer
FOLDER = Path(__file__).parents[2] / "recordings"
log = logging.getLogger("helpers.gateway")


# What a line has to hold, so that no damaged one is found out only when it is to be replayed.
PAIR = {"type": "array", "minItems": 2, "maxItems": 2}
CHUNK = {**PAIR, "items": [{"type": "number", "minimum": 0}, {"anyOf": [{"type": "string"}, {"type": "object", "required": ["base64"]}]}]}
MESSAGE = {**PAIR, "items": [{"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "array", "items": {**PAIR, "items": {"type": "string"}}}]}]}
SCRIPTED = {
    "required": ["text"],
    "properties": {
        "text": {"type": "string"},
        "thinking_tokens": {"type": "integer", "minimum": 0},
        **{name: {"type": "string"} for name in ("effort", "function", "refusal")},
    },
}
CAPTURED = {
    "required": ["status", "headers", "chunks"],
    "properties": {
        "status": {"type": "integer", "minimum": 200, "maximum": 599},
        "headers": {"type": "array", "items": {**PAIR, "items": {"type": "string"}}},
        "chunks": {"type": "array", "items": CHUNK},
    },
}
LINE = {
    "type": "object",
    "required": ["kind", "date", "provider", "models", "messages", "answers"],
    "properties": {
        "kind": {"enum": ["scripted", "captured"]},
        "date": {"type": "string"},
        "provider": {"type": "string"},
        "models": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "messages": {"type": "array", "items": MESSAGE},
        "answers": {"type": "array", "items": {"type": "object"}, "minItems": 1},
    },
    "if": {"properties": {"kind": {"const": "scripted"}}},
    "then": {"properties": {"answers": {"items": SCRIPTED}}},
    "else": {"required": ["shape"], "properties": {"answers": {"items": CAPTURED}}},
}


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

    @lazy
    def provenance(self) -> Provenance:
        line = self.line
        detail = " ".join(filter(None, (line.get("server"), line.get("versions"))))
        return Provenance(line["kind"], line["date"], detail, self.name)

    def next(self, effort: str = "") -> dict[str, Any]:
        """The answers in turn, and then from the first again: those for this effort, else those that name none."""
        known = self.line["answers"]
        answers = [a for a in known if a.get("effort") == effort] or [a for a in known if "effort" not in a] or known
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
        return _draft(found, question) if found is not None else None

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
        """Read the folder, once. A damaged line is named in a warning and skipped, so that it takes no other with it.

        Raises ValueError for a file that holds no recording at all, naming its first line.
        """
        if self._loaded:
            return
        for path in sorted(self._folder.glob("*.jsonl")):
            damaged = self._read(path)
            for problem in damaged:
                log.warning("%s; it is skipped", problem)
        self._loaded = True

    def _read(self, path: Path) -> list[str]:
        """Know the recordings of a file. Returns what is wrong with the lines that are none."""
        damaged, known = [], 0
        for number, line in lines(path):
            try:
                self.add(checked(json.loads(line)))
                known += 1
            except (ValueError, KeyError, TypeError) as error:
                damaged.append(f"{path.name}, line {number} is no recording: {type(error).__name__}: {error}")
        if damaged and not known:
            raise ValueError(damaged[0])
        return damaged


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a JSONL file that are not blank, with their numbers. Only a line feed ends one: JSON may hold U+2028 and the like."""
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            yield number, line


def checked(line: Any) -> dict[str, Any]:
    """The line, when it has all that an answer is made of. Raises ValueError that says what is wrong."""
    _checker()(line)
    if line["kind"] == "captured":
        for answer in line["answers"]:
            _chunks(answer)
    return line


@cache
def _checker() -> Callable[[Any], Any]:
    """Compiled when it is first needed."""
    import fastjsonschema

    return fastjsonschema.compile(LINE)


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


def _draft(recording: Recording, question: Question) -> Draft:
    answers = [recording.next(question.effort) for _ in range(question.n)]
    thinking = answers[0].get("thinking_tokens", 0)
    more = {name: answers[0][name] for name in ("function", "refusal") if name in answers[0]}
    return Draft(tuple(answer["text"] for answer in answers), recording.provenance, thinking, **more)


def _captured(recording: Recording) -> Captured:
    answer = recording.next()
    return Captured(answer["status"], [tuple(pair) for pair in answer["headers"]], _chunks(answer), recording.provenance)


def _chunks(answer: dict[str, Any]) -> list[tuple[float, bytes]]:
    return [(float(at), _bytes(data)) for at, data in answer["chunks"]]


def _bytes(data: Any) -> bytes:
    """Text as it stands; bytes that are no text as {"base64": ...}."""
    return data.encode() if isinstance(data, str) else base64.b64decode(data["base64"], validate=True)
