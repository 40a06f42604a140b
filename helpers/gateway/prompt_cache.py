"""Prompt caches that behave: minimum length, exact prefixes, time to live, counts of writes and reads.

Two styles exist. Automatic (OpenAI, Azure, Gemini, vLLM): every long prompt is cached, block by block; newer models of OpenAI's
can be told to cache no more than what is marked. By breakpoints (Anthropic, Bedrock): only what the client marked, up to each mark.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from helpers.gateway import tokens
from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.clock import Clock
from helpers.gateway.exchange import MESSAGE_OVERHEAD, Part, Question, Usage

MOST_ENTRIES = 1_000_000  # prefixes; some 100 bytes each, and where a prompt is cached token by token, as many as it has tokens
STORED_AT_ONCE = 10_000  # prefixes; other threads wait for a millisecond meanwhile
MOST_EXPLICIT = 200_000_000  # bytes of caches with a name of their own
SECONDS = {"5m": 300, "30m": 1800, "1h": 3600, "12h": 43_200, "10m": 600}
LOOKBACK = 20  # blocks in which an entry is looked for, from a breakpoint backwards, itself the first: Anthropic's caching guide
MOST_WRITTEN = 4  # explicit breakpoints, the last of a request: openai 3.57.0, PromptCacheOptions
Life = tuple[float, float]  # when a prefix expires, and its time to live in seconds


class PromptCache:
    """Prefixes seen before, by a hash of all that stands in them. A read renews an entry's time to live.

    They are kept in two halves: when the younger is full, the older is forgotten. So a full cache is as quick as an empty one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._young: dict[int, Life] = {}
        self._old: dict[int, Life] = {}
        self.explicit: Bounded[str, Any] = Bounded(MOST_EXPLICIT, lambda _, cache: weight(cache))  # caches with a name of their own (Gemini)

    def clear(self) -> None:
        self._young, self._old = {}, {}
        self.explicit.clear()

    def account(self, question: Question) -> Usage:
        """The input side of the usage of this request; what it writes is there for the next one."""
        prompt_tokens, rule = question.prompt_tokens, question.model.cache
        if rule is None or question.batch:
            return Usage(input_tokens=prompt_tokens, cache_read_tokens=question.cached_prefix_tokens)
        if rule.style == "blocks":
            return self._by_breakpoints(question, prompt_tokens)
        if question.cached_prefix_tokens:
            return Usage(input_tokens=prompt_tokens, cache_read_tokens=question.cached_prefix_tokens)
        return self._automatic(question, prompt_tokens)

    # ---- automatic -------------------------------------------------------
    def _automatic(self, question: Question, prompt_tokens: int) -> Usage:
        rule = question.model.cache
        if prompt_tokens < rule.min_tokens:
            return Usage(input_tokens=prompt_tokens)
        hashes = _block_hashes(question, rule.block_tokens)
        first = -(-rule.min_tokens // rule.block_tokens)
        if len(hashes) < first:
            return Usage(input_tokens=prompt_tokens)
        if question.caches_marks_only and rule.charges_writes:
            return self._by_marks_alone(question, hashes, first)
        names = hashes[first - 1 :]
        hit = 0 if self._is_new(names) else next((n for n in range(len(hashes), first - 1, -1) if self._life(hashes[n - 1])), 0)
        self._store(names, SECONDS[rule.ttl])
        # At least the last token of a prompt is always computed anew.
        read = min(hit * rule.block_tokens, prompt_tokens - 1)
        written = min(len(hashes) * rule.block_tokens, prompt_tokens) - read if rule.charges_writes else 0
        return Usage(input_tokens=prompt_tokens, cache_read_tokens=read, cache_write_tokens=max(0, written))

    def _by_marks_alone(self, question: Question, hashes: list[int], first: int) -> Usage:
        """Of a prompt that is hashed token by token, what ends at a breakpoint."""
        ends = [min(end, len(hashes)) for end in _marked_ends(question) if end >= first]
        read = next((end for end in reversed(ends) if self._renewed(hashes[end - 1])), 0)
        read = min(read, question.prompt_tokens - 1)
        self._store([hashes[end - 1] for end in ends[-MOST_WRITTEN:]], SECONDS[question.model.cache.ttl])
        written = max(0, max(ends, default=0) - read)
        return Usage(input_tokens=question.prompt_tokens, cache_read_tokens=read, cache_write_tokens=written)

    # ---- by breakpoints --------------------------------------------------
    def _by_breakpoints(self, question: Question, prompt_tokens: int) -> Usage:
        marks = _marks(question)
        usable = [mark for mark in marks if mark.ttl and mark.tokens >= question.model.cache.min_tokens]
        if not usable:
            return Usage(input_tokens=prompt_tokens)
        read = max((mark.tokens for mark in _within_sight(marks, usable) if self._renewed(mark.name)), default=0)
        writes = {"5m": 0, "1h": 0}
        done = read
        for mark in usable:
            if mark.tokens > done:
                writes[mark.ttl] += mark.tokens - done
                done = mark.tokens
            if not self._life(mark.name):  # what is there lives as long as it was written for
                self._store([mark.name], SECONDS[mark.ttl])
        return Usage(
            input_tokens=prompt_tokens,
            cache_read_tokens=read,
            cache_write_tokens=writes["5m"],
            cache_write_1h_tokens=writes["1h"],
        )

    # ---- entries ---------------------------------------------------------
    def _life(self, name: int) -> Life | None:
        """The life of a prefix that is there and has not expired."""
        found = self._young.get(name) or self._old.get(name)
        return found if found and found[0] > self._clock.now() else None

    def _is_new(self, names: list[int]) -> bool:
        """Whether none of these prefixes is there. Of a long prompt that is sooner said than which is the longest one."""
        return self._young.keys().isdisjoint(names) and self._old.keys().isdisjoint(names)

    def _renewed(self, name: int) -> bool:
        """Whether a prefix is there, which then lives on."""
        found = self._life(name)
        if found:
            self._store([name], found[1])
        return found is not None

    def _store(self, names: list[int], ttl: float) -> None:
        life, start = (self._clock.now() + ttl, ttl), 0
        while start < len(names):
            end = start + min(STORED_AT_ONCE, MOST_ENTRIES // 2 - len(self._young))
            self._young.update(dict.fromkeys(names[start:end], life))
            start = end
            if len(self._young) >= MOST_ENTRIES // 2:
                self._young, self._old = {}, self._young


def _ids(question: Question) -> Iterator[tuple[Part | None, list[object]]]:
    """The prompt token by token, piece by piece: the tools and the beginnings of messages belong to no part."""
    per_message, _ = MESSAGE_OVERHEAD.get(question.provider, (0, 0))
    yield None, [token for tool in question.tools for token in tokens.encode(tool)]
    for message in question.messages:
        yield None, [message.role] * max(1, per_message)
        for part in message.parts:
            yield part, [part.text] * part.token_count() if part.kind == "image" else [*tokens.encode(part.text)]


def _marked_ends(question: Question) -> list[int]:
    """After how many tokens each breakpoint of the client's stands."""
    ends, total = [], 0
    for part, ids in _ids(question):
        total += len(ids)
        if part is not None and part.cache_ttl:
            ends.append(total)
    return ends


def _block_hashes(question: Question, size: int) -> list[int]:
    """A hash for every whole block of the prompt, each over all that stands before it too."""
    ids = [token for _, piece in _ids(question) for token in piece]
    running, out = hash((question.provider, question.model.id)), []
    for start in range(0, len(ids) - size + 1, size):
        running = hash((running, *ids[start : start + size]))
        out.append(running)
    return out


@dataclass(frozen=True)
class Mark:
    """The end of a tool or a part: a name for everything up to it, and how many tokens that is."""

    name: int
    tokens: int
    ttl: str | None


def _marks(question: Question) -> list[Mark]:
    """A mark at the end of every tool and part, tools first, as the provider orders a prompt; those with a `ttl` are the client's.

    The automatic one stands on the last part.
    """
    running, total, out = hash((question.provider, question.model.id)), 0.0, []
    for tool, ttl in zip_longest(question.tools, question.tool_marks):
        running = hash((running, tool))
        total += tokens.count(tool)
        out.append(Mark(running, round(total * question.model.token_ratio), ttl))
    per_message, _ = MESSAGE_OVERHEAD.get(question.provider, (0, 0))
    for message in question.messages:
        running = hash((running, message.role))
        total += per_message
        for part in message.parts:
            running = hash((running, part.kind, part.text))
            total += part.token_count()
            out.append(Mark(running, round(total * question.model.token_ratio), part.cache_ttl))
    if question.automatic_cache_ttl and out:
        out[-1] = Mark(out[-1].name, out[-1].tokens, question.automatic_cache_ttl)
    return out


def _within_sight(marks: list[Mark], usable: list[Mark]) -> list[Mark]:
    """The marks at which an entry is looked for: each usable one, and those not far before it."""
    places = [place for place, mark in enumerate(marks) if mark in usable]
    seen = sorted({n for place in places for n in range(max(0, place - LOOKBACK + 1), place + 1)})
    return [marks[place] for place in seen]
