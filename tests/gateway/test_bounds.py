"""However large a request is, others are answered meanwhile; and nothing that the gateway keeps grows for ever."""

import http.client
import itertools
import json
import logging
import os
import random
import socket
import string
import subprocess
import sys
import threading
import time

import pytest

from helpers.gateway import batches as gateway_batches
from helpers.gateway import http as gateway_http
from helpers.gateway import meter as gateway_meter
from helpers.gateway import prompt_cache, tokens, wire
from helpers.gateway.batches import Batches, File
from helpers.gateway.bounded import Bounded, weight
from helpers.gateway.clock import Clock
from helpers.gateway.dialects.gemini.fields import snake
from helpers.gateway.faults import MOST, Fault
from helpers.house_model.circles import circles
from helpers.house_model.engine import FOLDER, Tokenizer

KEYS = {"authorization": "Bearer some-key", "x-api-key": "some-key", "api-key": "some-key", "x-goog-api-key": "some-key"}
HEADERS = {**KEYS, "anthropic-version": "2023-06-01", "content-type": "application/json"}
PROVIDERS = ("openai", "azure", "anthropic", "gemini", "bedrock")
HELLO = [{"role": "user", "content": "Say hello in five words."}]
SMALL = ("POST", "/openai/v1/chat/completions", {"model": "gpt-6-luna", "messages": HELLO})
ENOUGH = 5  # small calls that are answered, one after the other, while a large one is under way

# ---- large requests ----------------------------------------------------------------------------------------
WORDS = "one question more ".split()
LONG = " ".join(map(str, range(250_000)))  # some 750,000 tokens, 1.6 MB
TURNS = [{"role": role, "content": f"{role} {number}"} for number in range(30_000) for role in ("user", "assistant")] + HELLO
BLOCKS = [{"role": turn["role"], "content": [{"text": turn["content"]}]} for turn in TURNS]
CONTENTS = [{"role": "model" if turn["role"] == "assistant" else "user", "parts": [{"text": turn["content"]}]} for turn in TURNS]
LONG_CONTENT = [{"parts": [{"text": LONG}]}]
NAMES = [f"function_{number}" for number in range(20_000)]
LINE = {"model": "gpt-4o-mini", "messages": HELLO}
GEMINI = "/gemini/v1beta/models/gemini-3.5-flash-lite"
NOVA = "/bedrock/model/us.amazon.nova-2-lite-v1%3A0"


def form(content):
    head = b'--X\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--X\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n'
    return head + content + b"\r\n--X--\r\n"


def schema_of(definitions):
    ring = {f"d{i}": {"type": "object", "properties": {"x": {"$ref": f"#/$defs/d{(i + 1) % definitions}"}}} for i in range(definitions)}
    return {"$ref": "#/$defs/d0", "$defs": ring}


LARGE = {
    "chat, a long prompt": ("/openai/v1/chat/completions", lambda: {"model": "gpt-6-luna", "messages": [{"role": "user", "content": LONG}], "max_completion_tokens": 1}),
    "chat, many turns": ("/openai/v1/chat/completions", lambda: {"model": "gpt-6-luna", "messages": TURNS, "max_completion_tokens": 1}),
    "chat, a long word": (
        "/openai/v1/chat/completions",
        lambda: {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "".join(random.choices(string.ascii_lowercase, k=1_000_000))}], "max_completion_tokens": 1},
    ),
    "chat, many tools": (
        "/openai/v1/chat/completions",
        lambda: {
            "model": "gpt-4o-mini",
            "messages": HELLO,
            "tools": [{"type": "function", "function": {"name": name}} for name in NAMES[:6000]],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": n}} for n in NAMES]}},
        },
    ),
    "chat, many definitions": (
        "/openai/v1/chat/completions",
        lambda: {"model": "gpt-4o-mini", "messages": HELLO, "max_tokens": 1, "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema_of(9000)}}},
    ),
    "responses": ("/openai/v1/responses", lambda: {"model": "gpt-6-luna", "input": TURNS, "max_output_tokens": 16}),
    "responses, many calls": (
        "/openai/v1/responses",
        lambda: {
            "model": "gpt-6-luna",
            "input": [
                *({"type": "function_call", "call_id": str(n), "name": "look", "arguments": "{}"} for n in range(20_000)),
                *({"type": "function_call_output", "call_id": str(n), "output": "7"} for n in range(20_000)),
            ],
            "max_output_tokens": 16,
        },
    ),
    "responses, counted": ("/openai/v1/responses/input_tokens", lambda: {"model": "gpt-6-luna", "input": TURNS}),
    "azure": ("/azure/openai/deployments/gpt-5.1/chat/completions?api-version=2024-10-21", lambda: {"messages": TURNS[:20_000], "max_completion_tokens": 1}),
    "compatible": ("/compatible/v1/chat/completions", lambda: {"model": "house", "messages": TURNS}),
    "messages": ("/anthropic/v1/messages", lambda: {"model": "claude-sonnet-5", "max_tokens": 1, "messages": TURNS[:-1] + HELLO}),
    "messages, counted": ("/anthropic/v1/messages/count_tokens", lambda: {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": LONG * 4}]}),
    "messages, a batch": (
        "/anthropic/v1/messages/batches",
        lambda: {"requests": [{"custom_id": str(n), "params": {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO}} for n in range(50_000)]},
    ),
    "generateContent": (GEMINI + ":generateContent", lambda: {"contents": CONTENTS}),
    "generateContent, many functions": (
        GEMINI + ":generateContent",
        lambda: {"contents": CONTENTS[:1], "tools": [{"functionDeclarations": [{"name": name} for name in NAMES]}]},
    ),
    "generateContent, a long field name": (GEMINI + ":generateContent", lambda: {"contents": CONTENTS[:1], "aB" * 3_000_000: 1}),
    "countTokens": (GEMINI + ":countTokens", lambda: {"contents": CONTENTS}),
    "cachedContents": ("/gemini/v1beta/cachedContents", lambda: {"model": "models/gemini-3.5-flash-lite", "contents": CONTENTS}),
    "batchGenerateContent": (
        GEMINI + ":batchGenerateContent",
        lambda: {"batch": {"inputConfig": {"requests": {"requests": [{"request": {"contents": CONTENTS[:1]}} for _ in range(20_000)]}}}},
    ),
    "Converse": (NOVA + "/converse", lambda: {"messages": BLOCKS, "inferenceConfig": {"maxTokens": 1}}),
    "InvokeModel": (NOVA + "/invoke", lambda: {"messages": BLOCKS, "inferenceConfig": {"maxTokens": 1}}),
    "CountTokens": (NOVA + "/count-tokens", lambda: {"input": {"converse": {"messages": BLOCKS}}}),
    "an upload": ("/openai/v1/files", lambda: form(b"".join(json.dumps({"custom_id": str(n), "body": LINE}).encode() + b"\n" for n in range(400_000)))),
    "a control": ("/course/faults", lambda: {"kind": "slow", "x": "y" * 20_000_000}),
    "nothing that is there": ("/openai/v1/nothing", lambda: {"x": "y" * 20_000_000}),
}


def send(port, method, path, body=None):
    """Status and body of one request."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    headers = {**HEADERS, **({"content-type": "multipart/form-data; boundary=X"} if path.endswith("/files") else {})}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, raw, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
