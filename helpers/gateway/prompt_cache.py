"""Prompt caches that behave: minimum length, exact prefixes, time to live, counts of writes and reads.

Two styles exist. Automatic (OpenAI, Azure, Gemini, vLLM): every long prompt is cached, block by block.
By breakpoints (Anthropic, Bedrock): only what the client marked, up to each mark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from helpers.gateway import tokens
from helpers.gateway.clock import Clock
from helpers.gateway.exchange import MESSAGE_OVERHEAD, Question, Usage

MOST_ENTRIES = 500_000  # the oldest go first; an entry is some 250 bytes
SECONDS = {"5m": 300, "30m": 1800, "1h": 3600, "12h": 43_200, "10m": 600}


@dataclass
class Entry:
    expires: float
    ttl: float


class PromptCache:
    """Prefixes seen before, by a hash of all that stands in them. A read renews an entry's time to live."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[int, Entry] = {}
        self.explicit: dict[str, Any] = {}  # caches with a name of their own (Gemini)

    def clear(self) -> None:
        self._entries.clear()
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
        hit = max((n for n in range(first, len(hashes) + 1) if self._alive(hashes[n - 1])), default=0)
        for n, name in enumerate(hashes, start=1):
            if n >= first:
                self._store(name, SECONDS[rule.ttl])
        # At least the last token of a prompt is always computed anew.
        read = min(hit * rule.block_tokens, prompt_tokens - 1)
        written = min(len(hashes) * rule.block_tokens, prompt_tokens) - read if rule.charges_writes else 0
        return Usage(input_tokens=prompt_tokens, cache_read_tokens=read, cache_write_tokens=max(0, written))

    # ---- by breakpoints --------------------------------------------------
    def _by_breakpoints(self, question: Question, prompt_tokens: int) -> Usage:
        marks = _breakpoints(question)
        usable = [mark for mark in marks if mark.tokens >= question.model.cache.min_tokens]
        if not usable:
            return Usage(input_tokens=prompt_tokens)
        read = max((mark.tokens for mark in _all_prefixes(question) if self._alive(mark.name)), default=0)
        read = min(read, usable[-1].tokens)
        writes = {"5m": 0, "1h": 0}
        done = read
        for mark in usable:
            if mark.tokens > done:
                writes[mark.ttl] += mark.tokens - done
                done = mark.tokens
            self._store(mark.name, SECONDS[mark.ttl])
        return Usage(
            input_tokens=prompt_tokens,
            cache_read_tokens=read,
            cache_write_tokens=writes["5m"],
            cache_write_1h_tokens=writes["1h"],
        )

    # ---- entries ---------------------------------------------------------
    def _alive(self, name: int) -> bool:
        entry = self._entries.get(name)
        if entry is None or entry.expires <= self._clock.now():
            return False
        entry.expires = self._clock.now() + entry.ttl
        return True

    def _store(self, name: int, ttl: float) -> None:
        self._entries.pop(name, None)  # a renewed entry is a young one
        self._entries[name] = Entry(self._clock.now() + ttl, ttl)
        if len(self._entries) > MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]


def _block_hashes(question: Question, size: int) -> list[int]:
    """A hash for every whole block of the prompt, each over all that stands before it too."""
    per_message, _ = MESSAGE_OVERHEAD.get(question.provider, (0, 0))
    ids: list[object] = [token for tool in question.tools for token in tokens.encode(tool)]
    for message in question.messages:
        ids.extend([message.role] * max(1, per_message))
        for part in message.parts:
            ids.extend([part.text] * part.token_count() if part.kind == "image" else tokens.encode(part.text))
    running, out = hash((question.provider, question.model.id)), []
    for start in range(0, len(ids) - size + 1, size):
        running = hash((running, *ids[start : start + size]))
        out.append(running)
    return out


@dataclass(frozen=True)
class Mark:
    """The end of a part: a name for everything up to it, and how many tokens that is."""

    name: int
    tokens: int
    ttl: str | None


def _all_prefixes(question: Question) -> list[Mark]:
    """A mark at the end of every part, tools first, as the provider orders a prompt."""
    running = hash((question.provider, question.model.id, *question.tools))
    total = float(sum(tokens.count(tool) for tool in question.tools))
    out = []
    for message in question.messages:
        running = hash((running, message.role))
        for part in message.parts:
            running = hash((running, part.kind, part.text))
            total += part.token_count()
            out.append(Mark(running, round(total * question.model.token_ratio), part.cache_ttl))
    return out


def _breakpoints(question: Question) -> list[Mark]:
    """The marks that the client set; the automatic one stands on the last part."""
    marks = _all_prefixes(question)
    if question.automatic_cache_ttl and marks:
        last = marks[-1]
        marks[-1] = Mark(last.name, last.tokens, question.automatic_cache_ttl)
    return [mark for mark in marks if mark.ttl]
