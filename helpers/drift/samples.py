"""Requests that show what the gateway answers, and the SDK's type that each answer is read in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from helpers import models
from helpers.drift import schemas
from helpers.drift.schemas import Schema

PROMPT = "Name a colour."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
BEARER = {"Authorization": "Bearer a-key"}
CLAUDES = {"x-api-key": "a-key", "anthropic-version": "2026-10-21"}
GOOGLES = {"x-goog-api-key": "a-key"}
MOST = 300  # tokens of an answer


@dataclass(frozen=True)
class Sample:
    """A request, and the schema of its answer; of each event of it, where it is streamed."""

    provider: str
    operation: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] | None
    schema: Callable[[], Schema]
    is_streamed: bool = False


def all_samples() -> list[Sample]:
    """Those of every provider whose SDK has types for its answers."""
    found = []
    for provider, more in (("openai", _more_of_openai), ("anthropic", _more_of_anthropic), ("gemini", _more_of_gemini), ("bedrock", _more_of_bedrock)):
        found += [*questions(provider, models.default(provider), PROMPT), *more(models.default(provider))]
    return found


def questions(provider: str, model: str, prompt: str) -> list[Sample]:
    """One question to a model, plain and streamed, by every operation that answers questions."""
    return {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini, "bedrock": _bedrock}[provider](model, prompt)


# ---- OpenAI --------------------------------------------------------------------------------------------------
def _openai(model: str, prompt: str, chat_more: dict[str, Any] | None = None, more: dict[str, Any] | None = None) -> list[Sample]:
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.responses import Response, ResponseStreamEvent

    chat = {"model": model, "messages": [{"role": "user", "content": prompt}], **(chat_more or {})}
    asked = {"model": model, "input": prompt, **(more or {})}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    return [
        _to_openai("chat", "/chat/completions", chat, ChatCompletion),
        _to_openai("chat, streamed", "/chat/completions", {**chat, **streamed}, ChatCompletionChunk),
        _to_openai("responses", "/responses", asked, Response),
        _to_openai("responses, streamed", "/responses", {**asked, "stream": True}, ResponseStreamEvent),
    ]


def _more_of_openai(model: str) -> list[Sample]:
    from openai.types import CreateEmbeddingResponse, Model

    function = {"name": "weather", "parameters": PARAMETERS, "strict": True}
    chat_call = {"tools": [{"type": "function", "function": function}], "tool_choice": "required", "reasoning_effort": "none"}
    call = {"tools": [{"type": "function", **function}], "tool_choice": "required"}
    return [
        *_openai(model, PROMPT, chat_call, call),
        _to_openai("embeddings", "/embeddings", {"model": models.of("openai", "embedding")[0].id, "input": PROMPT}, CreateEmbeddingResponse),
        _to_openai("model", f"/models/{model}", None, Model),
    ]


def _to_openai(operation: str, path: str, body: dict[str, Any] | None, kind: Any) -> Sample:
    return Sample("openai", operation, f"/openai/v1{path}", BEARER, body, lambda: schemas.of(kind), "stream" in (body or ()))


# ---- Anthropic -----------------------------------------------------------------------------------------------
def _anthropic(model: str, prompt: str, more: dict[str, Any] | None = None) -> list[Sample]:
    from anthropic.types import Message, RawMessageStreamEvent

    ask = {"model": model, "max_tokens": MOST, "messages": [{"role": "user", "content": prompt}], **(more or {})}
    return [
        _to_anthropic("messages", "/messages", ask, Message),
        _to_anthropic("messages, streamed", "/messages", {**ask, "stream": True}, RawMessageStreamEvent),
    ]


def _more_of_anthropic(model: str) -> list[Sample]:
    from anthropic.types import MessageTokensCount, ModelInfo

    call = {"tools": [{"name": "weather", "input_schema": PARAMETERS}], "tool_choice": {"type": "any"}, "thinking": {"type": "disabled"}}
    count = {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
    return [
        *_anthropic(model, PROMPT, call),
        _to_anthropic("count_tokens", "/messages/count_tokens", count, MessageTokensCount),
        _to_anthropic("model", f"/models/{model}", None, ModelInfo),
    ]


def _to_anthropic(operation: str, path: str, body: dict[str, Any] | None, kind: Any) -> Sample:
    return Sample("anthropic", operation, f"/anthropic/v1{path}", CLAUDES, body, lambda: schemas.of(kind), "stream" in (body or ()))


# ---- Gemini --------------------------------------------------------------------------------------------------
def _gemini(model: str, prompt: str, more: dict[str, Any] | None = None) -> list[Sample]:
    from google.genai.types import GenerateContentResponse as Answer

    ask = {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **(more or {})}
    return [
        _to_gemini(model, "generateContent", ask, Answer),
        _to_gemini(model, "streamGenerateContent", ask, Answer, "?alt=sse"),
    ]


def _more_of_gemini(model: str) -> list[Sample]:
    from google.genai.types import CountTokensResponse

    tool = {"functionDeclarations": [{"name": "weather", "parametersJsonSchema": PARAMETERS}]}
    call = {"tools": [tool], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}
    count = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
    return [*_gemini(model, PROMPT, call), _to_gemini(model, "countTokens", count, CountTokensResponse)]


def _to_gemini(model: str, operation: str, body: dict[str, Any], kind: Any, query: str = "") -> Sample:
    return Sample("gemini", operation, f"/gemini/v1beta/models/{model}:{operation}{query}", GOOGLES, body, lambda: schemas.of(kind), bool(query))


# ---- Bedrock -------------------------------------------------------------------------------------------------
def _bedrock(model: str, prompt: str, more: dict[str, Any] | None = None) -> list[Sample]:
    ask = {"messages": [{"role": "user", "content": [{"text": prompt}]}], "inferenceConfig": {"maxTokens": MOST}, **(more or {})}
    return [_to_bedrock(model, "converse", "Converse", ask), _to_bedrock(model, "converse-stream", "ConverseStream", ask)]


def _more_of_bedrock(model: str) -> list[Sample]:
    tool = {"toolSpec": {"name": "weather", "inputSchema": {"json": PARAMETERS}}}
    count = {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": PROMPT}]}]}}}
    return [
        *_bedrock(model, PROMPT, {"toolConfig": {"tools": [tool], "toolChoice": {"any": {}}}}),
        _to_bedrock(model, "count-tokens", "CountTokens", count),
    ]


def _to_bedrock(model: str, path: str, operation: str, body: dict[str, Any]) -> Sample:
    is_streamed = operation.endswith("Stream")

    def schema() -> Schema:
        whole = schemas.of_operation(operation, "output")
        return {**schemas.resolved(whole, whole)["properties"]["stream"], "$defs": whole["$defs"]} if is_streamed else whole

    return Sample("bedrock", operation, f"/bedrock/model/{model}/{path}", BEARER, body, schema, is_streamed)
