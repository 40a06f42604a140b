"""OpenAI's wire through its own SDK: chat, responses, models, files, batches, limits, caching and refusals."""

import asyncio
import json
import re
from itertools import groupby
from types import SimpleNamespace

import httpx2
import openai
import pytest
from openai import OpenAI

from helpers.gateway.batches import Batches

HELLO = "Say hello in five words."
HELLO_ANSWER = "Hello, it's nice meeting you."
HELLO_THINKING = 48
LONG = "All work and no play makes this a dull notebook. " * 200
COUNT = "Count from one to ten in words, one number a line."
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
def client(gateway):
    return OpenAI(max_retries=0)


def user(text):
    return [{"role": "user", "content": text}]


def chat(client, text=HELLO, model="gpt-6-luna", **more):
    return client.chat.completions.create(model=model, messages=user(text), **more)


# ---- chat ----------------------------------------------------------------------
def test_chat_completion(client):
    answer = chat(client)
    assert answer.choices[0].message.content == HELLO_ANSWER
    assert (answer.object, answer.model, answer.choices[0].finish_reason) == ("chat.completion", "gpt-6-luna", "stop")
    assert re.fullmatch(r"chatcmpl-[A-Za-z0-9]{29}", answer.id)
    assert answer.system_fingerprint is None
    used = answer.usage
    assert used.completion_tokens_details.reasoning_tokens == HELLO_THINKING < used.completion_tokens
    assert used.total_tokens == used.prompt_tokens + used.completion_tokens


@pytest.mark.parametrize(
    ("model", "served_as", "has_logprobs"),
    [("gpt-4o", "gpt-4o-2024-08-06", True), ("gpt-6-luna", "gpt-6-luna", False)],
)
def test_model_is_dated_and_logprobs_are_null_or_absent(client, model, served_as, has_logprobs):
    raw = client.chat.completions.with_raw_response.create(model=model, messages=user(HELLO))
    body = json.loads(raw.text)
    assert body["model"] == served_as
    assert ("logprobs" in body["choices"][0]) is has_logprobs
    assert body["choices"][0].get("logprobs") is None


def test_sampling_is_free_while_a_model_does_not_think(client):
    assert chat(client, reasoning_effort="none", temperature=0.2, logprobs=True).usage.completion_tokens_details.reasoning_tokens == 0


def test_effort_scales_the_thinking(client):
    spent = [chat(client, reasoning_effort=e).usage.completion_tokens_details.reasoning_tokens for e in ("none", "low", "medium", "max")]
    assert spent == sorted(set(spent)) and spent[0] == 0


