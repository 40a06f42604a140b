"""Live and record mode, proven against a second gateway that stands in for the providers."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Semaphore

import anthropic
import boto3
import botocore.exceptions
import httpx
import httpx2
import openai
import pytest
from google import genai
from hypothesis import given
from hypothesis import strategies as st

from helpers import costs, environment
from helpers.gateway.clock import http_date
from helpers.gateway.server import Gateway
from helpers.gateway.sources.credentials import Keys
from helpers.gateway.sources.recordings import lines
from helpers.gateway.sources.scrub import Scrubber
from helpers.gateway.sources.upstream import from_environment

PROMPT = "Say hello in five words."
MESSAGES = [{"role": "user", "content": PROMPT}]
# Put together here, so that nothing in the repository looks like a key.
KEY = "sk-" + "Secret0123456789" * 2
KEYS = {
    "OPENAI_API_KEY": KEY,
    "AZURE_OPENAI_API_KEY": "azure" + KEY[3:],
    "ANTHROPIC_API_KEY": KEY + "a",
    "GEMINI_API_KEY": "gemini/" + KEY[3:],
    "AWS_ACCESS_KEY_ID": "AKIA" + "SECRETSECRET0123",
    "AWS_SECRET_ACCESS_KEY": "secret/" + KEY[3:],
    "AWS_SESSION_TOKEN": "session/" + KEY[3:],
}
MOUNTS = ("openai", "azure", "anthropic", "gemini", "bedrock", "compatible")

CHAT = {"model": "gpt-4o-mini", "messages": MESSAGES}
USAGE = {"stream_options": {"include_usage": True}}
RESPONSE = {"model": "gpt-6-luna", "input": PROMPT}
CLAUDE = {"model": "claude-haiku-5-5", "max_tokens": 500, "messages": MESSAGES}
GEMINI, LLAMA = "gemini-3.5-flash-lite", "meta-llama/Llama-3.1-8B-Instruct"
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
HAIKU, OLD_HAIKU = "us.anthropic.claude-haiku-5-5", "us.anthropic.claude-haiku-4-5-20251001-v1:0"
EMBEDDING, VECTORS, TITAN, COHERE = "text-embedding-3-small", "gemini-embedding-2", "amazon.titan-embed-text-v2:0", "cohere.embed-v4:0"
CONVERSE = {"messages": [{"role": "user", "content": [{"text": PROMPT}]}], "inferenceConfig": {"maxTokens": 500}}
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=ANYBODY/20261101/us-east-1/bedrock/aws4_request, Signature=0"}
REQUESTS = {
    "openai chat": ("/openai/v1/chat/completions", CHAT),
    "openai stream": ("/openai/v1/chat/completions", {**CHAT, "stream": True, **USAGE}),
    "openai responses": ("/openai/v1/responses", RESPONSE),
    "openai responses stream": ("/openai/v1/responses", {**RESPONSE, "stream": True}),
    "azure": ("/azure/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21", {"messages": MESSAGES}),
    "anthropic": ("/anthropic/v1/messages", CLAUDE),
    "anthropic stream": ("/anthropic/v1/messages", {**CLAUDE, "stream": True}),
    "gemini": (f"/gemini/v1beta/models/{GEMINI}:generateContent", CONTENTS),
    "gemini stream": (f"/gemini/v1beta/models/{GEMINI}:streamGenerateContent?alt=sse", CONTENTS),
    "bedrock": (f"/bedrock/model/{HAIKU}/converse", CONVERSE),
    "bedrock stream": (f"/bedrock/model/{HAIKU}/converse-stream", CONVERSE),
    "compatible": ("/compatible/v1/chat/completions", {**CHAT, "model": LLAMA}),
    "openai embeddings": ("/openai/v1/embeddings", {"model": EMBEDDING, "input": [PROMPT, "b"], "dimensions": 16}),
    "azure embeddings": (f"/azure/openai/deployments/{EMBEDDING}/embeddings?api-version=2024-10-21", {"input": [[1, 2], [3]]}),
    "gemini embeddings": (f"/gemini/v1beta/models/{VECTORS}:batchEmbedContents", {"requests": [{"model": f"models/{VECTORS}", "content": {"parts": [{"text": PROMPT}]}, "taskType": "CLUSTERING"}]}),
    "bedrock titan": (f"/bedrock/model/{TITAN}/invoke", {"inputText": PROMPT, "dimensions": 256}),
    "bedrock cohere": (f"/bedrock/model/{COHERE}/invoke", {"texts": [PROMPT], "input_type": "search_query"}),
    "compatible embeddings": ("/compatible/v1/embeddings", {"model": "house-embed", "input": PROMPT}),
}


def bedrock():
    return boto3.client("bedrock-runtime")


def bedrock_stream() -> str:
    events = bedrock().converse_stream(modelId=OLD_HAIKU, **CONVERSE)["stream"]
    return "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)


def anthropic_stream() -> str:
    with anthropic.Anthropic().messages.stream(**CLAUDE) as stream:
        return "".join(stream.text_stream)


def gemini_stream() -> str:
    client = genai.Client()
    return "".join(chunk.text or "" for chunk in client.models.generate_content_stream(model=GEMINI, contents=PROMPT))


def gemini() -> str:
    client = genai.Client()
    return client.models.generate_content(model=GEMINI, contents=PROMPT).text


def gemini_vectors() -> str:
    client = genai.Client()
    return str(client.models.embed_content(model=VECTORS, contents=PROMPT).embeddings[0].values)


def openai_stream() -> str:
    chunks = openai.OpenAI().chat.completions.create(**CHAT, stream=True, **USAGE)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def responses_stream() -> str:
    events = openai.OpenAI().responses.create(**RESPONSE, stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


SDKS: dict[str, Callable[[], str]] = {
    "openai": lambda: openai.OpenAI().chat.completions.create(**CHAT).choices[0].message.content,
    "openai stream": openai_stream,
    "openai responses": lambda: openai.OpenAI().responses.create(**RESPONSE).output_text,
    "openai responses stream": responses_stream,
    "azure": lambda: openai.AzureOpenAI().chat.completions.create(**CHAT).choices[0].message.content,
    "anthropic": lambda: anthropic.Anthropic().messages.create(**CLAUDE).content[-1].text,
    "anthropic stream": anthropic_stream,
    "gemini": gemini,
    "gemini stream": gemini_stream,
    "bedrock": lambda: bedrock().converse(modelId=OLD_HAIKU, **CONVERSE)["output"]["message"]["content"][-1]["text"],
    "bedrock stream": bedrock_stream,
    "openai embeddings": lambda: str(openai.OpenAI().embeddings.create(model=EMBEDDING, input=PROMPT).data[0].embedding),
    "gemini embeddings": gemini_vectors,
    "bedrock titan": lambda: bedrock().invoke_model(modelId=TITAN, body=json.dumps({"inputText": PROMPT}))["body"].read().decode(),
}


@pytest.fixture
def provider(tmp_path_factory):
    """The second gateway: what the first takes for the real providers. It has no recordings but those of `answers_with`."""
    gateway = Gateway(pace=0, recordings=tmp_path_factory.mktemp("provider")).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def make(provider, monkeypatch, tmp_path):
    """Starts the first gateway in a mode, with the environment pointed at it."""
    from helpers.gateway.sources.upstream import Upstream

    started = []
    bases = {name: f"{provider.base_url}/{name}" for name in MOUNTS}
    for name in environment.REMOVED:
        monkeypatch.delenv(name, raising=False)

    def start(mode: str, keys: dict[str, str] = KEYS, budget: str = "1") -> Gateway:
        upstream = Upstream(mode, keys, budget_usd=Decimal(budget), bases=bases, record_to=tmp_path) if mode != "offline" else None
        gateway = Gateway(pace=0, strict=True, recordings=tmp_path, upstream=upstream).start()
        for name, value in environment.variables(gateway.base_url).items():
            monkeypatch.setenv(name, value)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.stop()


def ask(gateway: Gateway, path: str, body: dict) -> httpx2.Response:
    credentials = SIGNED if path.startswith("/bedrock") else {"authorization": "Bearer any"}
    headers = {"x-api-key": "any", "api-key": "any", "x-goog-api-key": "any", "anthropic-version": "2023-06-01", **credentials}
    return httpx2.post(gateway.base_url + path, json=body, headers=headers, timeout=30)


def answers_with(provider: Gateway, name: str, model: str, *texts: str) -> None:
    """Let the stand-in provider give these answers, in turn, to the prompt of all tests."""
    line = {"kind": "scripted", "date": "2026-11-23", "provider": name, "models": [model], "messages": [["user", PROMPT]]}
    provider.in_loop(lambda: provider.recordings.add({**line, "answers": [{"text": text} for text in texts]}))


def recorded(folder) -> list[dict]:
    path = folder / "captured.jsonl"
    return [json.loads(line) for _, line in lines(path)] if path.exists() else []


def content(answer: dict) -> list[bytes]:
    return [data.encode() if isinstance(data, str) else base64.b64decode(data["base64"]) for _, data in answer["chunks"]]


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


# ---- recording and replay ----------------------------------------------------
@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_recorded_replays_identically(make, provider, tmp_path, name):
    provider.pace = 0.1
    first = ask(make("record"), *REQUESTS[name])
    assert first.status_code == 200, first.text
    [line] = recorded(tmp_path)
    [answer] = line["answers"]
    again = [ask(make("offline"), *REQUESTS[name]) for _ in range(2)]
    assert again[0].status_code == first.status_code and again[0].headers["x-course-source"] == "captured"
    assert again[0].content == again[1].content == b"".join(content(answer))
    changed = [new for old, new in zip(first.content, again[0].content, strict=True) if old != new]
    assert all(chr(new).isdigit() for new in changed), "nothing but ids may differ from what the provider sent"
    assert (len(answer["chunks"]) > 1) == ("stream" in name)
    assert "stream" in name or answer["chunks"][0][0] > 0.01, "a chunk's time counts from the request"
    for header, value in answer["headers"]:
        assert again[0].headers[header] == value
        assert value == first.headers[header] or set(value) <= set("0-_req"), f"{header} is neither as sent nor zeros"


@pytest.mark.parametrize("name", SDKS)
def test_every_sdk_works_through_record_and_replay(make, tmp_path, name):
    make("record")
    live = SDKS[name]()
    # An SDK that stops at the last event has its answer before it is in the file.
    assert live and eventually(lambda: [len(line["answers"]) for line in recorded(tmp_path)] == [1])
    offline = make("offline")
    assert SDKS[name]() == live
    assert offline.meter.log().sources() == {"captured": 1}


OTHER_WAYS = {  # to ask the same of the same model
    "openai": (REQUESTS["openai chat"], ("/openai/v1/responses", {"model": CHAT["model"], "input": PROMPT})),
    "anthropic": (REQUESTS["anthropic"], ("/anthropic/v1/chat/completions", CLAUDE)),
    "gemini": (REQUESTS["gemini"], ("/gemini/v1beta/openai/chat/completions", {"model": GEMINI, "messages": MESSAGES})),
    "gemini interactions": (REQUESTS["gemini"], ("/gemini/v1beta/interactions", {"model": GEMINI, "input": PROMPT})),
    "gemini embeddings": ((f"/gemini/v1beta/models/{VECTORS}:embedContent", {"content": {"parts": [{"text": PROMPT}]}}), (f"/gemini/v1beta/models/{VECTORS}:batchEmbedContents", {"requests": [{"model": f"models/{VECTORS}", "content": {"parts": [{"text": PROMPT}]}}]})),
    "bedrock": (REQUESTS["bedrock"], (f"/bedrock/model/{HAIKU}/invoke", {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 500, "messages": MESSAGES})),
}


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_what_one_operation_answered_is_no_answer_of_another(make, tmp_path, name):
    first, other = OTHER_WAYS[name]
    assert ask(make("record"), *first).status_code == 200
    offline = make("offline")
    answer = ask(offline, *other)
    assert "no recording for this request" in answer.text and answer.headers.get("x-course-source") != "captured"
    assert ask(offline, *first).headers["x-course-source"] == "captured"


def test_a_recording_that_names_no_operation_answers_any_that_has_none_of_its_own(make, tmp_path):
    make("record")
    said = SDKS["openai"]()
    [line] = recorded(tmp_path)
    shape = {name: value for name, value in line["shape"].items() if name != "operation"}  # as it was written up to November 2026
    (tmp_path / "captured.jsonl").write_text(json.dumps({**line, "shape": shape}) + "\n")
    make("offline")
    assert SDKS["openai"]() == said
    other = json.loads(json.dumps(line["answers"]).replace(json.dumps(said)[1:-1], "Another answer."))
    assert other != line["answers"]
    (tmp_path / "newer.jsonl").write_text(json.dumps({**line, "answers": other}) + "\n")
    make("offline")
    assert SDKS["openai"]() == "Another answer."


def test_a_recording_says_where_it_comes_from(make, tmp_path):
    make("record")
    SDKS["openai"]()
    SDKS["bedrock"]()
    lines = {line["provider"]: line for line in recorded(tmp_path)}
    assert {line["kind"] for line in lines.values()} == {"captured"}
    assert lines["openai"]["server"] == "127.0.0.1" and lines["openai"]["date"] >= "2026-11-23"
    assert lines["openai"]["versions"] == f"OpenAI/Python {openai.__version__}"
    assert lines["bedrock"]["versions"] == f"Boto3/{boto3.__version__}"
    assert not {"authorization", "user-agent"} & {name for line in lines.values() for name, _ in line["answers"][0]["headers"]}


@pytest.mark.parametrize("name", ["anthropic", "anthropic stream"])
def test_the_date_is_the_provider_s_as_its_resets_are_and_is_not_recorded(make, provider, tmp_path, name):
    provider.stop_clock()
    provider.advance(hours=3)
    answer = ask(make("record"), *REQUESTS[name])
    assert answer.headers.get_list("date") == [http_date(int(provider.clock.now()))]
    assert "date" not in dict(recorded(tmp_path)[0]["answers"][0]["headers"])


def test_a_question_asked_twice_is_answered_in_turn(make, provider, tmp_path):
    answers_with(provider, "openai", "gpt-4o-mini", "First.", "Second.")
    make("record")
    assert [SDKS["openai"]() for _ in range(2)] == ["First.", "Second."]
    SDKS["anthropic"]()
    assert [(line["provider"], len(line["answers"])) for line in recorded(tmp_path)] == [("anthropic", 1), ("openai", 2)]
    make("offline")
    assert [SDKS["openai"]() for _ in range(3)] == ["First.", "Second.", "First."]


def test_a_refusal_by_the_provider_is_recorded_too(make, provider, tmp_path):
    provider.fault("blocked", "azure")
    gateway = make("record")
    assert ask(gateway, *REQUESTS["azure"]).status_code == 400
    assert gateway.upstream.spent_usd == gateway.upstream.reserved_usd == 0
    make("offline")
    with pytest.raises(openai.BadRequestError, match="content management policy"):
        SDKS["azure"]()


@pytest.mark.parametrize(("fault", "status"), [("wrong_key", 401), ("rate_limited", 429), ("overloaded", 529), ("server_error", 500)])
def test_what_says_nothing_of_the_request_is_passed_on_but_not_recorded(make, provider, tmp_path, fault, status):
    provider.fault(fault, "anthropic")
    gateway = make("record")
    answer = ask(gateway, *REQUESTS["anthropic"])
    assert answer.status_code == status and answer.json()["type"] == "error"
    assert recorded(tmp_path) == [] and gateway.upstream.spent_usd == gateway.upstream.reserved_usd == 0
    assert "not recorded" in gateway.meter.log()[0].note


# ---- the budget --------------------------------------------------------------
@pytest.mark.parametrize("name", [name for name in REQUESTS if not name.startswith("compatible")])  # a server of one's own costs nothing
def test_the_budget_refuses_before_anything_is_sent(make, provider, name):
    gateway = make("live", budget="0.0000001")
    refused = ask(gateway, *REQUESTS[name])
    assert refused.status_code == 400
    for part in ("could cost up to 0.", "budget is 0.0000001 USD", "0.00 USD of it is spent", "COURSE_BUDGET_USD"):
        assert part in refused.text
    assert len(provider.meter.log()) == 0
    assert gateway.upstream.spent_usd == gateway.upstream.reserved_usd == 0


def test_a_server_of_ones_own_needs_no_budget_and_no_key(make):
    gateway = make("live", keys={}, budget="0")
    assert ask(gateway, *REQUESTS["compatible"]).status_code == 200
    assert gateway.upstream.spent_usd == 0


@pytest.mark.parametrize("path", ["/tgi/v1/chat/completions", "/ollama/v1/chat/completions", "/ollama/api/chat"])
def test_a_stand_in_for_a_server_passes_nothing_on(make, provider, path):
    """Behind it there is the house model in every mode, and nothing else."""
    gateway = make("live")
    name = "llama3.1:8b" if "ollama" in path else "meta-llama/Llama-3.1-8B-Instruct"
    body = {"messages": [{"role": "user", "content": "Say hello in five words."}], "max_tokens": 2, "options": {"num_predict": 2}}
    refused = ask(gateway, path, {**body, "model": name})
    assert refused.status_code == 400 and "the house model by its own name, and no other" in refused.text
    assert ask(gateway, path, {**body, "model": "house"}).status_code == 200
    assert httpx2.get(f"{gateway.base_url}/tgi/v1/models").json()["data"][0]["id"] == "house"


def test_what_a_call_cost_is_taken_from_the_budget(make):
    gateway = make("live")
    openai.OpenAI().chat.completions.create(**CHAT, max_tokens=50)
    [entry] = gateway.meter.log()
    assert (entry.source.kind, entry.source.detail) == ("live", "127.0.0.1")
    expected = (entry.usage.input_tokens * Decimal("0.15") + entry.usage.output_tokens * Decimal("0.60")) / 1_000_000
    assert gateway.upstream.spent_usd == expected > 0
    assert gateway.upstream.reserved_usd == 0


def test_the_most_is_the_dearest_input_and_all_the_output_allowed(make):
    """claude-haiku-5-5 writes an hour's cache at 0.20 and answers at 0.50 USD a million, and may be set to one country at 1.1 times that."""
    most = (len(json.dumps(CLAUDE)) * Decimal("0.20") + 500 * Decimal("0.50")) / 1_000_000 * Decimal("1.1")
    assert ask(make("live", budget=str(most)), *REQUESTS["anthropic"]).status_code == 200
    assert ask(make("live", budget=str(most - Decimal("0.0000001"))), *REQUESTS["anthropic"]).status_code == 400


