"""Live and record mode, proven against a second gateway that stands in for the providers."""

from __future__ import annotations

import base64
import json
import logging
from decimal import Decimal
from pathlib import Path

import anthropic
import boto3
import httpx2
import openai
import pytest
from google import genai

from helpers import environment
from helpers.gateway.server import Gateway
from helpers.gateway.sources.upstream import Upstream, from_environment

PROMPT = "Say hello in five words."
MESSAGES = [{"role": "user", "content": PROMPT}]
# Made here so that no key-like string stands in the repository.
KEY = "sk-" + "Secret0123456789" * 2
KEYS = {
    "OPENAI_API_KEY": KEY,
    "ANTHROPIC_API_KEY": KEY + "a",
    "GEMINI_API_KEY": KEY + "g",
    "AWS_ACCESS_KEY_ID": "AKIA" + "SECRETSECRET0123",
    "AWS_SECRET_ACCESS_KEY": KEY + "s",
}


@pytest.fixture
def provider():
    """The second gateway: what the first takes for the real providers."""
    gateway = Gateway(pace=0).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def make(provider, monkeypatch, tmp_path):
    """Starts the first gateway in a mode, with the environment pointed at it."""
    started = []
    mounts = {name: f"{provider.base_url}/{name}" for name in ("openai", "azure", "anthropic", "gemini", "bedrock", "compatible")}

    def start(mode: str, keys: dict = KEYS, **more) -> Gateway:
        upstream = Upstream(mode, keys, bases=mounts, record_to=tmp_path, **more) if mode != "offline" else None
        gateway = Gateway(pace=0, strict=True, recordings=tmp_path, upstream=upstream).start()
        for name, value in environment.variables(gateway.base_url).items():
            monkeypatch.setenv(name, value)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.stop()


def raw(gateway: Gateway, path: str, body: dict, **headers: str) -> httpx2.Response:
    return httpx2.post(gateway.base_url + path, json=body, headers={"x-api-key": "any", "authorization": "Bearer any", **headers}, timeout=30)


CHAT = {"model": "gpt-4o-mini", "messages": MESSAGES}
CLAUDE = {"model": "claude-haiku-5-5", "max_tokens": 500, "messages": MESSAGES}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": PROMPT}]}], "inferenceConfig": {"maxTokens": 500}}
V = {"anthropic-version": "2023-06-01"}
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=ANYBODY/20261101/us-east-1/bedrock/aws4_request, Signature=0"}
REQUESTS = {
    "openai chat": ("/openai/v1/chat/completions", CHAT, {}),
    "openai stream": ("/openai/v1/chat/completions", {**CHAT, "stream": True, "stream_options": {"include_usage": True}}, {}),
    "openai responses": ("/openai/v1/responses", {"model": "gpt-6-luna", "input": PROMPT}, {}),
    "anthropic": ("/anthropic/v1/messages", CLAUDE, V),
    "anthropic stream": ("/anthropic/v1/messages", {**CLAUDE, "stream": True}, V),
    "gemini": ("/gemini/v1/models/gemini-3.5-flash-lite:generateContent", GEMINI, {}),
    "gemini stream": ("/gemini/v1/models/gemini-3.5-flash-lite:streamGenerateContent?alt=sse", GEMINI, {}),
    "bedrock": ("/bedrock/model/us.anthropic.claude-haiku-5-5/converse", CONVERSE, SIGNED),
    "bedrock stream": ("/bedrock/model/us.anthropic.claude-haiku-5-5/converse-stream", CONVERSE, SIGNED),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_recorded_replays_identically(make, tmp_path, name):
    path, body, headers = REQUESTS[name]
    first = raw(make("record", budget_usd=Decimal(1)), path, body, **headers)
    assert first.status_code == 200, first.text
    line = json.loads((tmp_path / "captured.jsonl").read_text())
    again = [raw(make("offline"), path, body, **headers) for _ in range(2)]
    assert again[0].status_code == 200, again[0].text
    assert again[0].content == again[1].content
    assert len(again[0].content) == len(first.content)
    assert again[0].headers["content-type"] == first.headers["content-type"]
    assert again[0].headers["x-course-source"] == "captured"
    assert line["kind"] == "captured" and line["date"] and line["server"] == "127.0.0.1"
    recorded = b"".join(data.encode() if isinstance(data, str) else base64.b64decode(data["base64"]) for _, data in line["answers"][0]["chunks"])
    assert again[0].content == recorded


def test_every_sdk_works_through_record_and_replay(make):
    def ask_all() -> list[str]:
        return [
            openai.OpenAI().chat.completions.create(**CHAT).choices[0].message.content,
            anthropic.Anthropic().messages.create(**CLAUDE).content[-1].text,
            (lambda client: client.models.generate_content(model="gemini-3.5-flash-lite", contents=PROMPT).text)(genai.Client()),
            boto3.client("bedrock-runtime").converse(modelId="us.anthropic.claude-haiku-5-5", **CONVERSE)["output"]["message"]["content"][-1]["text"],
        ]

    make("record", budget_usd=Decimal(1))
    live = ask_all()
    offline = make("offline")
    assert ask_all() == live
    assert set(offline.meter.log().sources()) == {"captured"}


def test_the_budget_refuses_before_anything_is_sent(make, provider):
    gateway = make("live", budget_usd=Decimal("0.000001"))
    with pytest.raises(openai.BadRequestError, match="COURSE_BUDGET_USD"):
        openai.OpenAI().chat.completions.create(**CHAT)
    assert len(provider.meter.log()) == 0
    assert gateway.upstream.spent_usd == gateway.upstream.reserved_usd == 0


def test_what_a_call_cost_is_taken_from_the_budget(make):
    gateway = make("live")
    openai.OpenAI().chat.completions.create(**CHAT, max_tokens=50)
    [entry] = gateway.meter.log()
    assert entry.source.kind == "live"
    expected = (entry.usage.input_tokens * Decimal("0.15") + entry.usage.output_tokens * Decimal("0.60")) / 1_000_000
    assert gateway.upstream.spent_usd == expected > 0
    assert gateway.upstream.reserved_usd == 0


def test_parallel_calls_do_not_overspend_together(make, provider):
    from concurrent.futures import ThreadPoolExecutor

    provider.pace = 1
    make("live", budget_usd=Decimal("0.0000400"))  # one call of 50 tokens can cost 0.0000327 at most

    def ask(_: int) -> bool:
        try:
            openai.OpenAI(max_retries=0).chat.completions.create(**CHAT, max_tokens=50)
        except openai.BadRequestError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(4))) == 1
    assert len(provider.meter.log()) == 1


