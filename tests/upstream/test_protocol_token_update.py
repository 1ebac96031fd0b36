"""Answers of tokenUpdate: a whole valid token, a logout, or neither."""

import json
from datetime import UTC, datetime

import pytest

from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.outcome import InDoubt, LoggedOut, NoReply, Reason, Refused, Rotated
from aimkeeper.core.token import Token
from aimkeeper.upstream.protocol import read_token_update

UNREADABLE = InDoubt(Reason.UNREADABLE)
NEW = "69232|1766907797|f3069323e00d81750c8590bb1f5f93b6"


@pytest.fixture
def read(reply, site, held, now):
    return lambda body, status=200, **more: read_token_update(reply(body, status, **more), site, held, now)


def test_the_recorded_success_is_a_rotation(read, body, brought):
    assert read(body("token_update_rotated.json")) == Rotated(brought)


def test_the_recorded_logout_is_one(read, body):
    assert read(body("token_update_logout.json")) == LoggedOut()


@pytest.mark.parametrize(
    "wrapped",
    [b"\xef\xbb\xbf%s", b"\n\t %s \r\n", b"\xef\xbb\xbf\n%s\n", b"\n\xef\xbb\xbf%s"],
    ids=["BOM", "white space", "BOM, then white space", "white space, then BOM"],
)
def test_a_byte_order_mark_and_white_space_do_not_matter(read, wrapped, brought):
    whole = b'{"newToken":"%s"}' % NEW.encode()

    assert read(wrapped % whole) == Rotated(brought)
    assert read(wrapped % b'{"logout":1}') == LoggedOut()


@pytest.mark.parametrize(
    "answer",
    [
        {"newToken": NEW, "logout": None},
        {"newToken": NEW, "logout": 1},
        {"newToken": NEW, "x": {"deep": [1, 2, {"logout": 1}]}},
    ],
    ids=["logout null beside it", "a logout beside it", "other keys beside it"],
)
def test_a_sane_token_is_a_rotation_whatever_stands_beside_it(read, answer, brought):
    assert read(json.dumps(answer).encode()) == Rotated(brought)


@pytest.mark.parametrize("logout", [1, True, "1", 0, False, "", [], {}, "no", 1.5], ids=repr)
def test_any_logout_but_null_is_a_logout_as_in_the_sites_own_script(read, logout):
    assert read(json.dumps({"logout": logout}).encode()) == LoggedOut()


@pytest.mark.parametrize("token", [None, "", False, 0, [], "null", "two words"], ids=repr)
def test_a_logout_with_an_empty_token_beside_it_is_a_logout(read, token):
    assert read(json.dumps({"newToken": token, "logout": 1}).encode()) == LoggedOut()


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"logout":null}',
        '{"newToken":null}',
        '{"newToken":null,"logout":null}',
        '{"Logout":1}',
        '{"data":{"logout":1}}',
    ],
)
def test_neither_a_token_nor_a_logout_is_doubt(read, text):
    assert read(text.encode()) == UNREADABLE


@pytest.mark.parametrize(
    "token",
    [1, True, 1.5, [NEW], {"a": NEW}, "", " ", "two words", "a\nb", "ñ", "x" * 1025, "null", "undefined", "FALSE"],
    ids=lambda token: repr(token)[:20],
)
def test_a_token_that_is_no_sane_string_is_doubt(read, token):
    assert read(json.dumps({"newToken": token}, ensure_ascii=False).encode()) == UNREADABLE


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ('{"newToken":"1|2|a","newToken":"%s"}', Rotated(Token(NEW))),
        ('{"newToken":"%s","newToken":null}', UNREADABLE),
        ('{"logout":1,"logout":null}', UNREADABLE),
        ('{"logout":null,"logout":1}', LoggedOut()),
    ],
)
def test_of_a_key_that_comes_twice_the_last_counts(read, text, outcome):
    assert read(text.replace("%s", NEW).encode()) == outcome


