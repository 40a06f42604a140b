"""Gemini's contents: the body of generateContent both ways."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from helpers.gateway.dialects.base import LETTERS, random_id
from helpers.gateway.dialects.schema import (
    ANY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    STRING,
    between,
    checker,
    list_of,
    nullable,
    shape,
)
from helpers.gateway.exchange import Answer, Choice, Message, Part, Question, Refusal, Usage
from helpers.models import Model

BLOB = shape("data", mimeType=STRING, data=STRING)
PART = shape(
    closed=True,
    text=STRING,
    inlineData=BLOB,
    fileData=shape("fileUri", mimeType=STRING, fileUri=STRING),
    functionCall=OBJECT,
    functionResponse=OBJECT,
    executableCode=OBJECT,
    codeExecutionResult=OBJECT,
    thought=BOOLEAN,
    thoughtSignature=STRING,
    videoMetadata=OBJECT,
    mediaResolution=ANY,
    partMetadata=OBJECT,
)
CONTENT = shape(closed=True, role=STRING, parts=list_of(PART))
THINKING = shape(
    closed=True,
    includeThoughts=BOOLEAN,
    thinkingBudget=between("integer", -1),
    thinkingLevel=STRING,
)
CONFIG = shape(
    closed=True,
    maxOutputTokens=between("integer", 1),
    stopSequences=list_of(STRING, maxItems=5),
    candidateCount=between("integer", 1, 8),
    temperature=between("number", 0, 2),
    topP=between("number", 0, 1),
    topK=NUMBER,
    seed=INTEGER,
    presencePenalty=NUMBER,
    frequencyPenalty=NUMBER,
    responseMimeType=STRING,
    responseLogprobs=BOOLEAN,
    logprobs=INTEGER,
    thinkingConfig=THINKING,
    **{name: ANY for name in "responseSchema responseJsonSchema _responseJsonSchema responseModalities responseFormat speechConfig mediaResolution enableEnhancedCivicAnswers imageConfig".split()},
)
FIELDS = {
    "contents": list_of(CONTENT, minItems=1),
    "systemInstruction": CONTENT,
    "generationConfig": nullable(CONFIG),
    "tools": nullable(list_of(OBJECT)),
    "cachedContent": nullable(STRING),
    **{name: ANY for name in ("toolConfig", "safetySettings", "labels", "serviceTier", "store")},
}
check = checker(shape("contents", closed=True, **FIELDS))

LEVELS = ("minimal", "low", "medium", "high")
CHUNK_TOKENS = 16
# Fields whose keys are the user's own, and must not be rewritten.
VERBATIM = ("args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels", "metadata")


def normalised(value: Any, name: str = "") -> Any:
    """The same JSON with field names in camelCase: Google takes snake_case as well."""
    if isinstance(value, dict) and name not in VERBATIM:
        return {camel(key): normalised(item, camel(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [normalised(item, name) for item in value]
    return value


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest) if head else name


@dataclass(frozen=True)
class Cached:
    """An explicit cache that a request names: what it holds, and how many tokens that is."""

    messages: tuple[Message, ...]
    tokens: int


# ---- reading ---------------------------------------------------------------
def question(body: dict[str, Any], model: Model, cached: Cached | None) -> Question:
    config = body.get("generationConfig") or {}
    effort, budget = thinking(config.get("thinkingConfig") or {}, model)
    return Question(
        provider="gemini",
        model=model,
        messages=messages(body),
        tools=tuple(json.dumps(tool, sort_keys=True) for tool in body.get("tools") or []),
        limit=config.get("maxOutputTokens"),
        stop=tuple(config.get("stopSequences") or ()),
        n=config.get("candidateCount", 1),
        effort=effort,
        thinking_limit=budget,
        sampling=tuple((name, config[name]) for name in ("temperature", "topP", "topK", "seed") if name in config),
        cached_prefix_tokens=cached.tokens if cached else 0,
        chunk_tokens=CHUNK_TOKENS,
    )


def streamed(question: Question, *, sse: bool) -> Question:
    return replace(question, stream=True, echo={"sse": sse})


def thinking(config: dict[str, Any], model: Model) -> tuple[str, int | None]:
    """Effort and budget: a level on newer models, a number of tokens on older ones. Not both."""
    level, budget = config.get("thinkingLevel"), config.get("thinkingBudget")
    if level is not None and budget is not None:
        raise Refusal("bad_value", "You can only set only one of thinking budget and thinking level.", param="generationConfig.thinkingConfig")
    if model.thinks == "never":
        if level is not None or budget:
            raise Refusal("unsupported", f"Thinking is not enabled for models/{model.id}", param="generationConfig.thinkingConfig")
        return "none", None
    if level is not None:
        effort = level.lower()
        if effort not in LEVELS or effort not in model.efforts:
            raise Refusal("unsupported", f"Thinking level {level.upper()} is not supported for this model.", param="generationConfig.thinkingConfig.thinkingLevel")
        return effort, None
    if budget == 0:
        if "none" not in model.efforts and "minimal" not in model.efforts:
            raise Refusal("unsupported", "Budget 0 is invalid. This model only works in thinking mode.", param="generationConfig.thinkingConfig.thinkingBudget")
        return "none", None
    return model.default_effort, budget if budget and budget > 0 else None


def messages(body: dict[str, Any]) -> tuple[Message, ...]:
    system = body.get("systemInstruction")
    out = [Message("system", parts(system, "systemInstruction"))] if system else []
    for index, content in enumerate(body.get("contents", ())):
        role = content.get("role") or "user"
        if role not in ("user", "model", "function"):
            raise Refusal("bad_value", "Please use a valid role: user, model.", param=f"contents[{index}].role")
        out.append(Message({"model": "assistant", "function": "tool"}.get(role, role), parts(content, f"contents[{index}]")))
    return tuple(out)


def parts(content: dict[str, Any], path: str) -> tuple[Part, ...]:
    given = content.get("parts") or []
    if not given:
        raise Refusal("bad_value", f"* GenerateContentRequest.{path}.parts: contents.parts must not be empty.", param=f"{path}.parts")
    return tuple(_part(part, f"{path}.parts[{index}]") for index, part in enumerate(given))


def _part(part: dict[str, Any], path: str) -> Part:
    for name in ("inlineData", "fileData"):
        if name in part:
            return Part(hashlib.sha256(json.dumps(part[name], sort_keys=True).encode()).hexdigest()[:16], "image")
    for name, kind in (("functionCall", "tool_use"), ("executableCode", "tool_use"), ("functionResponse", "tool_result"), ("codeExecutionResult", "tool_result")):
        if name in part:
            return Part(json.dumps(part[name], sort_keys=True), kind)
    if "text" not in part:
        raise Refusal("bad_value", f"* GenerateContentRequest.{path}.data: required oneof field 'data' must have one initialized field", param=path)
    return Part(part["text"], "thinking" if part.get("thought") else "text")


# ---- writing ---------------------------------------------------------------
def usage_body(usage: Usage, question: Question, *, so_far: int | None = None) -> dict[str, Any]:
    """The counts of an answer, or of its first `so_far` tokens of text. A count of zero is left out."""
    text = usage.output_tokens - usage.thinking_tokens if so_far is None else so_far
    counts = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": text,
        "totalTokenCount": usage.input_tokens + text + usage.thinking_tokens,
        "cachedContentTokenCount": usage.cache_read_tokens,
    }
    body: dict[str, Any] = {name: count for name, count in counts.items() if count}
    body["promptTokensDetails"] = details(question)
    if usage.thinking_tokens:
        body["thoughtsTokenCount"] = usage.thinking_tokens
    if usage.cache_read_tokens:
        body["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cache_read_tokens}]
    body["serviceTier"] = "standard"
    return body


def details(question: Question) -> list[dict[str, Any]]:
    """The prompt's tokens by modality."""
    images = sum(part.token_count() for m in question.messages for part in m.parts if part.kind == "image")
    counts = {"TEXT": question.prompt_tokens - images, "IMAGE": images}
    return [{"modality": name, "tokenCount": count} for name, count in counts.items() if count]


