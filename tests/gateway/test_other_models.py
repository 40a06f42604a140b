"""Models that the course does not teach and other tables list as alive: known to every SDK, with limits and prices, and marked as not checked."""

import importlib.util
import json
import subprocess
import sys
import threading
from datetime import date
from decimal import Decimal

import anthropic
import boto3
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from google import genai
from google.genai.errors import ClientError as GeminiError

import helpers
from helpers import costs, models, other_models

HELLO = "Say hello in five words."
PROMPT = [{"role": "user", "content": HELLO}]
TURNS = [{"role": "user", "content": [{"text": HELLO}]}]
MARK = "not checked by the course"
LISTED = {
    "openai": ["gpt-4.1", "gpt-4.1-mini-2025-04-14", "gpt-4o-2024-11-20", "gpt-5", "gpt-5-nano", "gpt-5.1", "gpt-5.4-mini", "gpt-5.5", "gpt-5.6", "gpt-6-sol", "o3", "chat-latest"],
    "azure": ["gpt-4.1", "gpt-4.1-mini", "gpt-5", "gpt-5-mini", "gpt-5.1", "gpt-5.4", "gpt-5.6-sol"],
    "anthropic": ["claude-sonnet-4-6", "claude-opus-5", "claude-opus-4-5-20251101", "claude-opus-4-8", "claude-fable-5-1", "claude-sonnet-5", "claude-mythos-5-2"],
    "gemini": ["gemini-2.5-pro", "gemini-2.5-flash-lite", "gemini-3.5-flash", "gemini-3.1-pro-preview", "gemini-3-flash-preview", "gemini-flash-latest", "gemini-4-hydrogen"],
    "bedrock": [
        "amazon.nova-pro-v1:0",
        "global.amazon.nova-2-lite-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "global.anthropic.claude-sonnet-4-6",
        "us.anthropic.claude-opus-4-6-v1",
        "us.meta.llama3-3-70b-instruct-v1:0",
        "us.meta.llama4-scout-17b-instruct-v1:0",
        "us.deepseek.r1-v1:0",
        "qwen.qwen3-32b-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-pro-v1:0",
    ],
}
GONE = {  # on 2026-11-28, by their providers' lists
    "openai": ["gpt-4", "gpt-4-turbo", "o1", "o4-mini", "gpt-4.1-nano", "gpt-4o-search-preview", "gpt-5-chat-latest", "chatgpt-4o-latest", "o1-mini"],
    "azure": ["gpt-5-chat", "o3-mini"],
    "anthropic": ["claude-3-5-sonnet-20241022", "claude-3-opus-latest", "claude-opus-4-1", "claude-mythos-preview", "claude-2"],
    "gemini": ["gemini-1.5-pro", "gemini-2.0-flash-lite", "gemini-exp-1206", "gemini-3.1-flash-lite-preview", "gemini-pro"],
    "bedrock": ["anthropic.claude-3-5-sonnet-20241022-v2:0", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "us.anthropic.claude-sonnet-4-20250514-v1:0", "meta.llama3-2-90b-instruct-v1:0"],
}
UNKNOWN = ["gpt-4.1-nova", "claude-opus-9", "claude-sonnet-4-6-foo", "gemini-9-flash", "us.amazon.nova-lite", "ft:gpt-4o-2024-08-06", "x" * 300]


def as_json(body: object) -> bytes:
    return json.dumps(body).encode()


def bedrock():
    return boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))


# ---- answers -----------------------------------------------------------------
@pytest.mark.parametrize("provider", LISTED)
def test_each_is_asked_streamed_and_has_its_price(gateway, provider):
    for id in LISTED[provider]:
        reply = helpers.ask(provider, HELLO, model=id, max_tokens=200)
        assert reply.text and reply.usage.input_tokens > 0 and reply.usage.output_tokens > 0, id
        entry, name = gateway.meter.log()[-1], id.rpartition("/")[2]
        assert (entry.model, entry.status) == (name, 200) and entry.facts and entry.facts in entry.row()[-1]
        assert costs.cost(reply.usage, name, provider) > 0
    assert costs.Bill(gateway.meter.log()).live > 0


@pytest.mark.parametrize(("make", "provider"), [(openai.OpenAI, "openai"), (openai.AzureOpenAI, "azure")])
def test_openai_and_azure_answer_plain(gateway, make, provider):
    for id in LISTED[provider]:
        answer = make().chat.completions.create(model=id, messages=PROMPT)
        assert answer.choices[0].message.content and answer.usage.total_tokens > 0
        assert answer.model == models.get(id, provider).served_as


