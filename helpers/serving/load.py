"""Load on a server of one's own: many clients at once, each with one request after the other, every request timed.

Prompts are lists of random token ids. So each has exactly the length that was asked for, whatever the tokenizer, and no
two begin alike: no answer comes from the prefix cache unless that is what is measured. All times are in seconds.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from openai import AsyncOpenAI

MOST_CLIENTS = 1024
MOST_REQUESTS = 20_000
LOOPBACK = ("127.0.0.1", "localhost", "::1")
FIRST = "the first request"  # not among the rows: it pays for what a server sets up only then
ORDINARY_TOKENS = range(256, 1024)  # ids that are plain text in the house model's vocabulary and in Llama's
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """One request, with `concurrency` clients at work. `start` and `end` count from the level's beginning, `ttft` from `start`."""

    concurrency: int
    start: float
    ttft: float  # time to first token
    end: float
    prompt_tokens: int
    output_tokens: int

    @property
    def latency(self) -> float:
        return self.end - self.start

    @property
    def tpot(self) -> float | None:
        """Time per output token after the first; None if there was but one."""
        return (self.latency - self.ttft) / (self.output_tokens - 1) if self.output_tokens > 1 else None


@dataclass(frozen=True)
class Level:
    """All requests at one concurrency. p50 is the median; 95 of 100 requests were as fast as p95, or faster."""

    concurrency: int
    requests: int
    tokens_per_second: float  # output tokens of all clients together
    ttft_p50: float
    ttft_p95: float
    tpot_p50: float | None
    latency_p50: float


@dataclass(frozen=True)
class PrefixRow:
    """One question about a document: `warm` if the server had just read the same document for another question."""

    document_tokens: int
    warm: bool
    ttft: float
    prompt_tokens: int
    cached_tokens: int | None  # of the prompt, by the server's word; None unless it runs with --enable-prompt-tokens-details


@dataclass(frozen=True)
class PrefixLevel:
    """Median time to first token for documents of one length, first read and read again."""

    document_tokens: int
    cold_p50: float
    warm_p50: float


def measure(
    base_url: str,
    model: str,
    *,
    concurrency: Sequence[int] = (1, 4, 16),
    requests_per_client: int = 4,
    prompt_tokens: int = 128,
    output_tokens: int = 64,
    ignore_eos: bool = True,
    timeout: float = 120.0,
) -> list[Row]:
    """Ask a server on this machine at each concurrency in turn; one row for each request.

    ignore_eos: have every answer go on to `output_tokens`, which vLLM understands and other servers may not.
    timeout: seconds for one level. Raises ValueError for a host that is not loopback and for counts out of bounds,
    TimeoutError if a level takes too long, and the SDK's errors if a request fails.
    """
    _check_counts(concurrency, requests_per_client, prompt_tokens, output_tokens)
    if max(concurrency) > MOST_CLIENTS or sum(concurrency) * requests_per_client > MOST_REQUESTS:
        raise ValueError(f"at most {MOST_CLIENTS} clients at once and {MOST_REQUESTS} requests in all: ask for fewer")

    async def work(client: AsyncOpenAI) -> list[Row]:
        ask = _asker(client, model, output_tokens, ignore_eos)
        await _in_time(ask(_random_tokens(prompt_tokens)), timeout, FIRST)
        rows: list[Row] = []
        for clients in concurrency:
            rows += await _in_time(_level(ask, clients, requests_per_client, prompt_tokens), timeout, f"{clients} clients")
        return rows

    return _run(base_url, work)


def measure_prefix(
    base_url: str,
    model: str,
    *,
    document_tokens: Sequence[int] = (256, 512, 1024, 1792),
    question_tokens: int = 32,
    repeats: int = 5,
    timeout: float = 120.0,
) -> list[PrefixRow]:
    """Time to first token of a question about a new document, then of another about the same one, `repeats` times for each length.

    timeout: seconds for all documents of one length. Raises what `measure` raises.
    """
    _check_counts(document_tokens, question_tokens, repeats)
    if len(document_tokens) * repeats * 2 > MOST_REQUESTS:
        raise ValueError(f"at most {MOST_REQUESTS} requests in all: ask for fewer")

    async def pairs(ask: _Ask, length: int) -> list[PrefixRow]:
        rows = []
        for _ in range(repeats):
            document = _random_tokens(length)
            for warm in (False, True):
                timed = await ask(document + _random_tokens(question_tokens))
                rows.append(PrefixRow(length, warm, timed.first - timed.start, timed.prompt_tokens, timed.cached_tokens))
        return rows

    async def work(client: AsyncOpenAI) -> list[PrefixRow]:
        ask = _asker(client, model, output_tokens=1, ignore_eos=True)
        await _in_time(ask(_random_tokens(question_tokens)), timeout, FIRST)
        return [row for length in document_tokens for row in await _in_time(pairs(ask, length), timeout, f"{length} tokens")]

    return _run(base_url, work)


# ---- what the rows say -------------------------------------------------------------------------------------
def summary(rows: Iterable[Row]) -> list[Level]:
    """One level for each concurrency, from the lowest to the highest."""
    levels: dict[int, list[Row]] = {}
    for row in rows:
        levels.setdefault(row.concurrency, []).append(row)
    return [_summed(concurrency, levels[concurrency]) for concurrency in sorted(levels)]


