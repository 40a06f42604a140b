"""Batches in live mode: priced at most before they are made, and passed on. Through the real SDKs, against a second gateway."""

from __future__ import annotations

import json
from decimal import Decimal

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors

from helpers.costs import Bill
from tests.gateway.sources.test_upstream import CLAUDE, GEMINI, MESSAGES, PROMPT, make, provider  # noqa: F401 the fixtures

LINE = {"method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o-mini", "messages": MESSAGES, "max_completion_tokens": 50}}
# A field that is given twice: which of the two counts is for the provider to say.
TWICE = json.dumps({**LINE, "custom_id": "x"})[:-1] + ', "body": {"model": "gpt-4o", "messages": []}}'
REQUEST = {"custom_id": "a", "params": CLAUDE}


def file_of(*lines):
    return ("in.jsonl", "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode())


def openai_batch(*lines):
    file = openai.OpenAI().files.create(file=file_of(*lines), purpose="batch")
    return openai.OpenAI().batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")


def lines(count=3, **body):
    return [{**LINE, "custom_id": str(number), "body": {**LINE["body"], **body}} for number in range(count)]


def requests_to(provider):  # noqa: F811
    return [entry.operation for entry in provider.meter.log() if entry.operation != "batch item"]


def test_openais_batch_goes_to_the_provider_with_its_file_and_comes_back(make, provider):  # noqa: F811
    gateway = make("live")
    batch = openai_batch(*lines())
    provider.advance(hours=1)
    done = openai.OpenAI().batches.retrieve(batch.id)
    assert done.status == "completed" and openai.OpenAI().files.content(done.output_file_id).text.count("\n") == 3
    assert requests_to(provider) == ["files", "batches", "batch", "file content"]
    assert not [entry for entry in gateway.meter.log() if entry.operation == "batch item"], "nothing was answered here"


@pytest.mark.parametrize("count", [1, 3])
def test_the_most_that_a_batch_can_cost_is_spent_when_it_is_made(make, provider, count):  # noqa: F811
    gateway = make("live")
    openai_batch(*lines(count))
    spent = gateway.upstream.spent_usd
    assert spent > 0 == gateway.upstream.reserved_usd
    [made] = [entry for entry in gateway.meter.log() if entry.batch]
    assert made.usage.output_tokens == 50 * count and made.usage.input_tokens > 50 * count and "at most" in made.note
    assert 0 < Bill(gateway.meter.log()).spent <= spent


def test_a_batch_beyond_the_budget_is_not_made(make, provider):  # noqa: F811
    make("live", budget="0.001")
    with pytest.raises(openai.BadRequestError, match="could cost up to"):
        openai_batch(*lines(100, max_completion_tokens=1000))
    with pytest.raises(anthropic.BadRequestError, match="could cost up to"):
        anthropic.Anthropic().messages.batches.create(requests=[REQUEST | {"custom_id": str(n)} for n in range(100)])
    with pytest.raises(errors.ClientError, match="could cost up to"):
        client = genai.Client()
        client.batches.create(model=GEMINI, src=[{"contents": PROMPT} for _ in range(100)])
    assert requests_to(provider) == ["files"], "an upload is free"


def test_a_batch_that_the_provider_refuses_costs_nothing(make, provider):  # noqa: F811
    gateway = make("live")
    with pytest.raises(anthropic.BadRequestError, match="unique"):
        anthropic.Anthropic().messages.batches.create(requests=[REQUEST, REQUEST])
    assert gateway.upstream.spent_usd == gateway.upstream.reserved_usd == 0


def test_anthropics_batch_is_made_read_and_canceled(make, provider):  # noqa: F811
    gateway = make("live")
    provider.fault("slow_batch", times=2, seconds=60)
    batches = anthropic.Anthropic().messages.batches
    batch, stopped = (batches.create(requests=[REQUEST]) for _ in range(2))
    assert batches.cancel(stopped.id).processing_status == "canceling"
    provider.advance(hours=1)
    assert batches.retrieve(batch.id).results_url.startswith(gateway.base_url), "the SDK reads the results where this leads"
    assert [row.result.type for row in batches.results(batch.id)] == ["succeeded"]


def test_geminis_batch_is_made_with_its_requests_in_the_call(make, provider):  # noqa: F811
    gateway = make("live")
    client = genai.Client()
    job = client.batches.create(model=GEMINI, src=[{"contents": PROMPT, "config": {"max_output_tokens": 100}}])
    provider.advance(hours=1)
    assert client.batches.get(name=job.name).dest.inlined_responses[0].response.text
    assert gateway.upstream.spent_usd > 0
    client.batches.cancel(name=job.name)


def test_only_what_this_kernel_made_is_cancelled(make, provider):  # noqa: F811
    make("live")
    with pytest.raises(anthropic.BadRequestError, match="that this kernel did not make"):
        anthropic.Anthropic().messages.batches.cancel("msgbatch_01somebodys")
    with pytest.raises(openai.BadRequestError, match="that this kernel did not make"):
        openai.OpenAI().batches.cancel("batch_somebodys")
    assert requests_to(provider) == []


@pytest.mark.parametrize("spoiled", ["{oops", "\ufeff" + json.dumps({**LINE, "custom_id": "x"}), json.dumps({**LINE, "custom_id": "0"}), TWICE])
def test_a_file_that_cannot_be_priced_line_by_line_makes_no_batch(make, provider, spoiled):  # noqa: F811
    make("live")
    with pytest.raises(openai.BadRequestError, match="cannot be priced"):
        openai_batch(*lines(1), spoiled)
    assert requests_to(provider) == ["files"]


def test_a_batch_of_a_file_from_elsewhere_is_not_made(make, provider):  # noqa: F811
    make("live")
    with pytest.raises(openai.BadRequestError, match="cannot be priced"):
        openai.OpenAI().batches.create(input_file_id="file-elsewhere", endpoint="/v1/chat/completions", completion_window="24h")
    assert requests_to(provider) == []


def test_a_line_that_this_gateway_would_refuse_is_priced_all_the_same(make, provider):  # noqa: F811
    """The provider might answer it."""
    gateway = make("live")
    openai_batch(*lines(1, messages=[{"role": "user", "content": None}]))
    provider.advance(hours=1)
    first = gateway.upstream.spent_usd
    assert first > 0
    wrong = {"custom_id": "wrong", "params": {**CLAUDE, "temperature": 0.2}}
    anthropic.Anthropic().messages.batches.create(requests=[wrong])
    assert gateway.upstream.spent_usd > first


def test_other_uploads_are_not_passed_on(make, provider):  # noqa: F811
    make("live")
    with pytest.raises(openai.BadRequestError, match="cannot be priced"):
        openai.OpenAI().files.create(file=("a.txt", b"text"), purpose="user_data")
    with pytest.raises(errors.ClientError, match="cannot be priced"):
        client = genai.Client()
        client.files.upload(file=__file__, config={"mime_type": "text/plain"})
    with pytest.raises(errors.ClientError, match="cannot be priced"):
        client.batches.create(model=GEMINI, src="files/mine")
    assert requests_to(provider) == []


def test_a_batch_holds_the_sum_of_its_requests(make, provider):  # noqa: F811
    gateway = make("live")
    spent = []
    for count in (1, 2):
        openai_batch(*lines(count))
        spent.append(gateway.upstream.spent_usd)
    assert spent[1] - spent[0] == pytest.approx(2 * spent[0], rel=Decimal("0.02"))
