"""A verdict on a client, from what its requests show: well-behaved and bad clients of each SDK."""

import json
import random
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import anthropic
import boto3
import openai
import pytest
from botocore.config import Config

from helpers import limits
from tests.limits.asking import ASKING, HELLO, refused

RULES = ["retry-after", "hopeless retries", "retry storm", "jitter", "paid twice", "broken answers", "time-out", "limit headers", "budget"]
TELLS_A_WAIT = ("openai", "azure", "anthropic", "gemini")
TELLS_WHAT_IS_LEFT = ("openai", "azure", "anthropic")


@pytest.fixture
def stopped(gateway):
    """A gateway whose clock stands still, and a clock of the course for clients that wait by it."""
    gateway.stop_clock()
    return gateway, limits.Clock(gateway.clock.now, lambda seconds: gateway.advance(seconds=seconds))


def verdicts(gateway, **given):
    return {finding.name: finding.verdict for finding in gateway.verdict(**given)}


def test_of_no_traffic_nothing_is_known_and_every_rule_is_in_words(gateway):
    assert verdicts(gateway) == dict.fromkeys(RULES, "unknown")
    assert all(len(finding.rule) > 40 and finding.rule.endswith(".") for finding in gateway.verdict())


@pytest.mark.parametrize("provider", ASKING)
def test_a_good_client_breaks_no_rule(stopped, provider):
    """Twelve questions on a quota of five a minute, with faults; throttled, retried as one should, and ended where the credit ends.

    Bedrock says nothing of its quota: there the client knows it.
    """
    gateway, clock = stopped
    gateway.limit(provider, requests=5)
    gateway.fault("overloaded", provider, times=2)
    throttle = limits.Throttle(clock=clock, requests=5) if provider in ("gemini", "bedrock") else limits.Throttle(clock=clock)
    retry = limits.retrying(clock=clock, rng=random.Random(1))

    def ask():
        throttle.wait()  # a retry is a request as any other: it waits for its turn too
        answer = ASKING[provider]()
        throttle.learn(limits.quota(answer))

    for _ in range(12):
        retry(ask)
    gateway.fault("out_of_credit", provider)
    refused(lambda: retry(ask))
    verdict = gateway.verdict(budget_usd=1)
    assert [name for name in verdict.bad if name != "time-out"] == [], verdict
    assert [verdict[name].verdict for name in ("hopeless retries", "retry storm", "budget")] == ["good"] * 3


@pytest.mark.parametrize("provider", TELLS_A_WAIT)
def test_coming_back_sooner_than_told_is_seen(stopped, provider):
    gateway, _ = stopped
    gateway.limit(provider, requests=2)
    for _ in range(2):
        ASKING[provider]()
    for seconds in (1, 1, 40):
        refused(ASKING[provider])
        gateway.advance(seconds=seconds)
    ASKING[provider]()
    found = gateway.verdict()["retry-after"]
    assert (found.verdict, found.requests) == ("bad", (4, 5))
    assert "2 of 3 came sooner than they were told: 1.0 s after 3, which said 30 s" in found.says


def test_bedrock_says_no_time_so_that_nobody_can_be_early(stopped):
    gateway, _ = stopped
    gateway.limit("bedrock", requests=1)
    ASKING["bedrock"](), refused(ASKING["bedrock"]), refused(ASKING["bedrock"])
    assert verdicts(gateway)["retry-after"] == "unknown"


@pytest.mark.parametrize("provider", TELLS_A_WAIT)
def test_waiting_as_long_as_told_is_good(stopped, provider):
    gateway, clock = stopped
    gateway.limit(provider, requests=2)
    for _ in range(4):
        limits.retrying(clock=clock)(ASKING[provider])
    assert verdicts(gateway)["retry-after"] == "good"


@pytest.mark.parametrize("fault", ["out_of_credit", "wrong_key"])
@pytest.mark.parametrize("provider", ASKING)
def test_what_is_refused_for_good_and_comes_again_is_seen(gateway, provider, fault):
    gateway.fault(fault, provider, times=None)
    refused(ASKING[provider])
    assert verdicts(gateway)["hopeless retries"] == "good"
    refused(ASKING[provider])
    assert gateway.verdict()["hopeless retries"].requests == (2,)


def test_the_sdk_s_own_retries_of_what_is_hopeless_are_seen(gateway):
    gateway.fault("out_of_credit", times=None)
    with pytest.raises(openai.RateLimitError):
        openai.OpenAI(max_retries=2).chat.completions.create(model="gpt-6-luna", messages=HELLO)
    assert gateway.verdict()["hopeless retries"].requests == (2, 3)


