"""The session: what names it, what it shows, and what it never shows."""

from dataclasses import replace

import pytest

from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.session import RING_LENGTH, Cause, Secrets, SessionKey, Status, Turn, normal_email, split_key
from aimkeeper.core.token import Fingerprint, Token


@pytest.mark.parametrize(
    ("text", "email"),
    [
        (" Ana@Example.COM\n", "ana@example.com"),
        ("a@b", "a@b"),
        ('"odd@name"@example.com', '"odd@name"@example.com'),
        ("ñandú@ejemplo.es", "ñandú@ejemplo.es"),
        ("a" * 251 + "@b.c", "a" * 251 + "@b.c"),
    ],
    ids=["trimmed and lower case", "short", "two at signs", "not ASCII", "255 characters"],
)
def test_an_email_is_kept_trimmed_and_in_lower_case(text, email):
    assert normal_email(text) == email


@pytest.mark.parametrize(
    "text", ["", " ", "ana", "@example.com", "ana@", "ana maria@example.com", "ana\n@b", "a\x00@b", "a" * 252 + "@b.c"]
)
def test_what_is_no_email_is_refused_and_not_repeated(text):
    with pytest.raises(ValueError, match=r"^not an e-mail address$"):
        normal_email(text)


def test_a_session_is_named_by_account_and_device(session):
    assert session.key == SessionKey("ana@example.com", Fingerprint("f" * 50))
    assert str(session.key) == "ana@example.com#" + "f" * 50


def test_a_session_gives_its_token_jar_and_account(session, token):
    assert session.token == token
    assert session.jar is session.secrets.jar
    assert session.account_key == "69232"


def test_a_wiped_session_has_no_token_to_give(session):
    wiped = replace(session, secrets=Secrets(None))

    assert (wiped.account_key, wiped.jar) == ("", Jar())
    with pytest.raises(ValueError, match="the session's secrets are wiped"):
        _ = wiped.token


def test_a_session_shows_no_secret_whatever_shows_it(session):
    secrets = Secrets(Token("canary-token"), Jar((Cookie("c", "canary-cookie", "h"),)), "canary-password")
    shown = f"{secrets!r} {secrets} {replace(session, secrets=secrets)!r} {[secrets]}"

    assert "canary" not in shown
    assert "Secrets()" in shown


def test_the_ring_holds_the_last_exchanges_newest_last(session):
    for number in range(RING_LENGTH + 3):
        session = replace(
            session, ring=session.ring.and_then(Turn(number, "rotated", "token_update", number, 5, "mark"))
        )

    assert [turn.generation for turn in session.ring] == list(range(3, RING_LENGTH + 3))


def test_states_and_causes_are_the_words_that_scripts_rely_on():
    assert [status.value for status in Status] == ["active", "in_doubt", "suspected", "token_lost", "ended"]
    assert {cause.value for cause in Cause} == {
        "server_ended",
        "double_spent",
        "idle_timeout",
        "token_expired",
        "logged_out_here",
        "superseded_by_login",
        "bad_credentials",
        "forgotten",
        "unknown",
    }


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ana@example.com", ("ana@example.com", "")),
        (" ana@example.com # f1 ", ("ana@example.com", "f1")),
        ("ana#1@example.com", ("ana#1@example.com", "")),
        ("ana#1@example.com#f1#2", ("ana#1@example.com", "f1#2")),
        ("ana@example.com#f@1", ("ana@example.com", "f@1")),
        ("no-e-mail#f1", ("no-e-mail", "f1")),
    ],
)
def test_the_first_hash_sign_after_the_e_mail_parts_it_from_the_fingerprint(text, parts):
    assert split_key(text) == parts
