"""A verdict on a client, from what its requests show: well-behaved and bad clients of each SDK."""

import asyncio
import json
import random
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import anthropic
import boto3
import nbformat
import openai
import pytest
import requests
from botocore.config import Config
from google import genai

from helpers import limits
from helpers.gateway.clock import Clock
from helpers.gateway.evidence import of_response
from helpers.gateway.meter import Entry, Evidence
from helpers.gateway.request import Line
from helpers.gateway.verdict import judge
from helpers.gateway.wire import Response
from tests.limits.asking import ASKING, HELLO, refused

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
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


def test_every_rule_names_a_section_to_read_and_the_table_shows_it_beside_what_is_bad(gateway):
    gateway.fault("wrong_key", times=None)
    client = openai.OpenAI(max_retries=0, timeout=60)
    for _ in range(2):
        refused(lambda: chat(client))
    found = gateway.verdict()
    for finding in found:
        chapter, section = finding.read.split(": ")
        cells = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4).cells
        assert any(f"## {section}\n" in cell.source for cell in cells if cell.cell_type == "markdown"), finding.read
        assert (finding.read in str(found)) == (finding.read in found._repr_html_().replace("<wbr>", "")) == (finding.verdict == "bad")
    assert found.bad == ["hopeless retries"]


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
    gateway.fault("slow", times=1, seconds=6)
    client = openai.OpenAI(max_retries=1, timeout=2)
    assert client.chat.completions.create(model="gpt-6-luna", messages=HELLO).choices
    found = gateway.verdict()
    assert found["paid twice"].verdict == "bad" and found["time-out"].verdict == "good"


def test_bedrock_s_client_pays_twice_too_and_says_nothing_of_its_time_out(gateway):
    gateway.fault("slow", "bedrock", times=1, seconds=6)
    client = boto3.client("bedrock-runtime", config=Config(read_timeout=2, retries={"total_max_attempts": 2}))
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


def kept(provider):
    """A question through a client that is kept, with its connection."""
    if provider == "anthropic":
        return partial(anthropic.Anthropic(max_retries=0).messages.create, model="claude-haiku-5-5", max_tokens=500, messages=HELLO)
    client = openai.OpenAI(max_retries=0) if provider == "openai" else openai.AzureOpenAI(api_version="2024-10-21", max_retries=0)
    return partial(client.chat.completions.create, model="gpt-6-luna", messages=HELLO)


@pytest.mark.parametrize("provider", TELLS_WHAT_IS_LEFT)
def test_going_on_where_an_answer_said_that_nothing_is_left_is_seen(stopped, provider):
    gateway, clock = stopped
    gateway.limit(provider, requests=3)
    ask = kept(provider)
    for _ in range(3):
        ask()
    assert verdicts(gateway)["limit headers"] == "unknown", "nothing came after it yet"
    clock.sleep(20)
    ask()
    assert verdicts(gateway)["limit headers"] == "good"
    refused(ask)
    assert gateway.verdict()["limit headers"].requests == (5,)


def test_what_goes_to_another_provider_in_between_hides_nothing(stopped):
    gateway, _ = stopped
    gateway.limit("openai", requests=1)
    ask = kept("openai")
    ask(), ASKING["anthropic"](), refused(ask)
    assert gateway.verdict()["limit headers"].requests == (3,)


def test_a_refusal_that_a_fault_ordered_blames_nobody(stopped):
    gateway, _ = stopped
    gateway.limit("openai", requests=1)
    ask = kept("openai")
    ask()
    gateway.advance(seconds=90)
    gateway.fault("rate_limited")
    refused(ask)
    assert verdicts(gateway)["limit headers"] == "good"


def test_a_budget_is_judged_where_one_is_given(gateway):
    for _ in range(3):
        ASKING["openai"]()
    assert verdicts(gateway, budget_usd=1)["budget"] == "good"
    found = gateway.verdict(budget_usd="0.0000001")["budget"]
    assert (found.verdict, found.requests) == ("bad", (1, 2, 3))


