"""Limits a day: OpenAI's and Gemini's of requests, Bedrock's of tokens, through the real SDKs."""

import json
import urllib.error
import urllib.request
from datetime import datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import boto3
import openai
import pytest
from botocore.config import Config

from helpers import limits
from tests.limits.asking import ASKING, HELLO, TEXT, ask_gemini, ask_openai, refused


@pytest.fixture
def still(gateway):
    """A clock that moves only when it is told to."""
    gateway.stop_clock()


def test_openai_s_day_of_requests_refills_all_day_long_and_is_what_its_headers_say(gateway, still):
    gateway.limit("openai", requests_per_day=10_000)
    headers = ask_openai().headers
    told = {name.removeprefix("x-ratelimit-"): headers[name] for name in headers if name.startswith("x-ratelimit-") and name.endswith("requests")}
    assert told == {"limit-requests": "10000", "remaining-requests": "9999", "reset-requests": "8.64s"}


def test_a_day_of_requests_that_is_used_up_says_when_the_next_may_go(gateway, still):
    gateway.limit("openai", requests_per_day=200)
    for _ in range(200):
        ask_openai()
    with pytest.raises(openai.RateLimitError, match=r"on requests per day \(RPD\): Limit 200, Used 200, Requested 1\. Please try again in 7m12s\.") as caught:
        ask_openai()
    assert (caught.value.type, caught.value.code, caught.value.response.headers["retry-after"]) == ("requests", "rate_limit_exceeded", "432")
    gateway.advance(minutes=1)
    with pytest.raises(openai.RateLimitError):
        ask_openai()
    gateway.advance(seconds=372)
    assert ask_openai().parse().choices


def test_gemini_s_day_ends_at_midnight_in_california(gateway, still):
    there = datetime.fromtimestamp(gateway.clock.now(), ZoneInfo("America/Los_Angeles"))
    eight = datetime.combine(there.date() + timedelta(days=1), time(8), there.tzinfo)
    gateway.advance(seconds=eight.timestamp() - gateway.clock.now())
    gateway.limit("gemini", requests_per_day=2)
    ask_gemini(), ask_gemini()
    error = refused(ask_gemini)
    assert error.code == 429 and not limits.worth_retrying(error)
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error.details["error"]["details"]}
    violation = details["QuotaFailure"]["violations"][0]
    assert (violation["quotaId"], violation["quotaValue"]) == ("GenerateRequestsPerDayPerProjectPerModel", "2")
    assert 0 < int(details["RetryInfo"]["retryDelay"].removesuffix("s")) <= 60, "which is what users are told, and wrong"
    gateway.advance(hours=15)
    refused(ask_gemini)
    gateway.advance(hours=1)
    assert ask_gemini().text and ask_gemini().text


def test_bedrock_s_day_of_tokens_has_its_own_words(gateway, still):
    gateway.limit("bedrock", tokens_per_day=1000)
    client = boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}))
    turn = {"role": "user", "content": [{"text": TEXT}]}
    ask = partial(client.converse, modelId="us.anthropic.claude-haiku-5-5", messages=[turn], inferenceConfig={"maxTokens": 900})
    assert ask()["usage"]["totalTokens"] < 1000
    ask()  # what was reserved and not used has come back
    for _ in range(60):
        try:
            ask()
        except client.exceptions.ThrottlingException as error:
            assert str(error).endswith("Too many tokens per day, please wait before trying again.")
            break
    else:
        raise AssertionError("the day never ended")
    gateway.advance(minutes=2)
    with pytest.raises(client.exceptions.ThrottlingException):
        ask()
    gateway.advance(hours=24)
    assert ask()["usage"]


def test_a_limit_of_a_day_is_one_that_the_provider_has_and_a_number(gateway):
    with pytest.raises(ValueError, match="anthropic has no limit of requests-per-day; it has requests, input-tokens, output-tokens"):
        gateway.limit("anthropic", requests_per_day=5)
    with pytest.raises(ValueError, match="bedrock has no limit of requests-per-day; it has requests, tokens, tokens-per-day"):
        gateway.limit("bedrock", requests_per_day=5)
    with pytest.raises(ValueError, match="a limit is a whole number"):
        gateway.limit("openai", requests_per_day=0)


def test_a_limit_of_a_day_can_be_ordered_over_http(gateway):
    def order(**limit):
        body = json.dumps({"provider": "openai", "family": "requests", **limit}).encode()
        with urllib.request.urlopen(f"{gateway.base_url}/course/limits", body, timeout=10) as answer:
            return json.load(answer)

    assert order(per_day=1) == {"provider": "openai", "family": "requests", "per_day": 1}
    ask_openai()
    assert "per day" in str(refused(ask_openai))
    for wrong in ({}, {"per_day": 1, "per_minute": 1}):
        with pytest.raises(urllib.error.HTTPError) as caught:
            order(**wrong)
        assert caught.value.code == 400 and "either per_minute or per_day" in caught.value.read().decode()


@pytest.mark.parametrize(("provider", "limit"), [("openai", {"requests_per_day": 1}), ("gemini", {"requests_per_day": 1}), ("bedrock", {"tokens_per_day": 520})])
def test_who_asks_again_within_the_hour_is_seen_and_who_comes_the_next_day_is_not(gateway, still, provider, limit):
    gateway.limit(provider, **limit)
    ask = ASKING[provider]
    ask(), refused(ask)
    gateway.advance(hours=24)
    ask()
    assert gateway.verdict()["hopeless retries"].verdict == "good"
    refused(ask), refused(ask)
    found = gateway.verdict()["hopeless retries"]
    assert (found.verdict, found.requests) == ("bad", (5,)) and "day_used_up" in found.says


def test_the_quota_of_a_day_is_told_from_one_of_a_minute(gateway, still):
    gateway.limit("openai", requests_per_day=200)
    ask_openai()
    told = limits.quota(ask_openai()).families["requests"]
    assert (told.limit, told.remaining, told.reset, told.per) == (200, 198, pytest.approx(864), 86_400)


def test_a_throttle_that_learns_it_paces_by_the_day(gateway, still):
    gateway.limit("openai", requests_per_day=4)
    clock = limits.Clock(gateway.clock.now, lambda seconds: gateway.advance(seconds=seconds))
    throttle, began = limits.Throttle(clock=clock), clock.now()
    for _ in range(6):
        throttle.wait()
        throttle.learn(limits.quota(ask_openai()))
    assert 2 * 21_600 <= clock.now() - began <= 2 * 21_600 * 1.1


def test_who_goes_on_when_the_headers_said_that_the_day_is_over_has_not_read_them(gateway, still):
    gateway.limit("openai", requests_per_day=2)
    client = openai.OpenAI(max_retries=0)
    ask = partial(client.chat.completions.create, model="gpt-6-luna", messages=HELLO)  # on one connection, so that it has read the answer before
    ask(), ask(), refused(ask)
    found = gateway.verdict()["limit headers"]
    assert (found.verdict, found.requests) == ("bad", (3,)), found.says
