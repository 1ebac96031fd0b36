"""Durations counted by size, and what is read off the counts."""

from itertools import pairwise

import pytest

from aimkeeper.core.spread import BOUNDS, LONGEST, Percentiles, Spread


def counted(*seconds):
    spread = Spread("took")
    for one in seconds:
        spread.note(one)
    return spread


def test_durations_become_words_with_their_bound():
    assert counted(0.004, 0.005, 0.0051, 2.0).take() == {"took 0.005": 2, "took 0.01": 1, "took 2": 1}


def test_what_was_taken_is_counted_once():
    spread = counted(1.0)
    spread.take()

    assert spread.take() == {}


def test_what_is_given_back_counts_again_beside_what_came_since():
    spread = counted(1.0)
    taken = spread.take()
    spread.note(1.0)

    spread.give_back(taken)

    assert spread.take() == {"took 1": 2}


def test_longer_than_the_longest_counts_as_that():
    assert counted(LONGEST * 10).take() == {f"took {LONGEST:g}": 1}


def test_bounds_rise_and_none_is_more_than_four_times_the_one_before():
    pairs = pairwise(BOUNDS)

    assert all(lower < upper <= lower * 4 for lower, upper in pairs)


def test_without_a_count_there_are_no_percentiles():
    assert Spread("took").percentiles({"late 1": 3, "rotated": 5}) is None


def test_percentiles_lie_between_the_bounds_by_proportion():
    # 90 up to 0.1 s (above 0.075), 10 up to 1 s (above 0.75).
    found = Spread("took").percentiles({"took 0.1": 90, "took 1": 10})

    assert found == Percentiles(p50=pytest.approx(0.0889, abs=1e-4), p95=0.875, p99=0.975)
