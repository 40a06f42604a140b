"""Continuous batching: which tokens of which sequences the model reads in one step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import chain

from helpers.house_model.cache import Array, BlockPool
from helpers.house_model.model import Model
from helpers.house_model.sequence import Sequence, Token

MOST_RUNNING = 64  # sequences that are computed together; the others wait for their turn
MOST_BYTES = 540_000_000  # of their keys and values, were each as long as the context: of a larger model fewer run (the shelves: 117 MB more)
PREFIX_BYTES = 64_000_000  # of the prefix cache
READING = 64  # tokens of prompts that one step reads, so that a long prompt does not hold up the others
Outcome = tuple[Sequence, Token | Exception]


class Scheduler:
    """The sequences that are answered now. They join and leave between two steps; nobody waits for another's end."""

    def __init__(self, model: Model, prefix_bytes: int = PREFIX_BYTES) -> None:
        self._model = model
        self.pool = BlockPool(prefix_bytes)
        self.most_running = max(1, min(MOST_RUNNING, MOST_BYTES // (model.context * model.token_bytes)))
        self._shelves = model.shelves(self.most_running)
        self.waiting: deque[deque[Sequence]] = deque()  # one queue a request, which has several sequences where it wants several choices
        self.running: list[Sequence] = []

    @property
    def is_busy(self) -> bool:
        return bool(self.running or self.waiting)

    def add(self, sequences: Iterable[Sequence]) -> None:
        """Line up the sequences of one request."""
        self.waiting.append(deque(sequences))

    def remove(self, sequences: Iterable[Sequence]) -> None:
        """Compute these no longer, wherever they stand."""
        gone = set(sequences)
        self.running = [sequence for sequence in self.running if sequence not in gone]
        left = (deque(sequence for sequence in request if sequence not in gone) for request in self.waiting)
        self.waiting = deque(request for request in left if request)

    def step(self) -> list[Outcome]:
        """Let the model read once, for all together. Returns the tokens that this gave, or for a sequence that cannot go on, the reason."""
        self._admit()
        planned = self._plan()
        outcomes: list[Outcome] = []
        for (sequence, count), logits in zip(planned.items(), self._forward(planned), strict=True):
            if isinstance(logits, Exception):
                sequence.is_over = True
                outcomes.append((sequence, logits))
                continue
            sequence.read(count, self.pool)
            if not sequence.unread:
                outcomes.append((sequence, _next(sequence, logits)))
        self.running = [sequence for sequence in self.running if not sequence.is_over]
        return outcomes

    def give_up(self, error: Exception) -> list[Outcome]:
        """After a step that failed: those that it computed cannot go on. The others come next."""
        failed, self.running = self.running, []
        return [(sequence, error) for sequence in failed]

    def _forward(self, planned: dict[Sequence, int]) -> Iterable[Array | Exception]:
        """The scores that follow what is planned for each sequence. Where the model fails it reads them one by one: then the error is of one alone."""
        shelves = self._shelves.arrange([sequence.cache for sequence in planned if sequence.writes])
        try:
            return self._model.forward([(s.ids[s.cache.used : s.cache.used + count], s.cache) for s, count in planned.items()], shelves)
        except Exception as error:
            if len(planned) == 1:
                return [error]
            return chain.from_iterable(self._forward({sequence: count}) for sequence, count in planned.items())

    def _admit(self) -> None:
        """Fill the free places. The requests take turns, so that one with many choices does not hold up the others."""
        while self.waiting and len(self.running) < self.most_running:
            request = self.waiting.popleft()
            self.running.append(request.popleft())
            if request:
                self.waiting.append(request)

    def _plan(self) -> dict[Sequence, int]:
        """How many tokens of each sequence are read now: one of each that writes, and of prompts what the step has room for.

        The prompt that has waited longest gets half of that at least; then those come first that have least to read, so that
        a short one need not wait for long ones.
        """
        planned = {sequence: 1 for sequence in self.running if sequence.writes}
        readers = [sequence for sequence in self.running if not sequence.writes]
        for sequence in readers:
            sequence.reuse(self.pool)
        room, begun = READING, set()
        for sequence in [*readers[:1], *sorted(readers[1:], key=lambda s: s.unread)]:
            if not room or sequence.next_block in begun:  # another reads the same just now: then it will be in the prefix cache
                continue
            share = room // 2 if sequence is readers[0] and len(readers) > 1 else room
            planned[sequence] = min(sequence.unread, share)
            room -= planned[sequence]
            begun |= {sequence.next_block} - {None}
        return planned


def _next(sequence: Sequence, logits: Array) -> Token | Exception:
    try:
        return sequence.take(logits)
    except Exception as error:  # a constraint that cannot be followed ends this one, and nobody else's
        sequence.is_over = True
        return error