def test_parallel_calls_do_not_overspend_together(make, provider):
    provider.fault("stalled", chunk=2)
    gateway = make("live", budget="0.000120")  # one call of 50 tokens can cost 0.000099 at most
    refused = Semaphore(0)

    def call(_: int) -> bool:
        """Whether the call was sent. One that was stays under way until the three others are refused."""
        try:
            with openai.OpenAI(max_retries=0).chat.completions.create(**CHAT, max_tokens=50, stream=True):
                return all(refused.acquire(timeout=60) for _ in range(3))
        except openai.BadRequestError as error:
            assert "held for calls under way" in str(error)
            refused.release()
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(call, range(4))) == 1
    assert len(provider.meter.log()) == 1
    assert eventually(lambda: gateway.upstream.reserved_usd == 0)


def test_a_stream_that_does_not_state_its_usage_counts_as_the_most(make):
    gateway = make("live")
    assert ask(gateway, REQUESTS["openai stream"][0], {**CHAT, "stream": True, "max_tokens": 1000}).status_code == 200
    assert gateway.upstream.spent_usd > Decimal("0.0006") and gateway.upstream.reserved_usd == 0


def test_a_client_that_leaves_early_is_charged_the_most(make, provider):
    provider.pace = 1
    gateway = make("live")
    answers_with(provider, "openai", "gpt-4o-mini", "word " * 900)
    stream = openai.OpenAI().chat.completions.create(**CHAT, max_tokens=1000, stream=True, **USAGE)
    next(iter(stream))
    held = gateway.upstream.reserved_usd
    stream.close()
    assert held > Decimal("0.0006")
    assert eventually(lambda: gateway.upstream.spent_usd == held) and gateway.upstream.reserved_usd == 0
    assert eventually(lambda: provider.meter.log()[0].note == "the client went away")


