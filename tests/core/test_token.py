"""The token: opaque, yet readable where the site lets us read."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.token import (
    MAX_FINGERPRINT,
    MAX_TOKEN,
    Token,
    parse_fingerprint,
    random_fingerprint,
)

RECORDED = "69232|1766731601|03485f300f1a53a7e34143a0af9d2592"

INSANE = [
    pytest.param("", id="nothing"),
    pytest.param(None, id="null"),
    pytest.param(1234567, id="a number"),
    pytest.param(b"69232|1|a", id="bytes"),
    pytest.param(["69232|1|a"], id="a list"),
    pytest.param("canary one", id="a space inside"),
    pytest.param("canary\none", id="a line break inside"),
    pytest.param("canary\x00", id="a control character"),
    pytest.param("canary\xe9", id="not ASCII"),
    pytest.param("canary\ud800", id="half a character"),
]


def test_the_recorded_token_tells_its_owner_and_its_expiry_and_when_it_was_issued():
    token = Token.parse(RECORDED)

    assert token.account_key == "69232"
    assert token.expires_at == datetime(2025, 12, 26, 6, 46, 41, tzinfo=UTC)
    assert token.issued_at == datetime(2025, 9, 27, 6, 46, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("opaque", "opaque"),
        ("69232|soon|md5", "69232"),
        ("69232|1766731601", "69232"),
        ("69232|1766731601|md5|more", "69232"),
        ("69232||md5", "69232"),
        ("69232|-5|md5", "69232"),
        ("69232|1766731601.5|md5", "69232"),
        ("69232|999999999999|md5", "69232"),
        ("|1766731601", ""),
    ],
)
def test_a_token_of_another_shape_is_taken_and_tells_no_expiry(text, account):
    token = Token.parse(text)

    assert (token.text, token.account_key, token.expires_at, token.issued_at) == (text, account, None, None)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_whatever_printable_word_the_site_may_choose_can_be_read(text):
    token = Token.parse(text)

    assert token.text == text
    assert token.expires_at is None or token.issued_at == token.expires_at - timedelta(days=90)
    assert text.startswith(token.account_key)


@given(number=st.integers(0, 99_999_999_999))
def test_every_second_of_eleven_digits_is_an_expiry(number):
    assert Token(f"1|{number}|x").expires_at == datetime.fromtimestamp(number, UTC)


@pytest.mark.parametrize("text", [*INSANE, pytest.param("c" * (MAX_TOKEN + 1), id="too long")])
def test_an_insane_text_is_no_token_and_is_not_repeated(text):
    with pytest.raises(ValueError, match=r"^not a token: it must be 1 to 1024 printable ASCII .*spaces$") as caught:
        Token.parse(text)

    assert "canary" not in repr(caught.value)


def test_the_longest_token_is_taken():
    assert Token.parse("c" * MAX_TOKEN).text == "c" * MAX_TOKEN


def test_a_token_never_shows_itself():
    token = Token.parse(RECORDED)

    assert (repr(token), str(token), f"{token}") == ("Token()", "Token()", "Token()")
    assert not any(part in f"{token!r} {[token]} {token.mark()}" for part in RECORDED.split("|"))


def test_digest_and_mark_name_it_without_giving_it_away():
    token = Token.parse(RECORDED)

    assert token.digest() == hashlib.sha256(RECORDED.encode()).digest()
    assert token.mark() == token.digest().hex()[:12]


def test_tokens_are_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))

    assert Token("same").equals(Token("same"))
    assert not Token("same").equals(Token("other"))

    assert compared == [(b"same", b"same"), (b"same", b"other")]


@pytest.mark.parametrize("text", ["f" * 50, "123456", "0", "bg-" + "a" * 40, "f" * MAX_FINGERPRINT])
def test_every_fingerprint_that_was_seen_to_log_in_is_taken(text):
    assert parse_fingerprint(text) == text


def test_a_fingerprint_is_trimmed():
    assert parse_fingerprint(" abc\n") == "abc"


@pytest.mark.parametrize("text", [*INSANE, pytest.param("f" * (MAX_FINGERPRINT + 1), id="too long"), "  "])
def test_an_insane_text_is_no_fingerprint_and_is_not_repeated(text):
    with pytest.raises(ValueError, match=r"^not a fingerprint: it must be 1 to 200 printable ASCII") as caught:
        parse_fingerprint(text)

    assert "canary" not in repr(caught.value)


def test_a_random_fingerprint_looks_like_the_sites_own():
    asked = []

    def dice(count: int) -> bytes:
        asked.append(count)
        return bytes(range(count))

    made = random_fingerprint(dice)

    assert asked == [25]
    assert made == bytes(range(25)).hex()
    assert parse_fingerprint(made) == made
    assert len(made) == 50
