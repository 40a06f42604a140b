"""What all dialects and sources share: the neutral question, the answer to it, its usage, and the refusal.

A dialect turns bytes into a `Question`, a source answers it with a `Draft`, and the `Answer` made of
both is what a dialect turns back into bytes. Nothing in here knows a provider or a source.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from helpers.gateway import tokens
from helpers.models import Model


@dataclass(frozen=True)
class Usage:
    """Token counts in one meaning for all providers: the totals include their parts."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0

    @property
    def uncached_tokens(self) -> int:
        """Input tokens that were neither read from a prompt cache nor written to one."""
        return self.input_tokens - self.cache_read_tokens - self.cache_write_tokens - self.cache_write_1h_tokens


@dataclass(frozen=True)
class Part:
    """A piece of a message. For an image or a tool call, `text` is what identifies it."""

    text: str
    kind: str = "text"  # text | image | thinking | tool_use | tool_result
    cache_ttl: str | None = None  # "5m" or "1h" where the client set a cache breakpoint after this part

    def token_count(self) -> int:
        """Tokens of this part; an image counts as one tile of 258 tokens whatever its size."""
        return IMAGE_TOKENS if self.kind == "image" else tokens.count(self.text)


IMAGE_TOKENS = 258  # what Gemini documents for one tile; used for every provider (see DEVIATIONS.md)


@dataclass(frozen=True)
class Message:
    """One turn. Roles are system (developer too), user, assistant and tool, whatever the provider calls them."""

    role: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if part.kind == "text")


@dataclass(frozen=True)
class Function:
    """A tool that the model may call: its name, and the JSON schema of its arguments."""

    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A request to a model, in no provider's words. `limit` is in output tokens, thinking included."""

    provider: str
    model: Model
    messages: tuple[Message, ...]
    tools: tuple[str, ...] = ()  # canonical JSON of each tool offered
    functions: tuple[Function, ...] = field(default=(), hash=False)  # those of the tools that the client itself runs
    must_call: tuple[str, ...] = ()  # names of functions, of which the answer has to call one
    schema: dict[str, Any] | None = field(default=None, hash=False)  # JSON schema that the text of the answer has to fit
    top_logprobs: int | None = None  # how many likely tokens to name beside each token; None: no log-probabilities
    limit: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    stream: bool = False
    effort: str = "none"  # how much the model thinks before it answers, from none to max
    thinking_limit: int | None = None  # a budget of thinking tokens, where the provider has one
    sampling: tuple[tuple[str, Any], ...] = ()  # temperature, top_p, seed and the like, as sent
    automatic_cache_ttl: str | None = None  # Anthropic's cache_control at the top level
    cached_prefix_tokens: int = 0  # how many tokens of the prompt stand in an explicit cache (Gemini) that it names
    include_usage: bool = False  # OpenAI: whether a stream ends with its usage
    more_fields: tuple[str, ...] = ()  # Converse: JSON Pointers into the model's own answer, of what to hand on from it
    batch: bool = False
    echo: dict[str, Any] = field(default_factory=dict, compare=False)  # the body, where the answer repeats parts of it
    chunk_tokens: int = 1  # how many tokens this provider puts into one chunk of a stream

    def meaning(self) -> dict[str, Any]:
        """What a recording is matched on: never bytes, never parameters that only shape the answer."""
        said = [[m.role, [[p.kind, p.text] for p in m.parts] if any(p.kind != "text" for p in m.parts) else m.text] for m in self.messages]
        form = {name: value for name, value in (("schema", self.schema), ("must_call", list(self.must_call))) if value}
        return {"provider": self.provider, "model": self.model.id, "messages": said, "tools": sorted(self.tools), **form}

    @cached_property
    def prompt_tokens(self) -> int:
        """Tokens of the whole prompt as this model's tokenizer is taken to count them."""
        per_message, per_prompt = MESSAGE_OVERHEAD.get(self.provider, (0, 0))
        text = sum(part.token_count() for message in self.messages for part in message.parts)
        text += sum(tokens.count(tool) for tool in self.tools)
        return round((text + per_message * len(self.messages) + per_prompt) * self.model.token_ratio)


# Tokens that the chat template adds, as (per message, per prompt). OpenAI's are those of its published
# counting recipe; the others are not published and are set by hand (see DEVIATIONS.md).
MESSAGE_OVERHEAD = {"openai": (4, 3), "azure": (4, 3), "compatible": (4, 3), "anthropic": (3, 4), "bedrock": (3, 4)}


def key_of(meaning: dict[str, Any]) -> str:
    """A short stable name for a meaning."""
    return hashlib.sha256(_canonical.encode(meaning).encode()).hexdigest()[:16]


