"""The breaker: it opens after failures in a row, lets one request try, and closes again when that one is answered."""

import pytest

from helpers import limits
from helpers.failover import Breaker


@pytest.fixture
def clock():
    return limits.VirtualClock()


@pytest.fixture
def breaker(clock):
    return Breaker(opens_after=3, stays_open=60, clock=clock)


def fail(breaker, times):
    for _ in range(times):
        breaker.failed()


def test_it_lets_everything_through_until_it_opens(breaker):
    fail(breaker, 2)
    assert breaker.allows() and not breaker.is_open
    fail(breaker, 1)
    assert breaker.is_open and not breaker.allows()


def test_failures_with_a_success_in_between_are_not_in_a_row(breaker):
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.allows()


def test_after_a_while_one_request_tries_and_the_others_wait_for_what_it_finds(breaker, clock):
    fail(breaker, 3)
    clock.sleep(59.9)
    assert not breaker.allows()
    clock.sleep(0.1)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    fail(breaker, 1)
    clock.sleep(59.9)
    assert not breaker.allows()
    clock.sleep(0.1)
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows() and breaker.allows() and not breaker.is_open


def test_those_that_were_sent_before_it_opened_and_fail_later_do_not_keep_it_open(breaker, clock):
    fail(breaker, 3)
    clock.sleep(30)
    fail(breaker, 20)
    clock.sleep(30)
    assert breaker.allows()


def test_a_request_that_tries_and_never_tells_does_not_block_it_for_ever(breaker, clock):
    fail(breaker, 3)
    clock.sleep(60)
    assert breaker.allows()
    clock.sleep(60)
    assert breaker.allows()