@pytest.mark.parametrize("budget", ["nan", float("inf"), -1, "much"])
def test_a_budget_is_an_amount(gateway, budget):
    with pytest.raises(ValueError, match="budget_usd is .*: give an amount of 0 or more"):
        gateway.verdict(budget_usd=budget)


def test_what_gemini_says_in_a_stream_that_is_no_sse_is_read_too(stopped):
    gateway, _ = stopped
    gateway.limit("gemini", requests=1)
    address = f"{gateway.base_url}/gemini/v1beta/models/gemini-3.5-flash-lite:streamGenerateContent"
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}).encode()

    def ask():
        return urllib.request.urlopen(urllib.request.Request(address, body, {"x-goog-api-key": "any", "content-type": "application/json"})).read()

    ask(), refused(ask), refused(ask)
    assert gateway.verdict()["retry-after"].requests == (3,)


@pytest.mark.parametrize("retry", [1, 0], ids=["the SDK's", "its own"])
@pytest.mark.parametrize("waited, verdict", [(1.4, "good"), (0.4, "bad")])
def test_a_retry_as_late_as_it_was_told_ignores_no_header(waited, verdict, retry):
    """It came on the connection of another call, where an answer had said that none is left; meanwhile another program took what came back."""

    def entry(number, at, **seen):
        return Entry(number, "openai", "chat", "gpt-6-luna", at=at, evidence=Evidence(ended=at, **seen))

    one, other = Line(1, opened=0.0), Line(2, opened=0.0)
    last = entry(1, 0.0, asked=1, line=one, left=0, one_more=2.0)
    failed = entry(2, 0.1, asked=2, line=other, refusal="rate_limited", wait=1.3)
    again = entry(3, 0.1 + waited, asked=2, line=one, retry=retry, refusal="rate_limited", wait=1.3)
    assert judge([last, failed, again])["limit headers"].verdict == verdict


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


# ---- good clients that look like bad ones ------------------------------------------------------------------------
def chat(client, text=HELLO[0]["content"], **options):
    return client.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": text}], **options)


OTHER_KEY = {
    "openai": lambda key: chat(openai.OpenAI(api_key=key, max_retries=0)),
    "anthropic": lambda key: anthropic.Anthropic(api_key=key, max_retries=0).messages.create(model="claude-haiku-5-5", max_tokens=50, messages=HELLO),
    "azure": lambda key: chat(openai.AzureOpenAI(api_key=key, api_version="2024-10-21", max_retries=0)),
    "gemini": lambda key: ask_gemini_with(key),
    "bedrock": lambda key: ask_bedrock_with(key),
}


def ask_gemini_with(key):
    client = genai.Client(api_key=key)
    return client.models.generate_content(model="gemini-3.5-flash-lite", contents=HELLO[0]["content"])


def ask_bedrock_with(key):
    client = boto3.client("bedrock-runtime", region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key="any", config=Config(retries={"total_max_attempts": 1}))
    return client.converse(modelId="us.anthropic.claude-haiku-5-5", messages=[{"role": "user", "content": [{"text": "Say hello in five words."}]}])


@pytest.mark.parametrize("provider", OTHER_KEY)
def test_the_same_question_with_another_key_is_no_hopeless_retry(gateway, provider):
    for key in ("invalid-one", "invalid-two", "right"):
        ask = partial(OTHER_KEY[provider], key)
        ask() if key == "right" else refused(ask)
    assert verdicts(gateway)["hopeless retries"] == "good"


def test_who_pays_and_asks_again_is_not_blamed_but_the_sdk_that_does_not_look_is(gateway):
    gateway.fault("out_of_credit", times=1)
    client = openai.OpenAI(max_retries=0)
    refused(lambda: chat(client)), chat(client)
    assert verdicts(gateway)["hopeless retries"] == "unknown"
    gateway.fault("out_of_credit", times=1)
    chat(openai.OpenAI(max_retries=1))
    assert gateway.verdict()["hopeless retries"].requests == (4,)


def leave_openai():
    with chat(openai.OpenAI(timeout=60), stream=True) as stream:
        next(iter(stream))