def test_stream(client):
    chunks = list(chat(client, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[0].choices[0].delta.content == ""
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == HELLO_ANSWER
    assert [c.choices[0].finish_reason for c in chunks][-2:] == [None, "stop"]
    assert len({c.id for c in chunks}) == 1
    assert "usage" not in chunks[0].model_fields_set, "without include_usage the key is absent"


def test_stream_with_usage_ends_with_a_chunk_without_choices(client):
    *chunks, last = chat(client, stream=True, stream_options={"include_usage": True})
    assert all(c.choices and c.usage is None and "usage" in c.model_fields_set for c in chunks)
    assert last.choices == [] and last.usage == chat(client).usage


@pytest.mark.parametrize("include", [None, False])
def test_obfuscation_can_be_turned_off(client, include):
    options = {} if include is None else {"stream_options": {"include_obfuscation": include}}
    assert {bool(chunk.obfuscation) for chunk in chat(client, stream=True, **options)} == {include is None}
    events = client.responses.create(model="gpt-6-luna", input=HELLO, stream=True, **options)
    assert {"obfuscation" in event.to_dict() for event in events if "delta" in event.type} == {include is None}


def test_stream_ends_with_done(client):
    raw = client.chat.completions.with_raw_response.create(model="gpt-6-luna", messages=user(HELLO), stream=True)
    assert raw.headers["content-type"] == "text/event-stream; charset=utf-8"
    text = raw.http_response.read().decode()
    assert text.endswith("data: [DONE]\n\n") and "event:" not in text


def test_n_choices_are_charged_together(client):
    one, three = chat(client), chat(client, n=3)
    assert [c.index for c in three.choices] == [0, 1, 2]
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens
    assert three.usage.prompt_tokens == one.usage.prompt_tokens


def test_n_choices_in_a_stream_interleave(client):
    texts = {0: "", 1: ""}
    for chunk in chat(client, n=2, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == {0: HELLO_ANSWER, 1: HELLO_ANSWER}


@pytest.mark.parametrize("stop", ["three", ["never said", "three"]])
def test_stop_is_cut_from_the_text(client, stop):
    choice = chat(client, COUNT, stop=stop).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("one\ntwo\n", "stop")


@pytest.mark.parametrize("role", ["system", "developer"])
def test_system_and_developer_are_the_same_role(client, role):
    messages = [{"role": role, "content": "Answer in at most eight words."}, *user("What is a list comprehension?")]
    answer = client.chat.completions.create(model="gpt-6-luna", messages=messages)
    assert answer.usage.prompt_tokens > chat(client, "What is a list comprehension?").usage.prompt_tokens
    assert answer.choices[0].message.content == "A one-line way to build a list."


def test_image_parts(client):
    parts = [{"type": "text", "text": HELLO}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    assert chat(client, parts).usage.prompt_tokens - chat(client).usage.prompt_tokens == 258


def test_truncation(client):
    answer = chat(client, COUNT, model="gpt-4o", max_completion_tokens=3)
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 3)
    assert answer.choices[0].message.content


def test_thinking_can_eat_the_whole_budget(client):
    answer = chat(client, max_completion_tokens=20)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("", "length")
    assert answer.usage.completion_tokens == answer.usage.completion_tokens_details.reasoning_tokens == 20


async def _ask_async():
    async with openai.AsyncOpenAI() as client:
        return await client.chat.completions.create(model="gpt-6-luna", messages=user(HELLO))


def test_async_client(gateway):
    assert asyncio.run(_ask_async()).choices[0].message.content == HELLO_ANSWER


# ---- responses -----------------------------------------------------------------
def test_response(client):
    answer = client.responses.create(model="gpt-6-luna", input=HELLO)
    assert (answer.output_text, answer.status) == (HELLO_ANSWER, "completed")
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert [re.fullmatch(r"[a-z]+_[0-9a-f]{48}", id) is not None for id in (answer.id, *(item.id for item in answer.output))] == [True] * 3
    assert answer.usage.output_tokens_details.reasoning_tokens == HELLO_THINKING < answer.usage.output_tokens


def test_response_stream(client):
    events = list(client.responses.create(model="gpt-6-luna", input=HELLO, stream=True))
    assert [kind for kind, _ in groupby(event.type.removeprefix("response.") for event in events)] == [
        "created",
        "in_progress",
        *("output_item.added", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done", "output_item.done"),
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].response.status == "in_progress" and events[0].response.output == []
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == HELLO_ANSWER
    assert events[-1].response.output_text == HELLO_ANSWER and events[-1].response.id == events[0].response.id


def test_response_stream_helper(client):
    with client.responses.stream(model="gpt-6-luna", input=HELLO) as stream:
        assert stream.get_final_response().output_text == HELLO_ANSWER


@pytest.mark.parametrize("stream", [False, True])
def test_response_goes_on_from_another(client, stream):
    first = client.responses.create(model="gpt-6-luna", input=HELLO, instructions="Be brief.")
    more = {"model": "gpt-6-luna", "input": "And now goodbye.", "previous_response_id": first.id}
    second = list(client.responses.create(**more, stream=True))[-1].response if stream else client.responses.create(**more)
    alone = client.responses.create(model="gpt-6-luna", input="And now goodbye.")
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > alone.usage.input_tokens + first.usage.output_tokens - HELLO_THINKING - 1


def test_response_that_was_not_stored_cannot_be_continued(client):
    first = client.responses.create(model="gpt-6-luna", input=HELLO, store=False)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="gpt-6-luna", input="And now goodbye.", previous_response_id=first.id)
    assert (caught.value.param, caught.value.code) == ("previous_response_id", "previous_response_not_found")


@pytest.mark.parametrize("limit", [16, 52])
def test_response_truncation(client, limit):
    answer = client.responses.create(model="gpt-6-luna", input=HELLO, max_output_tokens=limit)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert answer.usage.output_tokens == limit
    assert bool(answer.output_text) is (limit > HELLO_THINKING)


def test_response_stream_truncation_ends_incomplete(client):
    events = list(client.responses.create(model="gpt-6-luna", input=HELLO, max_output_tokens=16, stream=True))
    assert events[-1].type == "response.incomplete"


def test_input_tokens_are_what_a_call_is_charged_for(client):
    counted = client.responses.input_tokens.count(model="gpt-6-luna", input=HELLO, instructions="Be brief.")
    answer = client.responses.create(model="gpt-6-luna", input=HELLO, instructions="Be brief.")
    assert counted.object == "response.input_tokens"
    assert counted.input_tokens == answer.usage.input_tokens


# ---- models --------------------------------------------------------------------
def test_models_that_are_retired_are_not_listed(client, gateway):
    listed = {model.id: model for model in client.models.list()}
    assert "gpt-3.5-turbo" not in listed and "gpt-6-luna" in listed
    assert listed["gpt-4o"].shutdown_date == "2027-01-14" and listed["gpt-6-luna"].shutdown_date is None
    gateway.advance(hours=24 * 365)
    assert "gpt-4o" not in {model.id for model in client.models.list()}


def test_model(client):
    model = client.models.retrieve("gpt-5-mini")
    assert (model.id, model.object, model.owned_by, model.shutdown_date) == ("gpt-5-mini", "model", "openai", "2026-12-11")
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-3.5-turbo")
    assert caught.value.code == "model_not_found"


# ---- files and batches ---------------------------------------------------------
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


# ---- limits and headers --------------------------------------------------------
@pytest.fixture
def still(gateway, monkeypatch):
    """The course's clock stands still but for what a test adds to it, so no bucket refills unasked."""
    now = gateway.clock.now()
    monkeypatch.setattr("helpers.gateway.clock.time", SimpleNamespace(time=lambda: now))


def raw(client, **more):
    return client.chat.completions.with_raw_response.create(model="gpt-6-luna", messages=user(HELLO), **more)


def test_rate_limit_headers(client, gateway, still):
    gateway.limit("openai", requests=600, tokens=60_000)
    first, second = raw(client).headers, raw(client).headers
    assert (first["x-ratelimit-limit-requests"], first["x-ratelimit-limit-tokens"]) == ("600", "60000")
    assert (first["x-ratelimit-remaining-requests"], first["x-ratelimit-reset-requests"]) == ("599", "100ms")
    assert (second["x-ratelimit-remaining-requests"], second["x-ratelimit-reset-requests"]) == ("598", "200ms")
    assert int(second["x-ratelimit-remaining-tokens"]) < int(first["x-ratelimit-remaining-tokens"]) < 60_000
    assert first["x-ratelimit-reset-tokens"] == f"{60_000 - int(first['x-ratelimit-remaining-tokens'])}ms"
    assert re.fullmatch(r"req_[0-9a-f]{32}", first["x-request-id"]) and first["openai-version"] == "2020-10-01"
    gateway.advance(minutes=1)
    assert raw(client).headers["x-ratelimit-remaining-requests"] == "599"


def test_rate_limit(client, gateway, still):
    gateway.limit("openai", requests=1)
    chat(client)
    with pytest.raises(openai.RateLimitError) as caught:
        chat(client)
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert caught.value.response.headers["retry-after"] == "60" and "Please try again in 1m0s" in caught.value.message
    gateway.advance(minutes=1)
    assert chat(client).choices


def test_request_too_large_for_the_limit(client, gateway):
    gateway.limit("openai", tokens=100)
    with pytest.raises(openai.RateLimitError, match="Request too large") as caught:
        chat(client, LONG)
    assert caught.value.type == "tokens"


# ---- prompt caching ------------------------------------------------------------
def cached(client, model, text=LONG):
    used = chat(client, text, model=model).usage
    details = used.prompt_tokens_details
    return used.prompt_tokens, details.cached_tokens, getattr(details, "cache_write_tokens", None)


def test_gpt_6_charges_for_writing_to_the_cache(client, gateway):
    prompt, read, written = cached(client, "gpt-6-luna")
    assert read == 0 and written == prompt - 3, "the last few tokens of a prompt are never kept"
    assert cached(client, "gpt-6-luna") == (prompt, written, 0)
    gateway.advance(minutes=29)
    assert cached(client, "gpt-6-luna")[1] == written, "a read renews"
    gateway.advance(minutes=31)
    assert cached(client, "gpt-6-luna") == (prompt, 0, written)


def test_older_models_cache_in_blocks_of_128(client, gateway):
    prompt, read, written = cached(client, "gpt-4o")
    assert (read, written) == (0, None)
    again = cached(client, "gpt-4o")[1]
    assert again % 128 == 0 and prompt - 140 < again <= prompt
    gateway.advance(minutes=11)
    assert cached(client, "gpt-4o")[1] == 0


def test_a_common_beginning_is_enough_and_a_changed_one_is_not(client):
    _, _, written = cached(client, "gpt-6-luna")
    _, read, more = cached(client, "gpt-6-luna", LONG + "And then some more.")
    assert written - 2 <= read <= written and 0 < more < 10
    assert cached(client, "gpt-6-luna", [{"type": "text", "text": LONG}, {"type": "image_url", "image_url": {"url": PIXEL}}])[2] >= 258
    assert cached(client, "gpt-6-luna", "First. " + LONG)[1] == 0


@pytest.mark.parametrize("words", [900, 1013, 1016, 1019, 1024, 1030])
def test_what_is_written_can_be_read(client, words):
    prompt, read, written = cached(client, "gpt-6-luna", "yes" + " yes" * (words - 1))
    assert read == 0
    assert cached(client, "gpt-6-luna", "yes" + " yes" * (words - 1)) == (prompt, written, 0)
    if prompt < 1024:
        assert written == 0


# ---- refusals ------------------------------------------------------------------
REFUSED = [
    ({"messages": None}, "missing_required_parameter", "messages"),
    ({"model": None}, "missing_required_parameter", "model"),
    ({"messages": [{"role": "user"}]}, "missing_required_parameter", "messages[0].content"),
    ({"messages": [{"content": "Hi"}]}, "missing_required_parameter", "messages[0].role"),
    ({"messages": [{"role": "wizard", "content": "Hi"}]}, "invalid_value", "messages[0].role"),
    ({"messages": []}, "empty_array", "messages"),
    ({"messages": "Hi"}, "invalid_type", "messages"),
    ({"max_completion_tokens": "many"}, "invalid_type", "max_completion_tokens"),
    ({"max_completion_tokens": 0}, "integer_below_min_value", "max_completion_tokens"),
    ({"n": 1000}, "integer_above_max_value", "n"),
    ({"temperature": 2.5}, "decimal_above_max_value", "temperature"),
    ({"temperature": -0.5}, "decimal_below_min_value", "temperature"),
    ({"top_k": 3}, "unknown_parameter", "top_k"),
    ({"max_tokens": 50}, "unsupported_parameter", "max_tokens"),
    ({"temperature": 0.5}, "unsupported_value", "temperature"),
    ({"reasoning_effort": "minimal"}, "unsupported_value", "reasoning_effort"),
    ({"model": "gpt-6.1-sol", "reasoning_effort": "none"}, "unsupported_value", "reasoning_effort"),
    ({"model": "gpt-6.1-sol", "stop": "x"}, "unsupported_parameter", "stop"),
    ({"model": "gpt-4o", "reasoning_effort": "low"}, "unsupported_parameter", "reasoning_effort"),
    ({"logprobs": True}, "unsupported_parameter", "logprobs"),
]


@pytest.mark.parametrize(("change", "code", "param"), REFUSED)
def test_bad_request(client, change, code, param):
    body = {"model": "gpt-6-luna", "messages": user(HELLO), **change}
    body = {name: value for name, value in body.items() if value is not None}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body, cast_to=object)
    assert (caught.value.code, caught.value.param, caught.value.type) == (code, param, "invalid_request_error")
    assert param.split(".")[-1] in caught.value.message or code == "invalid_value"


def test_max_tokens_refusal_says_what_to_use(client):
    with pytest.raises(openai.BadRequestError, match="Use 'max_completion_tokens' instead"):
        chat(client, max_tokens=5)
    assert chat(client, model="gpt-4o", max_tokens=5).usage.completion_tokens == 5


@pytest.mark.parametrize("model", ["gpt-99", "gpt-3.5-turbo"])
def test_unknown_and_retired_models(client, model):
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client, model=model)
    assert (caught.value.code, caught.value.param) == ("model_not_found", None) and model in caught.value.message
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=model, input=HELLO)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_model_retires_on_its_day(client, gateway):
    assert chat(client, model="gpt-4o").choices
    gateway.advance(hours=24 * 365)
    with pytest.raises(openai.NotFoundError):
        chat(client, model="gpt-4o")


