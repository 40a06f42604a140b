"""The simulation of outages: the same for the same seed, nothing lost on the way, and as independent arithmetic says."""

import math
import statistics
from collections import Counter
from dataclasses import replace

import anthropic
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import failover, limits
from helpers.failover import Policy, Provider, arrivals, play, report

QUICK = Provider("quick", {"request": 0.5}, {"request": 0.001})
SPARE = Provider("spare", {"request": 0.5}, {"request": 0.002})
HOUR = 3600
THREE_HOURS = dict(begins=13 * HOUR, ends=16 * HOUR)
OUTAGE = (14 * HOUR, 14.75 * HOUR)
DOWN = replace(QUICK, down=[OUTAGE])

moments = st.lists(st.floats(0, 300), max_size=30).map(sorted)
names = st.sampled_from(["a", "b", "c"])
kinds = st.dictionaries(st.sampled_from(["simple", "draft"]), st.floats(0.01, 60), max_size=2)
spans = st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)).map(sorted).map(tuple), max_size=2)
providers = st.lists(
    st.builds(
        Provider, names, kinds, st.just({"simple": 0.1}), spans, st.booleans(), st.none() | st.integers(1, 20), st.none() | st.integers(1, 3), st.floats(0, 1)
    ),
    max_size=3,
    unique_by=lambda provider: provider.name,
)
policies = st.builds(Policy, st.floats(0.1, 60), st.integers(1, 3), st.floats(0, 30), st.none() | st.integers(1, 4), st.floats(1, 60))


# ---- what holds whatever happens -----------------------------------------------------------------------------
@settings(max_examples=60)
@given(moments, providers, policies, st.integers(0, 5))
def test_every_request_is_either_served_or_lost_and_the_same_seed_gives_the_same(moments, providers, policy, seed):
    came = [(at, "draft" if number % 3 == 0 else "simple") for number, at in enumerate(moments)]
    outcomes = play(came, providers, policy, seed=seed)
    assert [(outcome.at, outcome.kind) for outcome in outcomes] == came
    seen = report(outcomes)
    assert seen.by.total() + seen.lost == seen.sent == len(came)
    takes = {provider.name: provider.seconds for provider in providers}
    for outcome in outcomes:
        assert outcome.seconds >= 0 and outcome.usd >= 0
        assert all(outcome.kind in takes[name] for name in outcome.asked)
        assert outcome.by is None or outcome.by == outcome.asked[-1]
        assert all(times <= policy.attempts for times in Counter(outcome.asked).values())
    assert play(came, providers, policy, seed=seed) == outcomes


def test_another_seed_gives_another_afternoon():
    assert arrivals(5_000, **THREE_HOURS, seed=1) != arrivals(5_000, **THREE_HOURS, seed=2)
    came = arrivals(5_000, **THREE_HOURS, seed=1)
    assert came == arrivals(5_000, **THREE_HOURS, seed=1)
    assert [o.seconds for o in play(came, [QUICK], seed=1)] != [o.seconds for o in play(came, [QUICK], seed=2)]


# ---- one provider, against an independent calculation -----------------------------------------------------------
def expected_in(begins, ends, a_day, peak):
    """The mean number of requests between two moments, by the integral of the rate."""
    day, top = 86_400, 15 * HOUR
    wave = day / (2 * math.pi) * (math.sin(2 * math.pi * (ends - top) / day) - math.sin(2 * math.pi * (begins - top) / day))
    return a_day / day * (ends - begins + (peak - 1) * wave)


@pytest.mark.parametrize("peak", [1.0, 1.6])
def test_one_provider_loses_as_many_as_a_poisson_process_brings_in_the_outage(peak):
    lost = [report(play(arrivals(1_500, **THREE_HOURS, peak=peak, seed=seed), [DOWN], seed=seed)).lost for seed in range(60)]
    mean = expected_in(*OUTAGE, 1_500, peak)
    assert abs(statistics.mean(lost) - mean) < 4 * math.sqrt(mean / 60)
    assert 0.4 < statistics.variance(lost) / mean < 1.9  # a Poisson number's variance is its mean: these bounds are four standard errors away


