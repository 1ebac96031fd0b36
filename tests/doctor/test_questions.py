"""What a store shows of the questions that are open about AimHarder, and what it does not show."""

from datetime import UTC, datetime, timedelta

import pytest

from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.outcome import Glimpse
from aimkeeper.core.session import Secrets, Session, Turn
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.doctor.questions import QUESTIONS, shown

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = 60


def turn(minutes, what, *, via="token_update", generation=1, token="mark"):
    return Turn(NOW.timestamp() + minutes * MINUTE, what, via, generation, 120, token)


def session(*ring, email="ana@example.com", token="1|{expiry}|0123456789abcdef0123456789abcdef", cookies=()):
    expiry = int((NOW + timedelta(days=90)).timestamp())
    secrets = Secrets(Token(token.format(expiry=expiry)), Jar(tuple(cookies)))
    return Session(
        id="1", email=email, fingerprint=Fingerprint("f"), secrets=secrets, created_at=NOW, rotated_at=NOW,
        due_at=NOW, deadline_at=NOW, ring=ring,
    )  # fmt: skip


def glimpse(**told):
    return Glimpse(via=told.pop("via", "token_update"), at=NOW, took=timedelta(seconds=1), **told)


def answer(question, *sessions, glimpses=()):
    return {each.question: each.told for each in shown(sessions, glimpses)}[question]


def test_where_nothing_was_seen_nothing_is_told():
    assert {each.told for each in shown([], [])} == {None}
    assert len(shown([], [])) == len(QUESTIONS)


IDLE = [
    ([turn(0, "rotated"), turn(15, "rotated")], None),
    ([turn(0, "rotated"), turn(47, "rotated")], "one was rotated after 47 min"),
    ([turn(0, "rotated"), turn(47, "rotated"), turn(140, "logged_out")],
     "one was rotated after 47 min and one was told to log out after 93 min"),
    ([turn(0, "rotated"), turn(40, "alive", via="whoami"), turn(50, "rotated")], "one was rotated after 50 min"),
    ([turn(0, "rotated"), turn(40, "timed_out"), turn(41, "rotated")], None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ring", "told"),
    IDLE,
    ids=[
        "ordinary gaps",
        "a longer gap",
        "the gap that was too long",
        "whoami is no rotation",
        "a lost answer between",
    ],
)
def test_how_long_a_session_idled_is_read_from_the_gaps_between_rotations(ring, told):
    assert answer("How long may a session idle?", session(*ring)) == told


def test_a_token_presented_again_after_a_lost_answer_shows_what_a_spent_one_does():
    taken = session(turn(0, "rotated"), turn(15, "timed_out", generation=2), turn(15.05, "rotated", generation=2))
    refused = session(turn(0, "broken_off", generation=3), turn(1, "logged_out", generation=3))
    not_sent = session(turn(0, "unreachable", generation=3), turn(1, "rotated", generation=3))
    another = session(turn(0, "timed_out", generation=3), turn(1, "rotated", generation=4))

    told = answer("What does a spent token do?", taken, refused, not_sent, another)

    assert told == "presented again after an answer was lost, it was taken once (after at most 3 s), refused once"
    assert answer("What does a spent token do?", not_sent, another) is None


def test_the_form_of_tokens_and_their_expiry_are_told_without_the_tokens():
    told = answer("How long is a token's own life?", session(), session(token="something else"))

    assert told == "1 of 2 tokens have the known form; their expiry is 90.0 to 90.0 days after they came"


def test_content_type_and_cookies_are_those_of_rotations():
    glimpses = [
        glimpse(status=200, content_type="text/html", cookies=("AWSALB", "amhrdrauth")),
        glimpse(via="whoami", status=200, content_type="application/json", cookies=("PHPSESSID",)),
        glimpse(reason="timed_out"),
    ]

    assert answer("What content type has the JSON of tokenUpdate?", glimpses=glimpses) == "text/html"
    assert answer("Does tokenUpdate renew `amhrdrauth` and `PHPSESSID`?", glimpses=glimpses) == (
        "it set AWSALB, amhrdrauth"
    )


def test_setrefresh_shows_whether_it_brings_another_token_and_how_it_fails():
    spent = session(turn(0, "rotated", via="login", token="a"), turn(0, "rotated", via="setrefresh", token="b"))
    same = session(turn(0, "rotated", via="login", token="a"), turn(0, "rotated", via="setrefresh", token="a"))
    failed = session(turn(0, "rotated", via="login"), turn(0, "unreadable", via="setrefresh"))

    assert answer("Does setrefresh spend the token?", spent, same) == (
        "of 2 tokens it brought, 1 differed from the one before"
    )
    assert answer("How does setrefresh fail?", spent, failed) == "as: unreadable"


def test_the_login_cookie_is_described_without_its_value():
    cookie = Cookie("amhrdrauth", "a-secret-value", "aimharder.com", host_only=False, expires_at=NOW)
    other = Cookie("AWSALB", "x", "aimharder.com")

    assert answer("Which attributes has `amhrdrauth`?", session(cookies=[cookie, other])) == (
        "for the domain aimharder.com, with an expiry"
    )


def test_accounts_with_several_living_sessions_show_that_logins_leave_one_another_alone():
    three = [session(), session(), session(email="berta@example.com")]

    assert answer("What does a login do to earlier ones?", *three) == (
        "accounts with more than one living session here: 1"
    )


@pytest.mark.parametrize(("status", "told"), [(200, "yes"), (403, "no: 403"), (None, None)])
def test_whether_our_address_is_welcome_is_told_by_any_answer(status, told):
    reason = None if status else "unreachable"

    assert answer("Is our address welcome?", glimpses=[glimpse(status=status, reason=reason)]) == told


def test_our_clock_is_compared_with_the_middle_of_the_exchange():
    seen = glimpse(status=200, date=NOW - timedelta(seconds=11))

    assert seen.clock_ahead == timedelta(seconds=10)
    assert glimpse(status=200).clock_ahead is None