def test_a_client_that_does_not_wait_for_the_answer_is_charged_the_most(make, provider):
    provider.fault("slow", seconds=3)
    gateway = make("live")
    with pytest.raises(openai.APITimeoutError):
        openai.OpenAI(timeout=0.5, max_retries=0).chat.completions.create(**CHAT, max_tokens=1000)
    assert eventually(lambda: gateway.upstream.spent_usd > Decimal("0.0006")) and gateway.upstream.reserved_usd == 0


def test_an_unknown_price_is_refused(make, provider, monkeypatch):
    monkeypatch.setattr(costs, "PROVIDERS", {})
    make("live")
    with pytest.raises(openai.BadRequestError, match="not sent"):
        SDKS["openai"]()
    assert len(provider.meter.log()) == 0


PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
UNPRICED = {
    "openai responses": [
        {"service_tier": "priority"},
        {"tools": [{"type": "web_search"}]},
        {"background": True},
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"moderation": {"model": "omni-moderation-latest"}},
        {"context_management": [{"type": "compaction"}]},
    ],
    "openai chat": [
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
    ],
    "anthropic": [
        {"messages": [{"role": "user", "content": [PDF]}]},
        {"tools": [{"type": "web_search_20260209", "name": "web_search"}]},
        {"speed": "fast"},
        {"inference_geo": "us"},
    ],
    "gemini": [
        {"tools": [{"googleSearch": {}}]},
        {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}}]}]},
    ],
}