def test_of_those_that_came_one_provider_loses_a_binomial_share():
    """Given how many came in an even three hours, each fell into the 45 minutes with a chance of a quarter."""
    seen = [report(play(arrivals(1_500, **THREE_HOURS, seed=seed), [DOWN], seed=seed)) for seed in range(60)]
    sent, lost = sum(one.sent for one in seen), sum(one.lost for one in seen)
    assert abs(lost - sent / 4) < 4 * math.sqrt(sent * 0.25 * 0.75)


def test_exactly_those_are_lost_that_came_in_the_outage():
    came = arrivals(6_000, **THREE_HOURS, seed=3)
    lost = [outcome.at for outcome in play(came, [DOWN]) if outcome.by is None]
    assert lost == [at for at, _ in came if OUTAGE[0] <= at < OUTAGE[1]]


def test_the_mean_time_does_not_jump_where_an_outage_takes_half_of_the_requests():
    """As a median would: from a second to the time-out, when one request more falls into the outage."""
    chain = [replace(QUICK, down=[(100.0, 200.0)], silent=True), SPARE]
    before, during = [(float(at), "request") for at in range(99)], [(100.0 + number / 2, "request") for number in range(101)]
    less, more = (report(play(came, chain, Policy(timeout=600))) for came in (before + during[:98], before + during))
    assert less.mean == pytest.approx(statistics.fmean(o.seconds for o in play(before + during[:98], chain, Policy(timeout=600))))
    assert 290 < less.mean < more.mean < 310
    assert report(play(before, [replace(QUICK, down=[(0.0, 100.0)])])).mean == 0.0  # nobody was answered


def test_the_times_of_answers_have_the_median_that_was_asked_for():
    times = [outcome.seconds for outcome in play(arrivals(50_000, **THREE_HOURS), [QUICK])]
    assert statistics.median(times) == pytest.approx(0.5, rel=0.03)


# ---- what a policy does ------------------------------------------------------------------------------------------
EACH_MINUTE = [(60.0 * minute, "request") for minute in range(60)]
HALF = [(1795.0, 4000.0)]  # the second half hour


def test_a_refusal_costs_little_and_silence_the_whole_time_out():
    refusing, silent = replace(QUICK, down=HALF), replace(QUICK, down=HALF, silent=True)
    with_refusals, with_silence = (play(EACH_MINUTE, [first, SPARE], Policy(timeout=20)) for first in (refusing, silent))
    assert report(with_refusals).by == report(with_silence).by == {"quick": 30, "spare": 30}
    for kind, silence in zip(with_refusals[30:], with_silence[30:], strict=True):
        assert silence.seconds - kind.seconds == pytest.approx(20 - 0.2)


def test_retries_go_to_the_same_provider_first():
    outcomes = play(EACH_MINUTE[30:31], [replace(QUICK, down=HALF), SPARE], Policy(attempts=3))
    assert outcomes[0].asked == ("quick", "quick", "quick", "spare")


def test_a_breaker_spares_most_of_them_the_attempt_and_finds_out_when_it_is_back():
    down = replace(QUICK, down=[(895.0, 1795.0)], silent=True)  # from the 15th to the 30th minute
    outcomes = play(EACH_MINUTE, [down, SPARE], Policy(timeout=10, opens_after=2, stays_open=250))
    assert [len(outcome.asked) for outcome in outcomes[15:18]] == [2, 2, 1]
    assert sum(outcome.asked[0] == "quick" for outcome in outcomes[15:30]) == 2 + 2
    assert all(outcome.by == "quick" for outcome in outcomes[35:])


def test_answers_that_nobody_waits_for_are_paid_and_those_of_an_outage_are_not():
    slow = replace(QUICK, seconds={"request": 1000.0})
    outcome = play(EACH_MINUTE[:1], [slow, replace(SPARE, down=[(0, 60)])], Policy(timeout=1, attempts=2))[0]
    assert outcome.by is None and outcome.usd == pytest.approx(2 * 0.001)


