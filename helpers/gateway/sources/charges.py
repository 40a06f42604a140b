"""What a provider can charge for a body at most, in tokens: the body is read as it is sent, whichever dialect it speaks.

Text is counted in bytes: a token of any byte-level tokenizer covers at least one. What brings in text that is not in
the body, runs at the provider or is charged otherwise than by tokens has no such bound, and is refused. So the fields
that are known to cost no more than their text are listed here, in camelCase for all dialects; any other is refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize

from helpers import models
from helpers.gateway.exchange import Question, Refusal

# What a provider adds where there are tools, or a form of the answer: Anthropic documents up to 804 tokens (Claude
# Opus 4.7, tool_choice any; "Tool use", as of 2026-06), and not for every model.
ADDED_FOR_TOOLS = 2000


@dataclass(frozen=True)
class Bound:
    """The most tokens that a call can be charged for; the output is that of all its choices."""

    input_tokens: int
    output_tokens: int


def bound(question: Question, asked: dict[str, Any]) -> Bound:
    """The most that a body can be charged. Raises Refusal("over_budget") for what cannot be bounded."""
    found = _Found()
    _read(asked, TOP, found)
    if question.provider == "gemini" and asked.get("model", question.model.id).removeprefix("models/") != question.model.id:
        raise unpriced(f"the model {asked['model'][:60]!r} beside the one in the path, {question.model.id},")
    # What the question holds beside the body, such as a stored conversation, is counted too.
    held = [[part.text for message in question.messages for part in message.parts], question.tools]
    text = max(_longest(asked) - found.image_data, _longest(held)) + found.laid_out
    given = text + found.images * _image_tokens(question.provider) + found.hidden * question.model.max_output
    limit = question.model.max_output if question.limit is None else question.limit
    made = max(limit, *found.limits, 0)
    return Bound(given + (ADDED_FOR_TOOLS if found.has_tools else 0), made * max(question.n, *found.choices, 1))


def unpriced(what: str) -> Refusal:
    """The refusal of something for which no price can be worked out beforehand."""
    text = f"This call was not sent: {what} cannot be priced before it is used, so the budget could not hold. Run it offline."
    return Refusal("over_budget", text)


# ---- text --------------------------------------------------------------------
def _longest(value: Any) -> int:
    """Bytes of the longest way in which a provider may set JSON before its model: with spaces, and in ASCII alone.

    Claude 2's tokenizer (in litellm's wheel) takes a text by NFKC, which makes up to 18 letters of one.
    """
    length = len(json.dumps(value))
    letters = Counter(re.sub(r"[\x00-\x7f]+", "", json.dumps(value, ensure_ascii=False)))
    return length + sum(_grown(letter) * count for letter, count in letters.items())


def _grown(letter: str) -> int:
    """How many bytes more a letter has by NFKC than as an escape."""
    escape = 6 if letter <= "\uffff" else 12
    return max(0, len(normalize("NFKD", letter).encode("utf-8", "replace")) - escape)


def _image_tokens(provider: str) -> int:
    return models.table()["image_tokens"][provider]


# ---- fields ------------------------------------------------------------------
@dataclass
class _Found:
    """What stands in a body beside its text."""

    images: int = 0
    image_data: int = 0  # characters of images in base64, which are not read as text
    hidden: int = 0  # thoughts of earlier answers that the provider keeps
    limits: list[int] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)
    has_tools: bool = False
    laid_out: int = 0  # bytes of what may be set with a line and an indent for each value, as Llama's template sets tools


Rule = Callable[[Any, _Found], None]
Rules = Mapping[str, Rule]


def _read(value: Any, rules: Rules, found: _Found, where: str = "") -> None:
    """Read an object by its fields' rules."""
    for name, item in _named(value, rules, where).items():
        if name not in rules:
            raise unpriced(f"{where}{name}")
        rules[name](item, found)


def _named(value: Any, rules: Rules, where: str) -> dict[str, Any]:
    """The fields of an object by the names that the rules have for them; null and false are as good as absent.

    Raises Refusal for a field that stands there under two names: a provider may read either.
    """
    if not isinstance(value, dict):
        raise unpriced(f"{where or 'a value '}{str(value)[:20]!r}, where an object belongs,")
    named: dict[str, Any] = {}
    for given, item in value.items():
        camel = re.sub(r"_([a-z])", lambda letter: letter[1].upper(), given)
        name = camel if camel in rules else given
        if item is None or item is False:
            continue
        if name in named:
            raise unpriced(f"{where}{given}, which stands there under two names,")
        named[name] = item
    return named


