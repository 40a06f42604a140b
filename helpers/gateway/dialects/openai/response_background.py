"""Responses in the background: they are queued, written on while nobody waits, and can be read as events from any place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from helpers.gateway.answer import Answer
from helpers.gateway.dialects.frames import Frames
from helpers.gateway.dialects.openai import response_body as bodies
from helpers.gateway.dialects.openai import response_events as events
from helpers.gateway.dialects.openai.errors import words
from helpers.gateway.exchange import Refusal
from helpers.gateway.wire import pretty

Json = dict[str, Any]
QUEUED = 0.3  # seconds that a response is queued, at the pace of its answer
MOST = 1_000  # responses that are being written at once
WAITING = ("queued", "in_progress")
log = logging.getLogger("helpers.gateway")


class Job:
    """One response that is being written. `response` is its body, as far as it is known."""

    def __init__(self, response: Json, *, is_streamed: bool, grown: Callable[[int], None]) -> None:
        """`grown` is told how many bytes an event takes that is kept: those of a response that was asked for as a stream."""
        self.response, self.is_streamed, self._grown = response, is_streamed, grown
        self._frames = Frames()
        self._task: asyncio.Task[None] | None = None

    def begin(self, answer: Answer, ids: dict[str, str], finish: Callable[[], None], ended: Callable[[], None]) -> None:
        """Write the answer, then `finish` its body. `ended` is called in any case, with whatever was written."""

        def over(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                answer.stop()
            self._frames.end()
            ended()

        self._task = asyncio.get_running_loop().create_task(self._write(answer, ids, finish))
        self._task.add_done_callback(over)

    def cancel(self) -> None:
        """Write no more."""
        if self._task is not None and not self._task.done():
            self.response["status"] = "cancelled"
            self._task.cancel()

    async def _write(self, answer: Answer, ids: dict[str, str], finish: Callable[[], None]) -> None:
        self._add({"type": "response.created", "response": self.response})
        self._add({"type": "response.queued", "response": self.response})
        try:
            await answer.wait_until(QUEUED * answer.pace)
            self.response["status"] = "in_progress"
            self._add({"type": "response.in_progress", "response": self.response})
            async for event in events.output(answer, ids):
                self._add(event)
            finish()
            self._add({"type": f"response.{self.response['status']}", "response": self.response})
        except Refusal as refusal:  # an answer that cannot go on
            self._fail(refusal)
        except Exception:
            log.exception("the gateway failed on a response in the background")
            self._fail(Refusal("server_error"))

    def _fail(self, refusal: Refusal) -> None:
        _, _, _, message = words(refusal, self.response["id"])
        code = "rate_limit_exceeded" if refusal.kind in ("rate_limited", "overloaded") else "server_error"
        self.response.update(status="failed", error={"code": code, "message": message})
        self._add({"type": "response.failed", "response": self.response})

    # ---- reading ---------------------------------------------------------
    def body(self) -> bytes:
        """The response as it is now."""
        return pretty(self.response)

    def stream(self, after: int = -1) -> AsyncIterator[bytes]:
        """The events after a number; the end of the stream where it is cancelled."""
        return self._frames.stream(after + 1)

    def _add(self, event: Json) -> None:
        """Keep an event for whoever reads it now or later."""
        if not self.is_streamed:
            return
        frame = events.frame(event, len(self._frames))
        self._frames.add(frame)
        self._grown(len(frame))


def queued(answer: Answer, ids: dict[str, str]) -> Json:
    """A response that waits for its turn."""
    return {**bodies.opened(answer, ids), "status": "queued", "service_tier": "auto"}