def test_a_small_quota_lets_through_what_a_bucket_of_that_size_does():
    every_second = [(float(second), "request") for second in range(600)]
    seen = report(play(every_second, [replace(QUICK, limit=30)]))
    assert seen.by["quick"] == pytest.approx(30 + 0.5 * 599, abs=1)
    patient = report(play(every_second, [replace(QUICK, limit=30)], Policy(patience=60)))
    assert patient.by["quick"] == pytest.approx(30 + 0.5 * (599 + 60), abs=1)  # a line adds its own length, once


def test_outages_that_overlap_and_one_longer_than_the_day_lose_all_that_come_in_them():
    down = [(300.0, 900.0), (600.0, 1200.0), (1800.0, 10 * 86_400.0)]
    outcomes = play(EACH_MINUTE, [replace(QUICK, down=down, usd={})])
    assert [outcome.at for outcome in outcomes if outcome.by is None] == [at for at, _ in EACH_MINUTE if 300 <= at < 1200 or at >= 1800]
    seen = report(outcomes)
    assert seen.by.total() + seen.lost == seen.sent == 60 and seen.usd == 0


def test_places_serve_as_many_as_they_can_and_the_others_wait():
    at_once = [(0.0, "request")] * 100
    seen = report(play(at_once, [replace(QUICK, places=4)], Policy(timeout=600)))
    assert seen.lost == 0 and seen.slowest == pytest.approx(100 * 0.5 * math.exp(0.4**2 / 2) / 4, rel=0.2)
    assert report(play(at_once, [replace(QUICK, places=4)], Policy(timeout=5))).lost > 30


def test_useless_answers_are_paid_and_the_next_one_is_asked():
    came = arrivals(50_000, **THREE_HOURS)
    outcomes = play(came, [replace(QUICK, useless=0.25), SPARE])
    by = report(outcomes).by
    assert by["spare"] == pytest.approx(len(came) / 4, abs=4 * math.sqrt(len(came) * 0.25 * 0.75))
    assert all(outcome.usd == pytest.approx(0.003) for outcome in outcomes if outcome.by == "spare")


def test_a_kind_that_a_provider_does_not_take_is_not_sent_to_it():
    simple = Provider("simple", {"simple": 0.5})
    outcomes = play([(0.0, "simple"), (1.0, "draft")], [simple])
    assert [(outcome.by, outcome.asked) for outcome in outcomes] == [("simple", ("simple",)), (None, ())]


def test_the_same_request_takes_the_same_time_under_every_policy():
    calm, careful = (play(EACH_MINUTE, [QUICK], policy) for policy in (Policy(), Policy(timeout=60, attempts=3, opens_after=2)))
    assert calm == careful


# ---- with traffic and with real refusals ------------------------------------------------------------------------------
def test_a_wave_has_the_day_s_mean_and_its_peak_at_three():
    day = [failover.load(second, 8_640, 1.5) for second in range(0, 86_400, 60)]
    assert statistics.mean(day) == pytest.approx(0.1)
    assert max(day) == failover.load(15 * HOUR, 8_640, 1.5) == pytest.approx(0.15)
    with pytest.raises(ValueError, match="from 1 to 2 times the mean"):
        failover.load(0, 8_640, 3)


def test_nobody_comes_where_nobody_is_expected():
    assert arrivals(0, **THREE_HOURS) == [] and report(play([], [QUICK])).sent == 0


