"""OpenAI's files and batches through its own SDK."""

import json
import re

import openai
import pytest
from openai import OpenAI

from helpers.gateway.batches import Batches

HELLO = "Say hello in five words."
HELLO_THINKING = 48


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def user(text):
    return [{"role": "user", "content": text}]


def line(id, *, model="gpt-4o-mini", url="/v1/chat/completions", **body):
    body = {"model": model, "messages": user(HELLO), **body} if url.endswith("completions") else {"model": model, "input": HELLO, **body}
    return {"custom_id": id, "method": "POST", "url": url, "body": body}


def upload(client, *lines):
    content = "\n".join(text if isinstance(text, str) else json.dumps(text) for text in lines).encode()
    return client.files.create(file=("in.jsonl", content), purpose="batch")


def batch_of(client, *lines, endpoint="/v1/chat/completions"):
    return client.batches.create(input_file_id=upload(client, *lines).id, endpoint=endpoint, completion_window="24h")


def lines_of(client, file_id):
    return {row["custom_id"]: row for row in map(json.loads, client.files.content(file_id).text.splitlines())}


@pytest.fixture
def slow_batches(gateway):
    """Two minutes of validating, five of running, one of finalizing: only the course's clock gets a batch on."""
    gateway.batches = Batches(gateway.clock, speed=lambda: 60)


def test_files(client):
    file = upload(client, line("a"))
    assert re.fullmatch(r"file-[A-Za-z0-9]{22}", file.id)
    assert (file.filename, file.purpose, file.status, file.expires_at - file.created_at) == ("in.jsonl", "batch", "processed", 30 * 86400)
    assert client.files.retrieve(file.id) == file and [f.id for f in client.files.list()] == [file.id]
    assert json.loads(client.files.content(file.id).text) == line("a") and file.bytes == len(json.dumps(line("a")))
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_batch_life_cycle(client, gateway, slow_batches):
    batch = batch_of(client, line("a"), line("b", model="gpt-6-luna", max_tokens=5), line("c"))
    assert (batch.status, batch.model, batch.request_counts.total, batch.expires_at - batch.created_at) == ("validating", None, 0, 86400)
    seen = []
    for minutes in (3, 5, 1):
        gateway.advance(minutes=minutes)
        seen.append(client.batches.retrieve(batch.id))
    assert [b.status for b in seen] == ["in_progress", "completed", "completed"]
    done = seen[-1]
    assert done == seen[1], "polling again changes nothing"
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (3, 2, 1)
    assert done.created_at < done.in_progress_at < done.finalizing_at < done.completed_at
    good = lines_of(client, done.output_file_id)
    assert list(good) == ["a", "c"] and good["a"]["response"]["status_code"] == 200 and good["a"]["error"] is None
    assert good["a"]["response"]["body"]["object"] == "chat.completion"
    bad = lines_of(client, done.error_file_id)["b"]["response"]
    assert (bad["status_code"], bad["body"]["error"]["code"]) == (400, "unsupported_parameter")
    used = [row["response"]["body"]["usage"] for row in good.values()]
    assert done.usage.output_tokens == sum(u["completion_tokens"] for u in used)
    assert [b.id for b in client.batches.list()] == [batch.id]


def test_batch_of_responses(client, gateway):
    batch = batch_of(client, line("a", model="gpt-6-luna", url="/v1/responses"), endpoint="/v1/responses")
    gateway.advance(hours=24)
    done = client.batches.retrieve(batch.id)
    assert (done.status, done.model, done.error_file_id) == ("completed", "gpt-6-luna", None)
    assert lines_of(client, done.output_file_id)["a"]["response"]["body"]["status"] == "completed"
    item = gateway.meter.log()[-3:]
    assert [entry.usage.thinking_tokens for entry in item if entry.batch] == [HELLO_THINKING]


def test_batch_cancel(client, gateway, slow_batches):
    batch = batch_of(client, line("a"))
    assert client.batches.cancel(batch.id).status == "cancelling"
    gateway.advance(minutes=2)
    gone = client.batches.retrieve(batch.id)
    assert (gone.status, gone.output_file_id, gone.request_counts.completed) == ("cancelled", None, 0)
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ((line("a"), "{oops"), "invalid_json_line", 2),
        ((line("a", url="/v1/responses"),), "invalid_json_line", 1),
        ((line("a"), line("a")), "duplicate_custom_id", None),
        (("",), "empty_file", None),
    ],
)
def test_batch_that_fails_validation_throws_nothing(client, gateway, lines, code, number):
    batch = batch_of(client, *lines)
    assert batch.status == "validating"
    gateway.advance(hours=1)
    failed = client.batches.retrieve(batch.id)
    assert (failed.status, failed.output_file_id, failed.errors.data[0].code, failed.errors.data[0].line) == ("failed", None, code, number)


def test_batch_of_a_missing_file(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client.batches.create(input_file_id="file-nowhere", endpoint="/v1/chat/completions", completion_window="24h")
    assert caught.value.status_code in (400, 404) and "file-nowhere" in caught.value.message
