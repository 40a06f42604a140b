"""The clients of the fault matrix: one question through each SDK as it comes, plain and streamed, and how long its source says that it sleeps."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import anthropic
import boto3
import botocore.retries.standard as aws
import openai
from botocore.config import Config
from google import genai
from google.genai import _api_client as google
from google.genai import types

from helpers.gateway.meter import Entry

PROMPT = "My kettle arrived with a crack. What now?"
MESSAGES = [{"role": "user", "content": PROMPT}]
LUNA, HAIKU, FLASH = "gpt-6-luna", "claude-haiku-5-5", "gemini-3.5-flash-lite"
BEDROCK = f"us.anthropic.{HAIKU}"
MOST = 500  # tokens of an answer
RETRY = types.HttpRetryOptions(attempts=3, initial_delay=0.2, jitter=0.2)  # of google-genai, which does not retry unless told to; in seconds
LOGGERS = {"openai._base_client": logging.INFO, "anthropic._base_client": logging.INFO, "google_genai._api_client": logging.INFO, "botocore.retries.standard": logging.DEBUG}


class Reply(NamedTuple):
    """The text, and why it ends; None where nobody said so."""

    text: str
    finish: str | None


Ask = Callable[[float | None], Reply]  # with a time-out in seconds, or the SDK's own
Bounds = Callable[[int, Entry], tuple[float, float]]  # seconds of the sleep number 0, 1, …, after this request


class Asks(NamedTuple):
    """One question, plain and streamed; and a batch of it, where the gateway has batches for this provider."""

    plain: Ask
    stream: Ask
    batch: Ask | None = None


class Client(NamedTuple):
    """An SDK as it comes. `chunk`: after how many events a fault in the answer strikes."""

    name: str
    packages: tuple[str, ...]
    connect: Callable[[str], Asks]
    bounds: Bounds
    chunk: int = 8  # there, all of them have said something


# ---- how long they sleep, by their sources ---------------------------------------------------------------------
def stainless(sdk: Any) -> Bounds:
    """openai and anthropic: as long as told (openai: up to two minutes), else doubled, less up to a quarter at random."""
    base = sdk._base_client

    def bounds(number: int, entry: Entry) -> tuple[float, float]:
        if told := entry.evidence.wait:
            return told, told
        most = min(base.INITIAL_RETRY_DELAY * 2**number, base.MAX_RETRY_DELAY)
        return 0.75 * most, most

    return bounds


def google_genai(number: int, _: Entry) -> tuple[float, float]:
    """Doubled, and up to the jitter at random on top, whatever it was told."""
    least = RETRY.initial_delay * google._RETRY_EXP_BASE**number
    return least, least + RETRY.jitter


def botocore(number: int, entry: Entry) -> tuple[float, float]:
    """Anything up to a bound that doubles: a second where it was throttled, else very little."""
    scale = aws.ExponentialBackoff._DEFAULT_BACKOFF_CONFIG["throttling_base_scale" if entry.status == 429 else "non_throttling_base_scale"]
    return 0.0, min(scale * 2**number, aws.ExponentialBackoff._MAX_BACKOFF)


# ---- the SDKs --------------------------------------------------------------------------------------------------
def connect_openai(base: str) -> Asks:
    client = openai.OpenAI(api_key="any", base_url=f"{base}/openai/v1")

    def batch(_: float | None) -> Reply:
        line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": LUNA, "messages": MESSAGES}}
        file = client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
        return Reply(client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h").status, None)

    return Asks(*_completions(client), batch)


def connect_azure(base: str) -> Asks:
    return Asks(*_completions(openai.AzureOpenAI(api_key="any", azure_endpoint=f"{base}/azure", api_version="2024-10-21")))


def _completions(client: openai.OpenAI) -> tuple[Ask, Ask]:
    def plain(timeout: float | None) -> Reply:
        [choice] = _patient(client, timeout).chat.completions.create(model=LUNA, messages=MESSAGES).choices
        return Reply(choice.message.content or "", choice.finish_reason)

    def stream(timeout: float | None) -> Reply:
        return _joined(_patient(client, timeout).chat.completions.create(model=LUNA, messages=MESSAGES, stream=True))

    return plain, stream


def _patient(client: Any, timeout: float | None) -> Any:
    return client.with_options(timeout=timeout) if timeout else client


def _joined(chunks: Any) -> Reply:
    """The chunks of chat completions as one reply."""
    choices = [choice for chunk in chunks for choice in chunk.choices]
    return Reply("".join(choice.delta.content or "" for choice in choices), next((c.finish_reason for c in choices if c.finish_reason), None))


def connect_anthropic(base: str) -> Asks:
    client = anthropic.Anthropic(api_key="any", base_url=f"{base}/anthropic")
    asked = {"model": HAIKU, "max_tokens": MOST, "messages": MESSAGES}

    def plain(timeout: float | None) -> Reply:
        message = _patient(client, timeout).messages.create(**asked)
        return Reply(message.content[-1].text if message.content else "", message.stop_reason)

    def stream(timeout: float | None) -> Reply:
        with _patient(client, timeout).messages.stream(**asked) as events:
            return Reply("".join(events.text_stream), events.get_final_message().stop_reason)

    def batch(_: float | None) -> Reply:
        return Reply(client.messages.batches.create(requests=[{"custom_id": "a", "params": asked}]).processing_status, None)

    return Asks(plain, stream, batch)


def connect_gemini(base: str, retry: types.HttpRetryOptions | None = None) -> Asks:
    client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=f"{base}/gemini", retry_options=retry))

    def config(timeout: float | None) -> types.GenerateContentConfig | None:
        return types.GenerateContentConfig(http_options=types.HttpOptions(timeout=int(timeout * 1000))) if timeout else None

    def plain(timeout: float | None) -> Reply:
        return _of([client.models.generate_content(model=FLASH, contents=PROMPT, config=config(timeout))])

    def stream(timeout: float | None) -> Reply:
        return _of(list(client.models.generate_content_stream(model=FLASH, contents=PROMPT, config=config(timeout))))

    def batch(_: float | None) -> Reply:
        return Reply(str(client.batches.create(model=FLASH, src=[{"contents": PROMPT}]).state), None)

    return Asks(plain, stream, batch)


def _of(pieces: list[Any]) -> Reply:
    """Gemini's pieces as one reply. Of a prompt that was stopped there is no candidate."""
    candidates = [candidate for piece in pieces for candidate in piece.candidates or ()]
    reasons = [candidate.finish_reason for candidate in candidates if candidate.finish_reason]
    reasons += [piece.prompt_feedback.block_reason for piece in pieces if piece.prompt_feedback]
    return Reply("".join(piece.text or "" for piece in pieces), reasons[-1].name if reasons else None)


