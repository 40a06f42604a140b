"""An answer on its way from the provider to the client."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any

import httpx2

from helpers import costs
from helpers.gateway.exchange import Usage
from helpers.gateway.sources.scrub import Scrubber
from helpers.gateway.wire import Cut, Dialect, Headers

PATIENCE = 1.0  # seconds that an answer has to end after the client has read what it wanted
# The provider's headers that go on to the client, and into recordings; none of them names an account.
KEPT = (
    *("content-type", "content-disposition", "retry-after", "retry-after-ms", "x-should-retry"),
    *("request-id", "x-request-id", "apim-request-id", "x-amzn-requestid"),
    *("openai-version", "openai-processing-ms", "x-amzn-errortype", "x-gemini-service-tier", "x-ms-region"),
)
KEPT_PREFIXES = (
    *("x-ratelimit-limit-", "x-ratelimit-remaining-", "x-ratelimit-reset-", "x-ratelimit-renewalperiod-"),
    *("anthropic-ratelimit-", "x-amzn-bedrock-"),
)
log = logging.getLogger("helpers.gateway")


def kept(answer: httpx2.Response) -> Headers:
    return [(name, value) for name, value in answer.headers.items() if name in KEPT or name.startswith(KEPT_PREFIXES)]


class Relay:
    """Passes an answer on chunk by chunk as it comes, and calls `ended` once when there is no more.

    The answer is read in a task of its own: a client that stops at the last event it wants closes the
    connection before the answer has ended, and what it cost and said would be lost.
    What goes on to the client is scrubbed: no provider's words show a key.
    """

    def __init__(self, answer: httpx2.Response, began: float, scrubber: Scrubber, ended: Callable[[Relay], Awaitable[None]]) -> None:
        """began: when the request was sent, by time.monotonic(); the chunks are timed from then."""
        self.status, self.headers = answer.status_code, kept(answer)
        self.chunks: list[tuple[float, bytes]] = []
        self.whole = self.failed = False
        self.ways: set[str] = set()  # how the answer says that it was processed
        self._answer, self._began, self._scrubber, self._ended = answer, began, scrubber, ended
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())
        self._ending = asyncio.create_task(self._end())

    async def _read(self) -> None:
        try:
            async for chunk in self._answer.aiter_bytes():
                self.chunks.append((time.monotonic() - self._began, chunk))
                self._queue.put_nowait(chunk)
            self.whole = True
        except httpx2.HTTPError:
            pass
        finally:
            await self._answer.aclose()

    async def _end(self) -> None:
        """Once the answer has been read, or given up: settle and record it, before the client sees its end."""
        await asyncio.wait([self._reading])
        try:
            await self._ended(self)
        finally:
            self._queue.put_nowait(None)

    async def stream(self) -> AsyncIterator[bytes]:
        """The chunks as they come, scrubbed. Raises Cut where the provider's connection broke off."""
        try:
            scrubbed = self._scrubbed_error() if self.status >= 400 else self._scrubbed()
            async with aclosing(scrubbed) as chunks:
                async for chunk in chunks:
                    yield chunk
            if not self.whole:
                raise Cut("the provider's answer broke off")
        finally:
            await asyncio.wait([self._reading], timeout=PATIENCE)
            self._reading.cancel()

    async def _arriving(self) -> AsyncIterator[bytes]:
        while (chunk := await self._queue.get()) is not None:
            yield chunk

    async def _scrubbed(self) -> AsyncIterator[bytes]:
        """The chunks without the learner's keys. What may be the beginning of one waits for the next chunk."""
        held = b""
        async for chunk in self._arriving():
            ready, held = self._scrubber.hide(held + chunk)
            if ready:
                yield ready
        if held:
            yield held

    async def _scrubbed_error(self) -> AsyncIterator[bytes]:
        """An error in one piece: it may quote the key in part, or name the account."""
        yield self._scrubber.scrub_error(b"".join([chunk async for chunk in self._arriving()]))

    def usage(self, dialect: Dialect) -> Usage | None:
        """What the answer says it used. None when it broke off, ended with an error, or does not say."""
        body = b"".join(chunk for _, chunk in self.chunks)
        payloads = self.events(dialect, body) if self.whole else []
        self.failed = b":exception-type" in body or any(map(_is_error, payloads))
        self.ways = {way for payload in payloads for way in _ways(payload)}
        try:
            usage = None if self.failed else dialect.usage(payloads)
            return usage and costs.checked(usage)
        except Exception:
            log.warning("an answer from %s states a usage that makes no sense", dialect.provider)
            return None

    def events(self, dialect: Dialect, body: bytes) -> list[Any]:
        """The JSON of an answer; none where it is no JSON."""
        content_type = next((value for name, value in self.headers if name == "content-type"), "")
        try:
            return dialect.events(body, content_type)
        except Exception:
            log.warning("an answer from %s is not in its format", dialect.provider)
            return []


def _is_error(payload: Any) -> bool:
    return isinstance(payload, dict) and bool(payload.get("error") or payload.get("type") in ("error", "response.failed"))


def _ways(payload: Any) -> Iterator[str]:
    """The words that name a way of processing: a service tier, a place, a speed."""
    if not isinstance(payload, dict):
        return
    for name in ("service_tier", "serviceTier", "inference_geo", "speed"):
        value = payload.get(name)
        value = value.get("type") if isinstance(value, dict) else value
        if value is not None:
            yield str(value).lower()
    for name in ("usage", "usageMetadata", "message", "response"):
        yield from _ways(payload.get(name))
    if "usage" in (payload.get("metadata") or ()):  # Converse's; OpenAI's holds the learner's own words
        yield from _ways(payload["metadata"])
