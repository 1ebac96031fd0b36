"""Which events are worth a message, and what it says."""

from datetime import UTC, datetime

import pytest

from aimkeeper.core.causes import BY_ITS_OWNER
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.news import NEWS, Digest, Level, is_news, sentence
from aimkeeper.core.outcome import LoginProblem
from aimkeeper.core.session import Cause

NOW = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
FLEET = (
    EventKind.OUTAGE_BEGAN, EventKind.OUTAGE_ENDED, EventKind.VERDICTS_HELD, EventKind.VERDICTS_RELEASED,
    EventKind.AT_RISK, EventKind.SAFE_AGAIN, EventKind.RATE_TOO_LOW, EventKind.RATE_ENOUGH, EventKind.STORE_COPIED,
)  # fmt: skip


def fact(kind, number=1, **data):
    who = {} if kind in FLEET else {"session_id": str(number), "email": f"m{number}@example.com"}
    return Event(kind=kind, at=NOW, data=data, **who)


def ended(number=1, cause=Cause.SERVER_ENDED):
    return fact(EventKind.ENDED, number, cause=cause.value)


def message(*facts, link=""):
    digest = Digest()
    for each in facts:
        digest.add(each)
    return digest.message(link)


@pytest.mark.parametrize("cause", Cause)
def test_an_end_is_news_unless_the_owner_made_it(cause):
    assert is_news(ended(cause=cause)) is (cause not in BY_ITS_OWNER)


def test_the_end_of_what_was_adopted_too_late_is_no_news():
    assert not is_news(fact(EventKind.ENDED, cause=Cause.IDLE_TIMEOUT.value, stale=True))


@pytest.mark.parametrize("kind", sorted(NEWS - {EventKind.ENDED}))
def test_each_kind_of_news_has_a_title_and_a_sentence_of_its_own(kind):
    told = message(fact(kind))

    assert is_news(fact(kind))
    assert not told.title.endswith(".")
    assert sentence(fact(kind)).endswith(".")
    assert sentence(fact(kind)).removesuffix(".")
    assert f"12:30 {sentence(fact(kind))}" in told.text()
    assert told.title not in told.text().splitlines()[0]


@pytest.mark.parametrize("kind", sorted(set(EventKind) - NEWS))
def test_the_rest_is_none(kind):
    assert not is_news(fact(kind))


@pytest.mark.parametrize("problem", LoginProblem)
def test_why_a_login_failed_is_said_in_words(problem):
    said = sentence(fact(EventKind.RELOGIN_FAILED, problem=problem.value))

    assert said.count(" ") > 5
    assert "did not bring it back" not in said


def test_numbers_are_told_where_there_are_some():
    said = [
        sentence(fact(EventKind.AT_RISK, count=3)),
        sentence(fact(EventKind.RATE_TOO_LOW, due_per_second=31.5, allowed_per_second=20.0)),
        sentence(fact(EventKind.OUTAGE_ENDED, lasted_seconds=90)),
        sentence(fact(EventKind.OUTAGE_ENDED, lasted_seconds=3600)),
    ]

    assert said == [
        "3 sessions were not rotated for 29 minutes.",
        "The sessions need 31.5 rotations a second, and 20.0 may start.",
        "It was away for 90 s.",
        "It was away for 60 min.",
    ]


def test_what_another_version_wrote_otherwise_is_told_as_far_as_it_goes():
    said = [
        sentence(fact(EventKind.AT_RISK)),
        sentence(fact(EventKind.OUTAGE_ENDED)),
        sentence(fact(EventKind.ENDED, cause="of a later version")),
    ]

    assert said == [
        "? sessions were not rotated for 29 minutes.",
        "It was away for a while.",
        "m1@example.com: nobody knows why.",
    ]


@pytest.mark.parametrize(
    ("by", "revived", "released"),
    [("hand", "its end was undone by hand", None), ("late_rotation", "a late answer brought it back", None),
     ("operator", None, "An operator decided"), ("recovery", None, "AimHarder recovered")],
)  # fmt: skip
def test_who_undid_an_end_or_released_verdicts_is_said(by, revived, released):
    kind = EventKind.REVIVED if revived else EventKind.VERDICTS_RELEASED

    assert sentence(fact(kind, by=by)).endswith(f"{revived or released}.")


# ------------------------------------------------------------ many at once


def test_a_few_are_named_and_the_others_counted():
    told = message(*(ended(number) for number in range(1, 21)))

    assert told.title == "20 sessions ended"
    assert [f"m{number}@" in told.text() for number in (1, 8, 9)] == [True, True, False]
    assert "and 12 more." in told.text()


def test_the_worst_comes_first_and_gives_the_message_its_colour():
    told = message(fact(EventKind.SAFE_AGAIN), fact(EventKind.HOLDER_CONFLICT), ended())

    assert told.title == "A session ended, and 2 more"
    assert told.level is Level.BAD
    assert [part.head for part in told.parts] == [
        "A session ended",
        "Two programs use one session's tokens",
        "No session is at risk any more",
    ]


def test_an_end_that_was_undone_before_anybody_was_told_is_not_told():
    told = message(ended(1), ended(2), fact(EventKind.REVIVED, 2, by="late_rotation"))

    assert told.title == "A session ended"
    assert "m2@" not in told.text()


def test_where_all_was_undone_nothing_is_left_to_tell():
    digest = Digest()

    digest.add(ended())
    digest.add(fact(EventKind.REVIVED))

    assert len(digest) == 0


def test_a_session_that_ended_long_ago_and_is_back_is_told():
    assert message(fact(EventKind.REVIVED, 1, by="hand")).title == "A session is back"


def test_the_link_comes_last():
    assert message(ended(), link="https://keeper.example.com").text().endswith("\n\nhttps://keeper.example.com")


def test_an_e_mail_that_is_endless_or_unprintable_does_no_harm():
    long = Event(kind=EventKind.TOKEN_LOST, at=NOW, email="a" * 250 + "@example.com")
    odd = Event(kind=EventKind.TOKEN_LOST, at=NOW, email="a\nb\x1b@example.com")

    assert len(sentence(long)) < 150
    assert sentence(odd).startswith("ab@example.com: ")