def test_three_tries_of_the_sdk_times_three_of_one_s_own_are_a_storm(gateway):
    gateway.fault("overloaded", "anthropic", times=None)
    client = anthropic.Anthropic(max_retries=2)
    client._calculate_retry_timeout = lambda *_: 0.0  # the waits are not what is looked at
    for _ in range(3):
        with pytest.raises(anthropic.APIStatusError):
            client.messages.create(model="claude-haiku-5-5", max_tokens=50, messages=HELLO)
    found = gateway.verdict()["retry storm"]
    assert found.verdict == "bad" and "sent 9 times" in found.says


def test_more_repeats_than_first_tries_in_a_minute_are_a_storm(stopped):
    gateway, clock = stopped
    gateway.fault("overloaded", times=None)
    for number in range(5):
        question = [{"role": "user", "content": f"Say {number}."}]
        with pytest.raises(openai.InternalServerError):
            limits.retrying(attempts=4, base=0.01, clock=clock)(openai.OpenAI(max_retries=0).chat.completions.create, model="gpt-6-luna", messages=question)
    found = gateway.verdict()["retry storm"]
    assert found.verdict == "bad" and "15 of 20 requests were repeats" in found.says


def test_a_crowd_that_is_refused_at_the_end_of_a_minute_of_the_clock_is_not_a_storm(stopped):
    """Its repeats come in the next minute of the clock, without a first try; of one minute they all are."""
    gateway, clock = stopped
    gateway.advance(seconds=59 - clock.now() % 60)
    gateway.fault("overloaded", "openai", times=20)
    client, questions = openai.OpenAI(max_retries=0), [[{"role": "user", "content": f"Say {number}."}] for number in range(20)]
    for question in questions:
        refused(lambda question=question: client.chat.completions.create(model="gpt-6-luna", messages=question))
    clock.sleep(1.5)
    for question in questions:
        client.chat.completions.create(model="gpt-6-luna", messages=question)
    found = gateway.verdict()["retry storm"]
    assert (found.verdict, found.says) == ("good", "20 repeats among 40 requests")


@pytest.mark.parametrize("waits, verdict", [((2.0, 2.0), "bad"), ((0.0, 0.0), "bad"), ((1.0, 2.0), "good")])
@pytest.mark.parametrize("provider", ["openai", "gemini", "bedrock"])
def test_a_crowd_that_comes_back_together_is_seen(stopped, provider, waits, verdict):
    gateway, clock = stopped
    rng = random.Random(3)
    for _ in range(6):
        gateway.fault("overloaded", provider)
        refused(ASKING[provider])
        clock.sleep(rng.uniform(*waits))
        ASKING[provider]()
    assert verdicts(gateway)["jitter"] == verdict


def test_first_repeats_that_are_spread_do_not_hide_second_ones_that_come_together(stopped):
    gateway, clock = stopped
    rng = random.Random(3)
    for number in range(6):
        question = [{"role": "user", "content": f"Say {number}."}]
        ask = partial(openai.OpenAI(max_retries=0).chat.completions.create, model="gpt-6-luna", messages=question)
        gateway.fault("overloaded", "openai", times=2)
        refused(ask)
        clock.sleep(1 + rng.random())
        refused(ask)
        clock.sleep(4.0)
        ask()
    assert verdicts(gateway)["jitter"] == "bad"


def test_a_client_that_does_not_wait_for_the_answer_and_asks_again_pays_twice(gateway):
    gateway.fault("slow", times=1, seconds=1)
    client = openai.OpenAI(max_retries=1, timeout=0.3)
    assert client.chat.completions.create(model="gpt-6-luna", messages=HELLO).choices
    found = gateway.verdict()
    assert found["paid twice"].verdict == "bad" and found["time-out"].verdict == "good"


def test_bedrock_s_client_pays_twice_too_and_says_nothing_of_its_time_out(gateway):
    gateway.fault("slow", "bedrock", times=1, seconds=1.5)
    client = boto3.client("bedrock-runtime", config=Config(read_timeout=0.5, retries={"total_max_attempts": 2}))
    client.converse(modelId="us.anthropic.claude-haiku-5-5", messages=[{"role": "user", "content": [{"text": "Say hello in five words."}]}])
    assert verdicts(gateway)["paid twice"] == "bad" and verdicts(gateway)["time-out"] == "unknown"


