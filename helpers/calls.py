"""One question to any provider, through its own SDK, in a form that can be compared."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from helpers import models
from helpers.gateway.exchange import Usage


@dataclass(frozen=True)
class Reply:
    """What came back. `usage` is None where the server stated none.

    `cost` is in USD at the price of the course's facts; None where it is not known: without a usage, without a price
    (another name for a deployment), or without a price per token (your own server).
    """

    provider: str
    model: str
    text: str
    usage: Usage | None
    cost: Decimal | None
    seconds: float
    first_token_seconds: float | None
    raw: Any = field(repr=False)


def ask(provider: str, prompt: str, *, model: str | None = None, system: str | None = None, max_tokens: int = 1024) -> Reply:
    """Ask one question, streamed, and measure the answer.

    provider: openai, azure, anthropic, gemini, bedrock or compatible. model: the course's small model of
    that provider unless named. max_tokens: output tokens, thinking included. Times are in seconds. Raises
    ValueError for an unknown provider, and whatever the provider's SDK raises.
    """
    if provider not in _ASKERS:
        raise ValueError(f"there is no provider {provider!r}; there are {', '.join(_ASKERS)}")
    model = model or models.default(provider)
    timer = _Timer()
    text, usage, raw = _ASKERS[provider](model, prompt, system, max_tokens, timer)
    return Reply(provider, model, text, usage, cost_of(usage, model, provider), timer.seconds, timer.first, raw)


def usage_of(provider: str, used: Any) -> Usage:
    """The counts that a provider's SDK gave, in the form of the course."""
    return _USAGES.get(provider, _openai_usage)(used)


def cost_of(usage: Usage | None, model: str, provider: str) -> Decimal | None:
    """None where it is not known: the answer has come and been paid for, and is not lost for want of a price."""
    from helpers.costs import UnknownPrice, cost

    if usage is None or provider == "compatible":
        return None
    try:
        return cost(usage, model, provider)
    except (UnknownPrice, ValueError):
        return None


class _Timer:
    def __init__(self) -> None:
        self.first: float | None = None
        self.begin()

    def begin(self) -> None:
        """The request is sent now: what went before, such as importing an SDK, does not count."""
        self._began = time.perf_counter()

    def token(self) -> None:
        """Note the first piece of text."""
        if self.first is None:
            self.first = self.seconds

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began


def _openai_like(client: Any, model: str, prompt: str, system: str | None, limit: str, max_tokens: int, timer: _Timer) -> tuple[str, Usage | None, Any]:
    messages = [{"role": "system", "content": system}] if system else []
    create = client.chat.completions.create
    timer.begin()
    stream = create(
        model=model,
        messages=[*messages, {"role": "user", "content": prompt}],
        stream=True,
        stream_options={"include_usage": True},
        **{limit: max_tokens},
    )
    text, chunks, used = "", [], None
    for chunk in stream:
        chunks.append(chunk)
        used = chunk.usage or used  # some servers send more after the chunk with the usage
        delta = chunk.choices[0].delta if chunk.choices else None
        if delta and delta.content:
            timer.token()
            text += delta.content
    return text, used and _openai_usage(used), chunks


def _openai_usage(used: Any) -> Usage:
    """Of a server that leaves parts of it out, what there is."""
    given, made = used.prompt_tokens_details, used.completion_tokens_details
    return Usage(
        input_tokens=used.prompt_tokens or 0,
        cache_read_tokens=getattr(given, "cached_tokens", 0) or 0,
        cache_write_tokens=getattr(given, "cache_write_tokens", 0) or 0,
        output_tokens=used.completion_tokens or 0,
        thinking_tokens=getattr(made, "reasoning_tokens", 0) or 0,
    )


def _openai(model: str, prompt: str, system: str | None, max_tokens: int, timer: _Timer) -> tuple[str, Usage | None, Any]:
    from openai import OpenAI

    return _openai_like(OpenAI(), model, prompt, system, "max_completion_tokens", max_tokens, timer)


def _azure(model: str, prompt: str, system: str | None, max_tokens: int, timer: _Timer) -> tuple[str, Usage | None, Any]:
    from openai import AzureOpenAI

    return _openai_like(AzureOpenAI(), model, prompt, system, "max_completion_tokens", max_tokens, timer)