def leave_openai_async():
    async def main():
        async with openai.AsyncOpenAI(timeout=60) as client, await chat(client, stream=True) as stream:
            await anext(aiter(stream))

    asyncio.run(main())


def leave_anthropic():
    with anthropic.Anthropic(timeout=60).messages.stream(model="claude-haiku-5-5", max_tokens=50, messages=HELLO) as stream:
        next(iter(stream.text_stream))


def leave_bedrock():
    client = boto3.client("bedrock-runtime")
    stream = client.converse_stream(modelId="us.anthropic.claude-haiku-5-5", messages=[{"role": "user", "content": [{"text": HELLO[0]["content"]}]}])["stream"]
    next(iter(stream))
    stream.close()


@pytest.mark.parametrize("leave", [leave_openai, leave_openai_async, leave_anthropic, leave_bedrock])
def test_who_leaves_running_streams_on_purpose_and_asks_again_is_not_blamed(gateway, leave):
    """As one that measures the time to the first token does."""
    gateway.pace = 1.0
    for _ in range(7):
        leave()
    assert gateway.verdict().bad == []
    assert verdicts(gateway)["paid twice"] == "unknown"


@pytest.mark.parametrize("fault", ["stream_cut", "overloaded_in_stream", "stalled"])
def test_to_ask_again_for_what_broke_on_its_way_is_not_to_pay_twice_by_one_s_own_fault(gateway, fault):
    client = openai.OpenAI(max_retries=0, timeout=2)
    gateway.fault(fault, chunk=6)
    limits.retrying(base=0.01, attempts=2)(lambda: [chunk for chunk in chat(client, "What is an API?", stream=True)])
    assert gateway.verdict().bad == []


def test_a_crowd_that_asks_before_anybody_was_answered_has_ignored_no_header(gateway):
    gateway.limit("openai", requests=5)

    async def main():
        async with openai.AsyncOpenAI(max_retries=0, timeout=60) as client:
            await asyncio.gather(*[chat(client, f"Say {number}.") for number in range(12)], return_exceptions=True)

    asyncio.run(main())
    assert len(gateway.log().only(status=429)) == 7
    assert gateway.verdict().bad == []


def test_of_two_with_one_key_who_ask_the_same_none_is_taken_for_the_other(stopped):
    gateway, clock = stopped
    one, other = openai.OpenAI(max_retries=0, timeout=60), openai.OpenAI(max_retries=0, timeout=60)
    chat(one), chat(other)
    gateway.fault("rate_limited", seconds=20)
    refused(lambda: chat(one))
    chat(other)
    clock.sleep(20.3)
    chat(one)
    found = gateway.verdict()
    assert found.bad == [] and found["retry-after"].verdict == "unknown"


def test_nor_do_their_tries_add_up(stopped):
    gateway, clock = stopped
    gateway.fault("overloaded", times=None)
    rng = random.Random(2)
    clients = [openai.OpenAI(max_retries=0, timeout=60) for _ in range(2)]
    for _ in range(5):
        for client in clients:
            refused(lambda client=client: chat(client))
        clock.sleep(1 + rng.random())
    assert gateway.verdict().bad == []


@pytest.mark.parametrize("sdk", [openai.OpenAI, anthropic.Anthropic])
def test_many_threads_whose_sdk_waits_as_it_is_told_do_not_answer_for_one_another(gateway, sdk):
    """They share connections, so that the repeat of one comes where the first try of another came."""
    gateway.fault("rate_limited", times=12, seconds=0.3)
    client = sdk(max_retries=2, timeout=60)
    ask = partial(chat, client) if sdk is openai.OpenAI else partial(client.messages.create, model="claude-haiku-5-5", max_tokens=50, messages=HELLO)
    with ThreadPoolExecutor(36) as pool:
        assert all(asking.result() for asking in [pool.submit(ask) for _ in range(36)])
    found = gateway.verdict()
    assert not {"retry-after", "retry storm", "hopeless retries"} & set(found.bad), found
    assert found["retry-after"].verdict == "good"


