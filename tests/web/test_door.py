"""The door: who really asks behind a proxy, for which host, from which site's page; and by HTTPS or not."""

import asyncio

import pytest

from aimkeeper.web.access import MEMBER_COOKIE

APP = "https://app.example.com"
PROXIES = ("10.0.0.0/8", "192.0.2.1", "2001:db8::/32")


async def who_asks(house, peer, **headers):
    """By whose address failed logins are counted: tries until that address is used up, seen from another's view."""
    house.app(public_login=True, trusted_proxies=PROXIES)
    asked = []
    real = house.service.store.http.limits.take

    async def take(limits, window):
        asked.extend(limit.name.split("\0")[1] for limit in limits if "\0" in limit.name)
        return await real(limits, window)

    house.service.store.http.limits.take = take
    given = {"email": "ana@example.com", "password": "wrong"}
    await house.ask("POST", "/api/auth/login", json=given, caller=house.caller(peer), headers=headers)
    return asked[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "asks"),
    [
        ("198.51.100.7", None, "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.2", "203.0.113.9", "192.0.2.2"),
        ("10.1.2.3", "127.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.9, 10.9.9.9, 192.0.2.1", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.9, unknown", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9:4711", "10.1.2.3"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "10.4.4.4", "10.4.4.4"),
        ("2001:db8::7", "2001:4860:1:2:3::1", "2001:4860:1:2::/64"),
        ("::ffff:198.51.100.7", None, "198.51.100.7"),
    ],
)
async def test_the_first_address_that_is_no_proxy_of_ours_is_the_one_who_asks(house, peer, forwarded, asks):
    headers = {"x-forwarded-for": forwarded} if forwarded is not None else {}

    assert await who_asks(house, peer, **headers) == asks


async def test_a_proxy_that_adds_a_line_of_its_own_is_understood(house):
    house.app(trusted_proxies=PROXIES)
    headers = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "203.0.113.9")]

    answer = await house.clock.finish(house.caller("10.1.2.3").get("/metrics", headers=headers))

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("peer", "proto", "secure"),
    [
        ("10.1.2.3", "https", True),
        ("10.1.2.3", "http", False),
        ("10.1.2.3", "gopher", False),
        ("10.1.2.3", "http, https", True),
        ("198.51.100.7", "https", False),
    ],
)
async def test_by_https_or_not_is_a_trusted_proxy_s_to_say(house, peer, proto, secure):
    house.app(trusted_proxies=PROXIES, public_login=True)
    house.sim.add_account("ana@example.com", "correct horse")
    given = {"email": "ana@example.com", "password": "correct horse"}

    answer = await house.ask(
        "POST", "/api/auth/login", json=given, caller=house.caller(peer), headers={"x-forwarded-proto": proto}
    )

    cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(MEMBER_COOKIE))
    assert ("Secure" in cookie) is secure
    assert ("strict-transport-security" in answer.headers) is secure


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
async def test_whoever_comes_by_a_proxy_on_this_machine_is_not_here(house, header):
    direct = await house.ask("GET", "/metrics", caller=house.caller("127.0.0.1"))
    proxied = await house.ask("GET", "/metrics", caller=house.caller("127.0.0.1"), headers={header: "127.0.0.1"})

    assert (direct.status_code, proxied.status_code) == (200, 401)


async def test_by_https_browsers_are_told_to_come_by_https_only(house):
    told = [
        await house.ask("GET", "/", caller=house.caller(base=f"{scheme}://keeper.test")) for scheme in ("http", "https")
    ]

    assert [answer.headers.get("strict-transport-security") for answer in told] == [None, "max-age=31536000"]


# ---------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("keeper.example.com", 401),
        ("KEEPER.example.com:8443", 401),
        ("keeper.example.com.", 401),
        ("a.b.apps.example.com", 401),
        ("apps.example.com", 400),
        ("evil.example", 400),
        ("keeper.example.com.evil.example", 400),
        ("evilapps.example.com", 400),
        ("[::1]:8000", 401),
        ("", 400),
    ],
)
async def test_where_hosts_are_named_no_other_is_answered(house, host, status):
    house.app(allowed_hosts=("keeper.example.com", "*.apps.example.com", "::1"))

    answer = await house.ask("GET", "/api/sessions", headers={"host": host})

    assert answer.status_code == status
    if status == 400:
        assert answer.json()["code"] == "bad_host"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_probe_names_the_machine_as_it_likes(house, path):
    house.app(allowed_hosts=("keeper.example.com",))

    answer = await house.ask("GET", path, headers={"host": "10.2.3.4:8000"})

    assert answer.status_code == 200


# ---------------------------------------------------------------- other origins


async def preflight(house, path, origin=APP):
    headers = {"origin": origin, "access-control-request-method": "POST"}
    return await house.ask("OPTIONS", path, headers=headers)


@pytest.mark.parametrize("path", ["/api/tokenUpdate", "/api/auth/session", "/api/auth/refresh"])
async def test_a_page_of_a_named_origin_may_call_what_members_and_holders_call(house, path):
    house.app(cors_origins=(APP,))
    session = await house.log_in()

    asked = await preflight(house, path)
    headers = await house.member(session) | {"origin": APP}
    answer = await house.ask("GET" if "auth" in path else "POST", path, headers=headers)

    assert asked.status_code == 204
    assert asked.headers["access-control-allow-headers"] == "content-type, x-csrf-token"
    for told in (asked, answer):
        assert told.headers["access-control-allow-origin"] == APP
        assert told.headers["access-control-allow-credentials"] == "true"
        assert "origin" in told.headers["vary"].lower()


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "null",
        "*",
        APP + ":8443",
    ],
)
async def test_a_page_of_another_origin_may_not(house, origin):
    house.app(cors_origins=(APP,))

    asked = await preflight(house, "/api/tokenUpdate", origin)
    answer = await house.ask("POST", "/api/tokenUpdate", headers={"origin": origin})

    assert not [name for told in (asked, answer) for name in told.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/api/sessions", "/api/status", "/api/pause", "/api/events", "/"])
async def test_what_is_the_operator_s_no_other_origin_may_call_not_even_a_named_one(house, path):
    house.app(cors_origins=(APP,))

    asked = await preflight(house, path)
    answer = await house.ask("GET", path, headers=house.page() | {"origin": APP})

    assert not [name for told in (asked, answer) for name in told.headers if name.startswith("access-control-")]


async def test_without_named_origins_none_may(house):
    asked = await asyncio.gather(preflight(house, "/api/tokenUpdate"), preflight(house, "/api/auth/login"))

    assert not [name for told in asked for name in told.headers if name.startswith("access-control-")]