@pytest.mark.parametrize(
    "change",
    [{"input": None}, {"max_output_tokens": 1}, {"colour": "red"}, {"reasoning": {"effort": "huge"}}, {"temperature": 0.1}],
)
def test_bad_response_request(client, change):
    body = {name: value for name, value in {"model": "gpt-6-luna", "input": HELLO, **change}.items() if value is not None}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/responses", body=body, cast_to=object)
    assert caught.value.param.startswith(next(iter(change)))


def test_prompt_too_long(client):
    with pytest.raises(openai.BadRequestError, match="exceeds the context window") as caught:
        chat(client, "word " * 130_000, model="gpt-4o")
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(("key", "body", "status"), [("Bearer x", b"{oops", 400), ("Bearer x", b"[1]", 400), ("", b"{}", 401)])
def test_raw_requests_are_refused_in_the_same_shape(gateway, key, body, status):
    answer = httpx2.post(f"{gateway.base_url}/openai/v1/chat/completions", content=body, headers={"authorization": key})
    assert answer.status_code == status and set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_bad_key_is_not_repeated_whole(gateway):
    key = "sk-proj-invalid-0123456789abcdefghij"
    with pytest.raises(openai.AuthenticationError) as caught:
        chat(OpenAI(api_key=key, max_retries=0))
    assert caught.value.code == "invalid_api_key" and "****" in caught.value.message
    assert key not in str(caught.value) and "0123456789" not in str(caught.value)
    assert caught.value.response.headers["www-authenticate"].startswith("Bearer")
    assert not any(name.startswith("x-ratelimit") for name in caught.value.response.headers)