def connect_bedrock(base: str) -> Asks:
    session = boto3.Session("any", "any", region_name="us-east-1")  # of its own, as the default one is not for threads
    asked = {"modelId": BEDROCK, "messages": [{"role": "user", "content": [{"text": PROMPT}]}]}

    def client(timeout: float | None) -> Any:
        return session.client("bedrock-runtime", endpoint_url=f"{base}/bedrock", config=Config(read_timeout=timeout) if timeout else None)

    usual = client(None)  # kept: a client has a budget of retries

    def plain(timeout: float | None) -> Reply:
        reply = (client(timeout) if timeout else usual).converse(**asked)
        content = reply["output"]["message"]["content"]
        return Reply(content[-1]["text"] if content else "", reply["stopReason"])

    def stream(timeout: float | None) -> Reply:
        events = list((client(timeout) if timeout else usual).converse_stream(**asked)["stream"])
        text = "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)
        return Reply(text, next((event["messageStop"]["stopReason"] for event in events if "messageStop" in event), None))

    return Asks(plain, stream)


def connect_litellm(provider: str, model: str, mount: str) -> Callable[[str], Asks]:
    def connect(base: str) -> Asks:
        import litellm  # here, as it costs seconds

        litellm.suppress_debug_info = True
        where = {"aws_bedrock_runtime_endpoint": f"{base}{mount}"} if provider == "bedrock" else {"api_base": f"{base}{mount}"}
        where |= {"api_version": "2024-10-21"} if provider == "azure" else {}

        def plain(timeout: float | None) -> Reply:
            [choice] = litellm.completion(f"{provider}/{model}", MESSAGES, timeout=timeout, **where).choices
            return Reply(choice.message.content or "", choice.finish_reason)

        def stream(timeout: float | None) -> Reply:
            return _joined(litellm.completion(f"{provider}/{model}", MESSAGES, timeout=timeout, stream=True, **where))

        return Asks(plain, stream)

    return connect


def never(number: int, entry: Entry) -> tuple[float, float]:
    """It does not sleep, as it does not retry."""
    raise AssertionError(f"it sleeps after request {entry.number}")


CLIENTS = [
    Client("openai", ("openai",), connect_openai, stainless(openai)),
    Client("AzureOpenAI", ("openai",), connect_azure, stainless(openai)),
    Client("anthropic", ("anthropic",), connect_anthropic, stainless(anthropic)),
    Client("google-genai", ("google",), connect_gemini, never, 1),
    Client("google-genai, 3 attempts", ("google",), lambda base: connect_gemini(base, RETRY), google_genai, 1),
    Client("boto3", ("botocore",), connect_bedrock, botocore),
    Client("litellm, openai", ("litellm",), connect_litellm("openai", LUNA, "/openai/v1"), stainless(openai)),
    Client("litellm, azure", ("litellm",), connect_litellm("azure", LUNA, "/azure"), stainless(openai)),
    Client("litellm, anthropic", ("litellm",), connect_litellm("anthropic", HAIKU, "/anthropic"), never),
    Client("litellm, gemini", ("litellm",), connect_litellm("gemini", FLASH, "/gemini"), never, 1),
    Client("litellm, bedrock", ("litellm",), connect_litellm("bedrock", f"converse/{BEDROCK}", "/bedrock"), never),
]
