"""OpenAI's batches through its own SDK."""

import json

import openai
import pytest
from openai import OpenAI

from helpers.gateway.batches import Batches
from tests.gateway.dialects.openai.samples import HELLO, HELLO_THINKING, user


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


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


def test_batch_life_cycle(client, gateway, slow_batches):
    batch = batch_of(client, line("a"), line("b", reasoning_effort="high"), line("c"))
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
    assert sorted(good) == ["a", "c"] and good["a"]["response"]["status_code"] == 200 and good["a"]["error"] is None
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
    assert client.batches.cancel(batch.id) == gone, "cancelling twice is allowed"


def test_a_batch_that_has_completed_is_not_cancelled_any_more(client, gateway):
    batch = batch_of(client, line("a"))
    gateway.advance(hours=1)
    with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'completed'."):
        client.batches.cancel(batch.id)


def failed(client, gateway, *lines, endpoint="/v1/chat/completions"):
    """The errors of a batch that fails."""
    batch = batch_of(client, *lines, endpoint=endpoint)
    assert batch.status == "validating", "nothing is thrown"
    gateway.advance(hours=1)
    batch = client.batches.retrieve(batch.id)
    assert (batch.status, batch.output_file_id, batch.request_counts.total) == ("failed", None, 0)
    return [(error.code, error.line, error.param, error.message) for error in batch.errors.data]


def without(name):
    return {key: value for key, value in line("a").items() if key != name}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((line("a"), "{oops"), [("invalid_json_line", 2, None, "This line is not parseable as valid JSON.")]),
        (("\ufeff" + json.dumps(line("a")),), [("invalid_json_line", 1, None, "This line is not parseable as valid JSON.")]),
        ((json.dumps(line("a")) + "\r" + json.dumps(line("b")),), [("invalid_json_line", 1, None, "This line is not parseable as valid JSON.")]),
        (("[]",), [("invalid_request", 1, None, "Each line must be a JSON object.")]),
        *[((without(f),), [("missing_required_parameter", 1, f, f"Missing required parameter: '{f}'.")]) for f in ("custom_id", "method", "url", "body")],
        (("{}",), [("missing_required_parameter", 1, f, f"Missing required parameter: '{f}'.") for f in ("custom_id", "method", "url", "body")]),
        ((line(1),), [("invalid_type", 1, "custom_id", "Invalid type for 'custom_id': expected a string, but got an integer instead.")]),
        (({**line("a"), "method": "GET"},), [("invalid_value", 1, "method", "Invalid value for 'method': 'GET'. Supported values are: 'POST'.")]),
        ((line("a"), line("b", url="/v1/responses")), [("url_mismatch", 2, "url", "The URL provided for this request does not match the batch endpoint.")]),
        ((line("a"), "", line("a")), [("duplicate_custom_id", 3, "custom_id", "The custom_id 'a' for this request is a duplicate of another request. The custom_id parameter must be unique for each request in a batch.")]),
        ((line("a"), line("b", model="gpt-6-luna")), [("model_mismatch", 2, "body.model", "The model 'gpt-6-luna' for this request does not match the rest of the batch. Each batch must contain requests for a single model.")]),
        ((line("a", model="gpt-9"),), [("model_not_found", 1, "body.model", "The provided model 'gpt-9' is not supported by the Batch API.")]),
        ((line("a", stream=True),), [("streaming_unsupported", 1, "body.stream", "Chat Completions: Streaming is not supported in the Batch API.")]),
        (({**line("a"), "body": {"model": "gpt-4o-mini"}},), [("invalid_request", 1, "body.messages", "Messages parameter is required.")]),
        (({**line("a"), "body": {"messages": []}},), [("invalid_request", 1, "body.model", "Model parameter is required.")]),
        ((" \r", ""), [("empty_file", None, None, "The input file has no requests.")]),
    ],
)  # fmt: skip
def test_a_batch_file_with_a_mistake_fails_and_names_its_line(client, gateway, lines, expected):
    assert failed(client, gateway, *lines) == expected


def test_a_batch_names_all_mistakes_of_its_file_up_to_a_thousand(client, gateway):
    assert [error[1] for error in failed(client, gateway, "{", line("a"), "{", "{}")] == [1, 3, 4, 4, 4, 4]
    assert len(failed(client, gateway, *["{"] * 1500)) == 1000


def test_a_batch_has_at_most_50_000_lines(client, gateway):
    text = json.dumps(line("NUMBER"))
    assert failed(client, gateway, *[text.replace("NUMBER", str(n)) for n in range(50_001)])[0][0] == "too_many_tasks"


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c", "\x1e"])
def test_only_a_line_feed_ends_a_line(client, gateway, letter):
    text = json.dumps(line("a", messages=user(f"one{letter}two")), ensure_ascii=letter < " ")
    batch = batch_of(client, text + "\r", line("b"))
    gateway.advance(hours=1)
    assert client.batches.retrieve(batch.id).status == "completed"


def test_a_batch_of_a_missing_file_is_made_and_fails(client, gateway):
    batch = client.batches.create(input_file_id="file-nowhere", endpoint="/v1/chat/completions", completion_window="24h")
    gateway.advance(hours=1)
    [error] = client.batches.retrieve(batch.id).errors.data
    assert (error.code, error.line, error.param) == ("invalid_request", None, "file_id") and "Cannot find file file-nowhere" in error.message


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("endpoint", "/v1/none", "Invalid value: '/v1/none'. Supported values are: '/v1/responses', '/v1/chat/completions'"),
        ("endpoint", "/v1/moderations", "This gateway runs batches of"),
        ("completion_window", "1h", "Invalid value: '1h'. Supported values are: '24h'."),
        ("metadata", {"tags": ["a"]}, "Invalid type for 'metadata.tags': expected a string, but got an array instead."),
        ("output_expires_after", {"anchor": "created_at", "seconds": 60}, "Expected a value >= 3600, but got 60 instead."),
        ("output_expires_after", {"anchor": "created_at"}, "Missing required parameter: 'output_expires_after.seconds'."),
        ("output_expires_after", {"anchor": "today", "seconds": 3600}, "Invalid value: 'today'. Supported values are: 'created_at'."),
    ],
)  # fmt: skip
def test_a_batch_that_asks_for_what_there_is_not_is_refused(client, field, value, words):
    asked = {"input_file_id": upload(client, line("a")).id, "endpoint": "/v1/chat/completions", "completion_window": "24h", field: value}
    with pytest.raises(openai.BadRequestError) as caught:
        client.batches.create(**asked)
    assert words in caught.value.message


def test_the_output_of_a_batch_expires_when_it_was_asked_to(client, gateway):
    asked = {"anchor": "created_at", "seconds": 3600}
    file = upload(client, line("a"))
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", output_expires_after=asked)
    gateway.advance(hours=1)
    output = client.files.retrieve(client.batches.retrieve(batch.id).output_file_id)
    assert output.expires_at - output.created_at == 3600
    gateway.advance(minutes=61)
    with pytest.raises(openai.NotFoundError):
        client.files.content(output.id)
    assert client.files.retrieve(file.id).id == file.id, "the input stays for 30 days"


def test_the_output_of_a_batch_is_written_once_and_stays_deleted(client, gateway):
    batch = batch_of(client, line("a"))
    gateway.advance(hours=1)
    output = client.batches.retrieve(batch.id).output_file_id
    client.files.delete(output)
    assert client.batches.retrieve(batch.id).output_file_id == output
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(output)
