"""Gemini's batches through Google's own SDK."""

import pytest
from google.genai import errors

from tests.gateway.dialects.gemini.samples import ANSWER, MODEL, THOUGHTS, contents


def refused(code, status, call, *args, **kwargs):
    """The message of a refusal with this code and status."""
    with pytest.raises(errors.ClientError) as caught:
        call(*args, **kwargs)
    assert (caught.value.code, caught.value.status) == (code, status)
    return caught.value.message


@pytest.fixture
def batch(client):
    requests = [{"contents": contents()}, {"contents": contents(), "config": {"response_logprobs": True}}]
    return client.batches.create(model=MODEL, src=requests, config={"display_name": "two greetings"})


def test_a_batch_runs_by_the_clock_and_brings_its_results(client, batch, gateway):
    assert batch.name.startswith("batches/") and batch.state.name == "JOB_STATE_PENDING" and batch.dest is None
    gateway.advance(hours=24)
    done = client.batches.get(name=batch.name)
    assert done.state.name == "JOB_STATE_SUCCEEDED" and done.display_name == "two greetings"
    good, bad = done.dest.inlined_responses
    assert good.response.text == ANSWER and good.error is None
    assert bad.response is None and "Logprobs is not enabled" in bad.error.message
    assert bad.error.code == 3, "a code of google.rpc, not of HTTP"
    assert [listed.name for listed in client.batches.list()] == [batch.name]


def test_an_item_of_a_batch_is_metered_once_however_often_one_looks(client, batch, gateway):
    gateway.advance(hours=24)
    for _ in range(2):
        client.batches.get(name=batch.name)
    [item] = [entry for entry in gateway.meter.log() if entry.batch]
    assert item.usage.thinking_tokens == THOUGHTS


def test_a_batch_can_be_cancelled(client, batch, gateway):
    client.batches.cancel(name=batch.name)
    gateway.advance(hours=1)
    cancelled = client.batches.get(name=batch.name)
    assert (cancelled.state.name, cancelled.dest) == ("JOB_STATE_CANCELLED", None)
    assert not [entry for entry in gateway.meter.log() if entry.batch]


def test_a_batch_that_has_ended_is_not_cancelled_any_more(client, batch, gateway):
    gateway.advance(hours=24)
    client.batches.cancel(name=batch.name)
    assert client.batches.get(name=batch.name).state.name == "JOB_STATE_SUCCEEDED"


def test_a_batch_can_be_deleted(client, batch, gateway):
    gateway.advance(hours=24)
    client.batches.delete(name=batch.name)
    refused(404, "NOT_FOUND", client.batches.get, name=batch.name)
