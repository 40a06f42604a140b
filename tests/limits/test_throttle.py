"""The throttle, on a virtual clock: never above a quota, never slower than it has to be, and as the gateway itself counts."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import limits
from helpers.gateway.quotas import Level

ROUNDING = 1e-6
# What comes: seconds since the one before, and its tokens.
traffic = st.lists(st.tuples(st.floats(0, 90), st.integers(0, 1000)), min_size=1, max_size=60)


def sent(throttle, clock, arrivals):
    """When each request went, and its tokens."""
    out = []
    for pause, tokens in arrivals:
        clock.sleep(pause)
        out.append((clock.now() + throttle.reserve(tokens=tokens), tokens))
    return out


def in_stretches(times):
    """Of every stretch from one request to another: its seconds, and what was sent in it, both ends included."""
    for first in range(len(times)):
        total = 0
        for last in range(first, len(times)):
            total += times[last][1]
            yield times[last][0] - times[first][0], total


@given(traffic, st.integers(1, 40), st.integers(1000, 5000))
def test_a_bucket_is_never_overdrawn_in_any_stretch(arrivals, requests, tokens):
    clock = limits.VirtualClock()
    times = sent(limits.Throttle(requests=requests, tokens=tokens, clock=clock), clock, arrivals)
    assert [at for at, _ in times] == sorted(at for at, _ in times)
    assert all(total <= tokens + seconds * tokens / 60 + ROUNDING for seconds, total in in_stretches(times))
    assert all(total <= requests + seconds * requests / 60 + ROUNDING for seconds, total in in_stretches([(at, 1) for at, _ in times]))


@given(traffic, st.integers(1, 40), st.integers(1000, 5000))
def test_in_no_minute_does_a_window_let_more_through_than_the_limit(arrivals, requests, tokens):
    clock = limits.VirtualClock()
    times = sent(limits.Throttle(requests=requests, tokens=tokens, clock=clock, law=limits.Window), clock, arrivals)
    assert all(total <= tokens for seconds, total in in_stretches(times) if seconds < 60 - ROUNDING)
    assert all(total <= requests for seconds, total in in_stretches([(at, 1) for at, _ in times]) if seconds < 60 - ROUNDING)


@given(traffic, st.integers(1, 40), st.integers(1000, 5000))
def test_the_gateway_s_own_buckets_let_in_all_that_was_held_back(arrivals, requests, tokens):
    clock = limits.VirtualClock()
    levels = [Level(requests, requests, 0.0), Level(tokens, tokens, 0.0)]
    for at, amount in sent(limits.Throttle(requests=requests, tokens=tokens, clock=clock), clock, arrivals):
        for level, wanted in zip(levels, (1, amount), strict=True):
            level.refill(at)
            assert level.holds(wanted)
            level.left -= wanted


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60), st.integers(1000, 5000))
def test_a_burst_takes_no_longer_than_the_quota_makes_it(amounts, tokens):
    clock = limits.VirtualClock()
    throttle = limits.Throttle(tokens=tokens, clock=clock)
    for amount in amounts:
        throttle.wait(tokens=amount)
    assert clock.now() == pytest.approx(max(0.0, (sum(amounts) - tokens) * 60 / tokens))


def test_what_waits_for_one_limit_does_not_open_another_for_those_behind_it():
    """Booked in both buckets at once, the first would refill while its request still waits for the second."""
    clock = limits.VirtualClock()
    throttle = limits.Throttle(requests=10, tokens=1000, clock=clock)
    times = sent(throttle, clock, [(0, 1000)] + [(0, 100)] * 10 + [(0, 0)] * 30)
    assert all(total <= 10 + seconds / 6 + ROUNDING for seconds, total in in_stretches([(at, 1) for at, _ in times]))


def test_the_same_with_tasks_on_a_clock_that_jumps():
    async def main():
        throttle, loop = limits.Throttle(requests=60), asyncio.get_running_loop()

        async def one():
            await throttle.wait_async()
            return loop.time()

        return await asyncio.gather(*[one() for _ in range(90)])

    assert limits.simulate(main()) == pytest.approx([0.0] * 60 + [float(second) for second in range(1, 31)])


def test_threads_together_keep_to_it():
    throttle, booked = limits.Throttle(requests=100), []
    threads = [threading.Thread(target=lambda: booked.extend(throttle.reserve() for _ in range(50))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(seconds == 0 for seconds in booked) < 110 and max(booked) == pytest.approx(180, abs=5)


def test_without_limits_nothing_waits_until_an_answer_names_some():
    clock = limits.VirtualClock()
    throttle = limits.Throttle(clock=clock)
    assert [throttle.wait(tokens=10**6) for _ in range(100)] == [0.0] * 100
    throttle.learn(limits.Quota({"requests": limits.Limit(60, 2, 58.0)}))
    assert [throttle.reserve() for _ in range(4)] == pytest.approx([0.0, 0.0, 1.0, 2.0])


def test_what_others_used_is_learnt_and_more_than_was_known_is_not_believed():
    clock = limits.VirtualClock()
    throttle = limits.Throttle(requests=60, clock=clock)
    throttle.learn(limits.Quota({"requests": limits.Limit(60, 1, 59.0)}))
    throttle.learn(limits.Quota({"requests": limits.Limit(60, 50, 10.0)}))
    assert [throttle.reserve() for _ in range(2)] == pytest.approx([0.0, 1.0])


def test_a_limit_that_was_raised_is_taken_over_and_one_a_day_refills_in_a_day():
    clock = limits.VirtualClock()
    throttle = limits.Throttle(requests=6, clock=clock)
    throttle.learn(limits.Quota({"requests": limits.Limit(600, 0, 60.0), "tokens": limits.Limit(86_400, 0, 86_400.0)}))
    assert throttle.delay() == pytest.approx(0.1)
    assert throttle.delay(tokens=5) == pytest.approx(5)


@pytest.mark.parametrize(("told", "per"), [
    (limits.Limit(60, 59, 1.0), 60.0),
    (limits.Limit(10_000, 9_999, 8.64), 86_400.0),  # OpenAI, as recorded
    (limits.Limit(50, 0, 61.0), 60.0),  # Anthropic gives whole seconds, so that a minute may be one longer
    (limits.Limit(8_000, 0, 960.0), 60.0),  # and output that is owed takes some minutes to come back
    (limits.Limit(60, 60, 0.0), 60.0),
    (limits.Limit(60, None, None), 60.0),
])  # fmt: skip
def test_whether_a_limit_is_of_a_minute_or_of_a_day_is_told_by_what_is_missing_and_how_long_that_takes(told, per):
    assert told.per == per
    throttle = limits.Throttle(clock=(clock := limits.VirtualClock()))
    throttle.learn(limits.Quota({"requests": told}))
    while throttle.reserve() == 0:
        pass
    assert throttle.delay() == pytest.approx(2 * per / told.limit, rel=0.01) and clock.now() == 0


def test_what_is_left_counts_also_where_the_answer_does_not_say_of_how_many():
    throttle = limits.Throttle(requests=60, clock=limits.VirtualClock())
    throttle.learn(limits.Quota({"requests": limits.Limit(None, 1, None), "tokens": limits.Limit(None, 0, None)}))
    assert [throttle.reserve(tokens=5) for _ in range(2)] == [0, pytest.approx(1)]


@pytest.mark.parametrize("law", [limits.Bucket, limits.Window])
def test_a_clock_that_is_set_back_makes_nobody_wait_for_the_same_hour_twice(law):
    at = [10_000.0]
    throttle = limits.Throttle(requests=2, law=law, clock=limits.Clock(lambda: at[0]))
    assert [throttle.reserve() for _ in range(2)] == [0, 0]
    at[0] -= 3600
    waits = throttle.reserve(), throttle.reserve()
    assert waits == ((30, 60) if law is limits.Bucket else (60, 60))
    at[0] += 120
    assert throttle.delay() == 0


def test_a_throttle_that_served_a_program_serves_a_simulation_too():
    throttle = limits.Throttle(requests=60)
    throttle.reserve()

    async def main():
        return [await throttle.wait_async() for _ in range(61)][-1]

    assert limits.simulate(main()) <= 2


def test_numpy_s_numbers_are_numbers():
    numpy = pytest.importorskip("numpy")
    throttle = limits.Throttle(tokens=numpy.int64(1000), clock=limits.VirtualClock())
    assert throttle.reserve(tokens=numpy.int64(1000)) == 0 and throttle.reserve(tokens=numpy.float32(500)) == pytest.approx(30)


@pytest.mark.parametrize(("amounts", "says"), [
    ({"tokens": 2000}, "2,000 tokens never fit into a limit of 1,000 tokens"),
    ({"token": 5}, "there is no limit of 'token'; there are requests, tokens"),
    ({"tokens": -1}, "a number of 0 or more is needed, not -1"),
    ({"tokens": float("nan")}, "a number of 0 or more is needed, not nan"),
    ({"tokens": "5"}, "a number of 0 or more is needed, not '5'"),
])  # fmt: skip
def test_what_no_wait_can_help_is_said_and_nothing_is_booked(amounts, says):
    clock = limits.VirtualClock()
    throttle = limits.Throttle(requests=1, tokens=1000, clock=clock)
    with pytest.raises(ValueError, match=says):
        throttle.wait(**amounts)
    assert throttle.delay() == 0


@pytest.mark.parametrize("limit", [0, -5, float("inf"), float("nan"), 10**400, None, "200"])
def test_a_limit_is_a_number(limit):
    with pytest.raises(ValueError, match="requests: a number of 1 or more is needed"):
        limits.Throttle(requests=limit)