def _compatible(model: str, prompt: str, system: str | None, max_tokens: int, timer: _Timer) -> tuple[str, Usage | None, Any]:
    from openai import OpenAI

    client = OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"], api_key="not needed")
    return _openai_like(client, model, prompt, system, "max_tokens", max_tokens, timer)


def _anthropic(model: str, prompt: str, system: str | None, max_tokens: int, timer: _Timer) -> tuple[str, Usage | None, Any]:
    from anthropic import Anthropic

    more = {"system": system} if system else {}
    client = Anthropic()
    ask_stream = client.messages.stream
    timer.begin()
    with ask_stream(model=model, max_tokens=max_tokens, messages=[{"role": "user", "content": prompt}], **more) as stream:
        text = ""
        for piece in stream.text_stream:
            timer.token()
            text += piece
        message = stream.get_final_message()
    return text, _anthropic_usage(message.usage), message


def _anthropic_usage(used: Any) -> Usage:
    read, written = used.cache_read_input_tokens or 0, used.cache_creation_input_tokens or 0
    hour = used.cache_creation.ephemeral_1h_input_tokens if used.cache_creation else 0
    return Usage(
        input_tokens=used.input_tokens + read + written,
        cache_read_tokens=read,
        cache_write_tokens=written - hour,
        cache_write_1h_tokens=hour,
        output_tokens=used.output_tokens,
        thinking_tokens=used.output_tokens_details.thinking_tokens if used.output_tokens_details else 0,
    )


def _gemini(model: str, prompt: str, system: str | None, max_tokens: int, timer: _Timer) -> tuple[str, Usage | None, Any]:
    from google import genai
    from google.genai import types

    client = genai.Client()
    config = types.GenerateContentConfig(system_instruction=system, max_output_tokens=max_tokens)
    text, chunks, used = "", [], None
    timer.begin()
    for chunk in client.models.generate_content_stream(model=model, contents=prompt, config=config):
        chunks.append(chunk)
        used = chunk.usage_metadata or used
        if chunk.text:
            timer.token()
            text += chunk.text
    return text, used and _gemini_usage(used), chunks


def _gemini_usage(used: Any) -> Usage:
    thought = used.thoughts_token_count or 0
    return Usage(
        input_tokens=used.prompt_token_count or 0,
        cache_read_tokens=used.cached_content_token_count or 0,
        output_tokens=(used.candidates_token_count or 0) + thought,
        thinking_tokens=thought,
    )


def _bedrock(model: str, prompt: str, system: str | None, max_tokens: int, timer: _Timer) -> tuple[str, Usage | None, Any]:
    import boto3

    more = {"system": [{"text": system}]} if system else {}
    client = boto3.client("bedrock-runtime")
    timer.begin()
    stream = client.converse_stream(
        modelId=model,
        messages=[{"role": "user", "content": [{"text": prompt}]}],
        inferenceConfig={"maxTokens": max_tokens},
        **more,
    )
    text, events = "", list[Any]()
    for event in stream["stream"]:
        events.append(event)
        piece = event.get("contentBlockDelta", {}).get("delta", {}).get("text")
        if piece:
            timer.token()
            text += piece
    used = next((event["metadata"]["usage"] for event in events if "usage" in event.get("metadata", {})), None)
    return text, used and _bedrock_usage(used), events


def _bedrock_usage(used: dict[str, Any]) -> Usage:
    read, written = used.get("cacheReadInputTokens", 0), used.get("cacheWriteInputTokens", 0)
    return Usage(
        input_tokens=used["inputTokens"] + read + written,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=used["outputTokens"],
    )


_ASKERS: dict[str, Callable[[str, str, str | None, int, _Timer], tuple[str, Usage | None, Any]]] = {
    "openai": _openai,
    "azure": _azure,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
    "compatible": _compatible,
}
_USAGES: dict[str, Callable[[Any], Usage]] = {"anthropic": _anthropic_usage, "gemini": _gemini_usage, "bedrock": _bedrock_usage}
