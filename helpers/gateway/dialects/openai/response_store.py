"""Stored responses: what was said, what was put in, and for how long they are kept."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.dialects.openai import response_background as background
from helpers.gateway.dialects.openai.response_background import Job
from helpers.gateway.dialects.openai.response_references import among
from helpers.gateway.exchange import Message, Question, Refusal

Json = dict[str, Any]
GIVEN = "given"  # where it stands in a question's echo
MOST_STORED = 200_000_000  # bytes of stored responses, each with all that was said before it; the oldest go first
KEPT_FOR_POLLING = 600.0  # seconds; a response in the background that is not to be stored (OpenAI's guide, November 2026: about 10 minutes)


@dataclass(frozen=True)
class Given:
    """What a request for a response was read as, beside its body. Sizes are in bytes: to measure takes time in proportion to what is said."""

    new: tuple[Json, ...]  # items of this request
    put_in: tuple[Json, ...]  # all items that it is made of
    at: float  # when it was asked, by the course's clock
    new_size: int
    size: int  # of all that is kept of it but the answer

    @classmethod
    def of(cls, question: Question) -> Given | None:
        """That of a question to Responses; None for any other, whatever its client writes into its body."""
        found = question.echo.get(GIVEN)
        return found if isinstance(found, cls) else None


@dataclass
class Stored:
    """What is kept of a response. Nothing of it is `said` and nothing put in where it is the beginning of a conversation."""

    body: Json = field(default_factory=dict)
    said: tuple[Message, ...] = ()
    items: tuple[Json, ...] = ()  # of the input, with those of the responses that it goes on from
    size: int = 0  # bytes, but for its answer's
    calls: frozenset[str] = frozenset()  # the ids of those that wait for their output
    shows_thoughts: bool = False  # whether its encrypted thoughts were asked for
    expires: float | None = None  # by the course's clock
    job: Job | None = None

    def is_there(self, now: float) -> bool:
        return self.expires is None or now < self.expires


class Store:
    """The stored responses, and those that are being written in the background."""

    def __init__(self) -> None:
        self._kept: Bounded[str, Stored] = Bounded(MOST_STORED, lambda _, kept: kept.size + weight(kept.body["output"]))
        self._running: dict[str, Job] = {}

    def clear(self) -> None:
        """Forget all, and write no more."""
        running, self._running = self._running, {}
        for job in running.values():
            job.cancel()
        self._kept.clear()

    def size(self, id: Any) -> int:
        """The bytes that are kept under a name; 0 for what is none."""
        return self._kept.size(id) if isinstance(id, str) else 0

    def get(self, id: str, now: float) -> Stored | None:
        """A response that is kept at a moment of the course's clock."""
        kept = self._kept.get(id)
        return kept if kept is not None and kept.is_there(now) else None

    def named(self, id: str, now: float) -> Stored:
        """The same. Raises Refusal for one that is not there."""
        kept = self.get(id, now)
        if kept is None:
            raise Refusal("not_found", f"Response with id '{id}' not found.")
        return kept

    def find(self, ids: Set[str], now: float) -> dict[str, Json]:
        """The items of these ids that were put into kept responses or came out of them; the newest ones are looked at first."""
        found: dict[str, Json] = {}
        for kept in reversed(self._kept.values()):
            if kept.is_there(now):
                for id, item in among((*kept.items, *kept.body["output"]), ids).items():
                    found.setdefault(id, item)
            if len(found) == len(ids):
                break
        return found

    @property
    def held(self) -> int:
        """The bytes of all that is kept."""
        return self._kept.held

    def keep(self, stored: Stored) -> None:
        self._kept[stored.body["id"]] = stored

    def remove(self, stored: Stored) -> None:
        """Forget a response, and write no more of it."""
        self._kept.pop(stored.body["id"], None)
        if stored.job:
            stored.job.cancel()

    # ---- in the background -----------------------------------------------
    def admit(self) -> None:
        """Raise Refusal where too many are being written already."""
        if len(self._running) >= background.MOST:
            raise Refusal("rate_limited", wait=1.0, family="requests")

    def begin(self, stored: Stored, answer: Answer, ids: dict[str, str], finish: Callable[[], None], settle: Callable[[], None]) -> Job:
        """Keep a response, and write it on while nobody waits. `settle` counts what was written, unless all was forgotten meanwhile."""
        id = stored.body["id"]

        def finished() -> None:
            finish()
            self._kept.grow(id, weight(stored.body["output"]))

        def ended() -> None:
            if self._running.pop(id, None) is job:
                settle()

        job = stored.job = Job(stored.body, is_streamed=answer.question.stream, grown=partial(self._kept.grow, id))
        self.keep(stored)
        self._running[id] = job
        job.begin(answer, ids, finished, ended)
        return job
