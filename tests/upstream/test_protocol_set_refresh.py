"""Answers of setrefresh: a page whose script stores the token, or none."""

import pytest

from aimkeeper.core.cookies import Cookie
from aimkeeper.core.outcome import InDoubt, LoggedOut, Reason, Refused, Rotated
from aimkeeper.core.token import MAX_TOKEN
from aimkeeper.upstream.protocol import read_set_refresh

UNREADABLE = InDoubt(Reason.UNREADABLE)
DEVICE = "my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb"
NEW = "69232|1766907797|f3069323e00d81750c8590bb1f5f93b6"


@pytest.fixture
def read(reply, site, held, now):
    return lambda body, status=200, **more: read_set_refresh(reply(body, status, **more), site, held, now)


def page(token=NEW, device=DEVICE) -> bytes:
    return (
        f'<script>localStorage.setItem("refreshToken", "{token}");localStorage.setItem("fingerprint", "{device}");'
        "</script>"
    ).encode()


def test_the_recorded_page_is_a_rotation_that_names_its_fingerprint(read, body, held):
    assert read(body("set_refresh.html")) == Rotated(held, fingerprint=DEVICE)


def test_a_changed_fingerprint_is_told(read, brought):
    assert read(page(device="another-device")) == Rotated(brought, fingerprint="another-device")


def test_a_page_that_names_no_fingerprint_is_a_rotation_all_the_same(read, brought):
    assert read(b'<script>localStorage.setItem("refreshToken", "%s")</script>' % NEW.encode()) == Rotated(brought)


@pytest.mark.parametrize("device", ["", "two words", "\xf1", "f" * 201])
def test_a_fingerprint_that_makes_no_sense_does_not_cost_the_token(read, brought, device):
    assert read(page(device=device)) == Rotated(brought)


@pytest.mark.parametrize(
    "script",
    [
        'localStorage.setItem("refreshToken","{}")',
        'localStorage.setItem("refreshToken",   "{}");',
        'localStorage.setItem(\n  "refreshToken",\n\t"{}"\n)',
        "localStorage.setItem('refreshToken', '{}')",
        'if(x){{window.localStorage.setItem("refreshToken", "{}")}}',
    ],
    ids=["no space", "many spaces", "over several lines", "single quotes", "in the midst of a script"],
)
def test_the_script_may_be_written_in_several_ways(read, brought, script):
    assert read(b"<html>\xff" + script.format(NEW).encode()) == Rotated(brought)


@pytest.mark.parametrize(
    "token",
    ["", "two words", "ñ", "null", "undefined", "x" * (MAX_TOKEN + 1)],
    ids=["empty", "a space inside", "not ASCII", "null", "undefined", "too long"],
)
def test_a_page_that_stores_no_sane_token_is_doubt(read, token):
    assert read(page(token)) == UNREADABLE


def test_another_accounts_token_is_doubt(read):
    assert read(page("70000|1766907797|aaaa")) == InDoubt(Reason.STRANGE_TOKEN)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'<script>localStorage.setItem("refreshToken", token)</script>',
        b'<script>localStorage.getItem("refreshToken", "x")</script>',
        b'<script>localStorage.setItem("refreshToken", "69232|17669077',
        b'<script>localStorage.setItem("fingerprint", "x")</script>',
        b'{"newToken":"69232|1766907797|aaaa"}',
        b'{"logout":null}',
        b"[" * 100_000,
        b"localStorage.setItem(" * 40_000,
    ],
    ids=lambda text: repr(text[:60]),
)
def test_a_page_without_the_line_is_doubt(read, text):
    assert read(text) == UNREADABLE


@pytest.mark.parametrize("name", ["home.html", "login_front.html", "form_wrong.html", "bad_gateway.html"])
def test_any_other_page_is_doubt_for_no_failure_was_ever_recorded(read, body, name):
    assert read(body(name)) == UNREADABLE


@pytest.mark.parametrize(
    "text", [b'{"logout":1}', b'\xef\xbb\xbf {"logout":true}\n', b'{"logout":"1","newToken":null}']
)
def test_a_logout_in_place_of_the_page_is_a_logout(read, text):
    assert read(text) == LoggedOut()


def test_a_logout_within_a_page_is_not_one(read):
    assert read(b'<html>{"logout":1}</html>') == UNREADABLE


def test_a_redirect_to_the_login_is_doubt_and_not_followed(read, body):
    assert read(b"", 302) == UNREADABLE
    assert read(body("set_refresh.html"), 302) == UNREADABLE


def test_a_page_with_a_refusals_status_is_refused(read, body):
    assert read(body("forbidden.html"), 403) == Refused(Reason.FORBIDDEN)


def test_the_cookies_of_the_page_come_with_the_token(read, body):
    outcome = read(body("set_refresh.html"), cookies=["PHPSESSID=php; path=/", "amhrdrauth=a; domain=aimharder.com"])

    assert outcome.fingerprint == DEVICE
    assert outcome.cookies.stored == (
        Cookie("PHPSESSID", "php", "aimharder.com"),
        Cookie("amhrdrauth", "a", "aimharder.com", host_only=False),
    )
