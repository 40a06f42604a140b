"""Whatever a program sends, the gateway answers in the provider's words, goes on answering, and stays on this machine."""

import asyncio
import copy
import http.client
import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import openai
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from helpers.gateway.server import Gateway

ROOT = Path(__file__).parent.parent
PROMPT, ANSWER = "Say hello in five words.", "Hello, it's nice meeting you."
KEYS = {"authorization": "Bearer some-key", "x-api-key": "some-key", "api-key": "some-key", "x-goog-api-key": "some-key"}
HEADERS = {**KEYS, "content-type": "application/json", "anthropic-version": "2023-06-01"}

# ---- a valid body, as rich as it gets, for every route that takes one --------------------------------------
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CHAT = {
    "model": "gpt-6-luna",
    "messages": [
        {"role": "developer", "content": "Be brief.", "name": "dev"},
        {"role": "user", "content": [{"type": "text", "text": PROMPT}, PIXEL]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "7"},
    ],
    "max_completion_tokens": 300,
    "n": 2,
    "stop": ["STOP"],
    "reasoning_effort": "none",
    "temperature": 0.5,
    "logit_bias": {},
    "metadata": {"a": "b"},
    "response_format": {"type": "text"},
    "seed": 1,
    "stream": True,
    "stream_options": {"include_usage": True},
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
}
RESPONSE = {
    "model": "gpt-6-luna",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": PROMPT}, {"type": "input_image", "image_url": "x"}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
    ],
    "instructions": "Be brief.",
    "max_output_tokens": 300,
    "previous_response_id": None,
    "prompt_cache_key": "k",
    "reasoning": {"effort": "low"},
    "stream": False,
    "store": True,
    "metadata": {"a": "b"},
    "text": {"format": {"type": "text"}},
    "tools": [{"type": "function", "name": "look"}],
}
MESSAGES = {
    "model": "claude-haiku-4-5",
    "max_tokens": 3000,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": PROMPT}, {"type": "image", "source": {"type": "url", "url": "x"}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "7"}]}]},
    ],
    "stop_sequences": ["STOP"],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low"},
    "cache_control": {"type": "ephemeral"},
    "stream": True,
    "top_k": 5,
    "tools": [{"name": "look", "input_schema": {"type": "object"}}],
}
COUNTED = {name: MESSAGES[name] for name in ("model", "messages", "system", "tools", "thinking", "cache_control")}
CONTENTS = {
    "contents": [
        {"role": "user", "parts": [{"text": PROMPT}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"a": 1}}, "thoughtSignature": "x"}]},
        {"role": "user", "parts": [{"function_response": {"name": "look", "response": {"b": 2}}}]},
    ],
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "generationConfig": {
        "maxOutputTokens": 300,
        "stopSequences": ["STOP"],
        "candidateCount": 2,
        "temperature": 0.5,
        "thinkingConfig": {"thinkingBudget": 100},
        "response_schema": {"type": "OBJECT"},
    },
    "tools": [{"functionDeclarations": [{"name": "look"}]}],
    "cachedContent": "",
    "labels": {"a_b": "c"},
}
CACHE = {"model": "models/gemini-2.5-flash", "displayName": "d", "ttl": "60s", "contents": [{"role": "user", "parts": [{"text": "word " * 1100}]}]}
CONVERSE = {
    "messages": [
        {"role": "user", "content": [{"text": PROMPT}, {"image": {"format": "png", "source": {"bytes": "AAAA"}}}, {"cachePoint": {"type": "default", "ttl": "5m"}}]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "look", "input": {}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "7"}]}}]},
    ],
    "system": [{"text": "Be brief."}],
    "inferenceConfig": {"maxTokens": 3000, "temperature": 0.5, "topP": 0.9, "stopSequences": ["STOP"]},
    "toolConfig": {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": {}}}}]},
    "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
}
INVOKE = {**{name: value for name, value in MESSAGES.items() if name not in ("model", "stream")}, "anthropic_version": "bedrock-2023-05-31"}
LLAMA = {"prompt": PROMPT, "max_gen_len": 30, "temperature": 0.5, "top_p": 0.9}
NOVA = {"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": PROMPT}]}], "inferenceConfig": {"max_new_tokens": 30}}
COMPATIBLE = {"model": "meta-llama/Llama-3.1-8B-Instruct", "messages": CHAT["messages"][:2], "max_tokens": 30, "top_k": 3, "min_p": 0.1, "n": 2, "logprobs": True}
BATCH = {"input_file_id": "file-none", "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"a": "b"}}
OLD_CLAUDE = "/bedrock/model/us.anthropic.claude-haiku-4-5-20251001-v1:0"
ROUTES = {
    "/openai/v1/chat/completions": CHAT,
    "/openai/v1/responses": RESPONSE,
    "/openai/v1/responses/input_tokens": RESPONSE,
    "/openai/v1/batches": BATCH,
    "/azure/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21": {**CHAT, "stream": False, "reasoning_effort": None},
    "/azure/openai/v1/chat/completions": CHAT,
    "/compatible/v1/chat/completions": COMPATIBLE,
    "/anthropic/v1/messages": MESSAGES,
    "/anthropic/v1/messages/count_tokens": COUNTED,
    "/gemini/v1beta/models/gemini-2.5-flash:generateContent": CONTENTS,
    "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent": CONTENTS,
    "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse": CONTENTS,
    "/gemini/v1beta/models/gemini-2.5-flash:countTokens": {"generateContentRequest": {"model": "m", **CONTENTS}},
    "/gemini/v1beta/cachedContents": CACHE,
    f"{OLD_CLAUDE}/converse": CONVERSE,
    f"{OLD_CLAUDE}/converse-stream": CONVERSE,
    f"{OLD_CLAUDE}/invoke": INVOKE,
    f"{OLD_CLAUDE}/invoke-with-response-stream": INVOKE,
    f"{OLD_CLAUDE}/count-tokens": {"input": {"converse": CONVERSE}},
    "/bedrock/model/meta.llama3-1-8b-instruct-v1:0/invoke": LLAMA,
    "/bedrock/model/amazon.nova-lite-v1:0/invoke-with-response-stream": NOVA,
    "/course/faults": {"kind": "slow", "provider": "nobody", "times": 1, "seconds": 0.0, "chunk": 1},
    "/course/advance": {"seconds": 1},
    "/course/limits": {"provider": "nobody", "family": "requests", "per_minute": 10},
}
# The keys that an error of each provider has, at the top and inside.
SHAPES = {
    "openai": ({"error"}, {"message", "type", "param", "code"}),
    "azure": ({"error"}, {"message", "code"}),
    "compatible": ({"error"}, {"message", "type", "param", "code"}),
    "anthropic": ({"type", "error", "request_id"}, {"type", "message"}),
    "gemini": ({"error"}, {"code", "message", "status"}),
    "bedrock": ({"message"}, set()),
    "course": ({"error"}, set()),
}


# ---- how a body can be wrong -------------------------------------------------------------------------------
def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": [value]}
    return value


NAMES = sorted({"type", "text", "role", "content", "thinking", "cachePoint", "fileData", "expireTime", "reasoningContent", "refusal", "previous_response_id"})
ODD = st.sampled_from(
    [None, True, False, 0, -1, 1, 7, 2**31, 2**63, 10**30, 10**400, 0.5, -0.5, 1.0, 1e308, float("nan"), float("inf"), -float("inf")]
    + ["", " ", "x", "\ud800", "\udfff\ud800", "\x00", "é" * 50, "text", "image", "image_url", "tool", "assistant", "system", "none", "max", "enabled"]
    + ["adaptive", "1e999s", "99999999999999s", "gpt-4o", "claude-haiku-5-5", "9999-12-31T23:59:59-23:59", "0001-01-01", "../..", "a\r\nb"]
    + [[], {}, [None], [[]], [{}], {"": None}, {"type": "text"}, {"type": "text", "text": None}, {"type": "image"}, {"text": "\ud800"}, [1, "a", {}]]
) | st.sampled_from([40, 150, 450, 900]).map(nested)


def places(value, path=()):
    """The path of every value inside a body."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*path, name))


@st.composite
def mutated(draw, body):
    """A valid body in which one to three things are wrong."""
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([place for place in places(body) if place] or [()]))
        if not path:
            break
        owner = body
        for name in path[:-1]:
            owner = owner[name]
        last = path[-1]
        match draw(st.sampled_from(["replace", "replace", "drop", "list", "object", "double", "add"])):
            case "replace":
                owner[last] = draw(ODD)
            case "drop":
                del owner[last]
            case "list":
                owner[last] = [owner[last]]
            case "object":
                owner[last] = {draw(st.sampled_from(NAMES)): owner[last]}
            case "double":
                owner[last] = [owner[last], copy.deepcopy(owner[last])]
            case "add":
                if isinstance(owner, dict):
                    owner[draw(st.sampled_from(NAMES))] = draw(ODD)
                else:
                    owner.append(draw(ODD))
    return body


def no_json(body):
    """Bytes that are no JSON object: noise, a body cut short, a body that is not UTF-8, other JSON."""
    whole = json.dumps(body).encode()
    cut = st.integers(0, len(whole) - 1).map(lambda end: whole[:end])
    return st.binary(max_size=60) | cut | st.sampled_from([b"[" * 100_000, whole + b"}", b"\xff\xfe" + whole, whole.decode().encode("utf-16"), b"[]", b"1", b'"a"', b"null"])


@pytest.fixture(scope="module")
def fuzzed():
    """A gateway whose limits nobody meets, so that a 429 hides nothing."""
    running = Gateway(pace=0).start()
    for provider in ("openai", "azure", "anthropic", "gemini", "bedrock"):
        running.limit(provider, requests=10**9, tokens=10**15)
    yield running
    running.stop()


def send(gateway, path, body, method="POST", headers=HEADERS):
    """Status, headers and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def check_answer(path, status, headers, body):
    assert "x-course-error" not in headers, body
    assert status < 500, body
    if status >= 400:
        outer, inner = SHAPES[path.split("/")[1]]
        error = json.loads(body)
        assert outer <= error.keys(), error
        assert not inner or inner <= error["error"].keys(), error


BOUNDED = settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("path", ROUTES)
def test_the_valid_body_is_valid(fuzzed, path):
    status, headers, body = send(fuzzed, path, json.dumps(ROUTES[path]))
    assert status == (404 if path.endswith("/v1/batches") else 200), body
    check_answer(path, status, headers, body)


@pytest.mark.parametrize("path", ROUTES)
def test_a_wrong_body_is_refused_in_the_providers_words(fuzzed, path):
    @BOUNDED
    @given(mutated(ROUTES[path]).map(json.dumps) | no_json(ROUTES[path]))
    def holds(body):
        check_answer(path, *send(fuzzed, path, body))

    holds()
    after = ROUTES["/compatible/v1/chat/completions"]
    assert send(fuzzed, "/compatible/v1/chat/completions", json.dumps(after))[0] == 200, "the gateway answers no longer"
