"""Each value of a rich body replaced by one of another type: the answer is never a failure of ours, nor worded by Python."""

import copy
import http.client
import json
import re

import pytest

from helpers.gateway.server import Gateway

PNG = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CHAT = {
    "model": "gpt-4o",
    "messages": [
        {"role": "developer", "content": "As JSON.", "name": "dev"},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "7"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "look"}},
    "functions": [{"name": "f", "parameters": SCHEMA}],
    "function_call": {"name": "f"},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "stop": ["x"],
    "stream": True,
    "stream_options": {"include_usage": True},
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"1": 1},
    "metadata": {"a": "b"},
    "prompt_cache_options": {"mode": "implicit"},
    "prompt_cache_retention": "24h",
    "moderation": {"model": "m"},
    "service_tier": "auto",
    "verbosity": "low",
}
ALLOWED = {**CHAT, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"function": {"name": "look"}}]}}}
RESPONSES = {
    "model": "gpt-6-luna",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_image", "image_url": PNG, "detail": "low"}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}", "id": "fc_1"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "7"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}], "id": "msg_1"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
    ],
    "tools": [{"type": "function", "name": "look", "parameters": SCHEMA}],
    "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "low"},
    "include": ["reasoning.encrypted_content"],
    "previous_response_id": None,
    "metadata": {"a": "b"},
}
SERVED = {name: CHAT[name] for name in ("tools", "tool_choice", "response_format", "stop", "stream", "stream_options", "logprobs", "top_logprobs")}
SERVED |= {"model": "meta-llama/Llama-3.1-8B-Instruct", "messages": [*CHAT["messages"][2:4], {"role": "user", "content": ["Hi"]}], "top_k": 3, "n": 1}
BODIES = {
    "/openai/v1/chat/completions": [CHAT, ALLOWED],
    "/azure/openai/v1/chat/completions": [{**CHAT, "messages": CHAT["messages"][:-1]}],  # its models take no file
    "/openai/v1/responses": [RESPONSES],
    "/compatible/v1/chat/completions": [SERVED],
}
ODD = [None, True, -1, 1e9, "", "{x}", [], {}, [[]], {"a": 1}]
PYTHON = re.compile(r"unhashable|object is not|has no attribute|[A-Z]\w+Error\(|not supported between|indices must|not subscriptable|not iterable|<class|NoneType")


def places(value, path=()):
    """The path of every value inside a body."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*path, name))


@pytest.fixture(scope="module")
def strict():
    """A gateway that answers from recordings alone: reading is what is tested."""
    gateway = Gateway(pace=0, strict=True).start()
    for provider in ("openai", "azure"):
        gateway.limit(provider, requests=10**9, tokens=10**15)
    yield gateway
    gateway.stop()


def changed(body, place, odd):
    body = owner = copy.deepcopy(body)
    for name in place[:-1]:
        owner = owner[name]
    owner[place[-1]] = copy.deepcopy(odd)
    return body


@pytest.mark.parametrize("path", BODIES)
def test_a_value_of_another_type_is_refused_in_the_providers_words(strict, path):
    connection = http.client.HTTPConnection("127.0.0.1", strict.port, timeout=10)
    for body in BODIES[path]:
        for place in places(body):
            for odd in ODD:
                connection.request("POST", path, json.dumps(changed(body, place, odd)), {"authorization": "Bearer k", "api-key": "k"})
                answer = connection.getresponse()
                text = answer.read().decode()
                assert answer.status < 500 and not PYTHON.search(text), (place, odd, text)
    connection.close()