def test_an_unknown_price_is_refused(make, provider, monkeypatch):
    from helpers import costs

    monkeypatch.setattr(costs, "PROVIDERS", {})
    make("live")
    with pytest.raises(openai.BadRequestError, match="not sent"):
        openai.OpenAI().chat.completions.create(**CHAT)
    assert len(provider.meter.log()) == 0


def test_a_missing_key_says_which_variable_to_set(make):
    make("live", keys={})
    with pytest.raises(openai.BadRequestError, match="OPENAI_API_KEY"):
        openai.OpenAI().chat.completions.create(**CHAT)


def test_batches_are_not_passed_on(make, provider):
    make("live")
    with pytest.raises(openai.BadRequestError, match="cannot be priced"):
        openai.OpenAI().files.create(file=("in.jsonl", b"{}\n"), purpose="batch")
    assert openai.OpenAI().models.list().data
    assert [entry.operation for entry in provider.meter.log()] == ["models"]


def test_requests_reach_the_provider_with_the_real_credentials(make, provider, monkeypatch):
    seen = []
    for dialect, _ in provider._dialects:
        monkeypatch.setattr(dialect, "key", lambda call, original=dialect.key: seen.append(original(call)) or original(call))
    make("live", budget_usd=Decimal(1))
    openai.OpenAI(api_key="dummy").chat.completions.create(**CHAT)
    boto3.client("bedrock-runtime").converse(modelId="us.anthropic.claude-haiku-5-5", **CONVERSE)
    assert seen == [KEYS["OPENAI_API_KEY"], KEYS["AWS_ACCESS_KEY_ID"]]


def test_a_real_key_is_never_written_or_shown(make, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    gateway = make("record", budget_usd=Decimal(1))
    client = openai.OpenAI()
    client.chat.completions.create(**CHAT)
    client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": f"Is {KEY} a key?"}])
    written = (tmp_path / "captured.jsonl").read_text()
    shown = caplog.text + repr(gateway.upstream) + repr(vars(gateway)) + str(gateway.meter.log())
    assert len(written.splitlines()) == 1
    assert not [value for value in KEYS.values() if value in written or value in shown]
    assert [entry.note for entry in gateway.meter.log()] == ["recorded", "not recorded: the request holds a key"]


def test_a_provider_that_cannot_be_reached_is_named(make, provider):
    make("live")
    provider.stop()
    with pytest.raises(openai.BadRequestError, match="could not reach 127.0.0.1"):
        openai.OpenAI(max_retries=0).chat.completions.create(**CHAT)


def test_keys_come_from_the_environment_before_dotenv(tmp_path):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-file\nANTHROPIC_API_KEY=from-file\nGEMINI_API_KEY=\n")
    upstream = from_environment("live", environ={"OPENAI_API_KEY": "from-shell"}, dotenv=Path(tmp_path / ".env"))
    assert upstream._keys == {"OPENAI_API_KEY": "from-shell", "ANTHROPIC_API_KEY": "from-file"}
