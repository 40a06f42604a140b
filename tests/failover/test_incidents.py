"""Outages over years: how often they come, how long, and how long all providers are down together."""

import math

import pytest

from helpers.failover import incidents, together

MINUTES_A_YEAR = 365 * 24 * 60


def minutes(windows):
    return sum(ends - begins for begins, ends in windows) / 60


def test_the_same_seed_gives_the_same_and_another_one_others():
    assert incidents(3, 5, 45, common=0.2, years=10, seed=1) == incidents(3, 5, 45, common=0.2, years=10, seed=1)
    assert incidents(3, 5, 45, years=10, seed=1) != incidents(3, 5, 45, years=10, seed=2)


@pytest.mark.parametrize("common", [0.0, 0.3, 1.0])
def test_each_provider_is_down_as_long_as_was_asked_for(common):
    for windows in incidents(3, 4, 45, common=common, years=2_000, seed=5):
        assert minutes(windows) / 2_000 == pytest.approx(4 * 45, rel=0.05)
        assert all(before[1] < after[0] for before, after in zip(windows, windows[1:], strict=False))


@pytest.mark.parametrize(("providers", "common"), [(1, 0.0), (2, 0.0), (2, 0.25), (3, 0.25), (3, 1.0)])
def test_all_are_down_together_as_often_as_the_formula_says(providers, common):
    """Moments of a Poisson process, each with an outage of fixed length: one is under way with the chance 1 - exp(-rate * length)."""
    a_year, length, years = 200, 60, 400  # so often that also independent ones meet
    shared, own = (1 - math.exp(-share * a_year * length / MINUTES_A_YEAR) for share in (common, 1 - common))
    expected = MINUTES_A_YEAR * (shared + (1 - shared) * own**providers)
    found = minutes(together(incidents(providers, a_year, length, common=common, years=years, seed=9))) / years
    assert found == pytest.approx(expected, rel=0.05)


def test_together_is_where_all_overlap():
    assert together([[(0, 10), (20, 30)], [(5, 25)]]) == [(5, 10), (20, 25)]
    assert together([[(0, 10)], [(10, 20)]]) == []
    assert together([[(0, 10)], [(2, 8)], [(4, 20)]]) == [(4, 8)]
    assert together([[(0, 10)]]) == [(0, 10)]


def test_none_where_there_are_none():
    assert incidents(2, 0, 45) == [[], []] and together([[], []]) == []


def test_outages_of_one_that_overlap_do_not_stand_for_another_s():
    assert together([[(0, 10), (5, 15)], [(20, 30)]]) == []
    assert together([[(0, 10), (5, 15)], [(8, 30)]]) == [(8, 15)]


@pytest.mark.parametrize(("numbers", "says"), [
    ({"a_year": -1}, "a_year is -1"), ({"minutes": -45}, "minutes is -45"), ({"years": math.inf}, "years is inf"), ({"a_year": math.nan}, "a_year is nan"),
    ({"common": 1.5}, "common is 1.5: a share"), ({"common": 30}, "common is 30"),
])  # fmt: skip
def test_numbers_that_make_no_sense_are_refused_in_words(numbers, says):
    with pytest.raises(ValueError, match=says):
        incidents(**{"providers": 2, "a_year": 4, "minutes": 45} | numbers)