def test_a_seller_has_the_prices_and_the_pace_of_the_course():
    one = failover.seller("one", "gpt-6-luna", "openai", {"draft": (1_000_000 // 10, 1_000_000 // 10)}, limit=5)
    assert one.usd == {"draft": pytest.approx(0.1 * 0.10 + 0.1 * 0.50)} and one.limit == 5 and one.seconds["draft"] > 100


def test_real_requests_through_the_sdks_go_where_the_simulation_says(gateway):
    """A chain of two real clients with breakers, an outage of one of them in course time, and the same simulated."""
    gateway.stop_clock()
    clock = limits.Clock(gateway.clock.now)
    hello = [{"role": "user", "content": "Say hello in five words."}]
    one, other = openai.OpenAI(max_retries=0), anthropic.Anthropic(max_retries=0)
    chain = {
        "openai": lambda: one.chat.completions.create(model="gpt-6-luna", messages=hello),
        "anthropic": lambda: other.messages.create(model="claude-haiku-5-5", max_tokens=500, messages=hello),
    }
    breakers = {name: failover.Breaker(2, 500, clock) for name in chain}

    def ask():
        for name, call in chain.items():
            if breakers[name].allows():
                try:
                    call()
                except (openai.APIStatusError, anthropic.APIStatusError):
                    breakers[name].failed()
                else:
                    breakers[name].succeeded()
                    return name
        return None

    real = []
    for number in range(24):
        if number == 4:
            gateway.fault("outage", "openai", seconds=2400)
        if number == 10:
            gateway.fault("outage", "anthropic", seconds=500)
        real.append(ask())
        gateway.advance(seconds=180)
    down = {"openai": [(719.0, 720.0 + 2400)], "anthropic": [(1799.0, 1800.0 + 500)]}
    same = [Provider(name, {"request": 0.5}, down=down[name]) for name in chain]
    played = play([(180.0 * number, "request") for number in range(24)], same, Policy(opens_after=2, stays_open=500))
    assert [outcome.by for outcome in played] == real and None in real
    assert report(played).asked == Counter(entry.provider for entry in gateway.meter.log())


@pytest.mark.parametrize(("make", "says"), [
    (lambda: replace(QUICK, limit=0), "limit is 0"), (lambda: replace(QUICK, places=0), "places is 0"),
    (lambda: replace(QUICK, useless=1.5), "useless is 1.5"), (lambda: replace(QUICK, useless=30), "useless is 30"),
    (lambda: Policy(timeout=0), "timeout is 0"), (lambda: Policy(attempts=0), "attempts is 0"), (lambda: Policy(opens_after=0), "opens_after is 0"),
    (lambda: failover.Breaker(opens_after=0), "opens_after is 0"), (lambda: failover.Breaker(stays_open=math.nan), "stays_open is nan"),
    (lambda: Policy(opens_after=3, stays_open=-1), "stays_open is -1"), (lambda: Policy(patience=-1), "patience is -1"),
    (lambda: Policy(timeout=math.nan), "timeout is nan"), (lambda: replace(QUICK, limit=math.nan), "limit is nan"),
    (lambda: replace(QUICK, seconds={"request": -1}), "seconds of 'request' is -1"), (lambda: replace(QUICK, usd={"request": math.nan}), "usd of 'request' is nan"),
    (lambda: replace(QUICK, down=[(20, 10)]), r"down has \(20, 10\): an outage begins before it ends"),
    (lambda: play([(0.0, "request")], [QUICK, QUICK]), "two providers have one name"), (lambda: play([(-1.0, "request")], [QUICK]), "a request comes at -1.0"),
    (lambda: play([(math.nan, "request")], [QUICK]), "a request comes at nan"),
    (lambda: arrivals(-5, **THREE_HOURS), "a_day is -5"), (lambda: arrivals(math.inf, **THREE_HOURS), "a_day is inf"),
    (lambda: arrivals(5, begins=10, ends=5), "from 10 to 5 is no stretch of a day"), (lambda: arrivals(5, begins=0, ends=math.inf), "from 0 to inf"),
    (lambda: arrivals(5, **THREE_HOURS, kinds={"a": 0}), "give shares of 0 or more"), (lambda: arrivals(5, **THREE_HOURS, kinds={"a": 2, "b": -1}), "give shares"),
    (lambda: arrivals(0, **THREE_HOURS, peak=3), "peak is 3"),
])  # fmt: skip
def test_numbers_that_make_no_sense_are_refused_in_words(make, says):
    with pytest.raises(ValueError, match=says):
        make()