def test_a_crowd_that_asks_the_same_once_each_has_repeated_nothing(gateway):
    gateway.limit("openai", requests=10)

    async def main():
        async with openai.AsyncOpenAI(max_retries=0, timeout=60) as client:
            await asyncio.gather(*[chat(client) for _ in range(36)], return_exceptions=True)

    asyncio.run(main())
    found = gateway.verdict()
    assert len(gateway.log().only(status=429)) == 26 and found.bad == []
    assert found["retry-after"].verdict == "unknown"


def test_two_threads_that_both_wait_longer_than_they_are_told_are_not_blamed(gateway):
    client, retry = openai.OpenAI(max_retries=0, timeout=60), limits.retrying(base=0.2)
    gateway.fault("rate_limited", times=4, seconds=0.3)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: retry(chat, client), range(4)))
    assert gateway.verdict().bad == []


@pytest.mark.parametrize("tasks", [2, 3])
def test_some_that_share_a_connection_and_all_wait_are_not_blamed(stopped, tasks):
    """The answers come so fast that one connection is enough for them."""
    gateway, clock = stopped
    client = openai.OpenAI(max_retries=0, timeout=60)
    gateway.fault("rate_limited", times=2 * tasks, seconds=0.3)
    for _ in range(2):
        for _ in range(tasks):
            refused(lambda: chat(client))
            clock.sleep(0.01)
        clock.sleep(0.4)
    for _ in range(tasks):
        chat(client)
    found = gateway.verdict()
    assert found.bad == [] and found["retry-after"].verdict == "unknown"


@pytest.mark.parametrize("later", [5.0, 0.4])
def test_what_is_asked_later_excuses_nobody_who_did_not_wait(stopped, later):
    """Two came too soon, one after the other."""
    gateway, clock = stopped
    client = openai.OpenAI(max_retries=0, timeout=60)
    gateway.fault("rate_limited", times=2, seconds=0.3)
    for _ in range(2):
        refused(lambda: chat(client))
    chat(client)
    clock.sleep(later)
    chat(client)
    found = gateway.verdict()["retry-after"]
    assert found.verdict == "bad" and found.requests == (2, 3)


def test_who_always_waits_too_little_is_found_though_much_comes_later(stopped):
    gateway, clock = stopped
    client = openai.OpenAI(max_retries=0, timeout=60)
    for _ in range(6):
        gateway.fault("rate_limited", times=4, seconds=0.5)
        for _ in range(4):
            refused(lambda: chat(client))
            clock.sleep(0.1)
        chat(client)
    for _ in range(10):
        clock.sleep(0.1)
        chat(client)
    assert verdicts(gateway)["retry-after"] == "bad"


def test_that_two_may_have_waited_excuses_no_retry_that_no_wait_can_help(stopped):
    gateway, clock = stopped
    client = openai.OpenAI(max_retries=0, timeout=60)
    gateway.fault("rate_limited", times=1, seconds=0.3)
    refused(lambda: chat(client))
    for _ in range(2):
        chat(client)
        clock.sleep(0.5)
    gateway.fault("wrong_key", times=None)
    for _ in range(7):
        refused(lambda: chat(client))
    assert verdicts(gateway)["retry-after"] == "unknown" and {"hopeless retries", "retry storm"} <= set(gateway.verdict().bad)


def test_who_asks_the_same_while_a_stream_runs_does_not_repeat_it(gateway):
    """Nor does the one that streamed, when it asks anew, repeat what another was refused."""
    one, other = (openai.OpenAI(max_retries=0, timeout=60) for _ in range(2))
    gateway.fault("stalled", chunk=1)
    running = chat(one, stream=True)
    next(iter(running))
    gateway.fault("rate_limited", seconds=5)
    refused(lambda: chat(other, stream=True))
    running.close()
    list(chat(one, stream=True))
    found = gateway.verdict()
    assert found.bad == [] and found["retry-after"].verdict == "unknown" and "somebody else's" in found["retry-after"].says


