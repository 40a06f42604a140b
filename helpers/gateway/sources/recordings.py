"""Answers kept in the repository: one JSON object a line, sorted, matched on meaning.

A scripted recording holds one or more answers (text, thinking tokens), which the gateway sets into the
provider's wire format; one that names an effort is given to questions with that effort alone, one that names a function calls it
with its text as the arguments, one that names a refusal is broken off for that reason; `search` says what the provider searched for and
found, `run` which code it ran. A captured one holds the bytes that a real
server sent, with their timing, and matches only a request with the same limits, stops and stream flag. Captured outranks scripted.
Where nothing matches, a scripted recording in nearly the same words does (wordings.py): a line that names `providers` is for all their
models; its `openings` may stand for its first message, its `wordings` for its last.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from helpers.gateway.exchange import Draft, Provenance, Question, Run, Search, key_of
from helpers.gateway.lazy import lazy
from helpers.gateway.sources.house import MODEL as HOUSE_MODEL
from helpers.gateway.sources.wordings import ANY_TURNS, LONGEST, Wordings

FORM = ("schema", "must_call", "prompts", "vectors")  # what a question may ask of the form of its answer
FOLDER = Path(__file__).parents[2] / "recordings"
VARIATIONS = "variations.jsonl"
log = logging.getLogger("helpers.gateway")
T = TypeVar("T")


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
        "search": {"type": "object", "required": ["queries", "sources"], "properties": {name: {"type": "array"} for name in ("queries", "sources", "supports")}},
        "run": {"type": "object", "required": ["code", "output"], "properties": {name: {"type": "string"} for name in ("code", "output")}},
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
TEXTS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
VARIATION = {  # of a prompt of a chapter, which it names; for every model of its providers
    "type": "object",
    "required": ["kind", "chapter", "varies", "date", "providers", "messages", "answers"],
    "properties": {
        "kind": {"const": "scripted"},
        "chapter": {"type": "string"},
        "varies": {"type": "string"},
        "date": {"type": "string"},
        "providers": TEXTS,
        "messages": {"type": "array", "items": {**PAIR, "type": ["array", "string"], "items": {"type": "string"}, "pattern": "^[.]{3}$"}, "minItems": 1},
        "openings": TEXTS,
        "wordings": TEXTS,
        "answers": {"type": "array", "items": {"type": "object", **SCRIPTED}, "minItems": 1},
    },
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
    _made: dict[str, list[Draft | Captured]] = field(default_factory=dict, repr=False)  # by effort, of those that were asked for

    @property
    def prompt(self) -> str:
        return " ".join(text for _, said in self.line["messages"] for text in _texts(said))

    @lazy
    def provenance(self) -> Provenance:
        line = self.line
        detail = " ".join(filter(None, (line.get("server"), line.get("versions"))))
        return Provenance(line["kind"], line["date"], detail, self.name)

    def next(self, effort: str = "") -> Draft | Captured:
        """The answers in turn, and then from the first again: those for this effort, else those that name none. Nobody changes them."""
        answers = self._made.get(effort)
        if answers is None:
            answers = self._made[effort] = [self._answer(line) for line in self._lines(effort)]
        answer = answers[self.given % len(answers)]
        self.given += 1
        return answer

    def _lines(self, effort: str) -> list[dict[str, Any]]:
        known = self.line["answers"]
        return [a for a in known if a.get("effort") == effort] or [a for a in known if "effort" not in a] or known

    def _answer(self, line: dict[str, Any]) -> Draft | Captured:
        if self.line["kind"] == "captured":
            return Captured(line["status"], [tuple(pair) for pair in line["headers"]], _chunks(line), self.provenance)
        more = {name: line[name] for name in ("function", "refusal") if name in line}
        if "search" in line:
            more["search"] = Search(**{name: tuple(_tupled(item) for item in items) for name, items in line["search"].items()})
        if "run" in line:
            more["run"] = Run(**line["run"])
        return Draft((line["text"],), self.provenance, line.get("thinking_tokens", 0), **more)


class Recordings:
    """All recordings of a folder."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._scripted: dict[str, Recording] = {}
        self._captured: dict[str, list[Recording]] = {}  # by meaning; one for each shape of the request
        self._variations: dict[str, Recording] = {}  # those that were given, by name
        self._wordings: Wordings[Recording] = Wordings()
        self._loaded = False

    def exact(self, question: Question) -> Draft | Captured | None:
        """What is recorded for this very question, or None."""
        self.load()
        captured = self._captured.get(question.key, ())
        for asked in _shapes(question) if captured else ():
            for recording in captured:
                if recording.line["shape"] == asked:
                    return recording.next()
        found = self._scripted.get(question.key)
        return None if found is None else _draft(found, question)

    def may_vary(self, question: Question) -> bool:
        """Whether an answer to nearly these words would do. The house model by its own name speaks for itself."""
        return not (question.tools or question.schema or question.must_call or question.vectors or question.model.id == HOUSE_MODEL)

    def nearly(self, question: Question) -> Draft | None:
        """A scripted answer to nearly these words, or None. Reads the variations, if they are not read yet."""
        if (found := self._wordings.find(question)) is not None:
            return _draft(found[0], question, found[1])
        if (varied := self.variations().find(question)) is not None:
            return _draft(self._variation(varied[0]), question, varied[1])
        return None

    def nearest(self, question: Question) -> Recording | None:
        """The recording of the same provider whose prompt is most like this one."""
        self.load()
        said = " ".join(message.text for message in question.messages)[:500]
        rows = [r for r in self._exact() if r.line["provider"] == question.provider]
        return max(rows, key=lambda r: SequenceMatcher(None, r.prompt[:500], said).quick_ratio(), default=None)

    def rewind(self) -> None:
        """Begin again with the first answer of every recording."""
        for recording in (*self._exact(), *self._variations.values()):
            recording.given = 0

    def add(self, line: dict[str, Any]) -> None:
        """Know a recording from now on. Raises ValueError where there is one for the same words already."""
        if "providers" in line:
            return _vary(self._wordings, line, self._variation(line))
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
                if _is_short(line):
                    self._wordings.add([(line["provider"], model)], line["messages"], self._scripted[name])

    def _variation(self, line: dict[str, Any]) -> Recording:
        name = key_of({"provider": line["providers"], "model": "", "messages": line["messages"], "tools": []})
        return self._variations.setdefault(name, Recording(line, name))

    def _exact(self) -> Iterable[Recording]:
        return (*self._scripted.values(), *chain.from_iterable(self._captured.values()))

    def load(self) -> None:
        """Read the folder, once. A damaged line is named in a warning and skipped, so that it takes no other with it.

        Raises ValueError for a file that holds no recording at all, naming its first line.
        """
        if self._loaded:
            return
        for path in sorted(self._folder.glob("*.jsonl")):
            if path.name != VARIATIONS:
                damaged, known = _read(path, self.add)
                if damaged and not known:
                    raise ValueError(damaged[0])
                _warn(damaged)
        self._loaded = True

    def variations(self) -> Wordings[dict[str, Any]]:
        """Those of the folder. They are many, so no start waits for them, only the first prompt that is not a chapter's own."""
        path = self._folder / VARIATIONS
        return _variations(path, path.stat().st_mtime_ns) if path.exists() else Wordings()


