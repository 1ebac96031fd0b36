"""What became of a session and what to do, for every way one can stand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aimkeeper.cli.words import login_command, what_happened, what_to_do, why
from aimkeeper.core.causes import WHY
from aimkeeper.core.session import Cause, Secrets, Session, Status
from aimkeeper.core.token import Fingerprint, Token

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEPT = Session(
    id="1",
    email="ana@example.com",
    fingerprint=Fingerprint("f" * 50),
    secrets=Secrets(Token("1|2|3")),
    created_at=NOW,
    rotated_at=NOW,
    due_at=NOW + timedelta(minutes=12),
    deadline_at=NOW + timedelta(minutes=90),
)
NOBODY = 'Nobody keeps it yet: run "aimkeeper serve".'
AGAIN = f"aimkeeper login ana@example.com --fingerprint {'f' * 50}"
PAST = NOW - timedelta(hours=3)


@pytest.mark.parametrize(
    ("changes", "is_kept", "words"),
    [
        ({}, True, "Kept alive. The next rotation comes in 12 min."),
        ({}, False, f"Alive until 2026-01-01 13:30 UTC (in 90 min). {NOBODY}"),
        (
            {"attempt": 1, "last_error": "timed_out"},
            True,
            "Alive as far as anyone knows; the last try failed (timed_out), the next comes in 12 min.",
        ),
        (
            {"attempt": 3, "last_error": "unreachable"},
            True,
            "Alive as far as anyone knows; the last 3 tries failed (unreachable), the next comes in 12 min.",
        ),
        (
            {"attempt": 1, "last_error": "unreachable"},
            False,
            f"Alive as far as anyone knows; the last try failed (unreachable). {NOBODY}",
        ),
        (
            {"deadline_at": PAST},
            True,
            "Not rotated in time: its deadline passed 3 h ago, and AimHarder may have forgotten it.",
        ),
        (
            {"deadline_at": PAST},
            False,
            f"Not rotated in time: its deadline passed 3 h ago, and AimHarder may have forgotten it. {NOBODY}",
        ),
        (
            {"status": Status.IN_DOUBT, "last_error": "broken_off", "due_at": NOW + timedelta(seconds=2)},
            True,
            "In doubt: a request went out and no clear answer came (broken_off). It is asked again in 2 s.",
        ),
        (
            {"status": Status.IN_DOUBT, "last_error": "broken_off"},
            False,
            f"In doubt: a request went out and no clear answer came (broken_off). {NOBODY}",
        ),
        (
            {"status": Status.SUSPECTED},
            True,
            (
                "AimHarder says it is over, but it says so of too many at once, or fails nearly everybody: the verdict "
                "is held back. It is tried again in 12 min; `aimkeeper verdicts` decides sooner."
            ),
        ),
        (
            {"status": Status.TOKEN_LOST},
            True,
            f"Its cookies live, but AimHarder refuses its token. Log in again: {AGAIN}",
        ),
        (
            {"status": Status.ENDED, "cause": Cause.IDLE_TIMEOUT, "ended_at": PAST},
            True,
            f"Ended 3 h ago: it was not rotated in time. Log in again: {AGAIN}",
        ),
        (
            {"status": Status.ENDED, "cause": None, "ended_at": PAST},
            True,
            f"Ended 3 h ago: nobody knows why. Log in again: {AGAIN}",
        ),
        (
            {"status": Status.ENDED, "cause": Cause.LOGGED_OUT_HERE, "ended_at": PAST},
            True,
            "Ended 3 h ago: it was logged out here. Nothing to do.",
        ),
    ],
)
def test_a_session_is_told_where_it_stands_and_what_to_do(changes, is_kept, words):
    assert what_happened(replace(KEPT, **changes), NOW, is_kept=is_kept) == words


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_of_an_end_has_words_and_a_next_step(cause):
    assert why(cause) == WHY[cause]
    assert what_to_do(replace(KEPT, cause=cause)) in (f"Log in again: {AGAIN}", "Nothing to do.")


def test_a_login_that_was_remembered_is_advised_to_be_remembered_again():
    assert login_command(KEPT) == AGAIN
    assert login_command(replace(KEPT, secrets=Secrets(Token("1|2|3"), password="x"))) == f"{AGAIN} --remember"