def _summed(concurrency: int, rows: Sequence[Row]) -> Level:
    seconds = max(row.end for row in rows) - min(row.start for row in rows)
    ttfts = [row.ttft for row in rows]
    tpots = [row.tpot for row in rows if row.tpot is not None]
    return Level(
        concurrency=concurrency,
        requests=len(rows),
        tokens_per_second=sum(row.output_tokens for row in rows) / seconds,
        ttft_p50=median(ttfts),
        ttft_p95=percentile(ttfts, 95),
        tpot_p50=median(tpots) if tpots else None,
        latency_p50=median(row.latency for row in rows),
    )


def prefix_summary(rows: Iterable[PrefixRow]) -> list[PrefixLevel]:
    """One level for each length of document, from the shortest to the longest."""
    times: dict[int, dict[bool, list[float]]] = {}
    for row in rows:
        times.setdefault(row.document_tokens, {False: [], True: []})[row.warm].append(row.ttft)
    return [PrefixLevel(length, median(times[length][False]), median(times[length][True])) for length in sorted(times)]


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many percent lie, between two neighbours in proportion."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


# ---- how it is done ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Timed:
    """One request by the clock."""

    start: float
    first: float
    end: float
    prompt_tokens: int
    output_tokens: int
    cached_tokens: int | None


_Ask = Callable[[list[int]], Awaitable[_Timed]]


def _asker(client: AsyncOpenAI, model: str, output_tokens: int, ignore_eos: bool) -> _Ask:
    """A function that sends one prompt of token ids as a stream, and times it."""

    async def ask(prompt: list[int]) -> _Timed:
        first = usage = None
        start = time.perf_counter()
        answer = client.completions.create(
            model=model,
            prompt="",  # the ids go in extra_body: here the SDK would walk through them, 7 microseconds each, and the server would wait
            max_tokens=output_tokens,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"prompt": prompt, "ignore_eos": ignore_eos},
        )
        async with await answer as stream:
            async for chunk in stream:
                if first is None and chunk.choices:
                    first = time.perf_counter()
                usage = chunk.usage or usage
        end = time.perf_counter()
        if first is None or usage is None:
            raise RuntimeError("the server's stream held no token or no usage: it is not one that can be measured")
        details = usage.prompt_tokens_details
        return _Timed(start, first, end, usage.prompt_tokens, usage.completion_tokens, details.cached_tokens if details else None)

    return ask


async def _level(ask: _Ask, clients: int, requests_per_client: int, prompt_tokens: int) -> list[Row]:
    """All requests of one level; they are done when the slowest client is."""
    began = time.perf_counter()

    async def one_client() -> list[_Timed]:
        return [await ask(_random_tokens(prompt_tokens)) for _ in range(requests_per_client)]

    try:
        async with asyncio.TaskGroup() as group:  # one request that fails ends the others, before their client is closed
            tasks = [group.create_task(one_client()) for _ in range(clients)]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    timed = [one for task in tasks for one in task.result()]
    return [
        Row(clients, one.start - began, one.first - one.start, one.end - began, one.prompt_tokens, one.output_tokens) for one in timed
    ]


def _random_tokens(count: int) -> list[int]:
    return random.choices(ORDINARY_TOKENS, k=count)


async def _in_time(work: Awaitable[T], timeout: float, what: str) -> T:
    try:
        async with asyncio.timeout(timeout):
            return await work
    except TimeoutError:
        raise TimeoutError(f"{what}: not done after {timeout:g} s. Ask for fewer or shorter answers, or allow more with timeout=.") from None


def _check_counts(levels: Sequence[int], *others: int) -> None:
    if not levels or any(count < 1 for count in (*levels, *others)):
        raise ValueError("give at least one level, and counts of clients, requests and tokens of 1 or more")


def _run(base_url: str, work: Callable[[AsyncOpenAI], Awaitable[T]]) -> T:
    """Do the work with a client for that server, in a thread, since a notebook's own thread already runs an event loop."""
    if urlsplit(base_url).hostname not in LOOPBACK:
        raise ValueError(f"{base_url} is not on this machine: this load is for a server of your own, on 127.0.0.1")
    cancel: list[Callable[[], object]] = []

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancel.append(lambda: loop.call_soon_threadsafe(task.cancel))
        return await _with_client(base_url, work)

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(asyncio.run, main())
        try:
            return done.result()
        except KeyboardInterrupt:  # an interrupted cell ends the load
            for end in cancel:
                end()
            raise


async def _with_client(base_url: str, work: Callable[[AsyncOpenAI], Awaitable[T]]) -> T:
    from httpx2 import Limits
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    # Neither a proxy nor a redirect may lead the load away from this machine, and no retry may hide a failed request.
    # A connection for each client, kept: the SDK's own limits are 1,000, of which 100 are kept.
    limits = Limits(max_connections=MOST_CLIENTS, max_keepalive_connections=MOST_CLIENTS)
    http_client = DefaultAsyncHttpxClient(trust_env=False, follow_redirects=False, limits=limits)
    async with AsyncOpenAI(base_url=base_url, api_key="none-needed", max_retries=0, http_client=http_client) as client:
        return await work(client)
