"""What the fuzzer judges each answer by."""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.gateway.fuzz.bodies import PROVIDERS
from tests.gateway.fuzz.wire import Answer, Request

LATE = 5.0  # seconds
BYTES_A_SECOND = 300  # what an answer may take longer for its length: the house model on a busy core, with four who ask it
MOUNTS = (*PROVIDERS, "course")
SHOWN = 12  # of each kind
PYTHON = re.compile(rb"NoneType|unhashable|object is not|has no attribute|not subscriptable|__init__|<class '|positional argument|Errno|codec can't")


class Watch:
    """What was seen, by all clients."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.wrong: defaultdict[str, list[str]] = defaultdict(list)
        self.slowest: list[tuple[float, str]] = []
        self._lock = threading.Lock()

    def see(self, number: int, request: Request, answer: Answer, *, disturbed: bool) -> None:
        """Judge one answer. `disturbed`: a fault was ordered, so that a 500 or no answer at all is right."""
        mount = request.path[1:].split("/")[0]
        where = f"{number}: {request} -> {answer.status}, {answer.seconds:.1f} s {answer.note} {answer.body[:160]!r}"
        wrong = list(_wrong(request, answer, disturbed))
        with self._lock:
            self.answers[mount if mount in MOUNTS else "elsewhere", answer.status] += 1
            if answer.seconds > 0.5:
                self.slowest = sorted([*self.slowest, (answer.seconds, where)], reverse=True)[:SHOWN]
            for kind in wrong:
                self.wrong[kind].append(where)


def _wrong(request: Request, answer: Answer, disturbed: bool) -> Iterator[str]:
    """What is wrong with an answer, in short."""
    if "x-course-error" in answer.headers or answer.status >= 500 and not disturbed:
        yield "500 of ours"
    if answer.status >= 400 and (found := PYTHON.search(answer.body)) and found[0] not in request.bytes():
        yield f"words of Python: {found[0].decode()}"
    if request.is_plain and not disturbed:
        if not answer.status:
            yield "no answer"
        elif answer.note:
            yield "an answer cut short"
        if answer.seconds > LATE + len(answer.body) / BYTES_A_SECOND:
            yield "late"
