"""The fields of a body that cost no more than their text, and those that cost more in a way that is known; any other is refused.

What brings in text that is not in the body, runs at the provider or is charged otherwise than by tokens has no bound.
The names are in camelCase, for all dialects together: a provider refuses, or passes over, what is another's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from helpers.gateway.exchange import Refusal


@dataclass
class Found:
    """What stands in a body beside its text."""

    images: int = 0
    image_data: int = 0  # characters of images in base64, which are not read as text
    hidden: int = 0  # thoughts of earlier answers that the provider keeps
    limits: list[int] = field(default_factory=list)
    choices: list[int] = field(default_factory=list)
    has_tools: bool = False
    laid_out: int = 0  # bytes of what may be set with a line and an indent for each value, as Llama's template sets tools


def unpriced(what: str) -> Refusal:
    """The refusal of something for which no price can be worked out beforehand."""
    text = f"This call was not sent: {what} cannot be priced before it is used, so the budget could not hold. Run it offline."
    return Refusal("over_budget", text)


# ---- rules -------------------------------------------------------------------
Rule = Callable[[Any, Found], None]
Rules = Mapping[str, Rule]


def read(value: Any, rules: Rules, found: Found, where: str = "") -> None:
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


def _text(value: Any, found: Found) -> None:
    """Costs no more than its text."""


def _one_of(name: str, *allowed: Any) -> Rule:
    """Only these values cost nothing more."""

    def rule(value: Any, found: Found) -> None:
        kind = value.get("type") if isinstance(value, dict) and set(value) == {"type"} else value
        if (kind.lower() if isinstance(kind, str) else kind) not in allowed:
            raise unpriced(f"{name} {json.dumps(value)[:60]}")

    return rule


def _object(name: str, rules: Rules) -> Rule:
    return lambda value, found: read(value, rules, found, f"{name}.")


def _limit(value: Any, found: Found) -> None:
    """Of limits under several names the largest counts."""
    found.limits.append(_count(value))


def _choices(value: Any, found: Found) -> None:
    found.choices.append(_count(value))


def _count(value: Any) -> int:
    if not isinstance(value, int):
        raise unpriced(f"{json.dumps(value)[:20]}, where a whole number belongs,")
    return value


def _form(value: Any, found: Found) -> None:
    """The form of the answer, or what tools there are."""
    found.has_tools = True
    found.laid_out += len(json.dumps(value))


def _texts(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(" ".join(names).split(), _text)


# ---- tools -------------------------------------------------------------------
def _tools(value: Any, found: Found) -> None:
    """Tools that the client runs itself; any other is charged by use."""
    _form(value, found)
    for tool in value if isinstance(value, list) else [value]:
        named = _named(tool, TOOL, "tools.")
        if named.get("type") not in (None, "function", "custom") or not CLIENT_TOOL & set(named):
            raise unpriced(f"the tool {named.get('type') or ', '.join(named) or 'without a name'}, which the provider runs,")
        read(tool, TOOL, found, "tools.")


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

NAME_ALONE = {"id", "status", "phase", "summary"}  # the fields of an item that may only be named: what it says is kept by the provider


def _blocks(value: Any, found: Found) -> None:
    """A text, a message, a block of content, or a list of them."""
    for block in value if isinstance(value, list) else [value]:
        if not isinstance(block, str | int):  # a number is a token of a text that is to get a vector
            _blocks(block, found) if isinstance(block, list) else _block(block, found)


def _block(block: Any, found: Found) -> None:
    named = _named(block, BLOCK, "")
    kind = named.get("type")
    if kind is not None and not (isinstance(kind, str) and kind in BLOCK_TYPES):
        raise unpriced(f"{json.dumps(kind)[:60]} in the prompt")
    if "id" in named and named.keys() <= NAME_ALONE:
        raise unpriced("an item by its id alone in the prompt")
    if kind in IMAGE_TYPES:
        found.images += 1
        found.image_data += _data(named.get("imageUrl") or named.get("source"))
        return read(block, IMAGE, found)
    # Thoughts that come back without their text stand for what the provider kept.
    if kind == "reasoning" and not named.get("encryptedContent"):
        found.hidden += 1
    read(block, BLOCK, found)


def _image(value: Any, found: Found) -> None:
    """Bedrock's image, by its bytes or its place."""
    found.images += 1
    found.image_data += _data(value.get("source") if isinstance(value, dict) else None)


def _inline(value: Any, found: Found) -> None:
    """Gemini's data, of which only images have a bound."""
    named = _named(value, INLINE, "inlineData.")
    if not str(named.get("mimeType")).lower().startswith("image/"):
        raise unpriced(f"inlineData of type {named.get('mimeType')}")
    data = named.get("data", "")
    if not isinstance(data, str):
        raise unpriced(f"inlineData {json.dumps(data)[:60]}")
    found.images += 1
    found.image_data += len(data)


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
def _only_text(value: Any, found: Found) -> None:
    """Modalities of the answer: sound and pictures have prices of their own."""
    for item in value if isinstance(value, list) else [value]:
        _one_of("the modality", "text")(item, found)


def _plain_prompt(value: Any, found: Found) -> None:
    """The prompt of Llama is a text; that of OpenAI's Responses names one that is stored there."""
    if not isinstance(value, str):
        raise unpriced("a stored prompt")


def _requests(value: Any, found: Found) -> None:
    """The requests of Gemini's batchEmbedContents, each with a content of its own."""
    for request in value if isinstance(value, list) else [value]:
        read(request, TOP, found, "requests.")


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
    # vectors: the models have no price but that of the text
    **_texts("dimensions encodingFormat inputText normalize embeddingTypes texts inputType truncate outputDimension taskType title outputDimensionality"),
    "content": _blocks,
    "embedContentConfig": _object("embedContentConfig", _texts("taskType title outputDimensionality autoTruncate")),
    "requests": _requests,
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
    "promptCacheOptions": _object("promptCacheOptions", {**_texts("mode comparisonResponseId"), "ttl": _one_of("the cache for", "30m")}),
    "promptCacheRetention": _one_of("promptCacheRetention", "in_memory", "24h"),
}
