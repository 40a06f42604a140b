"""What all dialects and sources share: the neutral question, its usage, what a source has to say, and the refusal.

A dialect turns bytes into a `Question`, a source answers it with a `Draft`, and the `Answer` made of
both (answer.py) is what a dialect turns back into bytes. Nothing in here knows a provider or a source.
"""

from __future__ import annotations

import hashlib
import json
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from helpers.gateway import tokens
from helpers.gateway.lazy import lazy
from helpers.models import Model

IMAGE_TOKENS = 258  # of an image whose size or whose model's rule is not known, and of a file that nobody reads: what Gemini documents for one tile


# What is made anew for every request is not frozen: that would take four times as long.
@dataclass
class Usage:
    """Token counts in one meaning for all providers: the totals include their parts."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    tool_tokens: int = 0  # of the input: what a tool that the provider ran gave back to the model
    searches: int = 0  # that the provider made, and charges for

    @property
    def uncached_tokens(self) -> int:
        """Input tokens that were neither read from a prompt cache nor written to one."""
        return self.input_tokens - self.cache_read_tokens - self.cache_write_tokens - self.cache_write_1h_tokens


@dataclass
class Part:
    """A piece of a message. For an image or a tool call, `text` is what identifies it; a name is that of the speaker."""

    text: str
    kind: str = "text"  # text | name (of who speaks) | image | thinking | tool_use | tool_result
    cache_ttl: str | None = None  # such as "5m" or "1h", where the client set a cache breakpoint after this part
    image_tokens: float = IMAGE_TOKENS  # of an image: by its size and its model's rule, where both are known (dialects/images.py)
    medium: str = "image"  # of an image or another file: image | document | audio | video | text, where a provider counts them apart

    def token_count(self) -> float:
        """Tokens of this part, before the ratio of its model's tokenizer."""
        if self.kind == "image":
            return self.image_tokens
        return self._text_tokens + NAME_OVERHEAD * (self.kind == "name")

    @lazy
    def _text_tokens(self) -> int:
        return tokens.count(self.text)


NAME_OVERHEAD = 1  # token that OpenAI's published counting recipe adds to a name


@dataclass(frozen=True)
class Harm:
    """What is taken to be harmful (harm.py): the prompt or the answer to it, in which way, and how probably."""

    category: str
    level: str
    in_answer: bool = False


@dataclass
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
class Vectors:
    """How the vectors for some texts are wanted. `form` is what else shapes the answer, in the provider's own fields."""

    dimensions: int
    is_unit: bool = True  # whether a shortened vector is made to have a length of one
    form: tuple[tuple[str, Any], ...] = ()
    tokens: tuple[int, ...] | None = None  # of each text, where the provider's own tokenizer counted them


@dataclass
class Question:
    """A request to a model, in no provider's words. `limit` is in output tokens, thinking included."""

    provider: str
    model: Model
    messages: tuple[Message, ...]
    tools: tuple[str, ...] = ()  # canonical JSON of each tool offered
    tool_marks: tuple[str | None, ...] = ()  # the time to live of the cache breakpoint after each tool, None where there is none
    functions: tuple[Function, ...] = ()  # those of the tools that the client itself runs
    must_call: tuple[str, ...] = ()  # names of functions, of which the answer has to call one
    schema: dict[str, Any] | None = None  # JSON schema that the text of the answer has to fit
    top_logprobs: int | None = None  # how many likely tokens to name beside each token; None: no log-probabilities
    limit: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    stream: bool = False
    effort: str = "none"  # how much the model thinks before it answers, from none to max
    thinking_limit: int | None = None  # a budget of thinking tokens, where the provider has one
    sampling: tuple[tuple[str, Any], ...] = ()  # temperature, top_p, seed and the like, as sent
    automatic_cache_ttl: str | None = None  # Anthropic's cache_control at the top level
    caches_marks_only: bool = False  # OpenAI's prompt_cache_options in explicit mode: nothing is cached by itself
    cached_prefix_tokens: int = 0  # how many tokens of the prompt stand in an explicit cache (Gemini) that it names
    include_usage: bool = False  # OpenAI: whether a stream ends with its usage
    more_fields: tuple[str, ...] = ()  # Converse: JSON Pointers into the model's own answer, of what to hand on from it
    harm: Harm | None = None  # what a filter of the provider's stops, by its settings
    found: tuple[Harm, ...] = ()  # all that it sees in what users said, where its findings are told
    filter_outside: bool = False  # whether that filter stands outside of the model: of a prompt that it stops nothing is read, an answer that it stops was written
    one_search: bool = False  # whether a prompt is charged for one search, however many were made
    batch: bool = False
    background: bool = False  # whether its client does not wait: the answer is begun, and written on by itself
    tier: str = ""  # how it is served, where that has a price of its own: flex or priority
    prompts: tuple[tuple[int, ...], ...] = ()  # token ids of the house model that are gone on with as they stand: no chat, and each by itself
    vectors: Vectors | None = None  # of an embedding model: each message is a text by itself, and each gets a vector
    counts_as: int = 1  # requests, towards the limits of the provider
    operation: str = ""  # of the provider's API, by which it was asked: what was captured has the form of one
    echo: dict[str, Any] = field(default_factory=dict, compare=False)  # the body, where the answer repeats parts of it
    chunk_tokens: int = 1  # how many tokens this provider puts into one chunk of a stream

    def meaning(self) -> dict[str, Any]:
        """What a recording is matched on: never bytes, never parameters that only shape the answer."""
        said = [[message.role, _said(message.parts)] for message in self.messages]
        meaning = {"provider": self.provider, "model": self.model.id, "messages": said, "tools": sorted(self.tools)}
        if self.schema:
            meaning["schema"] = self.schema
        if self.must_call:
            meaning["must_call"] = list(self.must_call)
        if self.prompts:
            meaning["prompts"] = self.prompts
        if self.vectors:
            meaning["vectors"] = {"dimensions": self.vectors.dimensions, **dict(self.vectors.form)}
        return meaning

    def with_harm(self, harm: Harm) -> Question:
        """The same question, of which a filter stops this."""
        other = copy(self)  # with what was worked out already
        other.harm = harm
        return other

    @lazy
    def prompt_tokens(self) -> int:
        """Tokens of the whole prompt as this model's tokenizer is taken to count them."""
        if self.prompts:
            return sum(map(len, self.prompts))
        if self.vectors and self.vectors.tokens is not None:
            return sum(self.vectors.tokens)
        per_message, per_prompt = (0, 0) if self.vectors else MESSAGE_OVERHEAD.get(self.provider, (0, 0))
        text = sum([part.token_count() for message in self.messages for part in message.parts])
        text += sum(map(tokens.count, self.tools))
        return round((text + per_message * len(self.messages) + per_prompt) * self.model.token_ratio)

    @lazy
    def key(self) -> str:
        """The short name of its meaning."""
        return key_of(self.meaning())


