"""OpenAI's service tiers through its own SDK: the answer says which one served it, and the bill has its price."""

import json

import pytest
from openai import OpenAI

import helpers
from helpers.costs import Bill
from tests.gateway.dialects.openai.samples import HELLO, user

ASKED_AND_ANSWERED = [(None, "default"), ("auto", "default"), ("default", "default"), ("flex", "flex"), ("priority", "priority"), ("fast", "priority")]
tiers = pytest.mark.parametrize(("asked", "answered"), ASKED_AND_ANSWERED)


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def given(asked):
    return {} if asked is None else {"service_tier": asked}


@tiers
def test_a_chat_answer_says_which_tier_served_it(client, asked, answered):
    assert client.chat.completions.create(model="gpt-6-luna", messages=user(HELLO), **given(asked)).service_tier == answered


@tiers
def test_so_does_each_chunk_of_a_stream(client, asked, answered):
    stream = client.chat.completions.create(model="gpt-6-luna", messages=user(HELLO), stream=True, **given(asked))
    assert {chunk.service_tier for chunk in stream} == {answered}


@tiers
def test_so_does_a_response(client, asked, answered):
    assert client.responses.create(model="gpt-6-luna", input=HELLO, **given(asked)).service_tier == answered


@pytest.mark.parametrize(("tier", "times"), [("flex", 0.5), ("priority", 2), ("fast", 2)])
@pytest.mark.parametrize("model", ["gpt-6-luna", "gpt-6.1-terra", "gpt-6.1-sol"])
def test_the_bill_has_the_price_of_the_tier(client, gateway, model, tier, times):
    for more in ({}, {"service_tier": tier}):
        client.chat.completions.create(model=model, messages=user(HELLO), **more)
    plain, other = gateway.meter.log()
    assert plain.usage == other.usage
    assert float(Bill([other]).live) == pytest.approx(times * float(Bill([plain]).live))
    assert helpers.cost(other.usage, model, tier=tier) == Bill([other]).live
    assert float(helpers.price(model, tier=tier).output) == pytest.approx(times * float(helpers.price(model).output))


def test_a_tier_without_a_known_price_is_no_standard_one(client, gateway):
    client.chat.completions.create(model="gpt-6.2-sol", messages=user(HELLO), service_tier="flex")
    assert Bill(gateway.meter.log()).live is None
    for model, tier in (("gpt-6.2-sol", "flex"), ("claude-haiku-5-5", "flex"), ("gpt-6-luna", "turbo")):
        with pytest.raises(helpers.costs.UnknownPrice, match=f"{tier}.*{model}"):
            helpers.price(model, tier=tier)


def test_in_a_batch_the_price_is_that_of_a_batch(client, gateway):
    body = {"model": "gpt-4o-mini", "messages": user(HELLO), "service_tier": "flex"}
    line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}).encode()
    file = client.files.create(file=("in.jsonl", line), purpose="batch")
    client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    gateway.advance(hours=24)
    items = [entry for entry in gateway.meter.log() if entry.batch]
    assert all(Bill(items).live == helpers.cost(item.usage, item.model, batch=True) for item in items)