@lru_cache(maxsize=4)
def _variations(path: Path, changed: int) -> Wordings[dict[str, Any]]:
    """The lines of a file of variations, by what they answer; read once for all gateways of this process."""
    known: Wordings[dict[str, Any]] = Wordings()
    damaged, _ = _read(path, lambda line: _vary(known, line, line))
    _warn(damaged)
    return known


def _vary(wordings: Wordings[T], line: dict[str, Any], known: T) -> None:
    """Know this for every model of the line's providers, in all that the line answers."""
    owners = [(provider, "") for provider in line["providers"]]
    for turns in conversations(line):
        wordings.add(owners, turns, known)


def _read(path: Path, add: Callable[[dict[str, Any]], None]) -> tuple[list[str], int]:
    """Add the recordings of a file. Returns what is wrong with the lines that are none, and how many are."""
    damaged, known = [], 0
    for number, line in lines(path):
        try:
            add(checked(json.loads(line)))
            known += 1
        except (ValueError, KeyError, TypeError) as error:
            damaged.append(f"{path.name}, line {number} is no recording: {type(error).__name__}: {error}")
    return damaged, known


def _warn(damaged: Iterable[str]) -> None:
    for problem in damaged:
        log.warning("%s; it is skipped", problem)


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a JSONL file that are not blank, with their numbers. Only a line feed ends one: JSON may hold U+2028 and the like."""
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            yield number, line


def checked(line: Any) -> dict[str, Any]:
    """The line, when it has all that an answer is made of. Raises ValueError that says what is wrong."""
    _checker("providers" in line)(line)
    if line["kind"] == "captured":
        for answer in line["answers"]:
            _chunks(answer)
    return line


@cache
def _checker(is_variation: bool) -> Callable[[Any], Any]:
    """Compiled when it is first needed."""
    import fastjsonschema

    return fastjsonschema.compile(VARIATION if is_variation else LINE)


def shape(question: Question) -> dict[str, Any]:
    """What a captured answer has to have in common with a request beside its meaning."""
    return {
        "limit": question.limit,
        "stop": list(question.stop),
        "n": question.n,
        "stream": question.stream,
        "effort": question.effort,
        "sampling": [list(pair) for pair in question.sampling],
        "operation": question.operation,
    }


def _shapes(question: Question) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its shape, and that as it was written up to November 2026, when nothing said by which operation a question was asked."""
    found = shape(question)
    return found, {name: value for name, value in found.items() if name != "operation"}


