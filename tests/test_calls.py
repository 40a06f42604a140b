"""helpers.ask with servers of all manners: what has come is kept."""

import json

import pytest

import helpers

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def said(text, **more):
    return {**CHUNK, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}


def stream(*events):
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        ([said("Hello"), said(" you")], None),
        ([said("Hello"), said(" you", usage=USAGE)], (7, 2)),
        ([said("Hello"), {**CHUNK, "choices": [], "usage": USAGE}, said(" you")], (7, 2)),
        ([said("Hello"), said(" you"), {**CHUNK, "choices": [], "usage": USAGE}, {**CHUNK, "choices": []}], (7, 2)),
        ([said("Hello"), {**CHUNK, "choices": [{"index": 0, "delta": None, "finish_reason": None}]}, said(" you")], None),
        ([said("Hello"), {**CHUNK, "choices": None}, said(" you")], None),
        ([said(None), said("Hello you"), said(""), {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}], None),
        ([said("Hello you"), {**CHUNK, "choices": [], "usage": {"prompt_tokens": 7}}], (7, 0)),
    ],
)
def test_an_answer_is_kept_whatever_the_server_leaves_out(server_saying, monkeypatch, events, usage):
    monkeypatch.setenv("COMPATIBLE_BASE_URL", server_saying(200, "text/event-stream", stream(*events)) + "/v1")
    reply = helpers.ask("compatible", "Hi", model="anything")
    assert reply.text == "Hello you" and reply.cost is None and reply.first_token_seconds is not None
    assert (reply.usage and (reply.usage.input_tokens, reply.usage.output_tokens)) == usage


def test_a_stream_without_a_chunk_is_an_empty_answer(server_saying, monkeypatch):
    monkeypatch.setenv("COMPATIBLE_BASE_URL", server_saying(200, "text/event-stream", b"data: [DONE]\n\n") + "/v1")
    reply = helpers.ask("compatible", "Hi", model="anything")
    assert (reply.text, reply.usage, reply.cost, reply.first_token_seconds) == ("", None, None, None)


def test_an_answer_without_a_price_is_kept(server_saying, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server_saying(200, "text/event-stream", stream(said("Hello", usage=USAGE))) + "/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    reply = helpers.ask("openai", "Hi", model="a-model-of-next-year")
    assert (reply.text, reply.usage.input_tokens, reply.cost) == ("Hello", 7, None)


def test_a_usage_that_makes_no_sense_costs_no_answer(server_saying, monkeypatch):
    nonsense = {**USAGE, "prompt_tokens_details": {"cached_tokens": 100}}
    monkeypatch.setenv("OPENAI_BASE_URL", server_saying(200, "text/event-stream", stream(said("Hello", usage=nonsense))) + "/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    reply = helpers.ask("openai", "Hi")
    assert (reply.text, reply.usage.cache_read_tokens, reply.cost) == ("Hello", 100, None)


GEMINI = {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "Hello"}]}}]}
COUNTED = {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9}}


@pytest.mark.parametrize(("pieces", "text", "tokens"), [([GEMINI], "Hello", None), ([{**GEMINI, **COUNTED}, {"candidates": []}], "Hello", 7), ([], "", None)])
def test_geminis_answer_is_kept_without_a_usage(server_saying, monkeypatch, pieces, text, tokens):
    body = b"".join(b"data: " + json.dumps(piece).encode() + b"\r\n\r\n" for piece in pieces)
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server_saying(200, "text/event-stream", body))
    monkeypatch.setenv("GEMINI_API_KEY", "any")
    reply = helpers.ask("gemini", "Hi")
    assert reply.text == text and (reply.usage and reply.usage.input_tokens) == tokens


@pytest.mark.parametrize("metadata", [[], [("metadata", {"metrics": {"latencyMs": 1}})], [("metadata", {"usage": {"inputTokens": 7, "outputTokens": 2, "totalTokens": 9}}), ("messageStop", {"stopReason": "end_turn"})]])
def test_bedrocks_answer_is_kept_without_a_usage(server_saying, gateway, monkeypatch, metadata):
    from helpers.gateway.dialects.bedrock import eventstream

    events = [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}}), *metadata]
    body = b"".join(eventstream.event(name, json.dumps(value).encode()) for name, value in events)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server_saying(200, "application/vnd.amazon.eventstream", body))
    reply = helpers.ask("bedrock", "Hi")
    assert reply.text == "Hello" and (reply.usage and reply.usage.input_tokens) == (7 if len(metadata) > 1 else None)