def test_unknown_path(client):
    with pytest.raises(openai.NotFoundError):
        client.get("/nothing", cast_to=object)


def test_a_stored_conversation_keeps_what_was_in_its_input_and_drops_its_instructions(gateway):
    client = openai.OpenAI()
    rules = {"role": "developer", "content": "Be brief. " * 100}
    said = [rules, {"role": "user", "content": "Hi"}]
    first = client.responses.create(model="gpt-6-luna", input=said, instructions="Be kind. " * 100, max_output_tokens=16)
    after = client.responses.create(model="gpt-6-luna", input="And now?", previous_response_id=first.id)
    assert 300 < after.usage.input_tokens < first.usage.input_tokens


TOOLS = [{"type": "function", "function": {"name": "a"}}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": "a"}},
        {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": "a"}},
        {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": ["a"]}}},
        {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "tools": 3}},
        {"tools": [{"type": "function", "function": "a"}]},
        {"response_format": {"type": "json_schema", "json_schema": "x"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": True}}},
    ],
    ids=str,
)
def test_a_tool_or_format_of_the_wrong_type_is_refused(gateway, wrong):
    with pytest.raises(openai.BadRequestError):
        openai.OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi"}], **wrong)


def test_a_tool_choice_of_the_wrong_type_is_refused_by_responses(gateway):
    choice = {"type": "allowed_tools", "mode": "required", "tools": 5}
    with pytest.raises(openai.BadRequestError):
        openai.OpenAI().responses.create(model="gpt-4o-mini", input="Hi", tools=[{"type": "function", "name": "a", "parameters": {}}], tool_choice=choice)
