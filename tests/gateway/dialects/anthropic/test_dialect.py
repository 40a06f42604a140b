"""Anthropic's models, API versions, limits and refusals through its own SDK."""

import asyncio
import re
from datetime import UTC, datetime

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic

from tests.gateway.dialects.anthropic.samples import HELLO, HELLO_ANSWER, LONG, NEW, OLD, PLAIN, THINKS, ask, user


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def block(text=LONG, ttl=None):
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}}


def test_models(client, gateway):
    listed = {model.id: model for model in client.models.list()}
    assert "claude-sonnet-4-20250514" not in listed and listed[THINKS].lifecycle == "active"
    assert (listed["claude-sonnet-4-5"].lifecycle, str(listed["claude-sonnet-4-5"].retires_at.date())) == ("deprecated", "2026-11-30")
    assert client.models.retrieve(THINKS) == listed[THINKS] and listed[THINKS].max_input_tokens == 1_000_000
    gateway.advance(hours=24 * 30)
    assert "claude-sonnet-4-5" not in {model.id for model in client.models.list()}


def test_async_client(gateway):
    async def both():
        async with AsyncAnthropic() as client:
            message = await client.messages.create(model=THINKS, max_tokens=1000, messages=user(HELLO))
            return [model.id async for model in client.models.list()], message

    ids, message = asyncio.run(both())
    assert THINKS in ids and text_of(message) == HELLO_ANSWER


def post(gateway, version, **more):
    headers = {"x-api-key": "any", **({"anthropic-version": version} if version else {})}
    body = {"model": THINKS, "max_tokens": 1000, "messages": user(HELLO), **more}
    return httpx2.post(f"{gateway.base_url}/anthropic/v1/messages", headers=headers, json=body)


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_sampling_went_with_the_newer_version(gateway, client, name):
    assert post(gateway, OLD, model=PLAIN, **{name: 1}).status_code == 200
    refused = post(gateway, NEW, **{name: 1})
    error = refused.json()["error"]
    assert (refused.status_code, error["type"]) == (400, "invalid_request_error") and name in error["message"]
    with pytest.raises(anthropic.BadRequestError, match=name):
        ask(client, extra_body={name: 1})


def test_the_sdk_sends_the_newer_version_and_it_can_be_set_back(client):
    assert client.default_headers["anthropic-version"] == NEW
    assert ask(client, model=PLAIN, extra_headers={"anthropic-version": OLD}, extra_body={"temperature": 0.5}).content


@pytest.mark.parametrize("version", [None, "2020-01-01"])
def test_version_has_to_be_a_known_one(gateway, version):
    assert post(gateway, version).status_code == 400


def test_key_as_a_bearer_token(gateway):
    assert ask(Anthropic(api_key=None, auth_token="some-token")).content


def limits(client):
    headers = client.messages.with_raw_response.create(model=THINKS, max_tokens=1000, messages=user(LONG)).headers
    start = "anthropic-ratelimit-"
    return {name.removeprefix(start): value for name, value in headers.items() if name.startswith(start)}


