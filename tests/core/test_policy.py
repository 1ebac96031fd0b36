"""The rulebook's arithmetic: when to rotate next, how long to wait after a failure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.policy import DOUBT_LASTS, FIRST_BACKOFF, Policy, backoff, doubt_wait, next_due

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
HALF_SECOND = timedelta(seconds=0.5)
POLICY = Policy(refresh_every=QUARTER, idle_timeout=timedelta(minutes=90), upstream_timeout=timedelta(seconds=10))

jitters = st.floats(0, 1, exclude_max=True)
durations = st.timedeltas(timedelta(seconds=1), timedelta(days=30))


@pytest.mark.parametrize(
    ("jitter", "minutes"),
    [(0.0, 12), (0.5, 13.5), (0.999999, 15)],
    ids=["the earliest is 80 % of the interval", "the middle", "the latest is all of it"],
)
def test_the_next_rotation_is_80_to_100_percent_of_the_interval_away(jitter, minutes):
    due = next_due(NOW, QUARTER, jitter)

    assert due - NOW == pytest.approx(timedelta(minutes=minutes), abs=timedelta(milliseconds=1))


@given(durations, jitters, st.floats(0, 1))
def test_no_session_goes_longer_than_the_interval_nor_earlier_than_its_share(interval, jitter, earliest):
    due = next_due(NOW, interval, jitter, earliest)
    tick = timedelta(microseconds=1)

    assert NOW + interval * earliest - tick <= due <= NOW + interval


@given(durations, jitters, jitters)
def test_a_larger_draw_is_never_due_earlier(interval, one, other):
    low, high = sorted((one, other))

    assert next_due(NOW, interval, low) <= next_due(NOW, interval, high)


@pytest.mark.parametrize("jitter", [1.0, 1.5, -0.1, float("nan"), float("inf")])
def test_dice_outside_0_to_1_are_refused(jitter):
    with pytest.raises(ValueError, match="jitter must be in"):
        next_due(NOW, QUARTER, jitter)


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="must be aware"):
        next_due(NOW.replace(tzinfo=None), QUARTER, 0.5)


def test_waits_double_from_half_a_second():
    waits = [backoff(attempt, timedelta(days=9), POLICY).total_seconds() for attempt in range(1, 8)]

    assert waits == [0.5, 1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize(
    ("attempt", "slack", "wait"),
    [
        (20, timedelta(minutes=80), timedelta(minutes=10)),
        (20, timedelta(seconds=8), timedelta(seconds=1)),
        (20, timedelta(seconds=1), HALF_SECOND),
        (1, timedelta(microseconds=1), HALF_SECOND),
        (20, timedelta(0), QUARTER),
        (20, timedelta(days=-3), QUARTER),
        (1, timedelta(days=-3), HALF_SECOND),
        (0, timedelta(hours=1), HALF_SECOND),
        (10**9, timedelta(days=365), timedelta(days=365) / 8),
    ],
    ids=[
        "an eighth of the slack",
        "an eighth of little slack",
        "never under half a second",
        "nor with next to no slack",
        "the interval, when the slack is gone",
        "the interval, long after the deadline",
        "but from half a second, even then",
        "attempt 0 counts as the first",
        "any number of attempts",
    ],
)
def test_no_wait_uses_up_the_time_that_is_left(attempt, slack, wait):
    assert backoff(attempt, slack, POLICY) == wait


@given(st.integers(-5, 10**6), st.timedeltas(timedelta(days=-30), timedelta(days=30)))
def test_a_wait_is_at_least_half_a_second_and_never_unto_death(attempt, slack):
    wait = backoff(attempt, slack, POLICY)

    assert wait >= FIRST_BACKOFF
    assert wait <= (max(slack / 8, FIRST_BACKOFF) if slack > timedelta(0) else QUARTER)
    assert wait <= backoff(attempt + 1, slack, POLICY)


def test_in_doubt_the_tries_come_after_half_a_second_1_2_and_then_every_2_seconds_for_a_minute():
    at, waits = NOW, []
    while (wait := doubt_wait(NOW, at)) is not None:
        waits.append(wait.total_seconds())
        at += wait

    assert waits[:5] == [0.5, 1, 2, 2, 2]
    assert set(waits[5:]) == {2}
    assert at - NOW >= DOUBT_LASTS > at - NOW - timedelta(seconds=2)


@given(st.timedeltas(timedelta(seconds=-5), timedelta(days=9)))
def test_doubt_is_hurried_for_a_minute_and_no_longer(lasted):
    wait = doubt_wait(NOW, NOW + lasted)

    assert (wait is None) is (lasted >= DOUBT_LASTS)
    assert wait is None or HALF_SECOND <= wait <= timedelta(seconds=2)


def test_young_is_a_fifteenth_of_the_interval():
    assert POLICY.young == timedelta(minutes=1)
