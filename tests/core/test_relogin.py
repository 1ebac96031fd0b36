"""When an account may be logged in again, and what becomes of its session."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.change import Kind
from aimkeeper.core.cookies import Cookie, CookieDelta
from aimkeeper.core.events import EventKind
from aimkeeper.core.outcome import LoggedIn, LoginProblem, LoginRefused
from aimkeeper.core.relogin import LOCKOUT, UNJUDGED, LoginBook, has_hope, logged_in_again, login_refused
from aimkeeper.core.session import Cause, Status, Suspicion
from aimkeeper.core.token import Token

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NEW = Token("69232|1775045700|ffffffffffffffffffffffffffffffff")


@pytest.mark.parametrize(
    ("failed", "not_before", "may_try"),
    [
        pytest.param([], None, 0, id="never tried"),
        pytest.param([-30], None, 0, id="one failed try"),
        pytest.param([-30, -10], None, 30, id="two within the hour: when the first is an hour old"),
        pytest.param([-61, -10], None, 0, id="one of them long ago"),
        pytest.param([], 12, 12, id="AimHarder named a time"),
        pytest.param([-30, -10], 50, 50, id="the later of the two"),
    ],
)
def test_at_most_two_tries_fail_in_an_hour(now, failed, not_before, may_try):
    book = LoginBook(
        tuple(now + at * MINUTE for at in failed), None if not_before is None else now + not_before * MINUTE
    )

    assert book.may_try_at(now) == now + may_try * MINUTE


@pytest.mark.parametrize(
    ("refused", "failures", "wait"),
    [
        (LoginRefused(LoginProblem.LOCKED_OUT, retry_after=5 * MINUTE), 1, 5 * MINUTE),
        (LoginRefused(LoginProblem.LOCKED_OUT), 1, LOCKOUT),
        (LoginRefused(LoginProblem.UNREADABLE), 1, LOCKOUT),
        (LoginRefused(LoginProblem.UNAVAILABLE), 0, UNJUDGED),
        (LoginRefused(LoginProblem.UNAVAILABLE, retry_after=10 * MINUTE), 0, 10 * MINUTE),
    ],
    ids=["locked out for a time", "locked out", "unreadable", "not judged", "not judged, come later"],
)
def test_what_aimharder_judged_counts_as_a_failed_try(now, refused, failures, wait):
    book = LoginBook().after(refused, now)

    assert len(book.failed_at) == failures
    assert book.not_before == now + wait


def test_old_failures_are_forgotten(now):
    book = LoginBook((now - 2 * HOUR, now - 30 * MINUTE)).after(LoginRefused(LoginProblem.LOCKED_OUT), now)

    assert book.failed_at == (now - 30 * MINUTE, now)


@pytest.fixture
def dead(session, now):
    return replace(session, suspicion=Suspicion(now - MINUTE, now - MINUTE, logouts=2), doubt_at=now, attempt=3)


def test_a_new_login_is_one_more_generation_of_the_same_session(dead, claimed, policy, exchange, now):
    answer = LoggedIn(NEW, CookieDelta((Cookie("amhrdrauth", "auth-2", "aimharder.com", host_only=False),)))

    change = logged_in_again(claimed(dead), answer, policy, replace(exchange, via="login"))

    after = change.after
    assert (change.kind, after.id, after.generation) == (Kind.ROTATION, dead.id, dead.generation + 1)
    assert (after.status, after.token, after.rotations) == (Status.ACTIVE, NEW, dead.rotations)
    assert (after.suspicion, after.doubt_at, after.attempt) == (None, None, 0)
    assert (after.setrefresh_due, after.due_at) == (True, now)
    assert after.secrets.password == dead.secrets.password
    assert [fact.kind for fact in change.events] == [EventKind.LOGGED_IN]
    assert NEW.text not in str(change.events)


def test_a_wrong_password_is_forgotten_and_ends_the_session(dead, claimed, policy, now):
    refused = LoginRefused(LoginProblem.BAD_CREDENTIALS)

    change = login_refused(claimed(dead), refused, LoginBook(), policy, now)

    assert (change.after.status, change.after.cause) == (Status.ENDED, Cause.BAD_CREDENTIALS)
    assert change.after.secrets.password is None
    assert change.after.wipe_at == now + policy.wipe_after
    assert [fact.kind for fact in change.events] == [EventKind.RELOGIN_FAILED, EventKind.ENDED]


def test_other_trouble_is_waited_out_and_told_once(dead, claimed, policy, now):
    refused = LoginRefused(LoginProblem.LOCKED_OUT)
    book = LoginBook().after(refused, now)

    first = login_refused(claimed(dead), refused, book, policy, now)
    second = login_refused(claimed(first.after), refused, book, policy, now)

    assert (first.after.due_at, first.after.status) == (now + LOCKOUT, dead.status)
    assert [fact.kind for fact in first.events] == [EventKind.RELOGIN_FAILED]
    assert second.events == ()


def test_there_is_hope_while_a_password_is_remembered_and_for_as_long_as_secrets_are_kept(dead, policy, now):
    forgotten = replace(dead, secrets=replace(dead.secrets, password=None))

    assert has_hope(dead, policy, now)
    assert not has_hope(forgotten, policy, now)
    assert not has_hope(dead, policy, now + policy.wipe_after)
