"""What a session becomes after each answer to a spend of its token."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimkeeper.core.change import NO_EDIT, Kind
from aimkeeper.core.cookies import Cookie, CookieDelta
from aimkeeper.core.events import EventKind
from aimkeeper.core.outcome import InDoubt, Life, LoggedOut, Reason, Refused, Rotated, WhoAmI
from aimkeeper.core.policy import (
    SETREFRESH_TRIES,
    believed,
    next_due,
    settle,
    settle_rotation,
    settle_spare_refused,
    settle_whoami,
)
from aimkeeper.core.session import Cause, Status, Suspicion, Turn
from aimkeeper.core.token import Token

NEW = Token("69232|1775045700|ffffffffffffffffffffffffffffffff")
BROUGHT = CookieDelta((Cookie("AWSALB", "lb-2", "x.test"),))

not_rotated = st.one_of(
    st.just(LoggedOut()),
    st.builds(InDoubt, st.sampled_from([Reason.BROKEN_OFF, Reason.TIMED_OUT, Reason.SERVER_ERROR, Reason.UNREADABLE])),
    st.builds(
        Refused,
        st.sampled_from([Reason.UNREACHABLE, Reason.RATE_LIMITED, Reason.FORBIDDEN, Reason.REJECTED]),
        st.none() | st.timedeltas(timedelta(0), timedelta(hours=1)),
    ),
)


def kinds(change):
    return [fact.kind for fact in change.events]


def test_a_rotation_brings_token_cookies_generation_and_due_time_in_one_change(session, claimed, policy, exchange, now):
    claim = claimed(session)

    change = settle(claim, Rotated(NEW, BROUGHT), policy, exchange)

    after = change.after
    assert (change.kind, change.claim, change.release) == (Kind.ROTATION, claim, True)
    assert (after.token, after.generation, after.rotations) == (NEW, session.generation + 1, session.rotations + 1)
    assert [cookie.value for cookie in after.jar.cookies] == ["auth-1", "lb-2"]
    assert (after.rotated_at, after.due_at) == (now, next_due(now, policy.refresh_every, 0.5))
    assert after.deadline_at == now + policy.idle_timeout
    assert change.events == ()
    assert after.secrets == change.edit.apply(session.secrets)
    assert after.ring[-1] == change.turn == Turn(now.timestamp(), "rotated", "token_update", 7, 250, NEW.mark())


def test_a_rotation_clears_all_trouble_and_says_that_the_session_healed(session, claimed, policy, exchange, now):
    trouble = claimed(
        session,
        status=Status.IN_DOUBT,
        attempt=3,
        last_error="timed_out",
        doubt_at=now,
        suspicion=Suspicion(now, now),
    )

    change = settle(trouble, Rotated(NEW), policy, exchange)

    after = change.after
    assert (after.status, after.attempt, after.last_error) == (Status.ACTIVE, 0, None)
    assert (after.doubt_at, after.suspicion) == (None, None)
    [healed] = change.events
    assert healed.kind is EventKind.HEALED
    assert dict(healed.data) == {"generation": 7, "was": "in_doubt", "after_attempts": 3, "token": NEW.mark()}


def test_a_late_rotation_undoes_an_end(session, claimed, policy, exchange, now):
    ended = claimed(session, status=Status.ENDED, cause=Cause.SERVER_ENDED, ended_at=now, wipe_at=now, due_at=None)

    after = settle(ended, Rotated(NEW), policy, exchange).after

    assert (after.status, after.cause, after.ended_at, after.wipe_at) == (Status.ACTIVE, None, None, None)
    assert after.due_at is not None


def test_the_first_rotation_after_an_adoption_may_come_early_so_that_a_fleet_spreads(
    session, claimed, policy, exchange, now
):
    at_once = replace(exchange, jitter=0.0)

    first = settle(claimed(session, settled_in=False), Rotated(NEW), policy, at_once).after
    second = settle(claimed(first), Rotated(NEW), policy, at_once).after

    assert first.due_at == now + policy.refresh_every * 0.1
    assert second.due_at == now + policy.refresh_every * 0.8


def test_a_setrefresh_counts_apart_and_takes_the_fingerprint_the_site_names(session, claimed, policy, exchange, now):
    owing = claimed(session, setrefresh_due=True, setrefresh_error="timed_out")

    after = settle(owing, Rotated(NEW, fingerprint="another"), policy, replace(exchange, via="setrefresh")).after

    assert (after.fingerprint, after.token, after.generation) == ("another", NEW, 8)
    assert (after.setrefresh_due, after.setrefresh_at, after.setrefresh_error) == (False, now, None)
    assert (after.setrefresh_count, after.rotations) == (session.setrefresh_count + 1, session.rotations)


def test_a_plain_rotation_leaves_the_setrefresh_owed(session, claimed, policy, exchange):
    after = settle(claimed(session, setrefresh_due=True), Rotated(NEW), policy, exchange).after

    assert (after.setrefresh_due, after.setrefresh_count, after.fingerprint) == (True, 0, session.fingerprint)


def test_a_token_put_aside_that_rotates_is_named_and_told(session, claimed, policy, exchange):
    lost = claimed(session, status=Status.IN_DOUBT, spares=1)

    change = settle_rotation(lost, Rotated(NEW), policy, replace(exchange, via="spare"), spare="spare-1")

    assert (change.tried_spare, kinds(change)) == ("spare-1", [EventKind.SPARE_USED])


def test_a_token_put_aside_that_is_refused_is_struck_off_and_the_claim_goes_on(session, claimed, exchange):
    change = settle_spare_refused(claimed(session, spares=2), "spare-1", exchange)

    assert (change.tried_spare, change.after.spares, change.release) == ("spare-1", 1, False)
    assert change.after.token == session.token


def test_a_logout_is_a_suspicion_and_nothing_it_says_of_cookies_is_believed(session, claimed, policy, exchange, now):
    deletion = CookieDelta(deleted=(("amhrdrauth", "aimharder.com"),))

    change = settle(claimed(session), LoggedOut(deletion), policy, exchange)

    after = change.after
    assert (change.kind, change.edit, kinds(change)) == (Kind.ATTEMPT, NO_EDIT, [EventKind.SUSPICION])
    assert (after.status, after.suspicion) == (Status.IN_DOUBT, Suspicion(now, now))
    assert (after.attempt, after.last_error, after.due_at) == (1, "logged_out", now)
    assert after.secrets == session.secrets
    assert (after.ended_at, after.wipe_at) == (None, None)


def test_a_second_logout_is_counted_and_not_told_again(session, claimed, policy, exchange, now):
    earlier = now - timedelta(seconds=2)
    known = claimed(session, suspicion=Suspicion(earlier, earlier, life=Life.UNCLEAR))

    change = settle(known, LoggedOut(), policy, exchange)

    assert change.after.suspicion == Suspicion(earlier, earlier, logouts=2, life=Life.UNCLEAR)
    assert change.events == ()


def test_an_answer_that_did_not_come_leaves_the_session_in_doubt_and_hurries(session, claimed, policy, exchange, now):
    change = settle(claimed(session), InDoubt(Reason.TIMED_OUT), policy, exchange)

    after = change.after
    assert (change.kind, kinds(change)) == (Kind.ATTEMPT, [EventKind.IN_DOUBT])
    assert (after.status, after.doubt_at) == (Status.IN_DOUBT, now)
    assert (after.attempt, after.last_error) == (1, "timed_out")
    assert after.due_at == now + timedelta(seconds=0.5)
    assert after.ring[-1].what == "timed_out"


def test_doubt_begins_once_and_is_told_once(session, claimed, policy, exchange, now):
    began = now - timedelta(seconds=1)

    change = settle(
        claimed(session, status=Status.IN_DOUBT, doubt_at=began, attempt=1),
        InDoubt(Reason.BROKEN_OFF),
        policy,
        exchange,
    )

    assert (change.after.doubt_at, change.after.attempt, change.events) == (began, 2, ())
    assert change.after.due_at == now + timedelta(seconds=1)


def test_a_refusal_is_no_doubt_and_waits_its_turn(session, claimed, policy, exchange, now):
    change = settle(claimed(session, attempt=3), Refused(Reason.UNREACHABLE), policy, exchange)

    after = change.after
    assert (change.kind, change.events) == (Kind.ATTEMPT, ())
    assert (after.status, after.doubt_at, after.suspicion) == (Status.ACTIVE, None, None)
    assert (after.attempt, after.last_error) == (4, "unreachable")
    assert after.due_at == now + timedelta(seconds=4)


@pytest.mark.parametrize(
    ("asked", "slack", "waited"),
    [
        (timedelta(minutes=5), timedelta(minutes=80), timedelta(minutes=5)),
        (timedelta(hours=1), timedelta(minutes=80), timedelta(minutes=40)),
        (timedelta(hours=1), timedelta(minutes=-5), timedelta(hours=1)),
        (timedelta(0), timedelta(minutes=80), timedelta(seconds=0.5)),
    ],
    ids=["as asked", "at most half the slack", "in full past the deadline", "never under our own wait"],
)
def test_a_wish_to_wait_is_obeyed_but_not_unto_death(*, session, claimed, policy, exchange, now, asked, slack, waited):
    claim = claimed(session, deadline_at=now + slack)

    after = settle(claim, Refused(Reason.RATE_LIMITED, asked), policy, exchange).after

    assert after.due_at == now + waited


def test_a_setrefresh_that_fails_is_given_up_after_a_few_tries_and_the_login_stands(session, claimed, policy, exchange):
    kept, owed = replace(session, setrefresh_due=True), []

    for _ in range(SETREFRESH_TRIES):
        change = settle(claimed(kept), InDoubt(Reason.TIMED_OUT), policy, replace(exchange, via="setrefresh"))
        kept = change.after
        owed.append(kept.setrefresh_due)

    assert [fact.kind for fact in change.events] == [EventKind.SETREFRESH_FAILED]
    assert owed == [True] * (SETREFRESH_TRIES - 1) + [False]
    assert (kept.setrefresh_error, kept.token) == ("timed_out", session.token)


@pytest.mark.parametrize("life", list(Life))
def test_whoami_spends_nothing_and_keeps_its_cookies(*, session, claimed, exchange, now, life):
    suspected = claimed(session, suspicion=Suspicion(now, now))

    change = settle_whoami(suspected, WhoAmI(life, cookies=BROUGHT), replace(exchange, via="whoami"))

    after = change.after
    assert (change.kind, after.token, after.generation) == (Kind.ATTEMPT, session.token, session.generation)
    assert after.suspicion.life is life
    assert after.alive_at == (now if life is Life.ALIVE else None)
    assert [cookie.value for cookie in after.jar.cookies] == ["auth-1", "lb-2"]
    assert (after.ring[-1].what, after.ring[-1].via) == (life.value, "whoami")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(outcomes=st.lists(not_rotated, min_size=1, max_size=12))
def test_whatever_comes_but_a_rotation_the_token_stays_and_the_session_is_due_again(
    session, claimed, policy, exchange, outcomes
):
    kept = session
    for number, outcome in enumerate(outcomes, start=1):
        change = settle(claimed(kept), outcome, policy, exchange)
        kept = change.after

        assert (kept.token, kept.generation, kept.jar) == (session.token, session.generation, session.jar)
        assert (kept.rotated_at, kept.deadline_at) == (session.rotated_at, session.deadline_at)
        assert kept.status is not Status.ENDED
        assert kept.due_at is not None
        assert kept.due_at >= exchange.now
        assert kept.attempt == number
        assert change.kind is Kind.ATTEMPT


@pytest.mark.parametrize(
    ("user_id", "life"),
    [(None, Life.ALIVE), (69232, Life.ALIVE), (7, Life.UNCLEAR)],
    ids=["nobody named", "this account", "another account"],
)
def test_whoami_is_not_believed_about_another_account(session, user_id, life):
    answer = believed(WhoAmI(Life.ALIVE, user_id, "Somebody", BROUGHT), session)

    assert answer.life is life
    assert bool(answer.cookies) is (life is Life.ALIVE)
