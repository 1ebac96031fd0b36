"""What a status alone says, whoever reads it: refused whole, or nobody knows."""

from datetime import timedelta

import pytest

from aimkeeper.core.outcome import (
    InDoubt,
    Life,
    LoginProblem,
    LoginRefused,
    NoReply,
    Reason,
    Refused,
    WhoAmI,
)
from aimkeeper.upstream import protocol

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["token_update", "set_refresh"])
def read_spend(request, site, held, now):
    reader = getattr(protocol, f"read_{request.param}")
    return lambda answer: reader(answer, site, held, now)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (100, InDoubt(Reason.UNREADABLE)),
        (201, InDoubt(Reason.UNREADABLE)),
        (204, InDoubt(Reason.UNREADABLE)),
        (301, InDoubt(Reason.UNREADABLE)),
        (302, InDoubt(Reason.UNREADABLE)),
        (304, InDoubt(Reason.UNREADABLE)),
        (400, Refused(Reason.REJECTED)),
        (401, Refused(Reason.REJECTED)),
        (403, Refused(Reason.FORBIDDEN)),
        (404, Refused(Reason.REJECTED)),
        (408, Refused(Reason.REJECTED)),
        (429, Refused(Reason.RATE_LIMITED)),
        (499, Refused(Reason.REJECTED)),
        (500, InDoubt(Reason.SERVER_ERROR)),
        (502, InDoubt(Reason.SERVER_ERROR)),
        (503, InDoubt(Reason.OVERLOADED)),
        (599, InDoubt(Reason.SERVER_ERROR)),
        (999, InDoubt(Reason.SERVER_ERROR)),
    ],
)
def test_a_whole_4xx_is_a_refusal_and_everything_else_but_200_is_doubt(read_spend, reply, body, status, outcome):
    assert read_spend(reply(body("bad_gateway.html"), status)) == outcome
    assert read_spend(reply(b'{"logout":1}', status)) == outcome


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (Reason.UNREACHABLE, Refused(Reason.UNREACHABLE)),
        (Reason.BROKEN_OFF, InDoubt(Reason.BROKEN_OFF)),
        (Reason.TIMED_OUT, InDoubt(Reason.TIMED_OUT)),
        (Reason.TOO_LARGE, InDoubt(Reason.TOO_LARGE)),
    ],
)
def test_only_a_connection_never_made_is_a_refusal(read_spend, reason, outcome):
    assert read_spend(NoReply(reason)) == outcome


RETRY_AFTER = [
    ("60", MINUTE),
    (" 60 ", MINUTE),
    ("0", timedelta(0)),
    ("3600", timedelta(hours=1)),
    ("3601", timedelta(hours=1)),
    ("9" * 400, timedelta(hours=1)),
    ("Mon, 29 Sep 2025 08:01:00 GMT", MINUTE),
    ("Monday, 29-Sep-25 08:01:00 GMT", MINUTE),
    ("Mon Sep 29 08:01:00 2025", MINUTE),
    ("Mon, 29 Sep 2025 10:01:00 +0200", MINUTE),
    ("Mon, 29 Sep 2025 07:00:00 GMT", timedelta(0)),
    ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(hours=1)),
    (None, None),
    ("", None),
    (" ", None),
    ("soon", None),
    ("-5", None),
    ("1.5", None),
    ("60s", None),
    ("\u0666\u0660", None),
    ("Mon, 99 Xxx 99999 99:99:99 GMT", None),
]


@pytest.mark.parametrize(("header", "wait"), RETRY_AFTER, ids=lambda value: str(value)[:32])
def test_retry_after_is_read_as_seconds_or_a_date_and_is_at_most_an_hour(now, header, wait):
    assert protocol.read_retry_after(header, now) == wait


def test_a_429_says_how_long_to_wait(read_spend, reply):
    assert read_spend(reply(b"", 429, retry_after="60")) == Refused(Reason.RATE_LIMITED, MINUTE)
    assert read_spend(reply(b"", 429, retry_after="rubbish")) == Refused(Reason.RATE_LIMITED)


def test_a_503_says_how_long_to_wait(read_spend, reply):
    assert read_spend(reply(b"", 503, retry_after="60")) == InDoubt(Reason.OVERLOADED, MINUTE)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, Reason.UNREADABLE),
        (401, Reason.REJECTED),
        (403, Reason.FORBIDDEN),
        (429, Reason.RATE_LIMITED),
        (500, Reason.SERVER_ERROR),
        (503, Reason.OVERLOADED),
    ],
)
def test_whoami_is_unclear_with_any_status_but_200(*, reply, site, now, body, status, reason):
    for name in ("whoami_alive.json", "whoami_nobody.json"):
        answer = protocol.read_who_am_i(reply(body(name), status), site, now)

        assert answer == WhoAmI(Life.UNCLEAR, reason=reason)


def test_whoami_without_an_answer_is_unclear(site, now):
    for reason in (Reason.UNREACHABLE, Reason.TIMED_OUT):
        assert protocol.read_who_am_i(NoReply(reason), site, now) == WhoAmI(Life.UNCLEAR, reason=reason)


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (403, LoginRefused(LoginProblem.FORBIDDEN, Reason.FORBIDDEN)),
        (429, LoginRefused(LoginProblem.LOCKED_OUT, Reason.RATE_LIMITED, MINUTE)),
        (500, LoginRefused(LoginProblem.UNAVAILABLE, Reason.SERVER_ERROR, MINUTE)),
        (502, LoginRefused(LoginProblem.UNAVAILABLE, Reason.SERVER_ERROR, MINUTE)),
        (503, LoginRefused(LoginProblem.UNAVAILABLE, Reason.OVERLOADED, MINUTE)),
        (302, LoginRefused(LoginProblem.UNAVAILABLE, Reason.SERVER_ERROR, MINUTE)),
        (404, LoginRefused(LoginProblem.UNAVAILABLE, Reason.SERVER_ERROR, MINUTE)),
    ],
)
def test_a_login_that_was_not_judged_is_no_verdict_on_the_password(*, reply, site, now, body, status, answer):
    for content in (body("bad_gateway.html"), body("login_wrong.json"), body("form_wrong.html")):
        read = protocol.read_log_in(reply(content, status, retry_after="60"), site, now)

        assert read == answer


def test_a_login_without_an_answer_is_no_verdict_on_the_password(site, now):
    for reason in (Reason.UNREACHABLE, Reason.TIMED_OUT, Reason.BROKEN_OFF, Reason.TOO_LARGE):
        assert protocol.read_log_in(NoReply(reason), site, now) == LoginRefused(LoginProblem.UNAVAILABLE, reason)


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (200, None),
        (204, None),
        (302, None),
        (400, Refused(Reason.REJECTED)),
        (403, Refused(Reason.FORBIDDEN)),
        (429, Refused(Reason.RATE_LIMITED)),
        (500, Refused(Reason.SERVER_ERROR)),
        (503, Refused(Reason.OVERLOADED)),
    ],
)
def test_any_whole_answer_below_400_is_a_logout_that_was_taken(reply, now, status, refused):
    assert protocol.read_log_out(reply(b"", status), now) == refused


def test_a_logout_without_an_answer_was_not_taken(now):
    for reason in (Reason.UNREACHABLE, Reason.TIMED_OUT):
        assert protocol.read_log_out(NoReply(reason), now) == Refused(reason)
