"""What the answers and the refusals of every provider say of the limits, read through their own SDKs."""

import time
from datetime import UTC, datetime

import pytest

from helpers import limits
from helpers.limits import Limit
from tests.limits.asking import ASKING, ask_anthropic, ask_azure, ask_bedrock, ask_gemini, ask_openai, refused

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("provider", "ask"), [("openai", ask_openai), ("azure", ask_azure)])
def test_openai_and_azure_name_requests_and_tokens(gateway, provider, ask):
    gateway.stop_clock()
    gateway.limit(provider, requests=100, tokens=60_000)
    ask()
    told = limits.quota(ask())
    assert told.families["requests"] == Limit(100, 98, pytest.approx(1.2))
    assert told.families["tokens"].limit == 60_000 and told.families["tokens"].remaining < 60_000
    assert told.retry_after is None


def test_anthropic_names_four_families_and_the_moment_of_the_reset(gateway):
    gateway.stop_clock()
    gateway.limit("anthropic", requests=100, tokens=50_000, output_tokens=10_000)
    told = limits.quota(ask_anthropic())
    assert list(told.families) == ["requests", "tokens", "input_tokens", "output_tokens"]
    assert told.families["requests"].limit == 100 and told.families["requests"].remaining == 99
    assert told.families["input_tokens"].limit == 50_000
    assert all(0 <= limit.reset <= 60 for limit in told.families.values())


@pytest.mark.parametrize("ask", [ask_gemini, ask_bedrock])
def test_gemini_and_bedrock_say_nothing_as_long_as_they_answer(gateway, ask):
    assert limits.quota(ask()) == limits.Quota({}, None)


@pytest.mark.parametrize(("provider", "least", "most"), [
    ("openai", 29.9, 30.0), ("azure", 29.9, 30.0), ("anthropic", 30, 30), ("gemini", 30, 30), ("bedrock", None, None),
])  # fmt: skip
def test_a_refusal_says_how_long_to_wait_but_for_bedrock_s(gateway, provider, least, most):
    gateway.stop_clock()
    gateway.limit(provider, requests=2)
    ASKING[provider](), ASKING[provider]()
    wait = limits.quota(refused(ASKING[provider])).retry_after
    assert wait is None if least is None else least <= wait <= most


@pytest.mark.parametrize(("headers", "reset"), [
    ({"x-ratelimit-reset-requests": "6ms"}, 0.006),
    ({"x-ratelimit-reset-requests": "0s"}, 0.0),
    ({"X-RateLimit-Reset-Requests": "83h10m39.057s"}, 299_439.057),
    ({"x-ratelimit-reset-requests": "11.354999999s"}, 11.354999999),
    ({"x-ratelimit-reset-requests": "500"}, 0.5),
    ({"anthropic-ratelimit-requests-reset": "2026-11-23T12:00:08Z"}, 8.0),
    ({"anthropic-ratelimit-requests-reset": "2026-11-23T11:00:00Z"}, 0.0),
    ({"anthropic-ratelimit-requests-reset": "2026-11-23T11:59:09Z", "date": "Mon, 23 Nov 2026 11:59:00 GMT"}, 9.0),
    ({"anthropic-ratelimit-requests-reset": "2026-11-23T12:00:08"}, None),
    ({"x-ratelimit-reset-requests": "soon"}, None),
    ({"x-ratelimit-reset-requests": "1h30"}, None),
    ({"x-ratelimit-reset-requests": "9" * 400 + "h"}, None),
    ({"x-ratelimit-reset-requests": "-5s"}, None),
    ({"anthropic-ratelimit-requests-reset": "2026-11-23t12:00:08z"}, 8.0),
    ({"anthropic-ratelimit-requests-reset": "2026-11-23T14:00:08+02:00"}, 8.0),
    ({"anthropic-ratelimit-requests-reset": "2026-11-23T11:59:09Z", "date": "Mon, 23 Nov 2026 11:59:00"}, 9.0),
    ({"anthropic-ratelimit-requests-reset": "99999-11-23T12:00:08Z"}, None),
])  # fmt: skip
def test_the_forms_of_a_reset(headers, reset):
    now = None if "date" in headers else NOW
    assert limits.quota(headers, now=now).families["requests"].reset == (reset if reset is None else pytest.approx(reset))


@pytest.mark.parametrize(("headers", "wait"), [
    ({"retry-after": "20"}, 20.0),
    ({"retry-after": "20", "retry-after-ms": "19500"}, 19.5),
    ({"retry-after": "1", "retry-after-ms": "0"}, 1.0),  # Azure, as recorded
    ({"retry-after": "Mon, 23 Nov 2026 12:01:00 GMT"}, 60.0),
    ({"retry-after": "Mon, 23 Nov 2026 11:01:00 GMT"}, 0.0),
    ({"retry-after": "Mon, 23 Nov 2026 12:01:00 -0000"}, 60.0),  # without a zone, as the grammar of mail has it
    ({"retry-after": "Mon Nov 23 12:01:00 2026"}, 60.0),  # as C's asctime writes it, which RFC 9110 allows
    ({"retry-after": "Monday, 23-Nov-26 12:01:00 GMT"}, 60.0),
    ({"retry-after": "Mon, 23 Nov 99999999999 12:01:00 GMT"}, None),
    ({"retry-after": "9" * 400}, None),
    ({"retry-after": "later"}, None),
    ({"retry-after": "-5"}, None),
    ({"retry-after": "nan"}, None),
    ({}, None),
])  # fmt: skip
def test_the_forms_of_a_wait(headers, wait):
    assert limits.quota(headers, now=NOW).retry_after == wait


def test_headers_that_cannot_be_read_count_as_not_said():
    told = limits.quota({"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": "5", "x-ratelimit-limit-input-images": "3"})
    assert told == limits.Quota({"requests": Limit(None, 5, None)})


def test_a_header_as_long_as_a_server_allows_is_read_at_once():
    began = time.monotonic()
    limits.quota({"x-ratelimit-reset-requests": "1" * 60_000 + "x"})
    assert time.monotonic() - began < 1


def test_what_has_no_headers_is_refused_in_words():
    with pytest.raises(TypeError, match="a str has no headers; give an SDK's error"):
        limits.quota("20")


@pytest.mark.parametrize("provider", ["openai", "azure", "anthropic"])
def test_a_throttle_that_learns_from_the_answers_is_never_refused(gateway, provider):
    """It begins without any limit; another program has used half of the quota."""
    gateway.stop_clock()
    gateway.limit(provider, requests=10)
    for _ in range(5):
        ASKING[provider]()
    began = gateway.clock.now()
    clock = limits.Clock(gateway.clock.now, lambda seconds: gateway.advance(seconds=seconds))
    throttle = limits.Throttle(clock=clock)
    for _ in range(20):
        throttle.wait()
        throttle.learn(limits.quota(ASKING[provider]()))
    assert gateway.clock.now() - began <= 1.1 * (20 - 5) * 6


def test_a_reset_is_measured_by_the_clock_that_it_was_said_by(gateway):
    """Chapters move the course's clock: by this machine's, Anthropic's reset would be minutes away, and its limit one a day."""
    gateway.limit("anthropic", requests=1_000)
    gateway.advance(hours=2)
    told = limits.quota(ask_anthropic()).families["requests"]
    assert 0 <= told.reset <= 2 and told.per == 60