def count_body(question: Question) -> dict[str, Any]:
    return {"totalTokens": question.prompt_tokens, "promptTokensDetails": details(question)}


def finish_reason(choice: Choice) -> str:
    return "MAX_TOKENS" if choice.finish == "length" else "STOP"


def _head(answer: Answer) -> dict[str, Any]:
    return {"modelVersion": answer.question.model.served_as, "responseId": random_id("", 22, LETTERS + "-_")}


def _candidate(index: int, text: str, finish: str | None = None) -> dict[str, Any]:
    content = {"parts": [{"text": text}], "role": "model"} if text else {"role": "model"}
    return {"content": content, **({"finishReason": finish} if finish else {}), "index": index}


def response_body(answer: Answer) -> dict[str, Any]:
    candidates = [_candidate(i, choice.text, finish_reason(choice)) for i, choice in enumerate(answer.choices)]
    return {"candidates": candidates, "usageMetadata": usage_body(answer.usage, answer.question), **_head(answer)}


async def pieces(answer: Answer) -> AsyncIterator[dict[str, Any]]:
    """The pieces of a stream. The last one carries the finish reason; every one the usage up to there."""
    head, waiting = _head(answer), None
    async for piece in answer.stream():
        if waiting is not None:
            yield waiting
        usage = usage_body(answer.usage, answer.question, so_far=piece.tokens_so_far)
        waiting = {"candidates": [_candidate(piece.choice, piece.text)], "usageMetadata": usage, **head}
    last = waiting or {"candidates": [_candidate(0, "")], **head}
    last["candidates"][0]["finishReason"] = finish_reason(answer.choices[last["candidates"][0]["index"]])
    yield {**last, "usageMetadata": usage_body(answer.usage, answer.question)}


def parse_usage(payloads: list[dict[str, Any]]) -> Usage | None:
    found = next((p["usageMetadata"] for p in reversed(payloads) if p.get("usageMetadata")), None)
    if found is None:
        return None
    thought = found.get("thoughtsTokenCount", 0)
    return Usage(
        input_tokens=found.get("promptTokenCount", 0) + found.get("toolUsePromptTokenCount", 0),
        cache_read_tokens=found.get("cachedContentTokenCount", 0),
        output_tokens=found.get("candidatesTokenCount", 0) + thought,
        thinking_tokens=thought,
    )
