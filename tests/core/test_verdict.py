"""The ladder, rung by rung; and what the verdict is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.outcome import Life, LoggedOut
from aimkeeper.core.policy import settle
from aimkeeper.core.session import Cause, Ring, Status, Suspicion, Turn
from aimkeeper.core.verdict import Step, conclude, give_back, hold, next_step, put_off, reopen, resume_at

SECONDS = timedelta(seconds=1)


@pytest.fixture
def accused(session, now):
    """Told to log out three seconds ago."""

    def accused(**known):
        return replace(session, suspicion=Suspicion(now - 3 * SECONDS, now - 3 * SECONDS, **known))

    return accused


@pytest.mark.parametrize(
    ("known", "more", "step"),
    [
        pytest.param({}, {}, Step.ASK, id="first whoami is asked"),
        pytest.param({"life": Life.ALIVE}, {}, Step.SPEND, id="alive: the token once more"),
        pytest.param({"life": Life.UNCLEAR}, {}, Step.SPEND, id="unclear: the token once more"),
        pytest.param({"life": Life.DEAD}, {}, Step.SPEND, id="dead, but never seen alive: the token once more"),
        pytest.param({"life": Life.DEAD}, {"alive_at": True}, Step.CONCLUDE, id="dead, and once seen alive"),
        pytest.param({"life": Life.ALIVE, "logouts": 2}, {}, Step.CONCLUDE, id="two logouts apart"),
        pytest.param({"life": Life.ALIVE, "logouts": 2}, {"spares": 1}, Step.SPARE, id="a spare is tried before"),
        pytest.param(
            {"life": Life.ALIVE, "logouts": 2, "spares_tried": True}, {"spares": 1}, Step.CONCLUDE, id="spares once"
        ),
        pytest.param({"logouts": 0}, {}, Step.SPEND, id="from the start"),
    ],
)
def test_each_rung_is_climbed_once_and_in_this_order(accused, now, known, more, step):
    session = replace(accused(**known), **{name: now if value is True else value for name, value in more.items()})

    assert next_step(session, now) is step


def test_a_session_that_was_never_told_to_log_out_is_rotated(session, now):
    assert next_step(session, now) is Step.SPEND


def test_however_sure_the_case_the_verdict_waits_two_seconds(accused, now):
    sure = replace(accused(life=Life.DEAD), alive_at=now)

    assert resume_at(sure) == now - SECONDS
    assert next_step(sure, now - 2 * SECONDS) is Step.WAIT
    assert next_step(sure, now - SECONDS) is Step.CONCLUDE


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        pytest.param({}, Cause.SERVER_ENDED, id="for reasons of its own"),
        pytest.param({"settled_in": False}, Cause.UNKNOWN, id="adopted and never rotated"),
        pytest.param({"doubt": True}, Cause.DOUBLE_SPENT, id="an answer had been lost"),
        pytest.param({"deadline_at": -timedelta(minutes=1)}, Cause.IDLE_TIMEOUT, id="past its deadline"),
        pytest.param({"expired": True}, Cause.TOKEN_EXPIRED, id="past the token's expiry"),
    ],
)
def test_an_end_is_put_down_to_what_was_so_at_the_first_logout(
    *, session, accused, claimed, policy, now, change, cause
):
    dead = accused(life=Life.DEAD, logouts=2)
    if change.pop("doubt", False):
        dead = replace(dead, doubt_at=now - 10 * SECONDS)
    if change.pop("expired", False):
        dead = replace(dead, suspicion=replace(dead.suspicion, first_at=dead.token.expires_at))
    if "deadline_at" in change:
        change["deadline_at"] = now + change["deadline_at"]
    dead = replace(dead, **change)

    verdict = conclude(claimed(dead), policy, now)

    assert (verdict.after.status, verdict.after.cause) == (Status.ENDED, cause)
    assert (verdict.after.ended_at, verdict.after.wipe_at) == (now, now + policy.wipe_after)
    assert verdict.after.due_at is None
    assert (verdict.after.token, verdict.after.generation) == (dead.token, dead.generation)


@pytest.mark.parametrize(
    ("settled_in", "late", "is_stale"),
    [(False, True, True), (False, False, False), (True, True, False)],
    ids=["adopted past its deadline", "adopted in time", "rotated here before"],
)
def test_an_end_says_whether_it_was_to_be_expected_from_the_start(
    *, accused, claimed, policy, now, settled_in, late, is_stale
):
    deadline = now + timedelta(minutes=-1 if late else 1)
    dead = replace(accused(life=Life.DEAD, logouts=2), settled_in=settled_in, deadline_at=deadline)

    [told] = conclude(claimed(dead), policy, now).events

    assert told.data.get("stale", False) is is_stale


def test_cookies_that_live_make_it_a_lost_token_told_once_and_tried_again_ever_more_seldom(
    accused, claimed, policy, now
):
    refused = replace(accused(life=Life.ALIVE, logouts=2), attempt=4)

    first = conclude(claimed(refused), policy, now)
    second = conclude(claimed(replace(first.after, attempt=8)), policy, now)

    assert first.after.status is second.after.status is Status.TOKEN_LOST
    assert [fact.kind for fact in first.events] == [EventKind.TOKEN_LOST]
    assert second.events == ()
    assert now < first.after.due_at < second.after.due_at <= now + policy.refresh_every


def test_a_lost_token_whose_cookies_can_not_be_asked_after_is_no_end(accused, claimed, policy, now):
    unclear = replace(accused(life=Life.UNCLEAR, logouts=2), status=Status.TOKEN_LOST)

    assert conclude(claimed(unclear), policy, now).after.status is Status.TOKEN_LOST


def test_the_evidence_is_what_came_since_the_last_rotation_by_hash(accused, claimed, policy, now):
    turns = [
        Turn(now.timestamp() - 900, "rotated", "token_update", 6, 100, "aaaa"),
        Turn(now.timestamp() - 3, "logged_out", "token_update", 7, 100, "bbbb"),
        Turn(now.timestamp() - 2, "dead", "whoami", 7, 100, "bbbb"),
    ]
    dead = replace(accused(life=Life.DEAD, logouts=2), ring=Ring(tuple(turns)))

    [told] = conclude(claimed(dead), policy, now).events

    assert [(step["what"], step["token"]) for step in told.data["evidence"]] == [
        ("logged_out", "bbbb"),
        ("dead", "bbbb"),
    ]


def test_a_verdict_held_back_is_told_once_and_tried_again_from_the_start(accused, claimed, policy, now):
    dead = replace(accused(life=Life.DEAD, logouts=2), attempt=2)

    held = hold(claimed(dead), policy, now)
    again = hold(claimed(held.after), policy, now)
    reopened = reopen(held.after, now)

    assert (held.after.status, held.after.cause) == (Status.SUSPECTED, None)
    assert [fact.kind for fact in held.events] == [EventKind.SUSPECTED]
    assert again.events == ()
    assert next_step(reopened, now) is Step.SPEND
    assert reopened.suspicion.first_at == dead.suspicion.first_at


def test_a_ladder_half_climbed_is_climbed_on(accused, now):
    half = replace(accused(life=Life.DEAD), status=Status.SUSPECTED)

    assert reopen(half, now) == half
    assert reopen(replace(half, status=Status.ACTIVE), now).suspicion == half.suspicion


def test_a_second_run_counts_its_logouts_anew_and_remembers_the_first_of_all(
    *, accused, claimed, policy, exchange, now
):
    held = replace(accused(life=Life.DEAD, logouts=2), status=Status.SUSPECTED)
    later = now + timedelta(minutes=5)

    told = settle(claimed(reopen(held, later)), LoggedOut(), policy, replace(exchange, now=later)).after

    assert (told.suspicion.logouts, told.suspicion.run_at) == (1, later)
    assert told.suspicion.first_at == held.suspicion.first_at
    assert told.suspicion.life is None


def test_a_lost_token_is_not_called_suspected_for_an_outage(accused, claimed, policy, now):
    lost = replace(accused(life=Life.UNCLEAR, logouts=2), status=Status.TOKEN_LOST)

    held = hold(claimed(lost), policy, now)

    assert (held.after.status, held.events) == (Status.TOKEN_LOST, ())
    assert held.after.due_at > now


def test_a_claim_put_off_or_given_back_leaves_the_session_as_it_was(session, claimed, now):
    later = now + timedelta(minutes=1)

    assert put_off(claimed(session), later).after == replace(session, due_at=later)
    assert give_back(claimed(session)).after == session
