"""The arithmetic of outages, mass deaths and ramps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.cookies import NO_CHANGE
from aimkeeper.core.fleet import (
    FIRST_PROBE,
    LONGEST_PROBE,
    LONGEST_THROTTLE,
    THROTTLED_FOR,
    Answer,
    Attempt,
    Fleet,
    Window,
    classify,
    probe_gap,
    throttle_until,
)
from aimkeeper.core.outcome import InDoubt, LoggedOut, Reason, Refused, Rotated
from aimkeeper.core.token import Token

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDLE = timedelta(minutes=90)


def window(*answers, sessions=1000, every=0.1):
    """Attempts of so many sessions in turn, *every* so many seconds."""
    seen = Window()
    for number, answer in enumerate(answers):
        seen.add(Attempt(NOW + timedelta(seconds=number * every), f"s{number % sessions}", answer))
    return seen


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (Rotated(Token("1|2|3"), NO_CHANGE), Answer.GOOD),
        (LoggedOut(), Answer.LOGOUT),
        (Refused(Reason.RATE_LIMITED), Answer.TOO_MANY),
        (InDoubt(Reason.OVERLOADED), Answer.OVERLOADED),
        (InDoubt(Reason.TIMED_OUT), Answer.FAILED),
        (Refused(Reason.UNREACHABLE), Answer.FAILED),
        (Refused(Reason.FORBIDDEN), Answer.FAILED),
    ],
)
def test_each_outcome_says_one_thing_about_the_upstream(outcome, answer):
    assert classify(outcome) is answer


@pytest.mark.parametrize(
    ("answers", "sessions", "is_outage"),
    [
        pytest.param([Answer.FAILED] * 50, 5, True, id="fifty failures over five sessions"),
        pytest.param([Answer.FAILED] * 49, 5, False, id="too few attempts"),
        pytest.param([Answer.FAILED] * 50, 4, False, id="too few sessions"),
        pytest.param([Answer.GOOD] * 10 + [Answer.FAILED] * 40, 50, True, id="four in five"),
        pytest.param([Answer.GOOD] * 11 + [Answer.FAILED] * 39, 50, False, id="a little less than four in five"),
        pytest.param([Answer.LOGOUT] * 50, 50, False, id="logouts are no failures"),
        pytest.param([Answer.TOO_MANY] * 50, 50, False, id="an upstream that wants fewer works"),
        pytest.param([Answer.OVERLOADED] * 50, 50, True, id="an overloaded one does not"),
        pytest.param([Answer.FAILED] * 60 + [Answer.GOOD] * 20, 50, False, id="only the last fifty count"),
    ],
)
def test_an_outage_is_four_failures_in_five_of_fifty_over_five_sessions(answers, sessions, is_outage):
    assert window(*answers, sessions=sessions).shows_outage() is is_outage


def test_while_it_comes_back_ten_failures_are_enough():
    assert window(*[Answer.FAILED] * 10).shows_outage(again=True)
    assert not window(*[Answer.FAILED] * 9).shows_outage(again=True)


@pytest.mark.parametrize(
    ("answers", "sessions", "is_overload"),
    [
        pytest.param([Answer.TOO_MANY] * 25 + [Answer.GOOD] * 25, 50, True, id="half"),
        pytest.param([Answer.TOO_MANY] * 24 + [Answer.GOOD] * 26, 50, False, id="less than half"),
        pytest.param([Answer.TOO_MANY] * 20, 20, False, id="too few answers"),
        pytest.param([Answer.OVERLOADED] * 25 + [Answer.GOOD] * 25, 50, True, id="503 counts too"),
    ],
)
def test_everybody_waits_when_half_of_the_last_fifty_want_fewer(answers, sessions, is_overload):
    assert window(*answers, sessions=sessions).shows_overload() is is_overload


@pytest.mark.parametrize(
    ("answers", "sessions", "every", "is_mass"),
    [
        pytest.param([Answer.LOGOUT] * 10, 10, 0.1, True, id="ten at once"),
        pytest.param([Answer.LOGOUT] * 9, 9, 0.1, False, id="nine at once"),
        pytest.param([Answer.LOGOUT] * 30, 9, 0.1, False, id="nine sessions again and again"),
        pytest.param([Answer.LOGOUT, *[Answer.GOOD] * 4] * 20, 100, 0.1, False, id="one in five is not over a fifth"),
        pytest.param([Answer.LOGOUT, *[Answer.GOOD] * 3] * 20, 100, 0.1, True, id="one in four is"),
        pytest.param([Answer.GOOD] * 500 + [Answer.LOGOUT] * 11, 1000, 0.1, True, id="the onset in a busy fleet"),
        pytest.param([Answer.LOGOUT] * 10, 10, 6.0, True, id="ten within a minute"),
        pytest.param([Answer.LOGOUT] * 5 + [Answer.GOOD] * 50 + [Answer.LOGOUT] * 5, 100, 3.0, False, id="long apart"),
        pytest.param([Answer.GOOD] * 50, 50, 0.1, False, id="all is well"),
    ],
)
def test_a_mass_death_is_ten_sessions_and_over_a_fifth_of_the_attempts(answers, sessions, every, is_mass):
    assert window(*answers, sessions=sessions, every=every).shows_mass_death() is is_mass


@pytest.mark.parametrize(
    ("answers", "is_over"),
    [
        pytest.param([Answer.GOOD] * 10, True, id="ten good ones"),
        pytest.param([Answer.GOOD] * 9, False, id="too few to tell"),
        pytest.param([Answer.GOOD] * 48 + [Answer.LOGOUT] * 2, True, id="two in fifty"),
        pytest.param([Answer.GOOD] * 47 + [Answer.LOGOUT] * 3, False, id="three in fifty"),
        pytest.param([Answer.FAILED] * 50, False, id="failures say nothing"),
    ],
)
def test_it_is_over_when_the_share_is_back_under_a_twentieth(answers, is_over):
    assert window(*answers).shows_recovery() is is_over


@given(st.lists(st.tuples(st.sampled_from(Answer), st.floats(0, 30)), max_size=150))
def test_the_window_counts_the_logouts_of_exactly_the_last_minute(steps):
    seen, at, all_of_them = Window(), NOW, []
    for answer, gap in steps:
        at += timedelta(seconds=gap)
        seen.add(Attempt(at, "s", answer))
        all_of_them.append((at, answer))

    last_minute = [answer for when, answer in all_of_them if at - when <= timedelta(minutes=1)]
    assert [attempt.answer for attempt in seen.minute] == last_minute
    assert seen._logouts == last_minute.count(Answer.LOGOUT)
    assert len(seen.recent) == min(len(steps), 50)


def test_a_cleared_window_has_seen_nothing():
    seen = window(*[Answer.LOGOUT] * 50)
    seen.clear()

    assert not seen.shows_mass_death()
    assert not seen.shows_outage()
    assert not seen.shows_overload()
    assert not seen.shows_recovery()


def test_the_rate_rises_from_a_sixteenth_to_all_of_it_and_never_falls():
    fleet = Fleet(outage_at=NOW, recovered_at=NOW)
    shares = [fleet.share_of_rate(NOW + timedelta(seconds=tenth / 10), IDLE) for tenth in range(60)]

    assert shares[0] == 1 / 16
    assert shares == sorted(shares)
    assert shares[40] == 1.0
    assert Fleet().share_of_rate(NOW, IDLE) == 1.0


def test_verdicts_are_frozen_by_an_outage_to_its_very_end_and_by_a_mass_death():
    assert Fleet(outage_at=NOW).freezes_verdicts
    assert Fleet(outage_at=NOW, recovered_at=NOW).freezes_verdicts
    assert Fleet(held_at=NOW).freezes_verdicts
    assert not Fleet(paused_at=NOW, throttled_until=NOW).freezes_verdicts


def test_a_pause_lasts_until_its_time_or_until_somebody_resumes():
    later = NOW + timedelta(minutes=30)

    assert Fleet(paused_at=NOW).is_paused(later)
    assert Fleet(paused_at=NOW, paused_until=later).is_paused(NOW)
    assert not Fleet(paused_at=NOW, paused_until=later).is_paused(later)
    assert not Fleet().is_paused(NOW)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(None, THROTTLED_FOR), (timedelta(seconds=20), timedelta(seconds=20)), (timedelta(hours=1), LONGEST_THROTTLE)],
    ids=["nothing was asked", "twenty seconds", "an hour is too much"],
)
def test_everybody_waits_as_long_as_was_asked_within_reason(asked, waits):
    assert throttle_until(NOW, asked) == NOW + waits
    assert Fleet(throttled_until=NOW + waits).is_throttled(NOW)
    assert not Fleet(throttled_until=NOW).is_throttled(NOW)


@pytest.mark.parametrize(
    ("gap", "idle", "is_gap"),
    [
        pytest.param(FIRST_PROBE, IDLE, FIRST_PROBE, id="the first"),
        pytest.param(timedelta(minutes=1), IDLE, LONGEST_PROBE, id="no longer than a quarter of a minute"),
        pytest.param(LONGEST_PROBE, timedelta(minutes=9), timedelta(seconds=1.5), id="a tenth where they live a tenth"),
        pytest.param(FIRST_PROBE, timedelta(hours=24), FIRST_PROBE, id="no longer where they live longer"),
    ],
)
def test_probes_are_as_far_apart_as_recovery_may_go_unnoticed(gap, idle, is_gap):
    assert probe_gap(gap, idle) == is_gap


def test_where_sessions_live_short_the_rate_rises_sooner():
    fleet = Fleet(outage_at=NOW, recovered_at=NOW)

    assert fleet.share_of_rate(NOW + timedelta(seconds=0.4), timedelta(minutes=9)) == 1.0
    assert fleet.share_of_rate(NOW + timedelta(seconds=0.4), IDLE) < 0.1