@pytest.mark.parametrize(("name", "more"), [(name, more) for name, cases in UNPRICED.items() for more in cases], ids=str)
def test_what_no_count_of_tokens_can_price_is_refused(make, provider, name, more):
    path, body = REQUESTS[name]
    refused = ask(make("live"), path, {**body, **more})
    assert refused.status_code == 400 and "cannot be priced" in refused.text, refused.text
    assert len(provider.meter.log()) == 0


@pytest.mark.parametrize("path", ["responses/resp_1/cancel", "conversations", "conversations/conv_1", "conversations/conv_1/items"])
def test_what_openai_keeps_is_not_changed_in_live_mode(make, provider, path):
    refused = ask(make("live"), f"/openai/v1/{path}", {"metadata": {}})
    assert refused.status_code == 400 and "cannot be priced" in refused.text, refused.text
    assert len(provider.meter.log()) == 0


def test_a_compaction_is_priced_and_passed_on(make, provider):
    gateway = make("live")
    answer = ask(gateway, "/openai/v1/responses/compact", {"model": "gpt-4o-mini", "input": "Say hello in five words."})
    assert answer.status_code == 200 and answer.json()["object"] == "response.compaction", answer.text
    assert gateway.upstream.spent_usd > 0 and [entry.operation for entry in provider.meter.log()] == ["compact"]