def test_openai_answers_responses_plain_and_streamed(gateway):
    client = openai.OpenAI()
    for id in (*LISTED["openai"], "gpt-5.5-pro", "gpt-5.3-codex"):
        answer = client.responses.create(model=id, input=HELLO)
        assert answer.output_text and answer.usage.total_tokens > 0 and answer.model == models.get(id, "openai").served_as
        with client.responses.stream(model=id, input=HELLO) as stream:
            assert stream.get_final_response().output_text


def test_anthropic_answers_plain_and_counts(gateway):
    client = anthropic.Anthropic()
    for id in LISTED["anthropic"]:
        answer = client.messages.create(model=id, max_tokens=200, messages=PROMPT)
        assert answer.content[-1].text and answer.model == models.get(id, "anthropic").served_as
        assert client.messages.count_tokens(model=id, messages=PROMPT).input_tokens == answer.usage.input_tokens


def test_gemini_answers_plain_by_either_form_of_the_name(gateway):
    client = genai.Client()
    for id in LISTED["gemini"]:
        answer = client.models.generate_content(model=f"models/{id}", contents=HELLO)
        assert answer.text and answer.usage_metadata.total_token_count > 0 and answer.model_version == id
    compatible = openai.OpenAI(base_url=f"{gateway.base_url}/gemini/v1beta/openai", api_key="any")
    assert compatible.chat.completions.create(model="models/gemini-2.5-pro", messages=PROMPT).choices[0].message.content


def test_bedrock_answers_plain_by_ids_profiles_and_arns(gateway):
    for id in LISTED["bedrock"]:
        answer = bedrock().converse(modelId=id, messages=TURNS)
        assert answer["output"]["message"]["content"][-1]["text"] and answer["usage"]["totalTokens"] > 0


def test_bedrock_invokes_the_makers_whose_bodies_it_knows(gateway):
    nova = {"messages": TURNS}
    claude = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": PROMPT}
    bodies = {"us.amazon.nova-pro-v1:0": nova, "global.anthropic.claude-sonnet-4-6": claude, "us.meta.llama3-3-70b-instruct-v1:0": {"prompt": HELLO}}
    for id, body in bodies.items():
        assert bedrock().invoke_model(modelId=id, body=as_json(body))["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError, match="qwen.qwen3-32b-v1:0 by Converse alone"):
        bedrock().invoke_model(modelId="qwen.qwen3-32b-v1:0", body=as_json({"messages": PROMPT}))


def test_a_batch_of_them_is_answered(gateway):
    client = openai.OpenAI()
    lines = [{"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4.1-mini", "messages": PROMPT}} for n in range(2)]
    file = client.files.create(file=("in.jsonl", b"\n".join(map(as_json, lines))), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    gateway.advance(hours=24)
    done = client.batches.retrieve(batch.id)
    assert (done.status, done.request_counts.completed) == ("completed", 2)
    assert costs.Bill(gateway.meter.log()).live > 0


def test_an_embedding_model_of_a_known_form_is_there_too(gateway):
    body = as_json({"texts": ["hello"], "input_type": "search_query"})
    assert bedrock().invoke_model(modelId="global.cohere.embed-v4:0", body=body)["ResponseMetadata"]["HTTPStatusCode"] == 200


# ---- refusals ------------------------------------------------------------------
def refused(provider: str, id: str) -> tuple[int, str]:
    """Status and words with which the SDK of a provider is refused."""
    try:
        if provider in ("openai", "azure"):
            (openai.OpenAI() if provider == "openai" else openai.AzureOpenAI()).chat.completions.create(model=id, messages=PROMPT)
        elif provider == "anthropic":
            anthropic.Anthropic().messages.create(model=id, max_tokens=10, messages=PROMPT)
        elif provider == "gemini":
            client = genai.Client()
            client.models.generate_content(model=id, contents=HELLO)
        else:
            bedrock().converse(modelId=id, messages=TURNS)
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return error.status_code, str(error)
    except GeminiError as error:
        return error.code, str(error)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], str(error)
    return 200, ""


@pytest.mark.parametrize("provider", GONE)
def test_one_that_has_ended_gets_the_404_of_its_provider(gateway, provider):
    assert {id: refused(provider, id)[0] for id in GONE[provider]} == dict.fromkeys(GONE[provider], 404)


