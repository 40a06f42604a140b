"""What a cell orders, in Python and over HTTP: limits, the clock, and forgetting. Wrong orders get a sentence."""

import json
import re
import time
import urllib.error
import urllib.request
from datetime import datetime
from types import SimpleNamespace

import anthropic
import numpy
import openai
import pytest
from google import genai
from google.genai import errors, types

import helpers
from helpers import environment, models
from helpers.gateway.clock import Clock
from helpers.gateway.dialects.anthropic.dialect import Anthropic
from helpers.gateway.dialects.azure.dialect import Azure
from helpers.gateway.dialects.bedrock.dialect import Bedrock
from helpers.gateway.dialects.compatible import Compatible
from helpers.gateway.dialects.gemini.dialect import Gemini
from helpers.gateway.dialects.openai.dialect import OpenAI
from helpers.gateway.exchange import Refusal
from helpers.gateway.server import Gateway

HELLO = "Say hello in five words."
MESSAGES = [{"role": "user", "content": HELLO}]
SENTENCE = re.compile(r"[a-z].{15,}")  # in words, and not in Python's


def claude(**more):
    return anthropic.Anthropic(max_retries=0).messages.with_raw_response.create(model="claude-haiku-5-5", max_tokens=300, messages=MESSAGES, **more)


def gpt(text=HELLO, **more):
    return openai.OpenAI(max_retries=0).chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": text}], **more)


# ---- limits ------------------------------------------------------------------------------------------------
@pytest.fixture
def still(gateway, monkeypatch):
    """A clock that moves only when it is told to."""
    now = gateway.clock.now()
    monkeypatch.setattr(gateway.clock, "now", lambda: now + gateway.clock._added)


def test_output_tokens_count_as_they_are_written_whatever_max_tokens_says(gateway, still):
    gateway.limit("anthropic", output_tokens=50)
    first = claude()
    written = first.parse().usage.output_tokens
    assert first.headers["anthropic-ratelimit-output-tokens-limit"] == "50" and written < 50
    while written < 50:
        written += claude().parse().usage.output_tokens
    with pytest.raises(anthropic.RateLimitError, match="50 output tokens per minute") as caught:
        claude()
    wait = int(caught.value.response.headers["retry-after"])
    owed = written - 50 + 1
    assert wait == -(-owed * 60 // 50), "what was written beyond the limit is owed"
    gateway.advance(seconds=wait)
    again = claude()
    assert int(again.headers["anthropic-ratelimit-output-tokens-remaining"]) >= 0


def test_a_stream_counts_against_the_output_tokens_too(gateway, still):
    gateway.limit("anthropic", output_tokens=5)
    with anthropic.Anthropic(max_retries=0).messages.stream(model="claude-haiku-5-5", max_tokens=300, messages=MESSAGES) as stream:
        assert stream.get_final_text()
    with pytest.raises(anthropic.RateLimitError, match="5 output tokens per minute"):
        claude()


@pytest.mark.parametrize("limit", [{"requests": 1}, {"requests": 7}, {"tokens": 130}])
def test_who_waits_as_long_as_he_is_told_is_let_in(gateway, still, limit):
    gateway.limit("openai", **limit)
    for _ in range(12):
        try:
            gpt(max_completion_tokens=50, reasoning_effort="none")
        except openai.RateLimitError as error:
            milliseconds = int(error.response.headers["retry-after-ms"])
            assert int(error.response.headers["retry-after"]) * 1000 >= milliseconds > 0
            gateway.advance(seconds=milliseconds / 1000)
            gpt(max_completion_tokens=50, reasoning_effort="none")
            gateway.advance(seconds=0.777)


def test_a_limit_of_one_request_is_one_request(gateway, still):
    for provider, ask in (("openai", gpt), ("anthropic", claude)):
        gateway.limit(provider, requests=1)
        ask()
        with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)) as caught:
            ask()
        assert caught.value.response.headers["retry-after"] == "60"
        gateway.advance(minutes=1)
        ask()


@pytest.mark.parametrize("value", [True, False, 0, -1, 1.0, 1.5, float("nan"), float("inf"), 10**16, 10**400, "5", [5], {}, b"5"])
@pytest.mark.parametrize("name", ["requests", "tokens"])
def test_what_is_no_limit_is_refused_and_nothing_is_set(gateway, name, value):
    other = "tokens" if name == "requests" else "requests"
    with pytest.raises(ValueError, match="a limit is a whole number, at least 1 and at most"):
        gateway.limit("openai", **{other: 1, name: value})
    gpt(), gpt()