_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Provenance:
    """Where an answer came from. kind: scripted | captured | house | live."""

    kind: str
    date: str = ""
    detail: str = ""
    recording: str = ""

    def __str__(self) -> str:
        return " ".join(word for word in (self.kind, self.date, self.detail) if word)


@dataclass(frozen=True)
class Draft:
    """What a source has to say, before the request's limits are applied."""

    texts: tuple[str, ...]  # one per choice; fewer than n are used in turn
    provenance: Provenance
    thinking_tokens: int = 0


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
    finish: str  # stop | length | stop_sequence | call
    stop_sequence: str | None = None
    thinking_tokens: int = 0
    text_tokens: int = 0
    function: str | None = None
    scores: list[TokenScore] = field(default_factory=list)


@dataclass(frozen=True)
class Piece:
    """A few tokens of one choice, and the second (from the start of the answer) at which they are due."""

    choice: int
    text: str
    due: float
    tokens_so_far: int
    scores: tuple[TokenScore, ...] = ()
    is_last: bool = False  # of its choice


@dataclass
class Answer:
    """An answer to one question: its choices, its usage, and the pace at which it is given."""

    question: Question
    provenance: Provenance
    choices: list[Choice]
    usage: Usage
    pace: float  # 1 = the model's typical speed, 0 = at once
    started: float = field(default_factory=time.monotonic)

    def pieces(self) -> list[Piece]:
        """The text of all choices in the order a server sends it, a few tokens at a time."""
        model, out = self.question.model, []
        streams = [tokens.split(choice.text, self.question.chunk_tokens) for choice in self.choices]
        for step in range(max(map(len, streams), default=0)):
            for index, stream in enumerate(streams):
                if step < len(stream):
                    so_far = min((step + 1) * self.question.chunk_tokens, self.choices[index].text_tokens)
                    thought = self.choices[index].thinking_tokens
                    due = self.pace * (model.ttft + (thought + step * self.question.chunk_tokens) / model.tokens_per_second)
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
            await self.wait_until(piece.due)
            yield piece
        await self.finished()

    async def thought(self) -> None:
        """Return when the thinking before the first token of text is over."""
        longest = max((c.thinking_tokens for c in self.choices), default=0)
        await self.wait_until(self.pace * (self.question.model.ttft + longest / self.question.model.tokens_per_second))

    async def finished(self) -> None:
        """Return when the last token is due; a plain answer takes as long as a streamed one."""
        longest = max((c.thinking_tokens + c.text_tokens for c in self.choices), default=0)
        await self.wait_until(self.pace * (self.question.model.ttft + longest / self.question.model.tokens_per_second))

    async def wait_until(self, due: float) -> None:
        remaining = self.started + due - time.monotonic()
        if remaining > 0:
            await asyncio.sleep(remaining)


def compose(question: Question, draft: Draft, cached: Usage, pace: float) -> Answer:
    """Apply the request's limits to a draft. `cached` holds the input side of the usage."""
    choices = [_choice(question, draft.texts[i % len(draft.texts)], draft.thinking_tokens) for i in range(question.n)]
    thinking = sum(choice.thinking_tokens for choice in choices)
    usage = Usage(
        input_tokens=cached.input_tokens,
        cache_read_tokens=cached.cache_read_tokens,
        cache_write_tokens=cached.cache_write_tokens,
        cache_write_1h_tokens=cached.cache_write_1h_tokens,
        output_tokens=thinking + sum(choice.text_tokens for choice in choices),
        thinking_tokens=thinking,
    )
    return Answer(question, draft.provenance, choices, usage, pace)


EFFORT = {"none": 0.0, "minimal": 0.1, "low": 0.4, "medium": 1.0, "high": 2.0, "xhigh": 3.0, "max": 4.0}


def _choice(question: Question, text: str, thinking: int) -> Choice:
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


class Refusal(Exception):
    """A request that is not answered. `kind` is neutral; each dialect words it as its provider does.

    Kinds: bad_key, no_key, forbidden, no_route, no_version, unknown_model, retired_model, profile_needed, missing,
    wrong_type, bad_value, unsupported, unknown_field, bad_json, too_long, too_large, not_found, conflict,
    rate_limited, overloaded, server_error, out_of_credit, no_recording, over_budget, no_upstream.
    `param` is the path of the field at fault, such as messages[0].role. `facts` holds what the wording
    needs, such as model, limit, used, requested or wait (seconds).
    """

    def __init__(self, kind: str, message: str = "", param: str | None = None, **facts: Any) -> None:
        super().__init__(message or kind)
        self.kind, self.message, self.param, self.facts = kind, message, param, facts
