"""Retries: what is worth one, how long it waits, and when it gives up; the faults are the gateway's, the errors the SDKs' own."""

import asyncio
import random

import anthropic
import httpx2
import openai
import pytest

from helpers import limits
from tests.gateway import fault_clients
from tests.limits.asking import ASKING, HELLO, ask_anthropic, ask_openai, refused


@pytest.fixture
def clock():
    return limits.VirtualClock()


def requests(gateway):
    return len(gateway.meter.log())


@pytest.mark.parametrize("provider", ASKING)
@pytest.mark.parametrize(("fault", "worth"), [
    ("rate_limited", True), ("overloaded", True), ("server_error", True), ("connection_reset", True), ("out_of_credit", False), ("wrong_key", False),
])  # fmt: skip
def test_which_errors_are_worth_a_retry(gateway, provider, fault, worth):
    gateway.fault(fault, provider)
    assert limits.worth_retrying(refused(ASKING[provider])) is worth


@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_a_request_that_is_larger_than_the_limit_is_not(gateway, provider):
    gateway.limit(provider, tokens=5)
    error = refused(ASKING[provider])
    assert error.status_code == 429
    assert limits.worth_retrying(error) is (provider == "azure")  # whose words do not tell it from any other


@pytest.mark.parametrize("ask", [ask_openai, ask_anthropic])
def test_a_time_out_is(gateway, ask):
    gateway.fault("slow", seconds=2)
    assert limits.worth_retrying(refused(lambda: ask(timeout=0.2)))


STREAMS = {client.name: client for client in fault_clients.CLIENTS if client.name in ("openai", "AzureOpenAI", "anthropic", "google-genai", "boto3")}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("fault", ["stream_cut", "stalled", "overloaded_in_stream"])
def test_a_stream_that_broke_is(gateway, name, fault):
    """Its status was 200, and some of these errors are those of the HTTP client below the SDK. To ask again is to ask for all of it."""
    client = STREAMS[name]
    gateway.fault(fault, chunk=client.chunk)
    ask = client.connect(gateway.base_url).stream
    assert limits.worth_retrying(refused(lambda: ask(0.5)))


def test_an_error_in_a_stream_that_no_wait_can_help_is_not():
    from botocore.exceptions import EventStreamError

    response = httpx2.Response(200, request=httpx2.Request("POST", "http://127.0.0.1"))
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": "Wrong."}}
    assert not limits.worth_retrying(anthropic.APIStatusError("Wrong.", response=response, body=body))
    assert not limits.worth_retrying(EventStreamError({"Error": {"Code": "validationException", "Message": "Wrong."}}, "ConverseStream"))
    assert not limits.worth_retrying(openai.APIError("Wrong.", response.request, body={"code": "content_policy_violation"}))


def test_an_error_of_one_s_own_code_is_not():
    assert not limits.worth_retrying(KeyError("choices"))
    assert limits.worth_retrying(ConnectionResetError()) and limits.worth_retrying(TimeoutError())


@pytest.mark.parametrize("provider", ASKING)
def test_it_tries_until_it_is_answered_and_the_server_sees_each_try(gateway, clock, provider):
    gateway.fault("overloaded", provider, times=3)
    assert limits.retrying(clock=clock)(ASKING[provider])
    assert requests(gateway) == 4 and clock.now() <= 0.5 + 1 + 2 + 3  # the jitter, and a second each where the provider asks for it


@pytest.mark.parametrize("provider", ["openai", "azure", "anthropic", "gemini"])
def test_it_waits_as_long_as_the_provider_asks_and_a_little_at_random(gateway, provider):
    gateway.stop_clock()
    gateway.limit(provider, requests=3)
    clock = limits.Clock(gateway.clock.now, lambda seconds: gateway.advance(seconds=seconds))
    began = clock.now()
    for _ in range(4):
        limits.retrying(clock=clock)(ASKING[provider])
    assert requests(gateway) == 5 and 20 <= clock.now() - began <= 20.5


@pytest.mark.parametrize("options", [{"attempts": 3}, {"deadline": 45.0}, {"budget": limits.RetryBudget(left=2.0)}])
def test_it_gives_up_with_the_last_error(gateway, clock, options):
    gateway.fault("rate_limited", times=None, seconds=20)
    with pytest.raises(openai.RateLimitError):
        limits.retrying(clock=clock, **options)(ask_openai)
    assert requests(gateway) == 3 and clock.now() <= 45


def test_what_is_hopeless_is_sent_once(gateway, clock):
    gateway.fault("out_of_credit", times=None)
    with pytest.raises(openai.RateLimitError):
        limits.retrying(clock=clock)(ask_openai)
    assert requests(gateway) == 1 and clock.now() == 0


def test_the_same_for_code_that_is_awaited(gateway):
    gateway.fault("overloaded", times=2)
    client = openai.AsyncOpenAI(max_retries=0)

    async def main():
        async with client:
            return await limits.retrying_async(base=0.01)(client.chat.completions.create, model="gpt-6-luna", messages=HELLO)

    assert asyncio.run(main()).choices and requests(gateway) == 3