def test_a_limit_is_named_and_the_providers_own(gateway):
    with pytest.raises(ValueError, match=r"requests=\.\.\., tokens=\.\.\. or, for Anthropic, output_tokens=\.\.\."):
        gateway.limit("openai")
    with pytest.raises(ValueError, match="openai has no limit of output-tokens; it has requests, tokens"):
        gateway.limit("openai", output_tokens=5)
    for provider in (None, 1, ["openai"], {"openai"}, True):
        with pytest.raises(ValueError, match="there is no provider .*; there are openai, azure"):
            gateway.limit(provider, requests=1)


def test_numbers_of_numpy_are_numbers(gateway):
    gateway.limit("openai", requests=numpy.int64(1000), tokens=numpy.int32(10**6))
    gateway.advance(seconds=numpy.float64(0.5), hours=numpy.int64(1))
    gateway.fault("slow", seconds=numpy.float32(0.01), times=numpy.int64(1), chunk=numpy.int8(3))
    assert gpt().choices


# ---- Retry-After -------------------------------------------------------------------------------------------
LIMITED = {"limit": 7, "used": 7, "requested": 1, "model": "gpt-6-luna", "family": "requests"}


def names(dialect, wait, **facts):
    """The seconds that a refusal names, by where it names them."""
    answer = dialect.error(Refusal("rate_limited", wait=wait, **facts), SimpleNamespace(path="/model/a-model/converse", query={}))
    headers = dict(answer.headers)
    found = {name: float(headers[name]) for name in ("retry-after",) if name in headers}
    if "retry-after-ms" in headers:
        found["retry-after-ms"] = int(headers["retry-after-ms"]) / 1000
    delay = re.search(rb'"retryDelay": "(\d+)s"', answer.body)
    said = re.search(rb"(?:retry in|retry after|try again in) (?:(\d+)m)?([\d.]+) ?s", answer.body)
    if delay:
        found["retryDelay"] = float(delay[1])
    if said:
        found["words"] = 60 * int(said[1] or 0) + float(said[2])
    return found


@pytest.mark.parametrize("facts", [LIMITED, {}], ids=["quota", "fault"])
@pytest.mark.parametrize("dialect", [OpenAI, Azure, Anthropic, Gemini, Bedrock, Compatible])
def test_no_wait_that_an_answer_names_is_shorter_than_the_wait(dialect, facts):
    asked = dialect()
    for milliseconds in range(1_000, 90_000, 37):
        named = names(asked, milliseconds / 1000, **facts)
        assert all(round(1000 * seconds) >= milliseconds for seconds in named.values()), (milliseconds, named)


