"""The jar: kept by name and host, changed by deltas."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.cookies import (
    AUTH_COOKIE,
    MAX_COOKIES,
    MAX_PER_ANSWER,
    MAX_VALUE,
    Cookie,
    CookieDelta,
    Jar,
    is_name,
    is_value,
    rescope,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)

AUTH = Cookie(AUTH_COOKIE, "auth", "aimharder.com", host_only=False)
BALANCER = Cookie("AWSALB", "lb", "aimharder.com")
OF_A_BOX = Cookie("AWSALB", "box", "gym.aimharder.com")

letters = st.characters(min_codepoint=32, max_codepoint=126)
names = st.sampled_from(["a", "b", "c", "AWSALB", AUTH_COOKIE])
hosts = st.sampled_from(["aimharder.com", "login.aimharder.com", "gym.aimharder.com"])
cookies = st.builds(
    Cookie,
    name=names,
    value=st.text(letters, max_size=20).filter(is_value),
    host=hosts,
    host_only=st.booleans(),
    expires_at=st.none() | st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)


@st.composite
def deltas(draw):
    stored = draw(st.lists(cookies, max_size=8, unique_by=lambda cookie: (cookie.name, cookie.host)))
    taken = {(cookie.name, cookie.host) for cookie in stored}
    deleted = draw(st.lists(st.tuples(names, hosts).filter(lambda pair: pair not in taken), max_size=4, unique=True))
    return CookieDelta(tuple(stored), tuple(deleted))


def jar_of(*kept: Cookie) -> Jar:
    return Jar().merge(CookieDelta(kept))


def test_a_jar_sends_its_cookies_in_the_order_in_which_they_first_came():
    jar = jar_of(AUTH, BALANCER, Cookie("PHPSESSID", "php", "aimharder.com"))

    assert jar.header("aimharder.com", NOW) == "amhrdrauth=auth; AWSALB=lb; PHPSESSID=php"


def test_a_changed_cookie_keeps_its_place_and_a_new_one_goes_last():
    jar = jar_of(BALANCER, AUTH)

    changed = jar.merge(
        CookieDelta((Cookie("PHPSESSID", "php", "aimharder.com"), Cookie("AWSALB", "2", BALANCER.host)))
    )

    assert changed.header("aimharder.com", NOW) == "AWSALB=2; amhrdrauth=auth; PHPSESSID=php"


def test_one_name_on_two_hosts_is_two_cookies():
    jar = jar_of(BALANCER, OF_A_BOX)

    assert jar.header("aimharder.com", NOW) == "AWSALB=lb"
    assert jar.header("gym.aimharder.com", NOW) == "AWSALB=box"


@pytest.mark.parametrize(
    ("cookie", "host", "goes"),
    [
        (AUTH, "aimharder.com", True),
        (AUTH, "gym.aimharder.com", True),
        (AUTH, "a.b.aimharder.com", True),
        (AUTH, "notaimharder.com", False),
        (AUTH, "aimharder.com.evil.test", False),
        (AUTH, "com", False),
        (BALANCER, "aimharder.com", True),
        (BALANCER, "gym.aimharder.com", False),
        (OF_A_BOX, "aimharder.com", False),
        (OF_A_BOX, "other.aimharder.com", False),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_host_gets_its_own_cookies_and_those_of_the_domains_above_it(cookie, host, goes):
    assert cookie.goes_to(host) is goes
    assert (cookie in Jar((cookie,)).for_host(host, NOW)) is goes


def test_a_deletion_takes_the_cookie_of_that_name_and_host_only():
    jar = jar_of(BALANCER, OF_A_BOX)

    assert jar.merge(CookieDelta(deleted=(("AWSALB", "aimharder.com"),))).cookies == (OF_A_BOX,)
    assert jar.merge(CookieDelta(deleted=(("AWSALB", "nowhere.test"),))) == jar


def test_an_answer_that_says_nothing_of_cookies_leaves_the_very_same_jar():
    jar = jar_of(BALANCER)

    assert jar.merge(CookieDelta()) is jar


def test_a_cookie_is_sent_until_the_moment_it_expires():
    jar = Jar((Cookie("a", "1", "x.test", expires_at=NOW),))

    assert jar.header("x.test", NOW - timedelta(microseconds=1)) == "a=1"
    assert jar.header("x.test", NOW) == ""


def test_a_cookie_is_found_by_name_whatever_its_host():
    jar = jar_of(OF_A_BOX, BALANCER)

    assert jar.get("AWSALB") == OF_A_BOX
    assert jar.get("amhrdrauth") is None


def test_a_full_jar_drops_its_oldest_but_never_the_cookie_that_logs_in():
    jar = jar_of(AUTH, *(Cookie(f"c{n}", "v", "x.test") for n in range(MAX_COOKIES - 1)))

    flooded = jar.merge(CookieDelta(tuple(Cookie(f"new{n}", "v", "x.test") for n in range(3))))

    assert len(flooded.cookies) == MAX_COOKIES
    assert flooded.cookies[0] == AUTH
    assert [cookie.name for cookie in flooded.cookies[1:3]] == ["c3", "c4"]
    assert [cookie.name for cookie in flooded.cookies[-3:]] == ["new0", "new1", "new2"]


def test_even_a_jar_of_nothing_but_logins_is_bounded():
    jar = jar_of(*(Cookie(AUTH_COOKIE, "v", f"h{n}.test") for n in range(MAX_COOKIES + 5)))

    assert (len(jar.cookies), jar.cookies[0].host) == (MAX_COOKIES, "h5.test")


def test_rescoping_gives_one_cookie_to_a_domain_and_leaves_the_others_alone():
    delta = CookieDelta((Cookie(AUTH_COOKIE, "auth", "login.aimharder.com"), BALANCER), (("old", "x.test"),))

    assert rescope(delta, AUTH_COOKIE, "aimharder.com") == CookieDelta((AUTH, BALANCER), (("old", "x.test"),))


def test_nothing_that_holds_cookies_shows_a_value():
    secret = Cookie("amhrdrauth", "canary", "aimharder.com")
    delta = CookieDelta((secret,))

    assert "canary" not in f"{secret!r} {delta!r} {Jar((secret,))!r} {secret} {delta} {Jar((secret,))}"
    assert "amhrdrauth" in repr(secret)


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a,b", "a=b", 'a"b', "a\nb", "é", "n" * 256])
def test_a_name_that_would_break_the_header_is_none(name):
    assert not is_name(name)


@pytest.mark.parametrize("value", ["a;b", "a\r\nSet-Cookie: b", "a\tb", "é", "v" * (MAX_VALUE + 1)])
def test_a_value_that_would_break_the_header_is_none(value):
    assert not is_value(value)


@given(deltas(), deltas())
def test_merging_a_delta_twice_is_merging_it_once(before, delta):
    once = Jar().merge(before).merge(delta)

    assert once.merge(delta) == once


@given(st.integers(0, MAX_COOKIES), st.integers(1, MAX_PER_ANSWER))
def test_merging_a_whole_answer_twice_is_merging_it_once_however_full_the_jar(held, brought):
    jar = jar_of(AUTH, *(Cookie(f"old{n}", "v", "x.test") for n in range(held)))
    delta = CookieDelta(tuple(Cookie(f"new{n}", "v", "x.test") for n in range(brought)))
    once = jar.merge(delta)

    assert once.merge(delta) == once
    assert AUTH in once.cookies
    assert set(delta.stored) <= set(once.cookies)


@given(deltas(), deltas())
def test_after_a_merge_the_jar_says_what_the_delta_said(before, delta):
    jar = Jar().merge(before).merge(delta)
    pairs = [(cookie.name, cookie.host) for cookie in jar.cookies]

    assert len(pairs) == len(set(pairs))
    assert set(delta.stored) <= set(jar.cookies)
    assert not set(delta.deleted) & set(pairs)
    untouched = [
        cookie
        for cookie in Jar().merge(before).cookies
        if (cookie.name, cookie.host) not in {*delta.deleted, *((c.name, c.host) for c in delta.stored)}
    ]
    assert [cookie for cookie in jar.cookies if cookie in untouched] == untouched


@given(deltas(), hosts)
def test_a_cookie_header_is_always_one_line_of_pairs(delta, host):
    header = Jar().merge(delta).header(host, NOW)

    assert re.fullmatch(r"([^=;]+=[^;]*(; |$))*", header)
    assert header.isascii()
    assert not set(header) & set("\r\n\0")
