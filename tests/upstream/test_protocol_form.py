"""Answers of the legacy login form, should the login ever speak HTML again."""

import pytest

from aimkeeper.core.cookies import Cookie
from aimkeeper.core.outcome import LoggedIn, LoginProblem, LoginRefused, Reason
from aimkeeper.core.token import Token
from aimkeeper.upstream.protocol import read_log_in

WRONG = LoginRefused(LoginProblem.BAD_CREDENTIALS, Reason.REJECTED)
LOCKED = LoginRefused(LoginProblem.LOCKED_OUT, Reason.RATE_LIMITED)
UNREADABLE = LoginRefused(LoginProblem.UNREADABLE, Reason.UNREADABLE)
NEW = "69232%7C1766907797%7Cf3069323e00d81750c8590bb1f5f93b6"


@pytest.fixture
def read(reply, site, now):
    return lambda body, status=200, **more: read_log_in(reply(body, status, **more), site, now)


def test_the_page_of_a_good_login_brings_the_token_of_its_iframe(read, body, brought):
    answer = read(body("form_good.html"), cookies=["amhrdrauth=auth", "PHPSESSID=php; path=/"])

    assert answer == LoggedIn(brought, answer.cookies)
    assert answer.cookies.stored == (
        Cookie("amhrdrauth", "auth", "aimharder.com", host_only=False),
        Cookie("PHPSESSID", "php", "aimharder.com"),
    )


@pytest.mark.parametrize(
    "iframe",
    [
        f'<iframe src="https://aimharder.com/setrefresh?token={NEW}&fingerprint=F&user=69232&refresh=1"></iframe>',
        f'<iframe src="/setrefresh?token={NEW}&amp;fingerprint=F&amp;user=69232&amp;refresh=1"></iframe>',
        f'<iframe src="setrefresh?token={NEW}">',
        f"<iframe src='/setrefresh?fingerprint=F&amp;token={NEW}'>",
        f'<IFRAME style="display:none" width="1" SRC="/setrefresh?token={NEW}">',
        f'<iframe\n  id="x"\n  src="/setrefresh?redirect=https://gym.aimharder.com/&amp;token={NEW}">',
        '<iframe src="/setrefresh?token=69232|1766907797|f3069323e00d81750c8590bb1f5f93b6">',
        f'<iframe src="/ads"></iframe><iframe src="/setrefresh?token={NEW}">',
    ],
    ids=[
        "absolute",
        "relative, with entities",
        "without a slash",
        "single quotes, token last",
        "capitals",
        "over several lines, with a redirect",
        "bare bars",
        "the second of two iframes",
    ],
)
def test_the_iframe_may_be_written_in_several_ways(read, brought, iframe):
    page = f"<html><body>\xf1 {iframe}</body></html>".encode("latin-1")

    assert read(page) == LoggedIn(brought, read(page).cookies)


@pytest.mark.parametrize(
    "source",
    [
        "/setrefresh?fingerprint=F",
        "/setrefresh?token=",
        "/setrefresh?token=two+words",
        "/setrefresh?token=null",
        "/setrefresh?token=%FF",
        "http://[::1/setrefresh?token=x",
        "//&#x2100;/setrefresh?token=x",
    ],
)
def test_an_iframe_without_a_sane_token_is_no_login(read, source):
    assert read(f'<iframe src="{source}">'.encode()) == UNREADABLE


def test_the_form_again_with_its_reason_is_a_wrong_password(read, body):
    assert read(body("form_wrong.html")) == WRONG


def test_the_form_again_without_a_reason_is_a_wrong_password(read):
    assert read(b'<form><span id="loginErrors"></span><input name="mail"><input name="pw"></form>') == WRONG


@pytest.mark.parametrize(
    "text", ["datos incorrectos", "email o contraseña incorrectos", "Credenciales Incorrectas", "<b>Incorrecto</b>"]
)
def test_the_reason_alone_is_enough(read, text):
    assert read(f"<div><span class='x' id='loginErrors'>\n{text}\n</span></div>".encode()) == WRONG


def test_too_many_tries_are_told_apart(read, body):
    assert read(body("form_locked.html")) == LOCKED


def test_a_page_whose_scripts_know_the_words_for_every_failure_is_no_verdict(read, body):
    for status in (200, 400, 401):
        assert read(body("login_front.html"), status) == UNREADABLE


@pytest.mark.parametrize("name", ["home.html", "bad_gateway.html", "forbidden.html", "set_refresh.html"])
def test_any_other_page_is_no_verdict_on_the_password(read, body, name):
    assert read(body(name), cookies=["amhrdrauth=x; Domain=aimharder.com"]) == UNREADABLE


@pytest.mark.parametrize(
    "page",
    [
        b"<iframe " * 100_000,
        b'<iframe src="setrefresh?' * 40_000,
        b'<iframe src="' + b"a" * 900_000,
        b'id="loginErrors">' * 60_000,
        b"</span>" * 100_000,
    ],
    ids=["iframes", "open sources", "a long source", "open errors", "ends"],
)
def test_a_mad_page_is_read_to_its_end_all_the_same(read, page):
    assert read(page) == UNREADABLE


def test_the_token_of_the_page_is_never_shown(read, body):
    assert "1766907797" not in repr(read(body("form_good.html")))
    assert read(body("form_good.html")).token == Token("69232|1766907797|f3069323e00d81750c8590bb1f5f93b6")
