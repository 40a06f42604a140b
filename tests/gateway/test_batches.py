"""Batches that are cancelled or run out of time: what was finished is kept, and only that is on the bill. Through the real SDKs."""

import json

import anthropic
import openai
import pytest
from google import genai

from helpers.costs import Bill

PROMPT = "Say hello in five words."
MESSAGES = [{"role": "user", "content": PROMPT}]
LUNA, HAIKU, FLASH = "gpt-6-luna", "claude-haiku-5-5", "gemini-3.5-flash-lite"
IDS = [f"ticket-{number:02}" for number in range(20)]
RUN = 10_000  # seconds that a slow batch runs


@pytest.fixture
def slow(gateway):
    """Ten thousand seconds for the next batch of each provider: half of it is done after five thousand."""
    gateway.fault("slow_batch", times=None, seconds=RUN)
    return gateway


def openai_batch(**more):
    body = {"model": LUNA, "messages": MESSAGES, "reasoning_effort": "none"}
    lines = "".join(json.dumps({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n" for id in IDS)
    file = openai.OpenAI().files.create(file=("in.jsonl", lines.encode()), purpose="batch")
    return openai.OpenAI().batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **more).id


def anthropic_batch():
    params = {"model": HAIKU, "max_tokens": 1000, "messages": MESSAGES}
    return anthropic.Anthropic().messages.batches.create(requests=[{"custom_id": id, "params": params} for id in IDS]).id


def gemini_batch(client):
    return client.batches.create(model=FLASH, src=[{"contents": PROMPT, "metadata": {"key": id}} for id in IDS]).name


def rows_of(file_id):
    return [json.loads(line) for line in openai.OpenAI().files.content(file_id).text.splitlines()] if file_id else []


def answered(gateway):
    """How many items of batches are on the bill."""
    return sum(row["calls"] for row in Bill(entry for entry in gateway.meter.log() if entry.batch)._rows.values())


def test_an_openai_batch_counts_up_while_it_runs(slow):
    id, counted = openai_batch(), []
    for _ in range(3):
        slow.advance(seconds=RUN / 3)
        batch = openai.OpenAI().batches.retrieve(id)
        counted.append((batch.status, batch.request_counts.completed))
    assert counted == [("in_progress", 6), ("in_progress", 13), ("finalizing", 20)] or counted[-1] == ("completed", 20)
    assert answered(slow) == 20


def test_a_cancelled_openai_batch_has_what_was_finished_and_says_what_was_not(slow):
    id = openai_batch()
    slow.advance(seconds=RUN / 2 + 10)
    assert openai.OpenAI().batches.cancel(id).status == "cancelling"
    slow.advance(hours=1)
    batch = openai.OpenAI().batches.retrieve(id)
    assert (batch.status, batch.request_counts.total, batch.request_counts.completed) == ("cancelled", 20, 10)
    done, left = rows_of(batch.output_file_id), rows_of(batch.error_file_id)
    assert sorted(row["custom_id"] for row in done + left) == IDS and len(done) == 10
    assert {(row["response"], row["error"]["code"]) for row in left} == {(None, "batch_cancelled")}
    assert answered(slow) == 10, "nothing more is answered, whatever time passes"


def test_an_openai_batch_that_does_not_end_within_a_day_expires(gateway):
    gateway.fault("slow_batch", "openai")
    id = openai_batch()
    gateway.advance(hours=24)
    batch = openai.OpenAI().batches.retrieve(id)
    assert (batch.status, batch.completed_at, batch.expired_at) == ("expired", None, batch.expires_at)
    done, left = rows_of(batch.output_file_id), rows_of(batch.error_file_id)
    assert 0 < len(done) < 20 and sorted(row["custom_id"] for row in done + left) == IDS
    assert left[0]["error"] == {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}
    assert answered(gateway) == len(done) == batch.request_counts.completed
    with pytest.raises(openai.ConflictError):
        openai.OpenAI().batches.cancel(id)


def test_results_do_not_come_in_the_order_of_the_requests(gateway):
    id, other = openai_batch(), anthropic_batch()
    gateway.advance(hours=1)
    ids = [row["custom_id"] for row in rows_of(openai.OpenAI().batches.retrieve(id).output_file_id)]
    assert ids != IDS and sorted(ids) == IDS
    assert [row.custom_id for row in anthropic.Anthropic().messages.batches.results(other)] == ids, "the same for every run"


def test_an_anthropic_batch_keeps_what_was_finished_before_it_was_canceled(slow):
    batches, id = anthropic.Anthropic().messages.batches, anthropic_batch()
    slow.advance(seconds=RUN / 2 + 10)
    assert batches.cancel(id).request_counts.processing == 20, "they are told apart at the end only"
    slow.advance(hours=1)
    counts = batches.retrieve(id).request_counts
    assert (counts.processing, counts.succeeded, counts.canceled, counts.expired) == (0, 10, 10, 0)
    assert sorted(row.result.type for row in batches.results(id)) == ["canceled"] * 10 + ["succeeded"] * 10
    assert answered(slow) == 10


def test_an_anthropic_batch_expires_after_a_day(gateway):
    gateway.fault("slow_batch", "anthropic")
    batches, id = anthropic.Anthropic().messages.batches, anthropic_batch()
    gateway.advance(hours=24)
    batch = batches.retrieve(id)
    assert batch.processing_status == "ended" and batch.ended_at == batch.expires_at
    assert batch.request_counts.expired > 0 < batch.request_counts.succeeded
    assert [row.result.type for row in batches.results(id)].count("expired") == batch.request_counts.expired
    assert answered(gateway) == batch.request_counts.succeeded


def test_a_gemini_batch_expires_after_two_days_without_results(gateway):
    gateway.fault("slow_batch", "gemini")
    client = genai.Client()
    name = gemini_batch(client)
    gateway.advance(hours=24)
    assert client.batches.get(name=name).state.name == "JOB_STATE_RUNNING"
    gateway.advance(hours=24)
    job = client.batches.get(name=name)
    assert (job.state.name, job.dest) == ("JOB_STATE_EXPIRED", None)


def test_a_cancelled_gemini_batch_has_no_results(slow):
    client = genai.Client()
    name = gemini_batch(client)
    slow.advance(seconds=RUN / 2 + 10)
    client.batches.cancel(name=name)
    slow.advance(hours=1)
    job = client.batches.get(name=name)
    assert (job.state.name, job.dest) == ("JOB_STATE_CANCELLED", None)


def test_a_slow_batch_waits_for_a_batch_of_its_provider(gateway):
    gateway.fault("slow_batch", "anthropic")
    assert openai.OpenAI().chat.completions.create(model=LUNA, messages=MESSAGES, reasoning_effort="none").choices
    id, other = openai_batch(), anthropic_batch()
    gateway.advance(hours=1)
    assert openai.OpenAI().batches.retrieve(id).status == "completed"
    assert anthropic.Anthropic().messages.batches.retrieve(other).processing_status == "in_progress"
    again = anthropic_batch()
    gateway.advance(hours=1)
    assert anthropic.Anthropic().messages.batches.retrieve(again).processing_status == "ended", "it struck once"


def test_a_looked_at_batch_is_answered_once(slow):
    """However often one looks while it runs."""
    id = openai_batch()
    for _ in range(5):
        slow.advance(seconds=RUN / 4)
        openai.OpenAI().batches.retrieve(id)
    assert answered(slow) == 20