def _said(parts: tuple[Part, ...]) -> str | list[list[str]]:
    """What a message says: its text, or its parts by kind where there are others."""
    if all([part.kind == "text" for part in parts]):
        return "".join([part.text for part in parts])
    return [[part.kind, part.text] for part in parts]


def ready(question: Question) -> Question:
    """The question, with what takes time in proportion to its length already worked out: what follows asks for it in the event loop."""
    _ = question.prompt_tokens, question.key
    return question


# Tokens that the chat template adds, as (per message, per prompt). OpenAI's are those of its published
# counting recipe; the others are not published and are set by hand (see DEVIATIONS.md).
MESSAGE_OVERHEAD = {"openai": (4, 3), "azure": (4, 3), "compatible": (4, 3), "anthropic": (3, 4), "bedrock": (3, 4)}


def key_of(meaning: dict[str, Any]) -> str:
    """A short stable name for a meaning, whatever the order of its fields."""
    fields = [meaning["provider"], meaning["model"], meaning["messages"], meaning["tools"]]
    rare = [[name, json.dumps(meaning[name], sort_keys=True)] for name in ("schema", "must_call", "prompts", "vectors", "shape") if name in meaning]
    return hashlib.sha256(to_json([*fields, *rare])).hexdigest()[:16]


@dataclass(frozen=True)
class Provenance:
    """Where an answer came from. kind: scripted | captured | house | house-embed (vectors) | live."""

    kind: str
    date: str = ""
    detail: str = ""
    recording: str = ""

    def __str__(self) -> str:
        return " ".join(word for word in (self.kind, self.date, self.detail) if word)


@dataclass(frozen=True)
class Search:
    """What the provider searched for, what it found (title and address), and which of it each passage of the answer rests on."""

    queries: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]
    supports: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Run:
    """Code that the model wrote and the provider ran, and what it printed."""

    code: str
    output: str


@dataclass
class Draft:
    """What a source has to say, before the request's limits are applied."""

    texts: tuple[str, ...]  # one per choice; fewer than n are used in turn
    provenance: Provenance
    thinking_tokens: int = 0
    function: str | None = None  # that it calls; the text is then the arguments as JSON
    refusal: str | None = None  # why the provider breaks it off, as a category of Anthropic's
    search: Search | None = None
    run: Run | None = None
    is_free: bool = False  # whether nothing was read for it, and nothing is charged


class Refusal(Exception):
    """A request that is not answered. `kind` is neutral; each dialect words it as its provider does.

    Kinds: bad_key, no_key, bad_token, bad_signature, forbidden, no_route, no_version, unknown_model, retired_model, wrong_kind (of model), profile_needed, missing,
    wrong_type, bad_value, unsupported, unknown_field, bad_json, too_long, above_window, too_large, not_found, not_ready, conflict,
    rate_limited, overloaded, server_error, out_of_credit, filtered, no_recording, over_budget, no_upstream.
    `param` is the path of the field at fault, such as messages[0].role. `facts` holds what the wording
    needs, such as model, limit, used, requested or wait (seconds).
    """

    def __init__(self, kind: str, message: str = "", param: str | None = None, **facts: Any) -> None:
        super().__init__(message or kind)
        self.kind, self.message, self.param, self.facts = kind, message, param, facts