# ---- the clock ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"hours": 1e9}, "a century at most"),
        ({"seconds": 1e308, "hours": 1e308}, "a century at most"),
        ({"seconds": 10**400}, "a century at most"),
        ({"seconds": float("nan")}, "a century at most"),
        ({"seconds": -1}, "only moves forward"),
        ({"seconds": 100, "minutes": -1}, "only moves forward"),
        ({"seconds": "5"}, "are numbers"),
        ({"hours": "1"}, "are numbers"),
        ({"hours": None}, "are numbers"),
        ({"minutes": True}, "are numbers"),
        ({"minutes": [1]}, "are numbers"),
        ({"minutes": 1j}, "are numbers"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused_and_the_clock_goes_on(gateway, step, says):
    before = gateway.clock.now()
    with pytest.raises(ValueError, match=says):
        gateway.advance(**step)
    assert 0 <= gateway.clock.now() - before < 60


def left():
    raw = openai.OpenAI(max_retries=0).chat.completions.with_raw_response.create(model="gpt-6-luna", messages=MESSAGES)
    return int(raw.headers["x-ratelimit-remaining-requests"])


def test_while_the_clock_is_stopped_a_quota_refills_by_what_is_advanced_and_by_nothing_else(gateway):
    gateway.limit("openai", requests=60_000)  # a running clock would give one back in each millisecond
    gateway.stop_clock()
    gateway.stop_clock()
    assert [left() for _ in range(10)] == list(range(59_999, 59_989, -1))
    gateway.advance(seconds=0.0045)
    assert left() == 59_990 + 4 - 1, "four and a half came back"
    assert len({entry.at for entry in gateway.meter.log()}) == 2


def test_while_the_clock_is_stopped_a_batch_does_nothing(gateway):
    gateway.stop_clock()
    claudes = anthropic.Anthropic(max_retries=0).messages.batches
    batch = claudes.create(requests=[{"custom_id": "a", "params": {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": MESSAGES}}])
    time.sleep(0.3)  # at the pace of the tests a batch takes less
    assert claudes.retrieve(batch.id).processing_status == "in_progress"
    gateway.advance(seconds=30)
    assert claudes.retrieve(batch.id).processing_status == "ended"


def test_a_clock_that_starts_again_goes_on_from_where_it_stood(monkeypatch):
    monkeypatch.delenv("COURSE_DATE", raising=False)
    real = [1000.0]
    monkeypatch.setattr("helpers.gateway.clock.time", SimpleNamespace(time=lambda: real[0]))
    clock = Clock()
    clock.go_on()
    clock.stop()
    real[0] += 50
    assert clock.now() == 1000
    clock.advance(seconds=7)
    clock.go_on()
    assert clock.now() == 1007
    real[0] += 1
    assert clock.now() == 1008


def test_a_reset_lets_the_clock_run_at_the_real_time(gateway):
    gateway.advance(hours=5)
    gateway.stop_clock()
    gateway.reset()
    began = gateway.clock.now()
    time.sleep(0.01)
    assert gateway.clock.now() > began
    gateway.stop_clock()
    gateway.start_clock()
    time.sleep(0.01)
    assert gateway.clock.now() > began


@pytest.fixture(params=["9999-12-31", "0001-01-01", "1970-01-01"])
def edge(request, monkeypatch):
    """A gateway on a day at an end of the calendar."""
    monkeypatch.setenv("COURSE_DATE", request.param)
    running = Gateway(pace=0).start()
    for name, value in environment.variables(running.base_url).items():
        monkeypatch.setenv(name, value)
    yield running
    running.stop()


def test_every_dialect_answers_at_the_ends_of_the_calendar(edge):
    day = edge.clock.today()
    for provider in ("openai", "azure", "anthropic", "gemini", "bedrock", "compatible"):
        if not models.get(models.default(provider), provider).is_retired(day):
            assert helpers.ask(provider, HELLO).text
    claudes = anthropic.Anthropic(max_retries=0).messages.batches
    batch = claudes.create(requests=[{"custom_id": "a", "params": {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": MESSAGES}}])
    assert batch.created_at.date() == day and batch.expires_at >= batch.created_at
    client = genai.Client()
    job = client.batches.create(model="gemini-3.5-flash-lite", src=[{"contents": HELLO}])
    assert job.create_time.date() == day
    files = openai.OpenAI(max_retries=0)
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-6-luna", "messages": MESSAGES}}
    given = files.files.create(file=("a.jsonl", json.dumps(line).encode()), purpose="batch")
    assert files.batches.create(input_file_id=given.id, endpoint="/v1/chat/completions", completion_window="24h").id
    cached = types.CreateCachedContentConfig(contents="word " * 5000)
    cache = client.caches.create(model="gemini-3.5-flash-lite", config=cached)
    assert cache.create_time.date() == day and cache.expire_time > cache.create_time
    edge.advance(seconds=30)
    assert claudes.retrieve(batch.id).processing_status == "ended"
    assert client.batches.get(name=job.name).state == "JOB_STATE_SUCCEEDED"


def test_at_the_end_of_the_calendar_the_clock_stops_in_words(monkeypatch):
    monkeypatch.setenv("COURSE_DATE", "9999-12-31")
    last = Gateway(pace=0).start()
    try:
        with pytest.raises(ValueError, match="the calendar ends"):
            last.advance(hours=24)
        last.advance(hours=11)
        monkeypatch.setattr(last.clock, "_added", 10.0**9)  # as if it had run for years
        assert last.clock.today() == datetime.max.date()
        reset = _raw(last, "/anthropic/v1/messages", {"model": "claude-haiku-5-5", "max_tokens": 9, "messages": MESSAGES})
        assert reset["anthropic-ratelimit-requests-reset"] == "9999-12-31T23:59:59Z"
        _raw(last, "/anthropic/v1/messages/batches", {"requests": [{"custom_id": "a", "params": {"model": "claude-haiku-5-5", "max_tokens": 9, "messages": MESSAGES}}]})
    finally:
        last.stop()


def _raw(gateway, path, body):
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(gateway.base_url + path, json.dumps(body).encode(), headers), timeout=30) as answer:
        return dict(answer.headers)


# ---- forgetting --------------------------------------------------------------------------------------------
def everything(gateway):
    """Leave something in every part of a gateway; returns what tells whether it is still there."""
    client, claudes, google = openai.OpenAI(max_retries=0), anthropic.Anthropic(max_retries=0), genai.Client()
    gateway.limit("azure", requests=1)
    gateway.advance(hours=1)
    answer = client.responses.create(model="gpt-6-luna", input=HELLO)
    file = client.files.create(file=("a.jsonl", b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}'), purpose="batch")
    batch = claudes.messages.batches.create(requests=[{"custom_id": "a", "params": {"model": "claude-haiku-5-5", "max_tokens": 9, "messages": MESSAGES}}])
    cache = google.caches.create(model="gemini-3.5-flash-lite", config={"contents": "word " * 5000})
    job = google.batches.create(model="gemini-3.5-flash-lite", src=[{"contents": HELLO}])
    gpt("word " * 2000, max_completion_tokens=5)
    gateway.fault("server_error", "bedrock", times=None)
    return [
        (openai.BadRequestError, lambda: client.responses.create(model="gpt-6-luna", input="And?", previous_response_id=answer.id)),
        (openai.NotFoundError, lambda: client.files.retrieve(file.id)),
        (anthropic.NotFoundError, lambda: claudes.messages.batches.retrieve(batch.id)),
        (errors.ClientError, lambda: google.caches.get(name=cache.name)),
        (errors.ClientError, lambda: google.batches.get(name=job.name)),
    ]


def order(gateway, path, method="POST", **arguments):
    data = json.dumps(arguments).encode() if method == "POST" else None
    request = urllib.request.Request(f"{gateway.base_url}/course/{path}", data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("forget", [lambda gateway: gateway.reset(), lambda gateway: order(gateway, "reset")], ids=["python", "http"])
def test_reset_forgets_everything_that_it_says(gateway, forget):
    began = gateway.clock.now()
    kept = everything(gateway)
    for _, look in kept:
        assert look()
    forget(gateway)
    assert len(gateway.meter.log()) == 0 and gateway.clock.now() - began < 3000
    for error, look in kept:
        with pytest.raises(error):
            look()
    assert helpers.ask("azure", HELLO).text and helpers.ask("azure", HELLO).text and helpers.ask("bedrock", HELLO).text
    again = gpt("word " * 2000, max_completion_tokens=5)
    assert again.usage.prompt_tokens_details.cached_tokens == 0


# ---- over HTTP ---------------------------------------------------------------------------------------------
ODD = [None, True, -1, 1.5, 2**63, "", "x", [], [1], {}, {"a": 1}]
GOOD = {
    "faults": {"kind": "slow", "provider": "openai", "times": 1, "seconds": 1, "chunk": 3},
    "advance": {"seconds": 1},
    "limits": {"provider": "openai", "family": "requests", "per_minute": 5},
    "revoke": {"key": "x"},
}
TAKEN = {("faults", "provider", None), ("faults", "times", None), ("faults", "seconds", 1.5), ("advance", "seconds", 1.5), ("revoke", "key", "x"), ("faults", "times", 2**63), ("faults", "chunk", 2**63)}
ORDERS = [(path, name, value) for path, good in GOOD.items() for name in good for value in ODD]


@pytest.mark.parametrize(("path", "name"), dict.fromkeys((path, name) for path, name, _ in ORDERS))
def test_an_order_over_http_with_a_value_of_any_type_is_taken_or_refused_in_words(gateway, path, name):
    for value in ODD:
        status, body = order(gateway, path, **GOOD[path] | {name: value})
        taken = any((path, name) == row[:2] and type(value) is type(row[2]) and value == row[2] for row in TAKEN)
        assert status == (200 if taken else 400), (value, body)
        assert taken or (SENTENCE.match(body["error"]) and "not supported" not in body["error"] and "unhashable" not in body["error"]), body


@pytest.mark.parametrize("path", GOOD)
def test_an_order_over_http_names_what_is_missing_and_what_there_is_not(gateway, path):
    for name in GOOD[path]:
        rest = {other: value for other, value in GOOD[path].items() if other != name}
        status, body = order(gateway, path, **rest)
        assert status == 200 or (status == 400 and body["error"].startswith(f"{name} is missing; it takes "))
    status, body = order(gateway, path, **GOOD[path], until=5)
    assert status == 400 and body["error"].startswith("there is no until; it takes ")
