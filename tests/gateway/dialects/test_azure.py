"""Azure OpenAI's wire through the OpenAI SDK: deployments and the v1 route, content-filter fields, its own errors and limits."""

import json
import uuid
from types import SimpleNamespace

import httpx2
import openai
import pytest
from openai import AzureOpenAI, OpenAI

HELLO = "Say hello in five words."
HELLO_ANSWER = "Hello, it's nice meeting you."
SAFE = {"hate", "self_harm", "sexual", "violence"}
PROTECTED = {"protected_material_code", "protected_material_text"}


@pytest.fixture(params=["deployment", "v1"])
def client(gateway, request):
    """A client of either route: what is true of one is true of the other."""
    if request.param == "deployment":
        return AzureOpenAI(max_retries=0)
    return OpenAI(base_url=f"{gateway.base_url}/azure/openai/v1", max_retries=0)


@pytest.fixture
def still(gateway, monkeypatch):
    """The course's clock stands still but for what a test adds to it, so no bucket refills unasked."""
    now = gateway.clock.now()
    monkeypatch.setattr("helpers.gateway.clock.time", SimpleNamespace(time=lambda: now))


def user(text):
    return [{"role": "user", "content": text}]


def chat(client, text=HELLO, model="gpt-6-luna", **more):
    return client.chat.completions.create(model=model, messages=user(text), **more)


def test_client_calls_the_deployment_with_an_api_version(gateway):
    raw = AzureOpenAI().chat.completions.with_raw_response.create(model="gpt-6-luna", messages=user(HELLO))
    url = raw.http_request.url
    assert url.path == "/azure/openai/deployments/gpt-6-luna/chat/completions" and url.params["api-version"] == "2025-04-01-preview"
    assert raw.http_request.headers["api-key"] and raw.headers["x-ms-deployment-name"] == "gpt-6-luna"


def test_completion_with_content_filters(client):
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=user(HELLO))
    body = json.loads(raw.text)
    assert list(body) == sorted(body) and "\n" not in raw.text
    of_prompt, of_answer = body["prompt_filter_results"][0]["content_filter_results"], body["choices"][0]["content_filter_results"]
    assert list(of_prompt) == sorted(SAFE | {"jailbreak"}) and list(of_answer) == sorted(SAFE | PROTECTED)
    assert of_answer["protected_material_code"] == of_prompt["jailbreak"] == {"detected": False, "filtered": False}
    assert body["choices"][0]["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    answer = raw.parse()
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", "gpt-4o-2024-08-06")


def test_text_and_usage(client):
    answer = chat(client)
    assert answer.choices[0].message.content == HELLO_ANSWER
    assert 0 < answer.usage.completion_tokens_details.reasoning_tokens < answer.usage.completion_tokens


def test_first_chunk_of_a_stream_has_no_choices(client):
    first, *chunks = chat(client, stream=True)
    assert (first.choices, first.id, first.model, first.created) == ([], "", "", 0)
    assert first.model_extra["prompt_filter_results"][0]["prompt_index"] == 0
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == HELLO_ANSWER
    filtered = [set(c.choices[0].model_extra["content_filter_results"]) for c in chunks if c.choices[0].delta.content]
    assert filtered == [SAFE | PROTECTED] * len(filtered)
    assert [c.choices[0].model_extra["content_filter_results"] for c in (chunks[0], chunks[-1])] == [{}, {}]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert not any("obfuscation" in c.to_dict() for c in chunks)


def test_a_call_of_a_tool_is_not_judged(client):
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"n": {"enum": [1]}}, "required": ["n"]}}}
    forced = {"tools": [tool], "tool_choice": {"type": "function", "function": {"name": "look"}}, "model": "gpt-4o"}
    (choice,) = chat(client, **forced).choices
    assert choice.message.tool_calls and choice.model_extra["content_filter_results"] == {}
    chunks = [c for c in chat(client, **forced, stream=True) if c.choices]
    assert {json.dumps(c.choices[0].model_extra["content_filter_results"]) for c in chunks} == {"{}"}


