"""Requests, to the letter of what the site's own pages send."""

import json
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.upstream import protocol
from aimkeeper.upstream.protocol import Site

SITE = Site.at("https://aimharder.com", "https://login.aimharder.com/")
TOKEN = Token("69232|1766731601|03485f300f1a53a7e34143a0af9d2592")
DEVICE = Fingerprint("my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb")

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


def test_token_update_is_a_form_with_the_bars_encoded_and_ciclo_1():
    request = protocol.token_update(SITE, TOKEN, DEVICE, "a=1; b=2")

    assert (request.method, request.url) == ("POST", "https://aimharder.com/api/tokenUpdate")
    assert request.headers == (("content-type", "application/x-www-form-urlencoded"), ("cookie", "a=1; b=2"))
    assert request.body == (
        b"token=69232%7C1766731601%7C03485f300f1a53a7e34143a0af9d2592&ciclo=1"
        b"&fingerprint=my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb"
    )


def test_set_refresh_is_a_get_with_the_bars_encoded():
    request = protocol.set_refresh(SITE, TOKEN, DEVICE, "a=1")

    assert (request.method, request.body) == ("GET", None)
    assert request.url == (
        "https://aimharder.com/setrefresh?token=69232%7C1766731601%7C03485f300f1a53a7e34143a0af9d2592"
        "&fingerprint=my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb"
    )
    assert request.headers == (("cookie", "a=1"),)


def test_whoami_and_logout_carry_the_cookies_and_no_token():
    who, out = protocol.who_am_i(SITE, "a=1"), protocol.log_out(SITE, "a=1")

    assert (who.method, who.url) == ("GET", "https://aimharder.com/api/whoami")
    assert who.headers == (("accept", "application/json"), ("cookie", "a=1"))
    assert (out.method, out.url, out.headers) == ("GET", "https://aimharder.com/logout", (("cookie", "a=1"),))


def test_the_login_is_json_with_iframe_0():
    request = protocol.log_in(SITE, "ana@example.com", 'pä"ss word', DEVICE)

    assert (request.method, request.url) == ("POST", "https://login.aimharder.com/api/login")
    assert dict(request.headers) == {
        "content-type": "application/json",
        "accept": "application/json",
        "x-requested-with": "XMLHttpRequest",
    }
    assert json.loads(request.body) == {
        "username": "ana@example.com",
        "password": 'pä"ss word',
        "fingerprint": DEVICE,
        "iniframe": 0,
    }


def test_a_password_that_is_no_text_is_refused_without_being_repeated():
    with pytest.raises(ConfigError, match="not UTF-8 text: type it again") as caught:
        protocol.log_in(SITE, "ana@example.com", "canary\udcff", DEVICE)

    assert "canary" not in repr(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("ask", [protocol.token_update, protocol.set_refresh])
def test_an_empty_jar_sends_no_cookie_header(ask):
    assert "cookie" not in dict(ask(SITE, TOKEN, DEVICE, "").headers)


def test_only_the_cookies_of_the_base_host_are_sent(now):
    jar = Jar(
        (
            Cookie("AWSALB", "login", "login.aimharder.com"),
            Cookie("amhrdrauth", "auth", "aimharder.com", host_only=False),
            Cookie("PHPSESSID", "box", "gym.aimharder.com"),
            Cookie("AWSALB", "base", "aimharder.com"),
            Cookie("old", "x", "aimharder.com", expires_at=now - timedelta(seconds=1)),
        )
    )

    assert protocol.cookie_header(jar, SITE, now) == "amhrdrauth=auth; AWSALB=base"


def test_a_request_shows_nothing_but_its_method():
    request = protocol.set_refresh(SITE, TOKEN, DEVICE, "a=canary")

    assert repr(request) == "Request(method='GET')"
    assert repr(protocol.log_in(SITE, "ana@example.com", "canary", DEVICE)) == "Request(method='POST')"


@given(words, words)
def test_any_token_and_fingerprint_arrive_as_they_are(token, device):
    posted = protocol.token_update(SITE, Token(token), Fingerprint(device), "")
    asked = protocol.set_refresh(SITE, Token(token), Fingerprint(device), "")

    assert parse_qs(posted.body.decode("ascii"), strict_parsing=True) == {
        "token": [token],
        "ciclo": ["1"],
        "fingerprint": [device],
    }
    assert parse_qs(urlsplit(asked.url).query, strict_parsing=True) == {"token": [token], "fingerprint": [device]}
    assert asked.url.isascii()


@pytest.mark.parametrize(
    ("login", "url"),
    [
        ("https://login.aimharder.com", "https://login.aimharder.com/api/login"),
        ("https://login.aimharder.com/", "https://login.aimharder.com/api/login"),
        ("https://login.aimharder.com/api/login", "https://login.aimharder.com/api/login"),
        ("https://login.aimharder.com/api/login/", "https://login.aimharder.com/api/login"),
        ("http://127.0.0.1:8080/sub", "http://127.0.0.1:8080/sub/api/login"),
    ],
)
def test_the_login_address_is_completed_unless_it_is_complete(login, url):
    assert Site.at("https://aimharder.com/", login) == Site("https://aimharder.com", url)


def test_a_site_knows_its_hosts_without_ports_and_whose_login_cookie_to_believe():
    site = Site.at("http://AimHarder.test:8080", "http://login.aimharder.test:8081")

    assert site.base_host == "aimharder.test"
    assert site.auth_hosts == {"aimharder.test", "login.aimharder.test"}
    assert protocol.host_of("nonsense") == ""
