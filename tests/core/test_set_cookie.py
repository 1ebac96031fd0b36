"""`Set-Cookie`, read one header at a time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.cookies import (
    AUTH_COOKIE,
    MAX_PER_ANSWER,
    MAX_VALUE,
    NO_CHANGE,
    Cookie,
    CookieDelta,
    Jar,
    read_set_cookie,
    read_set_cookies,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOST = "aimharder.com"
AUTH_HOSTS = frozenset((HOST, "login.aimharder.com"))


def read(header: str, host: str = HOST) -> CookieDelta:
    return read_set_cookie(header, host=host, now=NOW)


def read_all(*headers: str, host: str = HOST) -> CookieDelta:
    return read_set_cookies(headers, host=host, now=NOW, auth_hosts=AUTH_HOSTS)


def the_one(header: str, host: str = HOST) -> Cookie:
    [cookie] = read(header, host).stored
    return cookie


def test_the_load_balancers_cookie_is_read_with_the_comma_in_its_date():
    cookie = the_one("AWSALB=kq3/+Zz9==; Expires=Thu, 08 Jan 2026 12:00:00 GMT; Path=/")

    assert cookie == Cookie("AWSALB", "kq3/+Zz9==", HOST, expires_at=datetime(2026, 1, 8, 12, tzinfo=UTC))


def test_the_login_cookie_is_read_as_it_was_seen():
    cookie = the_one(
        "amhrdrauth=69232%7C1766907797%7Cf306; expires=Sat, 28-Mar-2026 07:43:17 GMT; domain=aimharder.com; "
        "path=/; secure; HttpOnly",
        host="login.aimharder.com",
    )

    assert (cookie.name, cookie.value) == ("amhrdrauth", "69232%7C1766907797%7Cf306")
    assert (cookie.host, cookie.host_only) == ("aimharder.com", False)
    assert cookie.expires_at == datetime(2026, 3, 28, 7, 43, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("a=b=c==", "a", "b=c=="),
        ('a="quoted, with comma"', "a", '"quoted, with comma"'),
        ("a=", "a", ""),
        ("  a  =  b  ; Path=/", "a", "b"),
        ("a=b;", "a", "b"),
        ("a=b;;; ;Path", "a", "b"),
        ("__Host-a=b", "__Host-a", "b"),
        ("a=" + "v" * MAX_VALUE, "a", "v" * MAX_VALUE),
    ],
    ids=["equals signs in the value", "quotes stay", "empty value", "blanks", "a semicolon", "many", "prefix", "long"],
)
def test_name_and_value_are_what_stands_before_the_first_semicolon(header, name, value):
    cookie = the_one(header)

    assert (cookie.name, cookie.value) == (name, value)


@pytest.mark.parametrize(
    "header",
    ["", ";", "=", "=value", "novalue", "a b=c", "a=b\r\nx", "a=b\x00", "á=b", "a=é", "a=" + "v" * (MAX_VALUE + 1)],
)
def test_rubbish_changes_nothing(header):
    assert read(header) == NO_CHANGE


@pytest.mark.parametrize(
    "attributes",
    [
        "Max-Age=0",
        "Max-Age=-1",
        "max-age=-0",
        "MAX-AGE=-99999999999999999999",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Expires=Thu, 01-Jan-1970 00:00:01 GMT",
        "expires=Thursday, 01-Jan-70 00:00:00 GMT",
        "Expires=Thu, 01 Jan 2026 12:00:00 GMT",
        "Max-Age=0; Expires=Fri, 01 Jan 2027 00:00:00 GMT",
        "Expires=Fri, 01 Jan 2027 00:00:00 GMT; Max-Age=0",
        "Expires=Mon, 01 Jan 0001 00:00:00 +2300",
    ],
)
def test_an_expiry_that_is_past_deletes(attributes):
    assert read(f"a=deleted; {attributes}") == CookieDelta(deleted=(("a", HOST),))


@pytest.mark.parametrize(
    ("attributes", "lives"),
    [
        ("Max-Age=60", timedelta(seconds=60)),
        ("Max-Age= 60 ", timedelta(seconds=60)),
        ("Max-Age=0000000000000060", timedelta(seconds=60)),
        ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", timedelta(seconds=60)),
        ("Max-Age=1; Max-Age=60", timedelta(seconds=60)),
        ("Max-Age=soon; Expires=Thu, 01 Jan 2026 12:01:00 GMT", timedelta(seconds=60)),
        ("Expires=Thu, 01 Jan 2026 12:01:00", timedelta(seconds=60)),
        ("Expires=Thu Jan  1 12:01:00 2026", timedelta(seconds=60)),
        ("Expires=Thu, 01 Jan 2026 10:01:00 -0200", timedelta(seconds=60)),
        ("Max-Age=9999999999", timedelta(seconds=9_999_999_999)),
        ("Max-Age=99999999999999999999999", timedelta(seconds=10**10)),
        ("Max-Age=" + "9" * 5000, timedelta(seconds=10**10)),
        ("Max-Age=9999999999999; Expires=Thu, 01 Jan 1970 00:00:00 GMT", timedelta(seconds=10**10)),
    ],
)
def test_an_expiry_that_is_to_come_is_kept_and_max_age_goes_first(attributes, lives):
    assert the_one(f"a=b; {attributes}").expires_at == NOW + lives


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "Expires=",
        "Expires=never",
        "Expires=99 Xxx 99999 99:99:99",
        "Max-Age=",
        "Max-Age=1.5",
        "Max-Age=+5",
        "Max-Age=\uff15",
    ],
)
def test_without_a_readable_expiry_a_cookie_lives_as_long_as_the_session(attributes):
    assert the_one(f"a=b; {attributes}").expires_at is None


@pytest.mark.parametrize(
    ("host", "domain", "scope"),
    [
        ("aimharder.com", "", ("aimharder.com", True)),
        ("aimharder.com", "aimharder.com", ("aimharder.com", False)),
        ("aimharder.com", ".AimHarder.COM", ("aimharder.com", False)),
        ("login.aimharder.com", ".aimharder.com", ("aimharder.com", False)),
        ("login.aimharder.com", "", ("login.aimharder.com", True)),
        ("a.b.aimharder.com", "aimharder.com", ("aimharder.com", False)),
        ("aimharder.com", "login.aimharder.com", None),
        ("login.aimharder.com", "gym.aimharder.com", None),
        ("aimharder.com", "evil.test", None),
        ("notaimharder.com", "aimharder.com", None),
        ("aimharder.com", "com", None),
        ("aimharder.com", ".com", None),
        ("aimharder.com", ".", ("aimharder.com", True)),
        ("127.0.0.1", "127.0.0.1", ("127.0.0.1", True)),
        ("127.0.0.1", "0.0.1", None),
        ("::1", "::1", ("::1", True)),
        ("localhost", "localhost", ("localhost", True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_cookie_goes_where_a_browser_would_let_it(host, domain, scope):
    delta = read(f"a=b; Domain={domain}", host=host)

    assert [(cookie.host, cookie.host_only) for cookie in delta.stored] == ([scope] if scope else [])


def test_a_deletion_obeys_the_same_rule_as_a_cookie():
    assert read("a=; Max-Age=0; Domain=aimharder.com", host="login.aimharder.com").deleted == (("a", "aimharder.com"),)
    assert read("a=; Max-Age=0; Domain=evil.test") == NO_CHANGE


def test_the_cookies_of_an_answer_come_in_order_and_the_later_of_two_wins():
    delta = read_all("a=1", "b=2; Expires=Thu, 08 Jan 2026 12:00:00 GMT", "rubbish", "a=3")

    assert [(cookie.name, cookie.value) for cookie in delta.stored] == [("a", "3"), ("b", "2")]


@pytest.mark.parametrize(
    ("headers", "stored", "deleted"),
    [(("a=1", "a=; Max-Age=0"), [], [("a", HOST)]), (("a=; Max-Age=0", "a=1"), ["1"], [])],
    ids=["set, then deleted", "deleted, then set"],
)
def test_of_setting_and_deleting_the_later_counts(headers, stored, deleted):
    delta = read_all(*headers)

    assert ([cookie.value for cookie in delta.stored], list(delta.deleted)) == (stored, deleted)


@pytest.mark.parametrize(
    ("host", "believed"),
    [("aimharder.com", True), ("login.aimharder.com", True), ("gym.aimharder.com", False), ("evil.test", False)],
)
@pytest.mark.parametrize("what", ["amhrdrauth=new", "amhrdrauth=; Max-Age=0"], ids=["set", "deleted"])
def test_the_login_cookie_is_believed_only_from_the_base_and_the_login_host(host, believed, what):
    scope = "; Domain=aimharder.com" if host.endswith("aimharder.com") else ""

    assert bool(read_all(what + scope, host=host)) is believed


def test_a_boxs_own_cookies_stay_with_that_box():
    jar = Jar().merge(read_all("PHPSESSID=box; path=/", "AWSALB=box", host="gym.aimharder.com"))

    assert jar.header("gym.aimharder.com", NOW) == "PHPSESSID=box; AWSALB=box"
    assert jar.header("aimharder.com", NOW) == ""
    assert jar.header("other.aimharder.com", NOW) == ""


def test_a_flood_of_cookies_is_cut_to_the_last_and_the_login_cookie_is_among_them():
    delta = read_all("amhrdrauth=auth", *(f"c{n}=v" for n in range(1000)))

    assert len(delta.stored) == MAX_PER_ANSWER
    assert [delta.stored[0].name, delta.stored[-1].name] == [AUTH_COOKIE, "c999"]


attribute = st.sampled_from(["Expires=", "Max-Age=", "Domain=", "Path=", "Secure", "max-age=-", "expires=Thu, "])
header = st.one_of(
    st.text(),
    st.builds(
        lambda pair, parts: ";".join([pair, *(name + value for name, value in parts)]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10).map("a={}".format) | st.text(),
        st.lists(st.tuples(attribute, st.text(st.sampled_from("0123456789 -:,.+GMTJan") | st.characters()))),
    ),
)


@given(st.lists(header, max_size=5), st.sampled_from([HOST, "gym.aimharder.com", "127.0.0.1", "::1", "localhost", ""]))
def test_no_text_whatever_makes_the_reader_raise_or_break_the_next_header(headers, host):
    delta = read_all(*headers, host=host)
    sent = Jar().merge(delta).header(host, NOW)

    assert not set(sent) & set("\r\n\0")
    for cookie in delta.stored:
        assert cookie.goes_to(host)
        assert not set(cookie.name + cookie.value) & set("\r\n;\0")
        assert cookie.expires_at is None or cookie.expires_at > NOW
    assert len(sent.split(";")) == max(len(delta.stored), 1)