def test_stream_with_usage(client):
    chunks = list(chat(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage == chat(client).usage


def test_headers(client, gateway, still):
    gateway.limit("azure", requests=600, tokens=60_000)

    def headers():
        return client.chat.completions.with_raw_response.create(model="gpt-6-luna", messages=user(HELLO)).headers

    first, second = headers(), headers()
    assert uuid.UUID(first["apim-request-id"]) and first["x-ms-region"] == "East US 2"
    assert (first["x-ratelimit-limit-requests"], first["x-ratelimit-remaining-requests"]) == ("600", "599")
    assert int(second["x-ratelimit-remaining-tokens"]) < int(first["x-ratelimit-remaining-tokens"]) < 60_000
    assert first["x-ratelimit-renewalperiod-requests"] == "60"
    assert (first["x-ratelimit-key"], first["x-ratelimit-abusepenalty-active"]) == ("gpt-6-luna", "False")
    assert (first["x-ms-is-spilled-over"], first["x-ms-served-model"]) == ("false", "gpt-6-luna")
    assert first["x-ratelimit-reset-requests"] == "100", "milliseconds, and not a Go duration"


def test_rate_limit(client, gateway, still):
    gateway.limit("azure", requests=1)
    chat(client)
    with pytest.raises(openai.RateLimitError, match="retry after") as caught:
        chat(client)
    assert caught.value.code == "RateLimitReached"
    assert (caught.value.response.headers["retry-after"], caught.value.response.headers["retry-after-ms"]) == ("60", "60000")
    gateway.advance(minutes=1)
    assert chat(client).choices


@pytest.mark.parametrize("model", ["no-such-deployment", "gpt-5-chat"])
def test_unknown_deployment(client, model):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, model=model)
    assert (caught.value.code, caught.value.type) == ("DeploymentNotFound", "invalid_request_error")


def test_deployment_of_a_retired_model(client, gateway):
    gateway.advance(hours=24 * 365)
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, model="gpt-4o")
    assert caught.value.code == "DeploymentNotFound"


@pytest.mark.parametrize("make", [AzureOpenAI, lambda **more: OpenAI(base_url=more.pop("v1"), **more)], ids=["deployment", "v1"])
def test_bad_key(gateway, make):
    more = {} if make is AzureOpenAI else {"v1": f"{gateway.base_url}/azure/openai/v1"}
    with pytest.raises(openai.AuthenticationError, match="Access denied due to invalid subscription key") as caught:
        chat(make(api_key="invalid-0123456789", max_retries=0, **more))
    assert caught.value.code == "401" and "0123456789" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/deployments/gpt-4o/chat/completions", 404),
        ("/deployments/gpt-4o/chat/completions?api-version=", 404),
        ("/deployments/gpt-4o/nothing?api-version=2024-10-21", 404),
        ("/deployments/gpt-4o/chat/completions?api-version=2024-10-21", 200),
        ("/v1/chat/completions", 200),
    ],
)
def test_the_deployment_route_needs_a_version_and_v1_does_not(gateway, path, status):
    body = {"model": "gpt-4o", "messages": user(HELLO)}
    answer = httpx2.post(f"{gateway.base_url}/azure/openai{path}", headers={"api-key": "any"}, json=body)
    assert answer.status_code == status
    if status == 404:
        assert answer.json() == {"error": {"code": "404", "message": "Resource not found"}}


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"max_tokens": 5}, "unsupported_parameter", "max_tokens"),
        ({"temperature": 0.5}, "unsupported_value", "temperature"),
        ({"n": 1000}, "integer_above_max_value", "n"),
        ({"extra_body": {"top_k": 3}}, "unknown_parameter", "top_k"),
        ({"stream_options": {"include_usage": True}}, None, "stream_options"),
        ({"tool_choice": "auto"}, None, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, None, "messages"),
        ({"tools": [{"type": "function", "function": {"name": "my tool"}}]}, "invalid_value", "tools[0].function.name"),
        ({"text": [{"type": "image_url", "image_url": {"url": "data:application/pdf;base64,AA"}}]}, "invalid_value", "messages[0].content[0].image_url.url"),
    ],
)
def test_bodies_are_refused_in_the_words_of_openai(client, change, code, param):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, **change)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_tool_message_without_its_call_is_refused_as_openai_refuses_it(client):
    messages = [*user(HELLO), {"role": "tool", "tool_call_id": "call_a", "content": "1"}]
    with pytest.raises(openai.BadRequestError, match="must be a response to a preceeding message") as caught:
        client.chat.completions.create(model="gpt-6-luna", messages=messages)
    assert caught.value.param == "messages.[1].role"


def test_prompt_too_long(client):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, "word " * 130_000, model="gpt-4o")
    assert caught.value.code == "context_length_exceeded"


# ---- embeddings ----------------------------------------------------------------------------------------------
def test_embeddings_of_either_route(client, gateway):
    found = client.embeddings.create(model="text-embedding-3-small", input=["What is a token?", "b"], dimensions=256)
    assert [len(one.embedding) for one in found.data] == [256, 256] and found.usage.prompt_tokens == 6
    [entry] = gateway.meter.log()
    assert (entry.provider, entry.operation, entry.source.kind) == ("azure", "embeddings", "house-embed")


def test_a_model_does_only_its_own_operation(client):
    for act, operation, model in (
        (lambda: client.embeddings.create(model="gpt-6-luna", input="a"), "embeddings", "gpt-6-luna"),
        (lambda: chat(client, model="text-embedding-3-small"), "chatCompletion", "text-embedding-3-small"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            act()
        assert caught.value.code == "OperationNotSupported"
        assert caught.value.body["message"].startswith(f"The {operation} operation does not work with the specified model, {model}. Please choose")


def test_embeddings_of_no_deployment(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="my-embeddings", input="a")
    assert caught.value.code == "DeploymentNotFound"