def _texts(said: Any) -> Iterable[str]:
    return [said] if isinstance(said, str) else [text for kind, text in said if kind == "text"]


def conversations(line: dict[str, Any]) -> Iterator[list[tuple[str, str]]]:
    """What a variation answers: its messages, with each of its openings and each of its wordings."""
    turns = [(ANY_TURNS, "") if turn == ANY_TURNS else tuple(turn) for turn in line["messages"]]
    role, last = turns[-1]
    for wording in (last, *line.get("wordings", ())):
        told = [*turns[:-1], (role, wording)]
        yield told
        for opening in line.get("openings", ()):
            yield [(told[0][0], opening), *told[1:]]


def _is_short(line: dict[str, Any]) -> bool:
    """Whether a question in nearly its words is looked for: it is of text alone, and asks for nothing of the answer's form."""
    texts = [said for _, said in line["messages"] if isinstance(said, str)]
    bare = len(texts) == len(line["messages"]) and not line.get("tools") and not any(name in line for name in FORM)
    return bare and sum(map(len, texts)) <= LONGEST


def _draft(recording: Recording, question: Question, slots: dict[str, str] | None = None) -> Draft:
    """As many answers as the question wants, with what it has in the place of their slots."""
    draft = recording.next(question.effort)
    if question.n == 1 and not slots:
        return draft
    texts = [*draft.texts, *(text for _ in range(1, question.n) for text in recording.next(question.effort).texts)]
    return replace(draft, texts=tuple(_filled(text, slots) if slots else text for text in texts))


def _tupled(item: Any) -> Any:
    return tuple(map(_tupled, item)) if isinstance(item, list) else item


def _filled(text: str, slots: dict[str, str]) -> str:
    """The answer, with what the question has in the place of its slots."""
    return re.sub(r"\{(\w+)\}", lambda slot: slots.get(slot[1], slot[0]), text)


def _chunks(answer: dict[str, Any]) -> list[tuple[float, bytes]]:
    return [(float(at), _bytes(data)) for at, data in answer["chunks"]]


def _bytes(data: Any) -> bytes:
    """Text as it stands; bytes that are no text as {"base64": ...}."""
    return data.encode() if isinstance(data, str) else base64.b64decode(data["base64"], validate=True)
