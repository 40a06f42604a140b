"""Every fault through every SDK: which exception a program really sees, and how many requests were really sent."""

import asyncio
import json
import os
import time
from base64 import b64encode

import anthropic
import boto3
import botocore.exceptions
import httpx2
import openai
import pytest
import urllib3
from botocore.config import Config
from google import genai
from google.genai import errors, types

from helpers import environment, models
from helpers.costs import Bill
from helpers.gateway.answer import Answer, Choice
from helpers.gateway.dialects.bedrock import eventstream
from helpers.gateway.exchange import Provenance, Question, Usage
from helpers.gateway.faults import KINDS
from helpers.gateway.server import Gateway

PROMPT = "Say hello in five words."
MESSAGES = [{"role": "user", "content": PROMPT}]
PATIENCE = 0.3  # seconds before a client gives up waiting


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Where no server says how long to wait, the SDKs wait half a second and more; here they do not."""
    for sdk in (openai, anthropic):
        monkeypatch.setattr(sdk._base_client, "INITIAL_RETRY_DELAY", 0.01)


# ---- one question through each SDK, plain and streamed: the text of the answer ---------------------------------
def openai_plain(**more):
    return openai.OpenAI(**more).chat.completions.create(model="gpt-6-luna", messages=MESSAGES).choices[0].message.content


def openai_stream(**more):
    stream = openai.OpenAI(**more).chat.completions.create(model="gpt-6-luna", messages=MESSAGES, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def azure_plain(**more):
    return openai.AzureOpenAI(**more).chat.completions.create(model="gpt-6-luna", messages=MESSAGES).choices[0].message.content


def anthropic_plain(**more):
    return anthropic.Anthropic(**more).messages.create(model="claude-haiku-5-5", max_tokens=200, messages=MESSAGES).content[-1].text


def anthropic_stream(**more):
    with anthropic.Anthropic(**more).messages.stream(model="claude-haiku-5-5", max_tokens=200, messages=MESSAGES) as stream:
        return "".join(stream.text_stream)


def gemini_plain(timeout=None, **options):
    client = genai.Client(http_options=types.HttpOptions(timeout=timeout and int(timeout * 1000), **options))
    return client.models.generate_content(model="gemini-3.5-flash-lite", contents=PROMPT).text


def gemini_stream(timeout=None):
    # A prompt without a recording: its answer is long enough to come in several pieces.
    client = genai.Client(http_options=types.HttpOptions(timeout=timeout and int(timeout * 1000)))
    steady = types.GenerateContentConfig(temperature=0)
    stream = client.models.generate_content_stream(model="gemini-3.5-flash-lite", contents="A prompt that nobody recorded.", config=steady)
    return "".join(piece.text for piece in stream)


def bedrock_client(timeout=None, **options):
    return boto3.client("bedrock-runtime", config=Config(read_timeout=timeout or 60, **options))


CONVERSE = {"modelId": "us.anthropic.claude-haiku-5-5", "messages": [{"role": "user", "content": [{"text": PROMPT}]}]}


def bedrock_plain(timeout=None, **options):
    return bedrock_client(timeout, **options).converse(**CONVERSE)["output"]["message"]["content"][-1]["text"]


def bedrock_stream(timeout=None):
    events = bedrock_client(timeout).converse_stream(**CONVERSE)["stream"]
    return "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)


PLAIN = [openai_plain, azure_plain, anthropic_plain, gemini_plain, bedrock_plain]
STREAMS = [openai_stream, anthropic_stream, gemini_stream, bedrock_stream]
# Without a word from the program, an SDK sends a failed request this often in all.
ATTEMPTS = {"openai": 3, "azure": 3, "anthropic": 3, "gemini": 1, "bedrock": 3}
# The fewest retries each SDK can be told to make, so that a test does not wait.
IMPATIENT = {
    "openai": {"max_retries": 0},
    "azure": {"max_retries": 0},
    "anthropic": {"max_retries": 0},
    "gemini": {},
    "bedrock": {"retries": {"total_max_attempts": 1}},
}


def provider(ask):
    return ask.__name__.partition("_")[0]


# ---- what is refused before an answer is made ------------------------------------------------------------------
REFUSED = {
    "rate_limited": {
        openai_plain: (openai.RateLimitError, 429),
        azure_plain: (openai.RateLimitError, 429),
        anthropic_plain: (anthropic.RateLimitError, 429),
        gemini_plain: (errors.ClientError, 429),
        bedrock_plain: ("ThrottlingException", 429),
    },
    "overloaded": {
        openai_plain: (openai.InternalServerError, 503),
        azure_plain: (openai.InternalServerError, 503),
        anthropic_plain: (anthropic.OverloadedError, 529),
        gemini_plain: (errors.ServerError, 503),
        bedrock_plain: ("ServiceUnavailableException", 503),
    },
    "server_error": {
        openai_plain: (openai.InternalServerError, 500),
        azure_plain: (openai.InternalServerError, 500),
        anthropic_plain: (anthropic.InternalServerError, 500),
        gemini_plain: (errors.ServerError, 500),
        bedrock_plain: ("InternalServerException", 500),
    },
    "wrong_key": {
        openai_plain: (openai.AuthenticationError, 401),
        azure_plain: (openai.AuthenticationError, 401),
        anthropic_plain: (anthropic.AuthenticationError, 401),
        gemini_plain: (errors.ClientError, 400),
        bedrock_plain: ("UnrecognizedClientException", 403),
    },
    "out_of_credit": {
        openai_plain: (openai.RateLimitError, 429),
        azure_plain: (openai.PermissionDeniedError, 403),
        anthropic_plain: (anthropic.EnforcedSpendLimitReachedError, 429),
        gemini_plain: (errors.ClientError, 429),
        bedrock_plain: ("ThrottlingException", 429),
    },
}
REFUSED["outage"] = REFUSED["overloaded_in_stream"] = REFUSED["overloaded"]
CASES = [(kind, ask, *expected) for kind, row in REFUSED.items() for ask, expected in row.items()]


def status(error):
    if isinstance(error, botocore.exceptions.ClientError):
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return error.code if isinstance(error, errors.APIError) else error.status_code


@pytest.mark.parametrize(("kind", "ask", "error", "code"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_refusal_is_the_sdks_own_exception(gateway, kind, ask, error, code):
    gateway.fault(kind, times=None, seconds=60 if kind == "outage" else 0)
    with pytest.raises(botocore.exceptions.ClientError if isinstance(error, str) else error) as caught:
        ask(**IMPATIENT[provider(ask)])
    assert status(caught.value) == code
    if isinstance(error, str):
        assert caught.value.response["Error"]["Code"] == error
    [entry] = gateway.meter.log()
    assert (entry.provider, entry.status, entry.fault) == (provider(ask), code, kind)


def test_out_of_credit_says_that_waiting_does_not_help(gateway):
    gateway.fault("out_of_credit", times=None)
    with pytest.raises(openai.RateLimitError) as caught:
        openai_plain(max_retries=0)
    assert (caught.value.type, caught.value.code) == ("insufficient_quota", "credit_balance_exhausted")
    assert "retry-after" not in caught.value.response.headers
    with pytest.raises(anthropic.EnforcedSpendLimitReachedError) as spent:
        anthropic_plain(max_retries=0)
    assert "retry-after" not in spent.value.response.headers
    with pytest.raises(errors.ClientError, match="credits are depleted"):
        gemini_plain()
    with pytest.raises(botocore.exceptions.ClientError, match="Too many tokens per day"):
        bedrock_plain(**IMPATIENT["bedrock"])


# ---- retries that nobody sees but the meter ---------------------------------------------------------------------
@pytest.mark.parametrize("ask", PLAIN)
def test_an_sdk_retries_a_server_error_so_often_and_no_more(gateway, ask):
    gateway.fault("server_error", times=None)
    with pytest.raises(Exception, match="500|InternalServerException"):
        ask()
    log = gateway.meter.log()
    assert [entry.status for entry in log] == [500] * ATTEMPTS[provider(ask)]


@pytest.mark.parametrize("ask", [ask for ask in PLAIN if ATTEMPTS[provider(ask)] > 1])
def test_one_server_error_is_mended_by_a_retry_that_the_program_never_sees(gateway, ask):
    gateway.fault("server_error", times=1)
    assert ask().startswith("Hello")
    assert [entry.status for entry in gateway.meter.log()] == [500, 200]


@pytest.mark.parametrize("ask", PLAIN)
def test_a_wrong_key_is_never_retried(gateway, ask):
    gateway.fault("wrong_key", times=None)
    with pytest.raises((openai.AuthenticationError, anthropic.AuthenticationError, errors.ClientError, botocore.exceptions.ClientError)):
        ask()
    assert len(gateway.meter.log()) == 1


@pytest.mark.parametrize("ask", [openai_plain, anthropic_plain])
def test_max_retries_is_obeyed(gateway, ask):
    gateway.fault("server_error", times=None)
    with pytest.raises((openai.InternalServerError, anthropic.InternalServerError)):
        ask(max_retries=1)
    assert len(gateway.meter.log()) == 2


def test_gemini_retries_only_when_told_to(gateway):
    gateway.fault("server_error", times=1)
    retry = types.HttpRetryOptions(attempts=3, initial_delay=0.01, jitter=0.01)
    assert gemini_plain(retry_options=retry) == "Hello, wonderful to meet you."
    assert [entry.status for entry in gateway.meter.log()] == [500, 200]


@pytest.mark.parametrize(("mode", "attempts"), [("legacy", 5), ("standard", 3)])
def test_boto3_throttled_by_mode(gateway, mode, attempts, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    gateway.fault("rate_limited", times=None)
    with pytest.raises(botocore.exceptions.ClientError, match=rf"reached max retries: {attempts - 1}"):
        bedrock_plain(retries={"mode": mode})
    assert len(gateway.meter.log()) == attempts


@pytest.mark.parametrize("ask", [openai_plain, azure_plain])
def test_an_sdk_waits_as_long_as_retry_after_ms_says(gateway, ask):
    gateway.fault("rate_limited", times=1, seconds=0.05)
    assert ask().startswith("Hello")
    first, second = gateway.meter.log()
    assert (first.status, second.status) == (429, 200) and second.at - first.at >= 0.05


def test_anthropic_waits_as_long_as_retry_after_says(gateway):
    gateway.fault("rate_limited", times=1, seconds=1)
    assert anthropic_plain().startswith("Hello")
    first, second = gateway.meter.log()
    assert (first.status, second.status) == (429, 200) and second.at - first.at >= 1


def test_openai_does_not_wait_longer_than_two_minutes(gateway):
    gateway.fault("rate_limited", times=None, seconds=121)
    with pytest.raises(openai.RateLimitError, match="try again in 2m1s"):
        openai_plain()
    assert len(gateway.meter.log()) == 1


# ---- an outage, and other conditions ---------------------------------------------------------------------------
def test_an_outage_strikes_until_its_time_is_over(gateway):
    gateway.fault("outage", "gemini", seconds=3600)
    for _ in range(2):
        with pytest.raises(errors.ServerError):
            gemini_plain()
    gateway.advance(minutes=50)
    with pytest.raises(errors.ServerError):
        gemini_plain()
    gateway.advance(minutes=10)
    assert gemini_plain() == "Hello, wonderful to meet you."


def test_an_outage_does_not_tell_how_long_it_lasts(gateway):
    gateway.fault("outage", seconds=3600)
    with pytest.raises(openai.InternalServerError) as caught:
        openai_plain(max_retries=0)
    assert caught.value.response.headers["retry-after"] == "1"


def test_a_fault_of_one_provider_leaves_the_others_alone(gateway):
    gateway.fault("server_error", "anthropic", times=None)
    assert [ask() for ask in (openai_plain, gemini_plain, bedrock_plain)]
    with pytest.raises(anthropic.InternalServerError):
        anthropic_plain(max_retries=0)


def test_faults_strike_in_the_order_in_which_they_were_set_and_can_be_cleared(gateway):
    gateway.fault("wrong_key")
    gateway.fault("server_error", times=None)
    with pytest.raises(openai.AuthenticationError):
        openai_plain()
    with pytest.raises(openai.InternalServerError):
        openai_plain(max_retries=0)
    gateway.clear_faults()
    assert openai_plain()


# ---- what is done to the connection ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (openai_plain, openai.APITimeoutError),
        (anthropic_plain, anthropic.APITimeoutError),
        (gemini_plain, httpx2.ReadTimeout),
        (bedrock_plain, botocore.exceptions.ReadTimeoutError),
    ],
)
@pytest.mark.parametrize("kind", ["slow", "stalled"])
def test_an_answer_that_is_late_is_a_timeout(gateway, kind, ask, error):
    gateway.fault(kind, seconds=30 if kind == "slow" else 0, times=None)
    with pytest.raises(error):
        ask(timeout=PATIENCE, **IMPATIENT[provider(ask)])
    assert len(gateway.meter.log()) == 1


@pytest.mark.parametrize("ask", PLAIN)
def test_slow_is_late_and_otherwise_well(gateway, ask):
    gateway.fault("slow", seconds=0.01)
    assert ask().startswith("Hello")
    [entry] = gateway.meter.log()
    assert (entry.status, entry.fault) == (200, "slow")


def test_an_answer_that_was_not_waited_for_is_on_the_bill_with_every_retry(gateway):
    gateway.fault("slow", times=3)
    with pytest.raises(openai.APITimeoutError):
        openai.OpenAI(timeout=1, max_retries=2).chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "Say hello in five words."}])
    assert [entry.usage.output_tokens > 0 for entry in gateway.meter.log()] == [True] * 3
    assert Bill(gateway.meter.log()).live == 3 * Bill(gateway.meter.log()[:1]).live > 0


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (openai_stream, openai.APITimeoutError),
        (anthropic_stream, httpx2.ReadTimeout),
        (gemini_stream, httpx2.ReadTimeout),
        (bedrock_stream, urllib3.exceptions.ReadTimeoutError),
    ],
)
def test_a_stream_that_stalls_is_a_timeout_and_is_not_retried(gateway, ask, error):
    gateway.fault("stalled", chunk=2)
    with pytest.raises(error):
        ask(timeout=PATIENCE)
    assert len(gateway.meter.log()) == 1


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (openai_plain, openai.APIConnectionError),
        (openai_stream, openai.APIConnectionError),
        (anthropic_plain, anthropic.APIConnectionError),
        (anthropic_stream, anthropic.APIConnectionError),
        (gemini_plain, httpx2.ReadError),
        (gemini_stream, httpx2.ReadError),
        (bedrock_plain, botocore.exceptions.ConnectionClosedError),
        (bedrock_stream, botocore.exceptions.ConnectionClosedError),
    ],
)
def test_a_connection_reset_before_the_answer_is_retried(gateway, ask, error):
    gateway.fault("connection_reset", times=None)
    with pytest.raises(error):
        ask()
    log = gateway.meter.log()
    assert len(log) == ATTEMPTS[provider(ask)]
    assert {(entry.status, entry.fault) for entry in log} == {(0, "connection_reset")}


def test_google_s_sdk_asks_once_more_only_where_it_is_awaited_and_the_connection_breaks(gateway, monkeypatch):
    """Chapter 12b says so. It waits for one to ten seconds, which are not waited for here."""
    waits, sleep = [], asyncio.sleep

    def at_once(seconds, *result):
        waits.append(seconds) if seconds >= 1 else None
        return sleep(0 if seconds >= 1 else seconds, *result)

    monkeypatch.setattr(asyncio, "sleep", at_once)
    client = genai.Client()
    for fault, requests in (("connection_reset", 2), ("server_error", 1)):
        gateway.fault(fault, "gemini", times=None)
        before = len(gateway.log())
        with pytest.raises((OSError, errors.ServerError)):
            asyncio.run(client.aio.models.generate_content(model="gemini-3.5-flash-lite", contents="Say hello."))
        assert len(gateway.log()) - before == requests
        gateway.clear_faults()
    assert len(waits) == 1 and 1 <= waits[0] <= 10


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (openai_stream, openai.APIConnectionError),
        (anthropic_stream, httpx2.RemoteProtocolError),
        (gemini_stream, httpx2.RemoteProtocolError),
        (bedrock_stream, urllib3.exceptions.ProtocolError),
    ],
)
def test_a_stream_that_is_cut_is_not_retried(gateway, ask, error):
    gateway.fault("stream_cut", chunk=2)
    with pytest.raises(error):
        ask()
    assert len(gateway.meter.log()) == 1


@pytest.mark.parametrize("ask", [openai_stream, anthropic_stream, gemini_stream, bedrock_stream])
def test_a_stream_that_ends_too_soon_is_no_error_to_any_sdk(gateway, ask):
    whole = ask()
    gateway.fault("stream_ended", chunk=1 if ask is gemini_stream else 5)
    assert whole.startswith(ask()) and ask() == whole
    assert [entry.fault for entry in gateway.meter.log()] == ["", "stream_ended", ""]


def test_what_ends_too_soon_has_no_finish_reason(gateway):
    gateway.fault("stream_ended", times=None, chunk=4)
    chunks = list(openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=MESSAGES, stream=True, stream_options={"include_usage": True}))
    assert len(chunks) == 4 and not any(chunk.usage or chunk.choices[0].finish_reason for chunk in chunks)
    with anthropic.Anthropic().messages.stream(model="claude-haiku-5-5", max_tokens=200, messages=MESSAGES) as stream:
        assert stream.get_final_message().stop_reason is None
    [*_, last] = bedrock_client().converse_stream(**CONVERSE)["stream"]
    assert not last.keys() & {"messageStop", "metadata"}


def test_a_stream_that_ends_too_soon_waits_for_a_stream(gateway):
    gateway.fault("stream_ended", chunk=2)
    openai_plain()
    openai_plain()
    openai_stream()
    assert [entry.fault for entry in gateway.meter.log()] == ["", "", "stream_ended"]


# ---- clients that leave ----------------------------------------------------------------------------------------
def left(gateway, seconds=5.0):
    """The last entry of the log, once the gateway has noticed that the client is gone."""
    until = time.monotonic() + seconds
    while not (entry := gateway.meter.log()[-1]).note and time.monotonic() < until:
        time.sleep(0.01)
    assert entry.note == "the client went away"
    return entry


def leave_openai():
    with openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=MESSAGES, stream=True) as stream:
        next(stream)


def leave_anthropic():
    with anthropic.Anthropic().messages.stream(model="claude-haiku-5-5", max_tokens=200, messages=MESSAGES) as stream:
        next(stream)


def leave_gemini():
    url = f"{os.environ['GOOGLE_GEMINI_BASE_URL']}/v1/models/gemini-3.5-flash-lite:streamGenerateContent?alt=sse"
    with httpx2.stream("POST", url, headers={"x-goog-api-key": "any"}, json={"contents": [{"parts": [{"text": PROMPT}]}]}):
        pass


def leave_bedrock():
    stream = bedrock_client().converse_stream(**CONVERSE)["stream"]
    next(iter(stream))
    stream.close()


@pytest.mark.parametrize(
    ("ask", "leave", "goes_on"),
    [(openai_plain, leave_openai, False), (anthropic_plain, leave_anthropic, False), (gemini_plain, leave_gemini, True), (bedrock_plain, leave_bedrock, True)],
)
def test_a_client_that_leaves_before_the_first_token_pays_where_the_provider_goes_on(gateway, ask, leave, goes_on):
    ask()
    gateway.pace = 50
    leave()
    whole, entry = gateway.meter.log()[0].usage, left(gateway).usage
    assert (entry.input_tokens, entry.output_tokens) == (whole.input_tokens, whole.output_tokens if goes_on else 0)


def test_a_client_that_leaves_pays_for_what_was_written_by_then(gateway):
    text = "An HTTP request, a header, a status code: what are they?"
    asked = {"model": "house", "messages": [{"role": "user", "content": text}], "stream": True, "temperature": 0}
    client = openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"])
    whole = sum(bool(chunk.choices[0].delta.content) for chunk in client.chat.completions.create(**asked))
    with client.chat.completions.create(**asked) as stream:
        next(chunk for chunk in stream if chunk.choices[0].delta.content)
    assert 1 <= left(gateway).usage.output_tokens <= whole


def test_what_is_written_by_now_follows_the_pace():
    question = Question("openai", models.get("gpt-6-luna", "openai"), messages=(), stream=True)
    answer = Answer(question, Provenance("scripted"), [Choice("", "stop", thinking_tokens=12, text_tokens=100)], Usage(5, output_tokens=112, thinking_tokens=12), pace=2.0)
    model = question.model
    for tokens, thinking in ((0, 0), (7, 7), (50, 12), (112, 12)):
        seconds = 0 if not tokens else model.ttft + (tokens - 0.5) / model.tokens_per_second
        answer.started = time.monotonic() - answer.pace * seconds
        answer.stop()
        assert (answer.usage.output_tokens, answer.usage.thinking_tokens, answer.usage.input_tokens) == (tokens, thinking, 5)


@pytest.mark.parametrize("chunk", [1, 4])
def test_a_stream_is_cut_after_that_many_chunks(gateway, chunk):
    gateway.fault("stream_cut", chunk=chunk)
    seen = []
    with pytest.raises(openai.APIConnectionError):
        for piece in openai.OpenAI().chat.completions.create(model="gpt-6-luna", messages=MESSAGES, stream=True):
            seen.append(piece)
    assert len(seen) == chunk


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (openai_stream, openai.APIError, "currently overloaded"),
        (anthropic_stream, anthropic.APIStatusError, "overloaded_error"),
        (gemini_stream, errors.ServerError, "503 UNAVAILABLE"),
        (bedrock_stream, botocore.exceptions.EventStreamError, "serviceUnavailableException"),
    ],
)
def test_overloaded_inside_a_stream_that_began_with_200(gateway, ask, error, words):
    gateway.fault("overloaded_in_stream", chunk=2)
    with pytest.raises(error, match=words):
        ask()
    [entry] = gateway.meter.log()
    assert (entry.status, entry.fault) == (200, "overloaded_in_stream")


def test_anthropics_error_inside_a_stream_has_the_status_200(gateway):
    gateway.fault("overloaded_in_stream")
    with pytest.raises(anthropic.APIStatusError) as caught:
        anthropic_stream()
    assert caught.value.status_code == 200 and not isinstance(caught.value, anthropic.OverloadedError)


# ---- streams that are short, and answers of real servers --------------------------------------------------------
def short_openai(timeout=None):
    stream = openai.OpenAI(timeout=timeout, max_retries=0).chat.completions.create(
        model="gpt-6-luna", messages=MESSAGES, stream=True, max_completion_tokens=1, reasoning_effort="none"
    )
    return list(stream)


def short_responses(timeout=None):
    return list(openai.OpenAI(timeout=timeout, max_retries=0).responses.create(model="gpt-6-luna", input=PROMPT, stream=True))


def short_compatible(timeout=None):
    client = openai.OpenAI(base_url=os.environ["COMPATIBLE_BASE_URL"], timeout=timeout, max_retries=0)
    return list(client.chat.completions.create(model="meta-llama/Llama-3.1-8B-Instruct", messages=MESSAGES, stream=True, max_tokens=1))


def short_anthropic(timeout=None):
    client = anthropic.Anthropic(timeout=timeout, max_retries=0)
    return list(client.messages.create(model="claude-haiku-5-5", max_tokens=1, messages=MESSAGES, stream=True))


def short_gemini(timeout=None):
    client = genai.Client(http_options=types.HttpOptions(timeout=timeout and int(timeout * 1000)))
    return list(client.models.generate_content_stream(model="gemini-3.5-flash-lite", contents=PROMPT))


def short_bedrock(timeout=None):
    return list(bedrock_client(timeout, retries={"total_max_attempts": 1}).converse_stream(**CONVERSE, inferenceConfig={"maxTokens": 1})["stream"])


SHORT = [short_openai, short_responses, short_compatible, short_anthropic, short_gemini, short_bedrock]
NOT_STRUCK = (AssertionError, TypeError, AttributeError, ValueError)


@pytest.mark.parametrize("chunk", [3, 500])
@pytest.mark.parametrize("kind", ["stream_cut", "overloaded_in_stream", "stalled"])
@pytest.mark.parametrize("ask", SHORT)
def test_a_fault_strikes_a_stream_however_short(gateway, ask, kind, chunk):
    gateway.fault(kind, chunk=chunk)
    with pytest.raises(Exception) as caught:
        ask(timeout=PATIENCE if kind == "stalled" else 20)
    assert not isinstance(caught.value, NOT_STRUCK), caught.value
    [entry] = gateway.meter.log()
    assert (entry.status, entry.fault) == (200, kind)
    assert chunk == 3 or "before its last event" in entry.note


def test_of_a_stream_of_one_event_nothing_comes_before_the_fault(gateway):
    gateway.fault("overloaded_in_stream")
    seen = []
    client = genai.Client()
    with pytest.raises(errors.ServerError, match="503"):
        for piece in client.models.generate_content_stream(model="gemini-3.5-flash-lite", contents=PROMPT):
            seen.append(piece)
    assert seen == [] and "after 0" in gateway.meter.log()[0].note


def test_a_refused_question_leaves_the_fault_of_a_stream_to_the_next(gateway):
    gateway.fault("stream_cut")
    gateway.fault("overloaded_in_stream", times=None)
    gateway.limit("openai", requests=1, tokens=10)
    with pytest.raises(openai.RateLimitError):
        openai_stream(max_retries=0)
    gateway.limit("openai", requests=100, tokens=10**6)
    with pytest.raises(openai.APIConnectionError):
        openai_stream(max_retries=0)
    assert [(entry.status, entry.fault) for entry in gateway.meter.log()] == [(429, ""), (200, "stream_cut")]


def delta(text):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6-luna", "choices": [{"index": 0, "delta": {"content": text}}]}


SAID = b"".join(b"data: " + json.dumps(delta(text)).encode() + b"\n\n" for text in "abcdef") + b"data: [DONE]\n\n"
FRAMES = b"".join(eventstream.event("contentBlockDelta", json.dumps({"contentBlockIndex": 0, "delta": {"text": text}}).encode()) for text in "abcdef")
CUTS = {"in one piece": 10**6, "in the middle of events": 50, "byte by byte": 1}


@pytest.fixture
def captured(tmp_path, monkeypatch):
    """Begins a gateway that replays bytes of a real server, cut into pieces of a size as the network cut them."""
    running = []

    def begin(provider, model, content_type, body, size):
        chunks = [[0.0, {"base64": b64encode(body[i : i + size]).decode()}] for i in range(0, len(body), size)]
        answer = {"status": 200, "headers": [["content-type", content_type]], "chunks": chunks}
        shape = {"limit": None, "stop": [], "n": 1, "stream": True, "effort": models.get(model, provider).default_effort, "sampling": []}
        line = {"kind": "captured", "date": "2026-11-23", "server": "a.server", "provider": provider, "models": [model]}
        line |= {"messages": [["user", PROMPT]], "tools": [], "shape": shape, "answers": [answer]}
        (tmp_path / "captured.jsonl").write_text(json.dumps(line) + "\n")
        gateway = Gateway(pace=0, strict=True, recordings=tmp_path).start()
        running.append(gateway)
        for name, value in environment.variables(gateway.base_url).items():
            monkeypatch.setenv(name, value)
        return gateway

    yield begin
    for gateway in running:
        gateway.stop()


@pytest.mark.parametrize("chunk", [2, 500])
@pytest.mark.parametrize(("kind", "error"), [("stream_cut", openai.APIConnectionError), ("overloaded_in_stream", openai.APIError)])
@pytest.mark.parametrize("size", CUTS.values(), ids=CUTS)
def test_a_fault_strikes_what_a_real_server_sent_between_two_events(captured, size, kind, error, chunk):
    gateway = captured("openai", "gpt-6-luna", "text/event-stream", SAID, size)
    gateway.fault(kind, chunk=chunk)
    seen = []
    with pytest.raises(error) as caught:
        for piece in openai.OpenAI(max_retries=0).chat.completions.create(model="gpt-6-luna", messages=MESSAGES, stream=True):
            seen.append(piece.choices[0].delta.content)
    assert seen == (["a", "b"] if chunk == 2 else list("abcdef"))
    assert kind == "stream_cut" or "overloaded" in str(caught.value)
    assert gateway.meter.log()[0].source.kind == "captured"


@pytest.mark.parametrize("size", CUTS.values(), ids=CUTS)
def test_a_fault_strikes_an_event_stream_between_two_messages(captured, size):
    gateway = captured("bedrock", CONVERSE["modelId"], "application/vnd.amazon.eventstream", FRAMES, size)
    gateway.fault("overloaded_in_stream", chunk=2)
    seen = []
    with pytest.raises(botocore.exceptions.EventStreamError, match="serviceUnavailable"):
        for event in bedrock_client().converse_stream(**CONVERSE)["stream"]:
            seen.append(event["contentBlockDelta"]["delta"]["text"])
    assert seen == ["a", "b"]


# ---- orders that make no sense ---------------------------------------------------------------------------------
def test_a_fault_that_does_not_exist_names_those_that_do(gateway):
    with pytest.raises(ValueError, match="no fault 'rate_limit'") as caught:
        gateway.fault("rate_limit")
    assert all(kind in str(caught.value) for kind in KINDS)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"kind": "server_error", "times": 0}, "1 or more"),
        ({"kind": "outage"}, "needs seconds"),
        ({"kind": "server_error", "provider": "gemni"}, "there are openai, azure, anthropic, gemini, bedrock"),
        ({"kind": "slow", "seconds": -1}, "0 or more"),
        ({"kind": "slow", "seconds": "5"}, "seconds is a number"),
        ({"kind": "slow", "seconds": float("nan")}, "seconds is a number"),
        ({"kind": "slow", "seconds": True}, "seconds is a number"),
        ({"kind": "slow", "seconds": 10**400}, "at most a century"),
        ({"kind": "slow", "seconds": None}, "seconds is a number"),
        ({"kind": "slow", "times": True}, "1 or more"),
        ({"kind": "slow", "times": 1.0}, "1 or more"),
        ({"kind": "slow", "times": "2"}, "1 or more"),
        ({"kind": "stream_cut", "chunk": True}, "chunk is after how many"),
        ({"kind": "stream_cut", "chunk": 1.5}, "chunk is after how many"),
        ({"kind": "stream_cut", "chunk": None}, "chunk is after how many"),
        ({"kind": ["slow"]}, "there is no fault"),
        ({"kind": None}, "there is no fault"),
        ({"kind": "slow", "provider": ["openai"]}, "there is no provider"),
        ({"kind": "slow", "provider": 1}, "there is no provider"),
    ],
)
def test_numbers_and_names_that_do_not_do(gateway, order, words):
    with pytest.raises(ValueError, match=words):
        gateway.fault(**order)
    assert openai_plain(max_retries=0)


def test_a_fault_at_a_chunk_before_the_first_is_refused(gateway):
    with pytest.raises(ValueError, match="chunk"):
        gateway.fault("stream_cut", chunk=-1)