def _text(value: Any, found: _Found) -> None:
    """Costs no more than its text."""


def _one_of(name: str, *allowed: Any) -> Rule:
    """Only these values cost nothing more."""

    def rule(value: Any, found: _Found) -> None:
        kind = value.get("type") if isinstance(value, dict) and set(value) == {"type"} else value
        if (kind.lower() if isinstance(kind, str) else kind) not in allowed:
            raise unpriced(f"{name} {json.dumps(value)[:60]}")

    return rule


def _object(name: str, rules: Rules) -> Rule:
    return lambda value, found: _read(value, rules, found, f"{name}.")


def _limit(value: Any, found: _Found) -> None:
    """Of limits under several names the largest counts."""
    found.limits.append(_count(value))


def _choices(value: Any, found: _Found) -> None:
    found.choices.append(_count(value))


def _count(value: Any) -> int:
    if not isinstance(value, int):
        raise unpriced(f"{json.dumps(value)[:20]}, where a whole number belongs,")
    return value


def _form(value: Any, found: _Found) -> None:
    """The form of the answer, or what tools there are."""
    found.has_tools = True
    found.laid_out += len(json.dumps(value))


def _texts(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(" ".join(names).split(), _text)


# ---- tools -------------------------------------------------------------------
def _tools(value: Any, found: _Found) -> None:
    """Tools that the client runs itself; any other is charged by use."""
    _form(value, found)
    for tool in value if isinstance(value, list) else [value]:
        named = _named(tool, TOOL, "tools.")
        if named.get("type") not in (None, "function", "custom") or not CLIENT_TOOL & set(named):
            raise unpriced(f"the tool {named.get('type') or ', '.join(named) or 'without a name'}, which the provider runs,")
        _read(tool, TOOL, found, "tools.")


# One of these is in every tool that the client runs itself (a cachePoint only marks the end of the tools).
CLIENT_TOOL = {"name", "function", "toolSpec", "functionDeclarations", "cachePoint"}
TOOL = _texts(
    "type name description parameters strict function format toolSpec functionDeclarations cachePoint",
    "inputSchema inputExamples cacheControl eagerInputStreaming",
)


# ---- messages, items, blocks and parts ---------------------------------------
IMAGE_TYPES = {"image", "image_url", "input_image"}
BLOCK_TYPES = {
    *("message", "text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text", "thinking", "redacted_thinking"),
    *("tool_use", "tool_result", "function", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"),
    *("reasoning", *IMAGE_TYPES),
}


def _blocks(value: Any, found: _Found) -> None:
    """A text, a message, a block of content, or a list of them."""
    for block in value if isinstance(value, list) else [value]:
        if not isinstance(block, str):
            _block(block, found)


def _block(block: Any, found: _Found) -> None:
    named = _named(block, BLOCK, "")
    kind = named.get("type")
    if kind is not None and kind not in BLOCK_TYPES:
        raise unpriced(f"{json.dumps(kind)[:60]} in the prompt")
    if kind in IMAGE_TYPES:
        found.images += 1
        found.image_data += _data(named.get("imageUrl") or named.get("source"))
        return _read(block, IMAGE, found)
    # Thoughts that come back without their text stand for what the provider kept.
    if kind == "reasoning" and not named.get("encryptedContent"):
        found.hidden += 1
    _read(block, BLOCK, found)


def _image(value: Any, found: _Found) -> None:
    """Bedrock's image, by its bytes or its place."""
    found.images += 1
    found.image_data += _data(value.get("source") if isinstance(value, dict) else None)


def _inline(value: Any, found: _Found) -> None:
    """Gemini's data, of which only images have a bound."""
    named = _named(value, INLINE, "inlineData.")
    if not str(named.get("mimeType")).lower().startswith("image/"):
        raise unpriced(f"inlineData of type {named.get('mimeType')}")
    found.images += 1
    found.image_data += len(named.get("data") or "")


INLINE = _texts("mimeType data displayName")


IMAGE = _texts("type imageUrl source fileId detail cacheControl promptCacheBreakpoint")


def _data(value: Any) -> int:
    """Characters of an image that stands in the body: in a data URL, or as base64."""
    if isinstance(value, dict):
        encoded = value.get("bytes") or (value.get("data") if value.get("type") == "base64" else None)
        return len(encoded) if isinstance(encoded, str) else _data(value.get("url"))
    return len(value) if isinstance(value, str) and value.startswith("data:image/") else 0


BLOCK: dict[str, Rule] = {
    **_texts(
        "type role name id text status phase annotations logprobs refusal citations cacheControl cachePoint promptCacheBreakpoint",
        # calls and their results
        "toolCalls functionCall toolCallId callId toolUseId toolUse input arguments caller json response isError scheduling willContinue",
        # thoughts, in plain text or encrypted: in base64, which is longer than what it hides
        "thinking signature data thought thoughtSignature summary encryptedContent reasoningContent",
        "executableCode codeExecutionResult partMetadata mediaResolution",
    ),
    "content": _blocks,
    "output": _blocks,
    "parts": _blocks,
    "toolResult": _blocks,
    "functionResponse": _blocks,
    "image": _image,
    "inlineData": _inline,
}

# ---- the body ----------------------------------------------------------------
def _only_text(value: Any, found: _Found) -> None:
    """Modalities of the answer: sound and pictures have prices of their own."""
    for item in value if isinstance(value, list) else [value]:
        _one_of("the modality", "text")(item, found)


def _plain_prompt(value: Any, found: _Found) -> None:
    """The prompt of Llama is a text; that of OpenAI's Responses names one that is stored there."""
    if not isinstance(value, str):
        raise unpriced("a stored prompt")


LIMITS = dict.fromkeys(("maxTokens", "maxCompletionTokens", "maxOutputTokens", "maxNewTokens", "maxGenLen"), _limit)
SAMPLING = _texts("temperature topP topK seed stop stopSequences presencePenalty frequencyPenalty logprobs")
GENERATION: Rules = {
    **LIMITS,
    **SAMPLING,
    **_texts("responseMimeType responseLogprobs thinkingConfig mediaResolution enableEnhancedCivicAnswers reasoningConfig"),
    **dict.fromkeys(("responseSchema", "responseJsonSchema", "_responseJsonSchema"), _form),
    "candidateCount": _choices,
    "responseModalities": _only_text,
}
TOP: Rules = {
    **LIMITS,
    **SAMPLING,
    **dict.fromkeys(("messages", "input", "contents", "system", "systemInstruction"), _blocks),
    **_texts(
        "model instructions functionCall toolChoice parallelToolCalls maxToolCalls thinking reasoningEffort reasoningConfig verbosity",
        "stream streamOptions store include truncation topLogprobs logitBias safetySettings anthropicVersion anthropicBeta schemaVersion",
        "metadata requestMetadata labels user userProfileId workspaceId safetyIdentifier diagnostics promptCacheKey cacheControl",
        "additionalModelResponseFieldPaths",
    ),
    **dict.fromkeys(("functions", "responseFormat", "text", "outputConfig"), _form),
    "n": _choices,
    "tools": _tools,
    "toolConfig": _object("toolConfig", {"tools": _tools, **_texts("toolChoice functionCallingConfig")}),
    "generationConfig": _object("generationConfig", GENERATION),
    "inferenceConfig": _object("inferenceConfig", GENERATION),
    "additionalModelRequestFields": _object("additionalModelRequestFields", _texts("thinking topK")),
    "reasoning": _object("reasoning", {**_texts("effort summary generateSummary context"), "mode": _one_of("reasoning.mode", "standard")}),
    "prompt": _plain_prompt,
    "modalities": _only_text,
    "serviceTier": _one_of("serviceTier", "auto", "default", "flex", "standard", "standard_only", "unspecified"),
    "inferenceGeo": _one_of("inferenceGeo", "global"),
    "speed": _one_of("speed", "standard"),
    # Writing for 12 hours costs twice as much as for 30 minutes (litellm 1.109.1), and genai-prices lacks it.
    "promptCacheOptions": _object("promptCacheOptions", {**_texts("mode comparisonResponseId"), "ttl": _one_of("promptCacheOptions.ttl", "30m")}),
    "promptCacheRetention": _one_of("promptCacheRetention", "in_memory", "24h"),
}
