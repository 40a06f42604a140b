"""Requests that were read before: what comes again byte for byte, as from tests, retries and load, is not read and checked anew."""

from __future__ import annotations

from helpers.gateway.bounded import Bounded
from helpers.gateway.exchange import Question, ready
from helpers.gateway.wire import Call, Read

LONGEST = 8_000  # bytes of a body that is remembered: the short ones come again, and a long one would push out many
MOST_KEPT = 16_000_000  # bytes, for each operation
FOR_A_BYTE, FOR_EACH = 35, 6_000  # bytes that a question takes at most for each byte of its body, and beside that
DAY = 86_400  # seconds; a model may end from one day to the next


def held(body: bytes) -> int:
    """The bytes that are held for a body and its question, at most."""
    return FOR_EACH + FOR_A_BYTE * len(body)


class Remembered:
    """Reads the questions of an operation that depend on the body and the day alone, and on nothing that the gateway keeps."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._kept: Bounded[tuple[bytes, float], Question] = Bounded(MOST_KEPT, lambda key, _: held(key[0]))

    def __call__(self, call: Call) -> Question:
        """The question of a request. It may be given again: who wants another changes a copy (Question.with_harm)."""
        if not call.body or len(call.body) > LONGEST:  # a line of a batch has no bytes of its own
            return self._read(call)
        key = (call.body, call.services.clock.now() // DAY)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = ready(self._read(call))
        return found