def test_full_jitter_is_even_from_nothing_to_the_cap():
    rng = random.Random(7)
    for attempt, most in [(1, 0.5), (2, 1.0), (5, 8.0), (50, 8.0), (10**6, 8.0)]:
        waits = [limits.full_jitter(attempt, rng=rng) for _ in range(2000)]
        assert 0 <= min(waits) < 0.02 * most and 0.98 * most < max(waits) <= most
        assert sum(waits) / len(waits) == pytest.approx(most / 2, rel=0.05)


def test_the_same_seed_gives_the_same_waits(gateway):
    def slept():
        gateway.fault("overloaded", times=4)
        clock = limits.VirtualClock()
        limits.retrying(clock=clock, rng=random.Random(5))(ask_openai)
        return clock.now()

    assert slept() == slept() > 0


def test_a_budget_keeps_retries_a_tenth_of_the_requests_in_an_outage():
    clock, sent = limits.VirtualClock(), []
    budget = limits.RetryBudget(share=0.1, most=10)

    def fail():
        sent.append(clock.now())
        raise ConnectionResetError

    for _ in range(500):
        with pytest.raises(ConnectionResetError):
            limits.retrying(clock=clock, budget=budget)(fail)
    assert len(sent) == pytest.approx(500 + 10 + 50, abs=1)


def test_the_errors_of_an_http_client_of_one_s_own_are_told_apart():
    import requests

    def http_error(status):
        found = requests.Response()
        found.status_code = status
        return requests.HTTPError(response=found)

    assert [limits.worth_retrying(http_error(status)) for status in (401, 404, 429, 503)] == [False, False, True, True]
    assert limits.worth_retrying(requests.ConnectionError()) and not limits.worth_retrying(requests.exceptions.MissingSchema("no scheme"))
    assert not limits.worth_retrying(httpx2.UnsupportedProtocol("no scheme"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", ["connection_reset", "stream_cut", "stalled", "overloaded", "wrong_key"])
def test_what_google_s_sdk_raises_where_it_is_awaited(gateway, fault):
    from google import genai
    from google.genai import types

    async def main():
        client = genai.Client(http_options=types.HttpOptions(timeout=800))
        async for _ in await client.aio.models.generate_content_stream(model="gemini-3.5-flash-lite", contents="What is an API?"):
            pass

    gateway.fault(fault, chunk=1, times=None)  # as it asks once more by itself where a connection breaks
    assert limits.worth_retrying(refused(lambda: asyncio.run(main()))) is (fault != "wrong_key")


@pytest.mark.parametrize("says", ["1e300", "100000", "9" * 500])
def test_a_wait_of_more_than_a_day_is_not_waited(clock, says):
    asked = []

    def ask():
        asked.append(clock.now())
        raise openai.RateLimitError("", response=httpx2.Response(429, headers={"retry-after": says}, request=httpx2.Request("POST", "http://127.0.0.1")), body=None)

    with pytest.raises(openai.RateLimitError):
        limits.retrying(clock=clock, attempts=2)(ask)
    assert clock.now() < 10 and len(asked) == (2 if len(says) > 300 else 1)  # the last is no number


@pytest.mark.parametrize(("name", "number"), [
    ("attempts", 0), ("attempts", "3"), ("base", -1), ("base", float("nan")), ("most", float("inf")), ("most", -0.5), ("deadline", -1), ("deadline", float("nan")),
])  # fmt: skip
def test_numbers_that_make_no_sense_are_refused_before_anything_is_asked(name, number):
    for make in (limits.retrying, limits.retrying_async):
        with pytest.raises(ValueError, match=f"{name} is "):
            make(**{name: number})


@pytest.mark.parametrize("given", [{"share": -0.1}, {"most": float("nan")}, {"left": float("nan")}, {"share": "a"}])
def test_so_are_those_of_a_budget(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))} is "):
        limits.RetryBudget(**given)


def test_one_that_is_shared_by_many_tasks_counts_each_call_by_itself():
    async def main():
        retry, tries = limits.retrying_async(attempts=4, deadline=300), {}

        async def call(number):
            tries[number] = tries.get(number, 0) + 1
            await asyncio.sleep(number % 7)
            if tries[number] <= number % 5:
                raise ConnectionResetError(number)
            return number

        found = await asyncio.gather(*[retry(call, number) for number in range(100)], return_exceptions=True)
        assert [one if isinstance(one, int) else one.args[0] for one in found] == list(range(100))
        assert tries == {number: min(4, number % 5 + 1) for number in range(100)}

    limits.simulate(main())


def test_a_call_that_is_cancelled_is_not_tried_again():
    async def main():
        tries = []

        async def call():
            tries.append(1)
            await asyncio.sleep(60)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(limits.retrying_async()(call), 5)
        assert len(tries) == 1

    limits.simulate(main())