PARAMETERS = {"type": "object", "properties": {"file": {"type": "string"}}}
FUNCTION = {"name": "weather", "description": 'Says "type": "file" and more.', "parameters": PARAMETERS}
TOOLS = {
    "openai chat": {"tools": [{"type": "function", "function": FUNCTION}]},
    "openai responses": {"tools": [{"type": "function", **FUNCTION}]},
    "anthropic": {"tools": [{"name": "weather", "input_schema": PARAMETERS}]},
    "gemini": {"tools": [{"functionDeclarations": [FUNCTION]}]},
    "bedrock": {"toolConfig": {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": PARAMETERS}}}]}},
}


@pytest.mark.parametrize("name", TOOLS)
def test_tools_of_the_client_are_passed_on(make, name):
    path, body = REQUESTS[name]
    answer = ask(make("live"), path, {**body, **TOOLS[name]})
    assert answer.status_code == 200, answer.text


def test_caches_are_not_passed_on_but_what_is_free_is(make, provider):
    gateway = make("live")
    client = genai.Client()
    with pytest.raises(genai.errors.ClientError, match="cannot be priced"):
        client.caches.create(model=GEMINI, config={"contents": PROMPT})
    assert len(provider.meter.log()) == 0
    assert openai.OpenAI().models.list().data
    assert anthropic.Anthropic().messages.count_tokens(model=CLAUDE["model"], messages=MESSAGES).input_tokens > 0
    assert openai.OpenAI().moderations.create(input="Hi").results
    assert openai.OpenAI().chat.completions.list().data == []
    assert [entry.operation for entry in provider.meter.log()] == ["models", "count tokens", "moderations", "stored chats"]
    assert gateway.meter.log().sources() == {"live": 4}


# ---- keys --------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "variable"),
    [("openai chat", "OPENAI"), ("azure", "AZURE_OPENAI"), ("anthropic", "ANTHROPIC"), ("gemini", "GEMINI")],
)
def test_a_missing_key_says_which_variable_to_set(make, provider, name, variable):
    gateway = make("live", keys={})
    refused = ask(gateway, *REQUESTS[name])
    assert refused.status_code == 400 and f"{variable}_API_KEY is missing" in refused.text
    assert f"{variable}_API_KEY is missing" in gateway.meter.log()[0].note
    assert len(provider.meter.log()) == 0


def test_half_an_aws_key_is_no_key(make):
    refused = ask(make("live", keys={"AWS_ACCESS_KEY_ID": KEYS["AWS_ACCESS_KEY_ID"]}), *REQUESTS["bedrock"])
    assert refused.status_code == 400 and "AWS_SECRET_ACCESS_KEY is missing" in refused.text


def test_a_bedrock_project_reaches_the_provider_and_is_signed(make, provider, monkeypatch):
    dialect = next(dialect for dialect, _ in provider._dialects if dialect.provider == "bedrock")
    seen = []
    monkeypatch.setattr(dialect, "key", lambda call, key=dialect.key: seen.append(call) or key(call))
    gateway = make("live")
    headers = {**SIGNED, "x-amzn-bedrock-projectidentifier": "team-a"}
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    httpx2.post(f"{gateway.base_url}/bedrock/model/{HAIKU}/invoke", json=body, headers=headers)
    assert seen[-1].headers["x-amzn-bedrock-projectidentifier"] == "team-a"
    assert "x-amzn-bedrock-projectidentifier" in seen[-1].headers["authorization"]


def test_requests_reach_the_provider_with_the_real_keys_alone(make, provider, monkeypatch):
    seen = {}
    for dialect, _ in provider._dialects:
        keep = dialect.key
        note = seen.__setitem__
        monkeypatch.setattr(dialect, "key", lambda call, keep=keep, name=dialect.provider: note(name, call) or keep(call))
    gateway = make("live")
    for name in ("openai chat", "azure", "anthropic", "gemini", "bedrock"):
        path, body = REQUESTS[name]
        ask(gateway, f"{path}{'&' if '?' in path else '?'}key=any", body)
    sent = {name: call.headers for name, call in seen.items()}
    assert sent["openai"]["authorization"] == f"Bearer {KEY}"
    assert sent["azure"]["api-key"] == KEYS["AZURE_OPENAI_API_KEY"]
    assert sent["anthropic"]["x-api-key"] == KEYS["ANTHROPIC_API_KEY"]
    assert sent["gemini"]["x-goog-api-key"] == KEYS["GEMINI_API_KEY"]
    assert f"Credential={KEYS['AWS_ACCESS_KEY_ID']}/" in sent["bedrock"]["authorization"]
    assert "/us-east-1/bedrock/aws4_request" in sent["bedrock"]["authorization"]
    assert sent["bedrock"]["x-amz-security-token"] == KEYS["AWS_SESSION_TOKEN"]
    for name, call in seen.items():
        assert "any" not in call.headers.values() and "Bearer any" not in call.headers.values() and "key" not in call.query, name
        assert call.headers["accept-encoding"] == "identity"


def test_a_real_key_is_never_written_or_shown(make, provider, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    gateway = make("record")
    for sdk in SDKS.values():
        sdk()
    answers_with(provider, "openai", "gpt-4o", f"The key is {KEY}, of someone@company.com.")
    echoed = openai.OpenAI().chat.completions.create(model="gpt-4o", messages=MESSAGES).choices[0].message.content
    openai.OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": f"Is {KEY} a key?"}])
    assert echoed.startswith("The key is xxx") and echoed.endswith("of someone@company.com."), "all of it is shown but the learner's own key"
    written = (tmp_path / "captured.jsonl").read_text(encoding="utf-8")
    shown = caplog.text + repr(gateway.upstream) + repr(vars(gateway.upstream)) + str(gateway.meter.log())
    for value in KEYS.values():
        assert value not in written and value not in shown
    assert "company" not in written and "The key is xxx" in written
    notes = [entry.note for entry in gateway.meter.log()]
    assert notes[:-1] == ["recorded"] * (len(SDKS) + 1) and notes[-1].startswith("not recorded: the request holds a key")


def test_a_secret_inside_binary_frames_is_not_recorded(make, provider, tmp_path):
    answers_with(provider, "bedrock", HAIKU, "Write to someone@company.com.")
    gateway = make("record")
    assert ask(gateway, *REQUESTS["bedrock stream"]).status_code == 200
    assert recorded(tmp_path) == [] and "binary frames" in gateway.meter.log()[0].note


def test_keys_come_from_the_environment_before_dotenv(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-file\nANTHROPIC_API_KEY=from-file\nGEMINI_API_KEY=\n")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    keys = from_environment("live", environ={"OPENAI_API_KEY": "from-shell"})._keys
    assert keys == Keys({"OPENAI_API_KEY": "from-shell", "ANTHROPIC_API_KEY": "from-file"})
    assert repr(keys) == "Keys(ANTHROPIC_API_KEY, OPENAI_API_KEY)"


def test_what_a_gateway_set_in_a_shell_is_no_key_and_no_address(tmp_path):
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-file\nAWS_DEFAULT_REGION=eu-central-1\n")
    shell = environment.variables("http://127.0.0.1:1")
    keys = from_environment("live", environ=shell, dotenv_path=tmp_path / ".env")._keys
    assert keys == Keys({"OPENAI_API_KEY": "from-file", "AWS_DEFAULT_REGION": "eu-central-1"})


# ---- the network -------------------------------------------------------------
LOST = {
    "openai": openai.APIConnectionError,
    "azure": openai.APIConnectionError,
    "anthropic": anthropic.APIConnectionError,
    "gemini": (httpx.TransportError, httpx2.TransportError),
    "bedrock": (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError),
}


@pytest.mark.parametrize("name", [name for name in SDKS if name.partition(" ")[0] in LOST])
def test_a_provider_that_cannot_be_reached_is_the_sdks_connection_error_and_costs_nothing(make, provider, name):
    gateway = make("live")
    provider.stop()
    with pytest.raises(LOST[name.partition(" ")[0]]):
        SDKS[name]()
    log = gateway.meter.log()
    assert all("could not reach 127.0.0.1: ConnectError" in entry.note and entry.status == 0 for entry in log) and log
    assert gateway.upstream.spent_usd == gateway.upstream.reserved_usd == 0


def test_the_sdk_tries_a_lost_connection_again_as_it_would_without_a_gateway(make, provider):
    gateway = make("live")
    provider.stop()
    with pytest.raises(openai.APIConnectionError):
        openai.OpenAI(max_retries=1).chat.completions.create(**CHAT)
    assert len(gateway.meter.log()) == 2
    with pytest.raises(openai.APIConnectionError):
        openai.OpenAI(max_retries=0).models.list()
    assert "could not reach" in gateway.meter.log()[-1].note


@pytest.mark.parametrize("address", ["nonsense", "http://[", "https://host:port"])
def test_an_address_that_is_none_gets_a_sentence(make, address):
    gateway = make("live")
    gateway.upstream._bases["azure"] = address
    refused = ask(gateway, *REQUESTS["azure"])
    assert refused.status_code == 400 and "no_upstream" in refused.text, refused.text


@pytest.mark.parametrize("name", ["openai stream", "anthropic stream", "bedrock stream"])
def test_a_stream_that_the_provider_cuts_is_cut_for_the_client(make, provider, tmp_path, name):
    provider.fault("stream_cut")
    gateway = make("record")
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(gateway, *REQUESTS[name])
    assert eventually(lambda: gateway.meter.log()[0].note == "the provider's answer broke off")
    assert gateway.upstream.spent_usd > 0 and gateway.upstream.reserved_usd == 0
    assert recorded(tmp_path) == []


def test_an_error_inside_a_stream_is_passed_on_but_not_recorded(make, provider, tmp_path):
    provider.fault("overloaded_in_stream", "anthropic")
    gateway = make("record")
    assert "overloaded_error" in ask(gateway, *REQUESTS["anthropic stream"]).text
    assert recorded(tmp_path) == [] and gateway.upstream.spent_usd > Decimal("0.00025"), "the most, as its usage is no end"


def test_a_stream_arrives_while_the_provider_still_speaks(make, provider):
    provider.pace = 1
    gateway = make("live")
    provider.fault("stalled", "anthropic", chunk=2)
    url, body = REQUESTS["anthropic stream"]
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    with httpx2.stream("POST", gateway.base_url + url, json=body, headers=headers, timeout=10) as answer:
        assert b"message_start" in next(answer.iter_raw())


USAGE_CHUNK = {"id": "x", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}


def test_a_client_that_stops_at_the_last_event_is_charged_what_the_answer_says(make, tmp_path):
    """OpenAI's SDK closes a stream at [DONE]; a real connection ends a moment later."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            said = f"data: {json.dumps(USAGE_CHUNK)}\n\ndata: [DONE]\n\n".encode()
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            connection.sendall(head + f"{len(said):x}\r\n".encode() + said + b"\r\n")
            time.sleep(0.3)
            connection.sendall(b"0\r\n\r\n")

    gateway = make("record")
    gateway.upstream._bases["openai"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with listener, ThreadPoolExecutor(1) as pool:
        pool.submit(serve)
        assert openai_stream() == ""
        assert eventually(lambda: gateway.upstream.spent_usd > 0)
    assert gateway.upstream.spent_usd == (9 * Decimal("0.15") + 3 * Decimal("0.60")) / 1_000_000
    assert eventually(lambda: gateway.meter.log()[0].note == "recorded") and len(recorded(tmp_path)) == 1


# ---- what a provider says back -----------------------------------------------
@pytest.fixture
def saying(make, server_saying):
    """Starts a gateway whose OpenAI is a server that sends these chunks, whatever it is asked."""

    def start(mode: str, status: int, content_type: str, *chunks: bytes) -> Gateway:
        gateway = make(mode)
        gateway.upstream._bases["openai"] = server_saying(status, content_type, *chunks)
        return gateway

    return start


@pytest.mark.parametrize("mode", ["live", "record"])
@pytest.mark.parametrize(
    ("status", "said", "hidden"),
    [
        (401, f"Incorrect API key provided: {KEY}.", KEY),
        (401, f"Incorrect API key provided: {KEY[:8]}{'*' * 12}{KEY[-4:]}.", KEY[:8]),
        (401, f"Incorrect API key provided: {KEY[:8]}{'*' * 12}{KEY[-4:]}.", KEY[-4:]),
        (401, f"The key that begins with {KEY[:11]} is not known.", KEY[:11]),
        (400, f"The header authorization: Bearer {KEY} is not allowed here.", KEY),
        (500, f"Asked with {KEY} by someone@company.com.", "company"),
        (429, "Rate limit reached in organization org-Abcdefghijklmnop1234.", "Abcdefghijklmnop1234"),
        (404, f"No such key: {KEYS['AWS_SECRET_ACCESS_KEY'].replace('/', '%2F')}", "Secret0123456789"),
    ],
)
def test_an_error_shows_no_part_of_a_key_or_account(saying, tmp_path, mode, status, said, hidden):
    assert hidden in said
    body = json.dumps({"error": {"message": said, "type": "t", "param": None, "code": None}}).encode()
    gateway = saying(mode, status, "application/json", body[:40], body[40:])
    with pytest.raises(openai.APIStatusError) as caught:
        openai.OpenAI(max_retries=0).chat.completions.create(**CHAT)
    assert caught.value.status_code == status and hidden not in str(caught.value) and said[:9] in str(caught.value)
    assert hidden not in str(gateway.meter.log()) + json.dumps(recorded(tmp_path))


def test_a_key_that_is_spread_over_the_chunks_of_a_stream_is_not_shown(saying):
    event = {"choices": [{"index": 0, "delta": {"content": f"Your key is {KEY}, isn't it?"}}]}
    said = f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode()
    place = said.index(KEY.encode()) + 7
    gateway = saying("live", 200, "text/event-stream", said[:place], said[place : place + 9], said[place + 9 :])
    shown = httpx2.post(gateway.base_url + "/openai/v1/chat/completions", json={**CHAT, "stream": True}, headers={"authorization": "Bearer any"}).content
    assert len(shown) == len(said) and KEY.encode() not in shown and b"Your key is xxx" in shown and shown.endswith(b"isn't it?\"}}]}\n\ndata: [DONE]\n\n")


def test_a_key_that_is_an_ordinary_word_takes_none_from_an_answer(make, server_saying):
    gateway = make("live", keys={**KEYS, "COMPATIBLE_API_KEY": "anything"})
    said = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Ask me anything."}}]}).encode()
    gateway.upstream._bases["compatible"] = server_saying(200, "application/json", said)
    assert ask(gateway, *REQUESTS["compatible"]).content == said


@pytest.mark.parametrize(("status", "said"), [(404, b"<html>404: there is nothing here</html>"), (200, b"<html>Please log in to the network.</html>"), (400, b""), (200, b"ok"), (200, b"[]")])
def test_what_is_not_in_the_providers_format_is_passed_on_but_not_recorded(saying, tmp_path, status, said):
    gateway = saying("record", status, "text/html", said)
    answer = ask(gateway, "/openai/v1/chat/completions", CHAT)
    assert (answer.status_code, answer.content) == (status, said)
    assert recorded(tmp_path) == [] and "not in the provider's format" in gateway.meter.log()[0].note


@pytest.mark.parametrize("name", ["openai chat", "anthropic", "gemini", "bedrock"])
def test_a_page_that_was_recorded_once_is_replayed_as_it_came(make, tmp_path, name):
    make("record")
    path, body = REQUESTS[name]
    ask(make("record"), path, body)
    [line] = recorded(tmp_path)
    line["answers"] = [{"status": 404, "headers": [["content-type", "text/html"]], "chunks": [[0.0, "<html>a page</html>"]]}]
    (tmp_path / "captured.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    offline = make("offline")
    answer = ask(offline, path, body)
    assert (answer.status_code, answer.text) == (404, "<html>a page</html>") and offline.meter.log()[0].usage is None


def test_offline_mode_connects_to_this_machine_alone(make, monkeypatch):
    reached = []
    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached.append(address) or connect(self, address))
    make("record")
    for sdk in SDKS.values():
        sdk()
    reached.clear()
    offline = make("offline")
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    for sdk in SDKS.values():
        sdk()
    assert len(offline.meter.log()) == len(SDKS)
    assert {address[:2] for address in reached} == {("127.0.0.1", offline.port)}


# ---- scrubbing ---------------------------------------------------------------
ORGANIZATION = "org-" + "Abc123" * 4
CALL_IDS = [f"call_{letter * 24}" for letter in "ab"]
SCRUBBED = {
    "a key": (f"My key: {KEY}.", f"My key: {'x' * len(KEY)}."),
    "a key after an escape": (f'"one\\n{KEY}"', f'"one\\n{"x" * len(KEY)}"'),
    "a bearer token": ("Bearer " + "abcd.1234" * 3, "x" * 34),
    "a key in use, its slash escaped": ("say in\\/use-123456", "say xxxxxxxxxxxxxx"),
    "an address after an escape": ('"\\nbob@company.com"', '"\\nxxx@xxxxxxx.xxx"'),
    "an organisation": (f"in {ORGANIZATION} on", f"in org-{'0' * 24} on"),
    "a cloud account": ("arn:aws:bedrock:us-east-1:123456789012:x", "arn:aws:bedrock:us-east-1:000000000000:x"),
    "two ids": (" ".join([*CALL_IDS, CALL_IDS[0]]), f"call_{0:024} call_{1:024} call_{0:024}"),
}
UNTOUCHED = [
    *("risk-adjusted-return-on-capital", "react@18.2.0", "mail me@example.com"),
    *("call_the_weather_service_now", "org-chart-of-the-company"),
]


@pytest.mark.parametrize("case", SCRUBBED)
def test_secrets_and_ids_are_replaced_at_the_same_length(case):
    given, expected = SCRUBBED[case]
    assert Scrubber(["in/use-123456"]).scrub(given.encode()).decode() == expected


@pytest.mark.parametrize("text", UNTOUCHED)
def test_what_only_looks_like_a_secret_stays(text):
    assert Scrubber().scrub(text.encode()).decode() == text and not Scrubber().reveals(text.encode())


@given(st.text(), st.sampled_from(["bob@company.com", KEY, ORGANIZATION, CALL_IDS[0]]), st.text(), st.booleans())
def test_json_stays_json(before, secret, after, ascii):
    text = json.dumps([f"{before}\n{secret} {after}"], ensure_ascii=ascii).encode("utf-8", "replace")
    clean = Scrubber().scrub(text)
    assert secret not in json.loads(clean)[0] and len(clean) == len(text)


# ---- ways around the budget, found by an attack on it -------------------------
TINY = "0.001"
LONG = "word " * 50_000
ESCAPED = {
    "a service tier": b'"service_tier":"\\u0070riority"',
    "a stored conversation": b'"conversation":{"id":"conv_1"}',
    "a stored prompt": b'"prompt":{"version":"1","id":"pmpt_1"}',
}


@pytest.mark.parametrize("field", ESCAPED.values(), ids=ESCAPED)
def test_what_cannot_be_priced_is_refused_however_it_is_written(make, provider, field):
    gateway = make("live")
    body = b'{"model":"gpt-4o-mini","input":"Hi","max_output_tokens":16,' + field + b"}"
    answer = httpx2.post(gateway.base_url + "/openai/v1/responses", content=body, headers={"authorization": "Bearer any"})
    assert answer.status_code == 400 and not provider.meter.log()


@pytest.mark.parametrize("more", [{"functions": [{"name": "f", "description": LONG}]}, {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "description": LONG}}}])
def test_all_of_a_body_is_priced(make, provider, more):
    make("live", budget=TINY)
    with pytest.raises(openai.BadRequestError, match="budget"):
        openai.OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], max_tokens=5, **more)
    assert not provider.meter.log()


def test_a_field_given_twice_is_sent_once(make, provider, monkeypatch):
    gateway = make("live")
    body = b'{"model":"gpt-4o-mini","max_tokens":500,"max_tokens":5,"messages":[{"role":"user","content":"Say hello in five words."}]}'
    answer = httpx2.post(gateway.base_url + "/openai/v1/chat/completions", content=body, headers={"authorization": "Bearer any"})
    assert answer.status_code == 200
    assert provider.meter.log()[0].usage.output_tokens == 5


@pytest.mark.parametrize(
    "method, path",
    [
        ("DELETE", "/openai/v1/files/file-1"),
        ("POST", "/openai/v1/chat/completions/chatcmpl-1"),
        ("DELETE", "/openai/v1/chat/completions/chatcmpl-1"),
        ("POST", "/openai/v1/completions"),
        ("GET", "/openai/v1/models/..%2Fchat"),
        ("POST", "/gemini/v1beta/models/gemini-3.5-flash-lite%3AgenerateContent%23:countTokens"),
        ("POST", "/gemini/upload/v1beta/files"),
        ("POST", "/gemini/v1beta/interactions/v1_some/cancel"),
    ],
)
def test_no_call_changes_what_the_learner_owns_or_its_path_on_the_way(make, provider, method, path):
    gateway = make("live")
    headers = {"authorization": "Bearer any", "x-goog-api-key": "any"}
    answer = httpx2.request(method, gateway.base_url + path, headers=headers, json={"contents": [{"parts": [{"text": "Hi"}]}]} if method == "POST" else None)
    assert answer.status_code in (400, 404) and not provider.meter.log()


def test_no_interaction_runs_in_the_background_for_money(make, provider):
    gateway = make("live")
    body = {"model": "gemini-3.5-flash-lite", "input": "Hi", "generation_config": {"max_output_tokens": 5}, "background": True}
    answer = httpx2.post(gateway.base_url + "/gemini/v1beta/interactions", headers={"x-goog-api-key": "any"}, json=body)
    assert answer.status_code == 400 and "background cannot be priced" in answer.json()["error"]["message"] and not provider.meter.log()


def test_a_key_with_a_line_break_is_refused_without_being_shown(make, provider):
    make("live", keys={"OPENAI_API_KEY": KEY + "\n" + KEY})
    with pytest.raises(openai.BadRequestError, match="OPENAI_API_KEY holds characters") as caught:
        openai.OpenAI().models.list()
    assert KEY not in str(caught.value)


def test_the_house_model_is_on_this_machine_in_live_mode_too(make, provider):
    gateway = make("live")
    gateway.upstream._bases.pop("compatible", None)
    answer = openai.OpenAI(base_url=f"{gateway.base_url}/compatible/v1").chat.completions.create(model="house", messages=MESSAGES)
    assert answer.choices[0].message.content
    assert gateway.meter.log()[0].source.kind == "house" and len(provider.meter.log()) == 0


def test_the_tool_runner_goes_on_without_a_thread_where_that_could_not_be_priced(make, provider):
    """Anthropic's SDK sends `thread` unasked; what the provider holds has no price beforehand, what is sent whole has one."""

    @anthropic.beta_tool
    def stock() -> str:
        """How many are there."""
        return "12"

    make("live")
    more = {"tool_choice": {"type": "any"}, "max_iterations": 2}
    runner = anthropic.Anthropic().beta.messages.tool_runner(model="claude-haiku-4-5", max_tokens=300, tools=[stock], messages=MESSAGES, **more)
    assert [reply.stop_reason for reply in runner] == ["tool_use", "tool_use"]
    first, second = provider.meter.log()
    assert second.usage.input_tokens > first.usage.input_tokens
