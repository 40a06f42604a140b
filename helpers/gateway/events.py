"""The events of a stream: where one ends, and how many come before a fault."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

Events = AsyncIterator[bytes]
BLANK_LINE = re.compile(rb"\r?\n\r?\n")  # ends a server-sent event


class Sent:
    """What has gone of a stream: its first piece, and its last."""

    def __init__(self) -> None:
        self.first = self.last = b""

    def note(self, piece: bytes) -> None:
        self.first = self.first or piece
        self.last = piece


async def whole(chunks: Events, headers: list[tuple[str, str]]) -> Events:
    """A stream cut where its events end: what a real server sent was cut anywhere on its way.

    What is neither server-sent events nor AWS's event stream stays cut as it came.
    """
    content_type = next((value for name, value in headers if name.lower() == "content-type"), "")
    end_of_first = next((end for name, end in ENDS.items() if name in content_type), _end_of_all)
    rest = b""
    async for chunk in chunks:
        data, start = rest + chunk, 0
        while start < len(data) and (end := end_of_first(data, start)):
            yield data[start:end]
            start = end
        rest = data[start:]
    if rest:
        yield rest


async def until(events: Events, count: int) -> Events:
    """The first `count` events, or all but the last of a stream that has no more than that: it does not end as it should."""
    held = None
    async for event in events:
        if held is not None:
            yield held
            count -= 1
        if count <= 0:
            return
        held = event


def _end_of_lines(data: bytes, start: int) -> int:
    """Where a server-sent event that begins at `start` ends; 0 where it is not whole."""
    found = BLANK_LINE.search(data, start)
    return found.end() if found else 0


def _end_of_frame(data: bytes, start: int) -> int:
    """Where a message of an AWS event stream ends, whose first four bytes are its length; 0 where it is not whole."""
    end = start + max(int.from_bytes(data[start : start + 4], "big"), 4)
    return end if end <= len(data) else 0


def _end_of_all(data: bytes, start: int) -> int:
    return len(data)


ENDS = {"text/event-stream": _end_of_lines, "amazon.eventstream": _end_of_frame}
