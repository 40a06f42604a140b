"""Anthropic's message batches through its own SDK."""

import re

import anthropic
import httpx2
import pytest

from helpers.gateway.batches import Batches
from tests.gateway.dialects.anthropic.samples import HELLO, HELLO_ANSWER, LONG, OLD, THINKS, user


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def block(text=LONG, ttl=None):
    return {"type": "text", "text": text, "cache_control": {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}}


def request(id, **more):
    return {"custom_id": id, "params": {"model": THINKS, "max_tokens": 1000, "messages": user(HELLO), **more}}


@pytest.fixture
def slow_batches(gateway):
    """Two minutes of validating, five of running, one of finalizing: only the course's clock gets a batch on."""
    gateway.batches = Batches(gateway.clock, speed=lambda: 60)


def test_batch_life_cycle(client, gateway, slow_batches):
    batch = client.messages.batches.create(requests=[request("a"), request("b", model="claude-1"), request("c", max_tokens=20)])
    assert (batch.processing_status, batch.request_counts.processing, batch.results_url) == ("in_progress", 3, None)
    assert re.fullmatch(r"msgbatch_01[A-Za-z0-9]{22}", batch.id) and (batch.expires_at - batch.created_at).total_seconds() == 86400
    gateway.advance(minutes=4)
    running = client.messages.batches.with_raw_response.retrieve(batch.id)
    assert running.headers["retry-after"] == "10" and running.parse().request_counts.processing == 3
    with pytest.raises(anthropic.NotFoundError, match="no available results"):
        client.get(f"/v1/messages/batches/{batch.id}/results", cast_to=object)  # the SDK itself would not even ask
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.delete(batch.id)
    gateway.advance(minutes=5)
    raw = client.messages.batches.with_raw_response.retrieve(batch.id)
    done = raw.parse()
    assert "retry-after" not in raw.headers and done.processing_status == "ended" and done.ended_at > done.created_at
    assert (done.request_counts.processing, done.request_counts.succeeded, done.request_counts.errored) == (0, 2, 1)
    results = {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}
    assert [results[id].type for id in "abc"] == ["succeeded", "errored", "succeeded"]
    assert text_of(results["a"].message) == HELLO_ANSWER and results["a"].message.usage.service_tier == "batch"
    assert results["b"].error.error.type == "not_found_error" and results["c"].message.stop_reason == "max_tokens"
    assert [b.id for b in client.messages.batches.list()] == [batch.id]
    assert client.messages.batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(batch.id)


def test_batch_times_have_microseconds(gateway):
    headers = {"x-api-key": "any", "anthropic-version": OLD}
    batch = httpx2.post(f"{gateway.base_url}/anthropic/v1/messages/batches", headers=headers, json={"requests": [request("a")]}).json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", batch["created_at"])


def test_batch_cancel(client, gateway, slow_batches):
    batch = client.messages.batches.create(requests=[request("a"), request("b")])
    canceling = client.messages.batches.cancel(batch.id)
    assert canceling.processing_status == "canceling" and canceling.cancel_initiated_at
    gateway.advance(minutes=2)
    gone = client.messages.batches.retrieve(batch.id)
    assert (gone.processing_status, gone.request_counts.canceled) == ("ended", 2)
    assert [row.result.type for row in client.messages.batches.results(batch.id)] == ["canceled", "canceled"]


@pytest.mark.parametrize("requests", [[], [request("a"), request("a")], [request("no spaces please")]])
def test_bad_batch(client, requests):
    with pytest.raises(anthropic.BadRequestError, match="requests"):
        client.messages.batches.create(requests=requests)


@pytest.mark.parametrize(
    ("id", "words"),
    [("a" * 65, "String should have at most 64 characters"), ("a.b", "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'"), ("", "String should match pattern '^[a-zA-Z0-9_-]{1,64}$'")],
)
def test_a_custom_id_of_another_form_is_refused(client, id, words):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.batches.create(requests=[request("a"), request(id)])
    assert caught.value.body["error"]["message"] == f"requests.1.custom_id: {words}"


def test_a_list_of_batches_has_pages(client):
    ids = [client.messages.batches.create(requests=[request("a")]).id for _ in range(5)][::-1]
    first = client.messages.batches.list(limit=2)
    assert [batch.id for batch in first.data] == ids[:2] and first.has_more and (first.first_id, first.last_id) == (ids[0], ids[1])
    assert [batch.id for batch in client.messages.batches.list(limit=2)] == ids
    before = client.messages.batches.list(limit=2, before_id=ids[3])
    assert [batch.id for batch in before.data] == ids[1:3] and before.has_more
    for wrong in ({"limit": 0}, {"limit": 1001}, {"after_id": "msgbatch_none"}):
        with pytest.raises(anthropic.BadRequestError):
            client.messages.batches.list(**wrong)


def test_a_list_of_batches_names_an_api_version(gateway):
    reply = httpx2.get(f"{gateway.base_url}/anthropic/v1/messages/batches", headers={"x-api-key": "any"})
    assert reply.status_code == 400 and "anthropic-version" in reply.json()["error"]["message"]