def test_rate_limit_headers(client, gateway, still):
    first, second = limits(client), limits(client)
    parts = ("input-tokens", "output-tokens")
    for seen in (first, second):
        for kind in ("limit", "remaining"):
            assert int(seen[f"tokens-{kind}"]) == sum(int(seen[f"{part}-{kind}"]) for part in parts)
        assert all(int(seen[f"{family}-remaining"]) % 1000 == 0 for family in ("tokens", *parts))
        for family in ("requests", "tokens", *parts):
            reset = datetime.strptime(seen[f"{family}-reset"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            assert 0 <= reset.timestamp() - gateway.clock.now() <= 60
    assert int(second["input-tokens-remaining"]) < int(first["input-tokens-remaining"]) < int(first["input-tokens-limit"])
    assert first["requests-remaining"] == "999"


def test_rate_limit(client, gateway, still):
    gateway.limit("anthropic", tokens=3000)
    ask(client, LONG)
    with pytest.raises(anthropic.RateLimitError, match="3,000 input tokens per minute") as caught:
        ask(client, LONG)
    assert caught.value.type == "rate_limit_error" and 1 <= int(caught.value.response.headers["retry-after"]) <= 60
    gateway.advance(minutes=1)
    assert ask(client, LONG).content


REFUSED = [
    ({"messages": None}, "messages: Field required"),
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"model": None}, "model: Field required"),
    ({"messages": []}, "messages: at least 1 item is required"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
    ({"messages": user([{"type": "text"}])}, "messages.0.content.0.text.text: Field required"),
    ({"messages": user([{"type": "hologram"}])}, "messages.0.content.0: Input tag 'hologram'"),
    ({"messages": user("")}, "messages.0: user messages must have non-empty content"),
    ({"messages": user([])}, "messages.0: user messages must have non-empty content"),
    ({"messages": user([{"type": "text", "text": ""}])}, "text content blocks must be non-empty"),
    ({"max_tokens": "many"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to"),
    ({"max_tokens": 1_000_000}, "max_tokens: 1000000 > 128000"),
    ({"stop": ["x"]}, "stop: Extra inputs are not permitted"),
    ({"temperature": 1.5}, "temperature"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, '"thinking.type.enabled" is not supported'),
    ({"model": PLAIN, "thinking": {"type": "enabled"}}, "thinking.enabled.budget_tokens: Field required"),
    ({"model": PLAIN, "thinking": {"type": "enabled", "budget_tokens": 10}}, "greater than or equal to 1024"),
    ({"model": PLAIN, "thinking": {"type": "enabled", "budget_tokens": 1024}}, "`max_tokens` must be greater than"),
    ({"model": PLAIN, "messages": [{"role": "system", "content": "Hi"}]}, 'Unexpected role "system"'),
    ({"system": [block("Hi", ttl="2d")]}, "system.0.cache_control.ttl: Input should be '5m' or '1h'"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED)
def test_bad_request(client, change, says):
    body = {"model": THINKS, "max_tokens": 1000, "messages": user(HELLO), **change}
    with pytest.raises(anthropic.BadRequestError, match=re.escape(says)) as caught:
        client.post("/v1/messages", body={name: value for name, value in body.items() if value is not None}, cast_to=object)
    assert caught.value.type == "invalid_request_error" and caught.value.request_id.startswith("req_01")
    assert caught.value.response.headers["x-should-retry"] == "false"


@pytest.mark.filterwarnings("ignore:The model")
@pytest.mark.parametrize("model", ["claude-99", "claude-sonnet-4-20250514"])
def test_unknown_and_retired_models(client, model):
    with pytest.raises(anthropic.NotFoundError, match=f"model: {model}") as caught:
        ask(client, model=model)
    assert caught.value.type == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve(model)


def test_prompt_too_long(client):
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 200000 maximum"):
        ask(client, "word " * 205_000, model=PLAIN)


def test_body_too_large(client):
    with pytest.raises(anthropic.ContentTooLargeError) as caught:
        ask(client, "a" * 33_000_000)
    assert caught.value.type == "request_too_large"


def test_bad_key(gateway):
    with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key") as caught:
        ask(Anthropic(api_key="sk-ant-invalid-0123456789", max_retries=0))
    assert caught.value.type == "authentication_error" and "0123456789" not in str(caught.value)
    assert not any(name.startswith("anthropic-ratelimit") for name in caught.value.response.headers)


def test_unknown_path(client):
    with pytest.raises(anthropic.NotFoundError):
        client.get("/v1/nothing", cast_to=object)


def test_every_answer_names_its_organisation_and_workspace(gateway, client):
    """Recorded in 116 answers of August 2026: messages, counts, batches and files, a 400 too, but no 401."""
    question = {"model": PLAIN, "messages": [{"role": "user", "content": "Hello!"}]}
    url = f"{gateway.base_url}/anthropic/v1"

    def ask(method, path, body=None, key="any"):
        return httpx2.request(method, url + path, json=body, headers={"x-api-key": key, "anthropic-version": "2023-06-01"}).headers

    batch = ask("POST", "/messages/batches", {"requests": [{"custom_id": "a", "params": {**question, "max_tokens": 9}}]})
    told = [batch, ask("GET", "/models"), ask("POST", "/messages/count_tokens", question), ask("POST", "/messages", {**question, "max_tokens": 9})]
    told += [ask("POST", "/messages", {**question, "max_tokens": 0.5}), ask("POST", "/messages", {**question, "max_tokens": 9, "stream": True})]
    for headers in told:
        assert headers["anthropic-organization-id"] and headers["anthropic-workspace-id"].startswith("wrkspc_")
    assert not {"anthropic-organization-id", "anthropic-workspace-id"} & set(ask("POST", "/messages", question, "invalid"))
