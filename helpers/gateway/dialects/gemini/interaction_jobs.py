"""Interactions that are being written, whether somebody reads on or not: streamed ones, and those in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.frames import Frames
from helpers.gateway.dialects.gemini import interaction_events as events
from helpers.gateway.dialects.gemini.errors import interaction_error
from helpers.gateway.dialects.gemini.interaction_steps import usage_body
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import pretty

Json = dict[str, Any]
MOST = 1_000  # interactions that are written in the background at once
log = logging.getLogger("helpers.gateway")


class Job:
    """One interaction that is being written. `whole` is its body, as far as it is known; its events are kept for who comes later."""

    def __init__(self, head: Json, answer: Answer, *, background: bool) -> None:
        self.whole: Json = {**head, "status": "in_progress"}
        self.background = background
        self.frames = Frames()
        self._answer = answer
        self._task: asyncio.Task[None] | None = None

    def begin(self, finish: Callable[[], Json], ended: Callable[[], None]) -> None:
        """Write the answer. `finish` gives the whole body; `ended` is called in any case, with whatever was written."""

        def over(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                self._answer.stop()
                self.whole.update(status="cancelled", usage=usage_body(self._answer))
                self._add(events.closing(self.whole))
            self.frames.add(events.DONE)
            self.frames.end()
            ended()

        self._task = asyncio.get_running_loop().create_task(self._write(finish))
        self._task.add_done_callback(over)

    def cancel(self) -> None:
        """Write no more."""
        if self._task is not None:
            self._task.cancel()

    async def over(self) -> None:
        """Return when it is written."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _write(self, finish: Callable[[], Json]) -> None:
        try:
            for event in events.opening(self.whole):
                self._add(event)
            async for event in events.output(self._answer, self.whole["id"]):
                self._add(event)
            self.whole = finish()
            self._add(events.closing(self.whole))
        except Refusal as refusal:
            self._fail(refusal)
        except Exception:
            log.exception("the gateway failed on an interaction that nobody waits for")
            self._fail(Refusal("server_error"))

    def _fail(self, refusal: Refusal) -> None:
        error = interaction_error(refusal)[1]["error"]
        self.whole.update(status="failed", errors=[error])
        self._add(events.event("error", error=error))

    # ---- reading ---------------------------------------------------------
    def body(self) -> bytes:
        """The interaction as it is now."""
        return pretty(self.whole)

    def stream(self, after: int = 0) -> AsyncIterator[bytes]:
        """The events after the first so many."""
        return self.frames.stream(after)

    def _add(self, event: Json) -> None:
        numbered = {**event, "event_id": str(len(self.frames) + 1)} if self.background else event
        self.frames.add(events.frame(numbered))