def stream(client, messages):
    """What came of a stream before it broke."""
    said = []
    try:
        for chunk in client.chat.completions.create(model="gpt-6-luna", messages=messages, stream=True):
            said += [choice.delta.content or "" for choice in chunk.choices]
    except openai.APIError:
        pass
    return "".join(said)


@pytest.mark.parametrize("fault", ["stream_cut", "stream_ended"])
def test_a_broken_answer_that_a_conversation_takes_for_whole_is_seen(gateway, fault):
    client = openai.OpenAI(max_retries=0)
    question = [{"role": "user", "content": "What is an API?"}]
    gateway.fault(fault, chunk=6)
    half = stream(client, question)
    assert half
    thanks = {"role": "user", "content": "Thank you."}
    stream(client, [*question, {"role": "assistant", "content": half}, thanks])
    found = gateway.verdict()["broken answers"]
    assert (found.verdict, found.requests) == ("bad", (2,))
    assert "takes the beginning of answer 1 for all of it" in found.says


def test_a_whole_answer_in_a_conversation_is_nothing_to_blame(gateway):
    client = openai.OpenAI(max_retries=0)
    question = [{"role": "user", "content": "What is an API?"}]
    gateway.fault("stream_cut", chunk=6)
    stream(client, question)
    whole = stream(client, question)
    stream(client, [*question, {"role": "assistant", "content": whole}, {"role": "user", "content": "Thank you."}])
    assert verdicts(gateway)["broken answers"] == "unknown"


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("options, verdict", [({}, "bad"), ({"timeout": 60}, "good")])
def test_the_default_time_out_is_seen_where_the_sdk_tells_it(gateway, provider, options, verdict):
    ASKING[provider](**options)
    assert verdicts(gateway)["time-out"] == verdict


@pytest.mark.parametrize("provider", TELLS_WHAT_IS_LEFT)
def test_going_on_where_an_answer_said_that_nothing_is_left_is_seen(stopped, provider):
    gateway, clock = stopped
    gateway.limit(provider, requests=3)
    for _ in range(3):
        ASKING[provider]()
    assert verdicts(gateway)["limit headers"] == "unknown", "nothing came after it yet"
    clock.sleep(20)
    ASKING[provider]()
    assert verdicts(gateway)["limit headers"] == "good"
    refused(ASKING[provider])
    assert gateway.verdict()["limit headers"].requests == (5,)


def test_what_goes_to_another_provider_in_between_hides_nothing(stopped):
    gateway, _ = stopped
    gateway.limit("openai", requests=1)
    ASKING["openai"](), ASKING["anthropic"](), refused(ASKING["openai"])
    assert gateway.verdict()["limit headers"].requests == (3,)


def test_a_refusal_that_a_fault_ordered_blames_nobody(stopped):
    gateway, _ = stopped
    gateway.limit("openai", requests=1)
    ASKING["openai"]()
    gateway.advance(seconds=90)
    gateway.fault("rate_limited")
    refused(ASKING["openai"])
    assert verdicts(gateway)["limit headers"] == "good"


def test_a_budget_is_judged_where_one_is_given(gateway):
    for _ in range(3):
        ASKING["openai"]()
    assert verdicts(gateway, budget_usd=1)["budget"] == "good"
    found = gateway.verdict(budget_usd="0.0000001")["budget"]
    assert (found.verdict, found.requests) == ("bad", (1, 2, 3))


def test_a_stretch_is_judged_alone_and_another_program_reads_it_over_http(gateway):
    gateway.fault("wrong_key", times=None)
    for _ in range(2):
        refused(ASKING["openai"])
    assert gateway.verdict().bad == ["hopeless retries", "time-out"]
    assert gateway.verdict(since=2).bad == []
    told = json.load(urllib.request.urlopen(f"{gateway.base_url}/course/verdict"))
    assert {row["name"]: row["verdict"] for row in told} == verdicts(gateway)
    with pytest.raises(KeyError, match="there is no rule 'retries'; there are retry-after, "):
        gateway.verdict()["retries"]


def test_hundreds_of_like_requests_at_once_are_judged(gateway):
    gateway.fault("overloaded", times=None)
    client = openai.OpenAI(max_retries=0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: refused(lambda: client.chat.completions.create(model="gpt-6-luna", messages=HELLO)), range(300)))
    assert gateway.verdict()["retry storm"].verdict == "bad"