RUBBISH = {
    "nothing": b"",
    "white space": b" \n",
    "null": b"null",
    "a number": b"1",
    "a string": b'"logout"',
    "a list": b'[{"logout":1}]',
    "HTML": b"<html><body>logout</body></html>",
    "a truncated token": b'{"newToken":"69232|1766907797|f30693',
    "a truncated logout": b'{"logout":1',
    "more after the end": b'{"logout":1}{"logout":1}',
    "two bodies run together": b'{"logout":1}<html>',
    "single quotes": b"{'logout':1}",
    "a trailing comma": b'{"logout":1,}',
    "no quotes": b"{logout: 1}",
    "NaN": b'{"logout":NaN}',
    "not UTF-8": b'{"newToken":"\xff\xfe"}',
    "UTF-16": '{"logout":1}'.encode("utf-16"),
    "half a character": b'{"newToken":"\\ud800"}',
    "a null byte": b'{"logout":1}\x00',
    "100,000 brackets": b"[" * 100_000,
    "100,000 brackets for a token": b'{"newToken":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 brackets beside a logout": b'{"logout":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 objects": b'{"a":' * 100_000,
    "an endless number": b'{"newToken":' + b"9" * 100_000 + b"}",
    "a number beyond all": b'{"newToken":1e999}',
}


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_with_a_200_is_doubt_and_never_a_logout(read, rubbish):
    assert read(rubbish) == UNREADABLE


@pytest.mark.parametrize("name", ["home.html", "bad_gateway.html", "set_refresh.html", "login_front.html"])
def test_a_page_with_a_200_is_doubt(read, body, name):
    assert read(body(name)) == UNREADABLE


def test_another_accounts_token_is_doubt_for_a_mixed_up_answer_must_not_hand_one_session_to_another(read):
    assert read(b'{"newToken":"70000|1766907797|aaaa"}') == InDoubt(Reason.STRANGE_TOKEN)
    assert read(b'{"newToken":"70000|1766907797|aaaa","logout":1}') == InDoubt(Reason.STRANGE_TOKEN)


def test_a_token_of_a_new_shape_is_taken_for_the_site_may_change_it(read):
    assert read(b'{"newToken":"eyJhbGciOi.J9"}') == Rotated(Token("eyJhbGciOi.J9"))


def test_a_token_held_of_an_unknown_shape_may_be_followed_by_any(reply, site, now):
    answer = reply(b'{"newToken":"70000|1766907797|aaaa"}')

    assert read_token_update(answer, site, Token("opaque"), now) == Rotated(Token("70000|1766907797|aaaa"))


def test_the_very_same_token_again_is_a_rotation_too(read, held):
    assert read(json.dumps({"newToken": held.text}).encode()) == Rotated(held)


def test_the_cookies_of_a_rotation_come_with_it(read, body, now):
    outcome = read(
        body("token_update_rotated.json"),
        cookies=[
            "AWSALB=new; Expires=Mon, 06 Oct 2025 08:00:00 GMT; Path=/",
            "AWSALBCORS=new; Expires=Mon, 06 Oct 2025 08:00:00 GMT; Path=/; SameSite=None; Secure",
            "amhrdrauth=renewed; Domain=.aimharder.com; Path=/; HttpOnly",
            "foreign=x; Domain=evil.test",
        ],
    )

    assert outcome.cookies.stored == (
        Cookie("AWSALB", "new", "aimharder.com", expires_at=datetime(2025, 10, 6, 8, tzinfo=UTC)),
        Cookie("AWSALBCORS", "new", "aimharder.com", expires_at=datetime(2025, 10, 6, 8, tzinfo=UTC)),
        Cookie("amhrdrauth", "renewed", "aimharder.com", host_only=False),
    )
    assert Jar().merge(outcome.cookies).header("gym.aimharder.com", now) == "amhrdrauth=renewed"


def test_a_login_cookie_of_a_box_is_not_believed(read, body):
    outcome = read(
        body("token_update_rotated.json"),
        host="gym.aimharder.com",
        cookies=["amhrdrauth=x; Domain=aimharder.com", "a=1"],
    )

    assert outcome.cookies.stored == (Cookie("a", "1", "gym.aimharder.com"),)


def test_the_cookies_of_a_logout_are_not_believed_for_whoami_still_needs_ours(read, body):
    outcome = read(body("token_update_logout.json"), cookies=["amhrdrauth=deleted; Max-Age=0; Domain=aimharder.com"])

    assert outcome == LoggedOut()


def test_a_token_or_a_logout_counts_only_with_a_200(read, body):
    for status in (201, 204, 302, 400, 401, 500):
        for name in ("token_update_rotated.json", "token_update_logout.json"):
            assert isinstance(read(body(name), status), InDoubt | Refused)


def test_without_an_answer_there_is_no_token(site, held, now):
    assert read_token_update(NoReply(Reason.UNREACHABLE), site, held, now) == Refused(Reason.UNREACHABLE)