@pytest.mark.parametrize("provider", LISTED)
def test_one_that_no_table_knows_is_refused_as_before(gateway, provider):
    for id in UNKNOWN:
        status, words = refused(provider, id)
        assert status == (400 if provider == "bedrock" else 404), id
        assert "identifier is invalid" in words if provider == "bedrock" else words


def test_one_ends_when_its_day_has_come(gateway):
    client, ends = openai.OpenAI(), models.get("gpt-5").retires
    assert ends == date(2026, 12, 11)
    if gateway.clock.today() < ends:
        assert client.chat.completions.create(model="gpt-5", messages=PROMPT).choices
        gateway.advance(hours=24 * (ends - gateway.clock.today()).days)
    assert refused("openai", "gpt-5")[0] == 404


def test_those_of_responses_alone_are_refused_in_chat(gateway):
    status, words = refused("openai", "gpt-5.5-pro")
    assert status == 404 and "only supported in v1/responses and not in v1/chat/completions" in words
    assert refused("azure", "gpt-5.3-codex")[0] == 400


def test_a_bare_id_that_wants_a_profile_says_so(gateway):
    for id in ("anthropic.claude-sonnet-4-6", "amazon.nova-2-lite-v1:0", "meta.llama3-3-70b-instruct-v1:0"):
        status, words = refused("bedrock", id)
        assert status == 400 and "on-demand throughput" in words


# ---- what each takes -------------------------------------------------------------
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.parametrize(
    ("id", "given", "words"),
    [
        ("gpt-4.1", {"max_tokens": 20, "temperature": 0.5, "stop": ["x"], "tools": [TOOL]}, None),
        ("gpt-4.1", {"reasoning_effort": "low"}, "reasoning_effort"),
        ("gpt-4.1", {"max_tokens": 40_000}, "at most 32768"),
        ("gpt-5", {"max_tokens": 20}, "max_completion_tokens"),
        ("gpt-5", {"temperature": 0.5}, "temperature"),
        ("gpt-5", {"reasoning_effort": "minimal", "tools": [TOOL]}, None),
        ("gpt-5", {"reasoning_effort": "none"}, "'minimal', 'low', 'medium', and 'high'"),
        ("gpt-5.1", {"temperature": 0.5}, None),  # it does not think unless it is told to
        ("gpt-5.1", {"temperature": 0.5, "reasoning_effort": "low"}, "temperature"),
        ("gpt-5.4", {"tools": [TOOL], "reasoning_effort": "low"}, "Please use /v1/responses instead"),
        ("gpt-5.5", {"tools": [TOOL]}, None),
        ("gpt-5.6", {"tools": [TOOL]}, "set reasoning_effort to 'none'"),
        ("o3", {"stop": ["x"]}, "stop"),
        ("o3", {"max_completion_tokens": 20, "reasoning_effort": "high", "tools": [TOOL]}, None),
    ],
)
def test_openai_takes_of_each_what_its_family_takes(gateway, id, given, words):
    def ask():
        return openai.OpenAI().chat.completions.create(model=id, messages=PROMPT, **given)

    if words is None:
        assert ask().choices
        return
    with pytest.raises(openai.BadRequestError, match=words):
        ask()


OLD = {"extra_headers": {"anthropic-version": "2023-06-01"}}  # the newer version of the API takes no temperature for any model
BUDGET = {"type": "enabled", "budget_tokens": 1024}


