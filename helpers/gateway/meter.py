"""The meter: what the gateway really received, one entry a request, in order."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import partial

from helpers import page
from helpers.gateway.exchange import Provenance, Usage
from helpers.gateway.request import Line

KEPT = 100_000  # entries, of some 500 bytes each; the oldest go first
COLUMNS = ("#", "provider", "operation", "model", "status", "source", "in", "out", "note")


@dataclass(slots=True)
class Evidence:
    """What a verdict on the client needs to know of a request beyond the log's columns. None and empty: nobody said."""

    asked: int = 0  # the same for the same request with the same key, in this process
    line: Line | None = None  # the connection on which it came, where that carries one request after the other
    over: float = 0.0  # when it was over, answered or not, by time.monotonic(); 0 while it is not
    retry: int = 0  # which one of the SDK's own retries it is, as that says itself
    refusal: str = ""  # why it was not answered, in neutral words
    wait: float | None = None  # seconds after which the refusal asked to come again
    left: int | None = None  # requests that the answer said are left
    one_more: float | None = None  # where none is: seconds until one is, by what the answer said
    ended: float = 0.0  # when the answer was over, by the course's clock; of a refusal, when it was sent
    was_left: bool = False  # by a client that went away
    was_running: bool = False  # whether it then was a stream of which something had just come
    was_broken: bool = False  # by a fault, before the end of the answer
    goes_on: int | None = None  # the broken answer whose beginning it takes for a whole one
    patience: float | None = None  # seconds of silence after which the SDK gives up, as it says itself


@dataclass(slots=True)
class Entry:
    """One request. Times are in seconds; `usage` is None for a request that no model answered."""

    number: int
    provider: str
    operation: str
    model: str = ""
    status: int = 0
    source: Provenance | None = None
    usage: Usage | None = None
    batch: bool = False
    tier: str = ""  # flex or priority, where an answer was served and is charged so
    mode: str = "offline"
    fault: str = ""
    at: float = 0.0
    seconds: float = 0.0
    note: str = ""
    facts: str = ""  # whose facts its model's are, where the course did not check them
    evidence: Evidence = field(default_factory=Evidence, repr=False)

    def row(self) -> tuple[str, ...]:
        used = self.usage
        counts = (str(used.input_tokens), str(used.output_tokens)) if used else ("", "")
        source = str(self.source) if self.source else "gateway"
        cells = (self.number, self.provider, self.operation, self.model, self.status or "cut", source)
        return (*map(str, cells), *counts, ", ".join(filter(None, (self.fault, self.note, self.facts and f"model by {self.facts}"))))


class Log(list[Entry]):
    """Entries that show themselves as a table: one a request that was really received, and one an answered item of a batch."""

    def __getitem__(self, place):
        """An entry, or the entries of a slice as a log."""
        found = super().__getitem__(place)
        return Log(found) if isinstance(place, slice) else found

    def only(self, *, provider: str | None = None, status: int | None = None) -> Log:
        """The entries of one provider, or with one status."""
        return Log(e for e in self if provider in (None, e.provider) and status in (None, e.status))

    def sources(self) -> Counter[str]:
        """How many answers came from each kind of source."""
        return Counter(e.source.kind for e in self if e.source)

    def __str__(self) -> str:
        rows = [COLUMNS, *(entry.row() for entry in self)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return page.table(COLUMNS, (entry.row() for entry in self))


@dataclass
class Meter:
    """Counts every request once, and keeps the last of them. Written by the gateway's thread, read by the notebook's."""

    entries: deque[Entry] = field(default_factory=partial(deque, maxlen=KEPT))
    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def open(self, provider: str, operation: str, mode: str, at: float) -> Entry:
        """A new entry for a request that has just come in."""
        with self._lock:
            self.count += 1
            entry = Entry(self.count, provider, operation, mode=mode, at=at)
            self.entries.append(entry)
            return entry

    def add_item(self, provider: str, model: str, source: Provenance, usage: Usage, mode: str, at: float) -> None:
        """An entry for one answered request inside a batch."""
        entry = self.open(provider, "batch item", mode, at)
        entry.model, entry.source, entry.usage, entry.batch, entry.status = model, source, usage, True, 200

    def log(self) -> Log:
        """The entries so far."""
        with self._lock:
            return Log(self.entries)

    def clear(self) -> None:
        with self._lock:
            self.entries.clear()
            self.count = 0
