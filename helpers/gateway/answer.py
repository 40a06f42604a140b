"""The answer to a question: a draft with the request's limits applied, its usage, and the pace at which it is given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from helpers.gateway import tokens
from helpers.gateway.exchange import Draft, Provenance, Question, Run, Search, Usage

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class TokenScore:
    """A token of an answer, the natural logarithm of its probability, and the likeliest tokens in its place with theirs."""

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()
    ends: bool = False  # the token that ends the turn, which is no text


@dataclass
class Choice:
    """One of the n answers. Where it calls a function, `function` is its name and `text` the arguments as JSON."""

    text: str
    finish: str  # stop | length | stop_sequence | call | refusal
    stop_sequence: str | None = None
    thinking_tokens: int = 0
    text_tokens: int = 0
    function: str | None = None
    refusal: str | None = None
    search: Search | None = None
    run: Run | None = None
    scores: list[TokenScore] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)  # of its tokens, where the house model wrote them


class Piece(NamedTuple):
    """A few tokens of one choice, and the second (from the start of the answer) at which they are due."""

    choice: int
    text: str
    due: float
    tokens_so_far: int
    scores: tuple[TokenScore, ...] = ()
    is_last: bool = False  # of its choice
    ids: tuple[int, ...] = ()  # of its tokens, where the house model wrote them


@dataclass
class Answer:
    """An answer to one question: its choices, its usage, and the pace at which it is given."""

    question: Question
    provenance: Provenance
    choices: list[Choice]
    usage: Usage
    pace: float  # 1 = the model's typical speed, 0 = at once
    started: float = field(default_factory=time.monotonic)
    vectors: np.ndarray | None = None  # of an embedding model: a row for each text

    def pieces(self) -> list[Piece]:
        """The text of all choices in the order a server sends it, a few tokens at a time."""
        model, size, out = self.question.model, self.question.chunk_tokens, []
        streams = [tokens.split(choice.text, size) for choice in self.choices]
        for step in range(max(map(len, streams), default=0)):
            for index, (stream, choice) in enumerate(zip(streams, self.choices, strict=True)):
                if step < len(stream):
                    so_far = min((step + 1) * size, choice.text_tokens)
                    due = self.pace * (model.ttft + (choice.thinking_tokens + step * size) / model.tokens_per_second)
                    out.append(Piece(index, stream[step], due, so_far, is_last=step == len(stream) - 1))
        return out

    @property
    def is_silent(self) -> bool:
        """Whether the first choice has nothing to say, known before it is streamed: its limit went on thinking."""
        return not self.choices[0].text

    @property
    def latency_ms(self) -> int:
        """Milliseconds that the whole answer takes at its pace."""
        model = self.question.model
        return round(1000 * self.pace * (model.ttft + self.usage.output_tokens / model.tokens_per_second)) + 1

    async def stream(self) -> AsyncIterator[Piece]:
        """The pieces, each when it is due."""
        for piece in self.pieces():
            if self.pace:
                await self.wait_until(piece.due)
            yield piece
        await self.finished()

    async def thought(self) -> None:
        """Return when the thinking before the first token of text is over."""
        longest = max((c.thinking_tokens for c in self.choices), default=0)
        await self.wait_until(self.pace * (self.question.model.ttft + longest / self.question.model.tokens_per_second))

    async def finished(self) -> None:
        """Return when the last token is due; a plain answer takes as long as a streamed one."""
        if not self.pace:
            return
        longest = max([c.thinking_tokens + c.text_tokens for c in self.choices], default=0)
        await self.wait_until(self.pace * (self.question.model.ttft + longest / self.question.model.tokens_per_second))

    def stop(self) -> None:
        """Nobody reads on: what is not written by now never will be, and is no part of the usage."""
        written = [min(self._tokens_by_now(), choice.thinking_tokens + choice.text_tokens) for choice in self.choices]
        thinking = [min(count, choice.thinking_tokens) for count, choice in zip(written, self.choices, strict=True)]
        self.usage = replace(self.usage, output_tokens=sum(written), thinking_tokens=sum(thinking))

    def _tokens_by_now(self) -> int | float:
        """How many tokens of a choice can be written since the answer began; at no pace, all."""
        if not self.pace:
            return inf
        model = self.question.model
        seconds = (time.monotonic() - self.started) / self.pace - model.ttft
        return int(seconds * model.tokens_per_second) + 1 if seconds >= 0 else 0

    async def wait_until(self, due: float) -> None:
        remaining = self.started + due - time.monotonic()
        if remaining > 0:
            await asyncio.sleep(remaining)


def compose(question: Question, draft: Draft, usage: Usage, pace: float) -> Answer:
    """Apply the request's limits to a draft. `usage` holds the input side: what the answer takes is added to it."""
    choices = [_choice(question, draft, draft.texts[i % len(draft.texts)]) for i in range(question.n * max(1, len(question.prompts)))]
    for choice in choices:
        _add(choice, question, usage)
    return Answer(question, draft.provenance, choices, usage, pace)


def _add(choice: Choice, question: Question, usage: Usage) -> None:
    """Add to a usage what a choice took. Of code that was run, the model reads all and what it printed, after it wrote it."""
    usage.thinking_tokens += choice.thinking_tokens
    usage.output_tokens += choice.thinking_tokens + choice.text_tokens
    if choice.run:
        code, printed = [round(tokens.count(text) * question.model.token_ratio) for text in (choice.run.code, choice.run.output)]
        usage.output_tokens += code
        usage.input_tokens += code + printed
        usage.tool_tokens += code + printed
    if choice.search:
        usage.searches += 1 if question.one_search else len(choice.search.queries)


EFFORT = {"none": 0.0, "minimal": 0.1, "low": 0.4, "medium": 1.0, "high": 2.0, "xhigh": 3.0, "max": 4.0}


def _choice(question: Question, draft: Draft, text: str) -> Choice:
    """A text of the draft within the limits; a call or a refusal, where it is one. Of a call that the limit cut, its beginning."""
    choice = _limited(question, text, draft.thinking_tokens)
    choice.function = draft.function if choice.text else None
    choice.search, choice.run = (draft.search, draft.run) if choice.text else (None, None)
    if choice.finish == "stop":
        choice.finish = "refusal" if draft.refusal else "call" if choice.function else "stop"
        choice.refusal = draft.refusal
    return choice


def _limited(question: Question, text: str, thinking: int) -> Choice:
    ratio = question.model.token_ratio
    thinking = round(thinking * EFFORT[question.effort])
    if question.thinking_limit is not None:
        thinking = min(thinking, question.thinking_limit)
    if question.limit is not None and thinking >= question.limit:
        return Choice("", "length", thinking_tokens=question.limit)
    text, stopped_by = _cut_at_stop(text, question.stop)
    count = round(tokens.count(text) * ratio)
    if question.limit is not None and thinking + count > question.limit:
        room = question.limit - thinking
        return Choice(tokens.first(text, int(room / ratio)), "length", None, thinking, room)
    return Choice(text, "stop_sequence" if stopped_by else "stop", stopped_by, thinking, count)


def _cut_at_stop(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    found = [(text.find(stop), stop) for stop in stops if stop and stop in text]
    if not found:
        return text, None
    place, stop = min(found)
    return text[:place], stop