@pytest.mark.parametrize(
    ("id", "given", "words"),
    [
        ("claude-opus-4-5", {"thinking": BUDGET}, None),
        ("claude-opus-4-5", {"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported"),
        ("claude-opus-4-5", {"output_config": {"effort": "low"}}, None),
        ("claude-sonnet-4-6", {"thinking": BUDGET}, None),
        ("claude-sonnet-4-6", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, None),
        ("claude-sonnet-4-6", {"output_config": {"effort": "xhigh"}}, "effort level 'xhigh'"),
        ("claude-sonnet-4-6", {**OLD, "extra_body": {"temperature": 0.5}}, None),
        ("claude-sonnet-4-6", {"messages": [*PROMPT, {"role": "assistant", "content": "Hello"}]}, "prefill"),
        ("claude-opus-4-8", {"thinking": BUDGET}, "thinking.type.enabled"),
        ("claude-opus-4-8", {**OLD, "extra_body": {"temperature": 0.5}}, "deprecated for this model"),
        ("claude-opus-4-8", {"messages": [*PROMPT, {"role": "system", "content": "Be short."}]}, None),
        ("claude-opus-5", {"thinking": {"type": "disabled"}}, None),
        ("claude-fable-5", {"thinking": {"type": "disabled"}}, "thinking.type.disabled"),
        ("claude-opus-5", {"max_tokens": 200_000}, "> 128000"),
    ],
)
def test_anthropic_takes_of_each_what_its_table_says(gateway, id, given, words):
    asked = {"model": id, "max_tokens": 2000, "messages": PROMPT, **given}

    def ask():
        with anthropic.Anthropic().messages.stream(**asked) as stream:
            return stream.get_final_message()

    if words is None:
        assert ask().stop_reason == "end_turn"
        return
    with pytest.raises(anthropic.BadRequestError, match=words):
        ask()


@pytest.mark.parametrize(
    ("id", "config", "words"),
    [
        ("gemini-2.5-pro", {"thinking_budget": 1024}, None),
        ("gemini-2.5-pro", {"thinking_budget": 0}, "only works in thinking mode"),
        ("gemini-2.5-flash-lite", {"thinking_budget": 0}, None),
        ("gemini-3.5-flash", {"thinking_level": "minimal"}, None),
        ("gemini-3.7-flash", {"thinking_level": "minimal"}, "MINIMAL is not supported"),
        ("gemini-3.1-pro-preview", {"thinking_level": "minimal"}, "MINIMAL is not supported"),
    ],
)
def test_gemini_takes_of_each_what_its_family_takes(gateway, id, config, words):
    client = genai.Client()

    def ask():
        return client.models.generate_content(model=id, contents=HELLO, config={"thinking_config": config})

    if words is None:
        assert ask().text
        return
    with pytest.raises(GeminiError, match=words):
        ask()


def test_bedrock_refuses_tools_where_a_model_has_none(gateway):
    spec = {"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}
    with pytest.raises(ClientError, match="doesn't support tool use"):
        bedrock().converse(modelId="us.deepseek.r1-v1:0", messages=TURNS, toolConfig={"tools": [spec]})
    assert bedrock().converse(modelId="us.amazon.nova-micro-v1:0", messages=TURNS, toolConfig={"tools": [spec]})["stopReason"] == "end_turn"


# ---- the mark ----------------------------------------------------------------------
def test_answers_and_retrieved_models_are_marked_and_those_of_the_course_are_not(gateway):
    client = openai.OpenAI()
    for id, marked in (("gpt-4.1", True), ("gpt-6-luna", False)):
        answer = client.chat.completions.with_raw_response.create(model=id, messages=PROMPT)
        found = client.models.with_raw_response.retrieve(id)
        for headers in (answer.headers, found.headers):
            assert (MARK in headers.get("x-course-model", "")) is marked
    assert found.parse().id == "gpt-6-luna"
    assert client.models.retrieve("gpt-4.1").shutdown_date == "2027-01-14"
    opus = anthropic.Anthropic().models.retrieve("claude-opus-5")
    assert (opus.max_input_tokens, opus.max_tokens) == (1_000_000, 128_000)
    sonnet = anthropic.Anthropic().models.retrieve("claude-sonnet-4-6").capabilities
    assert sonnet.effort.max.supported and not sonnet.effort.xhigh.supported and sonnet.thinking.types.enabled.supported
    google = genai.Client()
    assert google.models.get(model="gemini-3.5-flash").input_token_limit == 1_048_576


def test_lists_name_the_models_of_the_course_alone(gateway):
    openai.OpenAI().chat.completions.create(model="gpt-4.1", messages=PROMPT)
    names = {model.id for model in openai.OpenAI().models.list()}
    assert names == {m.id for m in models.of("openai", None) if not m.is_retired(gateway.clock.today())}


def test_prices_name_their_source_and_say_that_nobody_checked_them():
    assert MARK not in helpers.price("gpt-6-luna").source
    listed = helpers.price("gpt-4.1")
    assert (listed.input, listed.output, listed.cache_read) == (2, 8, Decimal("0.5")) and listed.source.startswith("genai-prices") and MARK in listed.source
    assert helpers.price("gpt-4.1", batch=True).input == 1
    ours = helpers.price("us.amazon.nova-2-lite-v1:0")
    assert (ours.input, ours.output, ours.date) == (Decimal("0.33"), Decimal("2.75"), models.facts_date()) and ours.source.startswith("litellm")
    assert helpers.price("eu.amazon.nova-lite-v1:0").input > helpers.price("us.amazon.nova-lite-v1:0").input
    assert helpers.price("global.amazon.nova-2-lite-v1:0", batch=True).input == Decimal("0.15")


def test_a_price_that_no_table_states_is_not_0(gateway):
    with pytest.raises(costs.UnknownPrice, match="states no price"):
        helpers.price("gemma-4-31b-it", "gemini")
    client = genai.Client()
    assert client.models.generate_content(model="gemma-4-31b-it", contents=HELLO).text
    assert costs.Bill(gateway.meter.log()).live is None


def test_the_estimate_knows_their_windows():
    assert helpers.estimate("gpt-4.1", input_tokens=1_000_000, output_tokens=1000).total == Decimal("2.008")
    with pytest.raises(ValueError, match="gives 32,768 at most"):
        helpers.estimate("gpt-4.1", input_tokens=10, output_tokens=40_000)


def test_strict_mode_has_no_recording_of_them(gateway):
    gateway.strict = True
    status, words = refused("openai", "gpt-4.1")
    assert status == 404 and ("no recording" in words or "no_recording" in words)


# ---- reading the tables --------------------------------------------------------------
@pytest.fixture
def unread(monkeypatch):
    """As in a process in which nobody has named such a model yet."""
    monkeypatch.setattr(other_models, "_tables", None)
    other_models._row.cache_clear()
    yield
    other_models._row.cache_clear()


def test_the_tables_are_read_beside_the_event_loop_and_once(gateway, unread, monkeypatch):
    read, threads = other_models._Tables, []

    class Noted(read):
        def __init__(self):
            threads.append(threading.current_thread())
            super().__init__()

    monkeypatch.setattr(other_models, "_Tables", Noted)
    client = openai.OpenAI()
    assert client.chat.completions.create(model="gpt-6-luna", messages=PROMPT).choices and threads == []
    for id in ("gpt-4.1", "gpt-5", "gpt-4.1"):
        assert client.chat.completions.create(model=id, messages=PROMPT).choices
    assert len(threads) == 1 and threads[0].name != "llm-gateway"


@pytest.mark.parametrize("operation", ["count", "retrieve", "batch"])
def test_what_is_no_question_finds_them_too(gateway, unread, operation):
    client = anthropic.Anthropic()
    if operation == "count":
        assert client.messages.count_tokens(model="claude-opus-5", messages=PROMPT).input_tokens
    elif operation == "retrieve":
        assert client.models.retrieve("claude-opus-5").id == "claude-opus-5"
    else:
        params = {"model": "claude-opus-5", "max_tokens": 20, "messages": PROMPT}
        batch = client.messages.batches.create(requests=[{"custom_id": "a", "params": params}])
        gateway.advance(hours=1)
        assert [row.result.type for row in client.messages.batches.results(batch.id)] == ["succeeded"]


@pytest.mark.parametrize(("missing", "known", "unknown"), [("litellm", "claude-opus-5", "claude-sonnet-4-6"), ("genai_prices", "claude-sonnet-4-6", "claude-mythos-5-2")])
def test_without_one_of_the_packages_the_other_is_asked(unread, monkeypatch, missing, known, unknown):
    find, real = importlib.util.find_spec, models.elsewhere
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    if missing == "genai_prices":
        monkeypatch.setitem(sys.modules, "genai_prices", None)
        monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    other_models.read()
    assert real("anthropic", known) and real("anthropic", unknown) is None
    if missing == "genai_prices":
        assert helpers.price("claude-sonnet-4-6").source.startswith("litellm")
        with pytest.raises(costs.UnknownPrice, match="genai-prices"):
            helpers.price("claude-haiku-5-5", "anthropic")


def test_neither_table_is_read_before_it_is_needed():
    code = "import sys, helpers; from helpers import models; models.get('gpt-6-luna'); print('genai_prices' in sys.modules, 'litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]
    code = "import sys; from helpers import models; models.get('gpt-4.1'); print('litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False"]


def test_every_model_of_the_tables_makes_a_whole_model():
    other_models.read()
    rows = [*other_models._tables.rows, *other_models._tables.windows]
    assert len(rows) > 400
    for provider, id in rows:
        model = models.elsewhere(provider, id)
        assert model.context > 0 and model.source and model.thinks in ("never", "optional", "default", "always"), (provider, id)
        assert model.kind == "embedding" or model.max_output > 0, (provider, id)
        assert not model.efforts or model.provider == "gemini" or model.default_effort in ("none", *model.efforts), (provider, id)


def test_what_was_looked_up_is_kept_within_bounds():
    other_models.read()
    for n in range(3 * other_models.MOST_KEPT):
        assert models.elsewhere("openai", f"no-such-{n}") is None
    assert other_models._row.cache_info().currsize <= other_models.MOST_KEPT