@pytest.mark.parametrize(
    "opened, closed, verdict",
    [(1.001, None, "unknown"), (1.001, 1.0005, "bad"), (0.9, None, "unknown"), (1.2, None, "bad")],
    ids=["asked for before", "after the first was closed", "before the answer", "later"],
)
def test_a_connection_opened_beside_an_open_one_is_not_that_of_one_who_waits(opened, closed, verdict):
    """The first gives up. The second waits, but was refused too: it is no repeat, unless nobody else can have asked."""

    def entry(number, at, line, **seen):
        return Entry(number, "openai", "chat", "gpt-6-luna", at=at, evidence=Evidence(asked=1, line=line, over=1.0 + at, ended=at, **seen))

    first, second = Line(1, opened=0.5, closed=closed), Line(2, opened=opened)
    entries = [entry(1, 0.0, first, refusal="rate_limited", wait=0.3), entry(2, 0.002, second, refusal="rate_limited", wait=0.3), entry(3, 0.4, second)]
    assert judge(entries)["retry-after"].verdict == verdict


def test_who_opens_a_connection_each_time_and_leaves_it_open_is_found(gateway):
    """As one does who keeps all answers, or makes a client in each call."""
    gateway.fault("rate_limited", times=4, seconds=5)
    body = {"model": "gpt-6-luna", "messages": HELLO}
    answers = [requests.post(f"{gateway.base_url}/openai/v1/chat/completions", json=body, headers={"Authorization": "Bearer any"}, stream=True) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [429] * 4 + [200]
    assert gateway.verdict()["retry-after"].verdict == "bad"
    for answer in answers:
        answer.close()


def test_who_asks_again_at_once_has_no_jitter(gateway):
    gateway.fault("overloaded", times=None)
    client = openai.OpenAI(max_retries=0, timeout=60)
    for number in range(6):
        for _ in range(3):
            refused(lambda number=number: chat(client, f"Say {number}."))
    found = gateway.verdict()["jitter"]
    assert found.verdict == "bad" and "waited about 0.0" in found.says


def test_over_http2_one_connection_serves_many_so_that_only_the_sdk_can_tell_who_repeats(gateway):
    for most, verdict in ((0, "unknown"), (1, "good")):
        client = openai.OpenAI(max_retries=most, timeout=60, http_client=openai.DefaultHttpxClient(http1=False, http2=True))
        before = len(gateway.log())
        gateway.fault("rate_limited", seconds=0.2)
        for _ in range(2):
            refused(partial(chat, client)) if not most and len(gateway.log()) == before else chat(client)
        assert gateway.verdict(since=before).bad == [] and gateway.verdict(since=before)["retry-after"].verdict == verdict


def test_a_breaker_that_looks_each_minute_is_no_storm(stopped):
    gateway, clock = stopped
    gateway.fault("outage", seconds=3600)
    client = openai.OpenAI(max_retries=0, timeout=60)
    for _ in range(12):
        refused(lambda: chat(client))
        clock.sleep(61.5)
    assert gateway.verdict().bad == []


def test_one_that_waits_just_as_it_is_told_meets_nobody_where_it_is_alone(stopped):
    gateway, clock = stopped
    client = openai.OpenAI(max_retries=0, timeout=60)
    for number in range(6):
        gateway.fault("rate_limited", seconds=12)
        refused(lambda number=number: chat(client, f"Say {number}."))
        clock.sleep(12.0)
        chat(client, f"Say {number}.")
    assert gateway.verdict().bad == [] and verdicts(gateway)["jitter"] == "unknown"


def test_a_crowd_that_was_told_the_same_and_does_just_that_comes_back_as_a_crowd(stopped):
    gateway, clock = stopped
    client = openai.OpenAI(max_retries=0, timeout=60)
    gateway.fault("rate_limited", seconds=12, times=6)
    for number in range(6):
        refused(lambda number=number: chat(client, f"Say {number}."))
    clock.sleep(12.0)
    for number in range(6):
        chat(client, f"Say {number}.")
    assert gateway.verdict().bad == ["jitter"]


def test_our_own_jitter_on_top_of_a_long_wait_is_jitter(stopped):
    gateway, clock = stopped
    retry, client = limits.retrying(clock=clock, rng=random.Random(1)), openai.OpenAI(max_retries=0, timeout=60)
    for number in range(6):
        gateway.fault("rate_limited", seconds=30)
        retry(chat, client, f"Say {number}.")
    assert gateway.verdict().bad == [] and verdicts(gateway)["jitter"] == "good"


def test_who_was_refused_for_tokens_after_it_had_waited_for_requests_ignored_nothing(stopped):
    gateway, clock = stopped
    gateway.limit("openai", requests=3, tokens=100)
    client = openai.OpenAI(max_retries=0, timeout=60)
    for _ in range(3):
        chat(client, max_completion_tokens=20)
    clock.sleep(20.1)
    refused(lambda: chat(client, max_completion_tokens=80))
    assert gateway.verdict()["limit headers"].verdict == "good"


@pytest.mark.parametrize("after, verdict", [("Thank you.", "bad"), ("Your answer broke off. Continue where you left off.", "unknown"), ("Please go on.", "unknown"), ("Finish the sentence, please.", "unknown"), ("Bitte fahre fort.", "unknown")])
def test_who_says_that_an_answer_broke_off_does_not_take_it_for_whole(gateway, after, verdict):
    client, question = openai.OpenAI(max_retries=0), [{"role": "user", "content": "What is an API?"}]
    gateway.fault("stream_cut", chunk=6)
    half = stream(client, question)
    stream(client, [*question, {"role": "assistant", "content": half}, {"role": "user", "content": after}])
    assert verdicts(gateway)["broken answers"] == verdict


def test_whether_one_came_too_early_is_not_known_where_no_reset_was_said():
    line = Line(1, opened=0.0)
    last = Entry(1, "openai", "chat", "gpt-6-luna", at=0.0, evidence=Evidence(asked=1, line=line, left=0, ended=0.0))
    refusal = Entry(2, "openai", "chat", "gpt-6-luna", at=0.01, evidence=Evidence(asked=2, line=line, refusal="rate_limited", ended=0.01))
    assert judge([last, refusal])["limit headers"].verdict == "unknown"


def test_what_broke_and_was_asked_again_is_not_said_to_be_left_alone(gateway):
    client = openai.OpenAI(max_retries=0, timeout=1)
    for _ in range(2):
        gateway.fault("stalled", chunk=1)
        refused(lambda: list(chat(client, "What is an API?", stream=True)))
    assert verdicts(gateway)["paid twice"] == "unknown"


def test_what_a_provider_says_of_its_limits_is_measured_by_its_own_date():
    """In live mode, where a cell has moved the course's clock."""
    clock = Clock()
    clock.advance(hours=2)
    said = datetime.fromtimestamp(int(time.time()), UTC)
    date, later = ("date", format_datetime(said, usegmt=True)), said + timedelta(seconds=60)
    refusal, last = Evidence(), Evidence()
    of_response(Response(429, [date, ("retry-after", format_datetime(later, usegmt=True))], b"{}"), refusal, clock)
    names = {"limit": "60", "remaining": "0", "reset": later.isoformat()}
    of_response(Response(200, [date, *[(f"anthropic-ratelimit-requests-{name}", value) for name, value in names.items()]], b"{}"), last, clock)
    assert (refusal.wait, last.one_more) == (60, 1)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_no_time_out_at_all_is_seen_as_that(gateway, provider):
    ASKING[provider](timeout=None)
    found = gateway.verdict()["time-out"]
    assert (found.verdict, found.says) == ("bad", "1 of 1 would wait for ever in silence")


def test_a_long_log_is_judged_quickly():
    entries, lines = [], [Line(number, opened=0.0) for number in range(97)]
    for number in range(1, 100_001):
        told = Evidence(asked=number % 500, line=lines[number % 97], refusal="overloaded" if number % 3 else "", wait=1.0, ended=number / 50 + 0.01)
        entries.append(Entry(number, "openai", "chat", "gpt-6-luna", at=number / 50, evidence=told))
    began = time.process_time()
    judge(entries)
    assert time.process_time() - began < 10
