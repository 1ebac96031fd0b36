"""Members: a cookie good for one session, how a browser gets one without signing in again, and how it ends."""

from datetime import timedelta

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause, Status
from aimkeeper.simulator.world import World
from aimkeeper.web import limits
from aimkeeper.web.access import CSRF_HEADER, MEMBER_COOKIE

SESSION, CLAIM = "/api/auth/session", "/api/auth/claim"


@pytest.fixture
async def session(house):
    return await house.log_in()


def auth_cookie(session):
    return next(cookie.value for cookie in session.jar.cookies if cookie.name == "amhrdrauth")


async def claim(house, value, *, caller=None, **more):
    headers = {"cookie": f"PHPSESSID=x; amhrdrauth={value}; aimharder-auth=true"} | more.pop("headers", {})
    return await house.ask("POST", CLAIM, headers=headers, caller=caller, **more)


# ---------------------------------------------------------------- his own session


async def test_a_member_sees_where_his_session_stands(house, session):
    answer = await house.ask("GET", SESSION, headers=await house.member(session))

    told = answer.json()
    assert told.pop("csrfToken")
    assert told == {
        "success": True,
        "email": "ana@example.com",
        "fingerprint": session.fingerprint,
        "status": "active",
        "updatedAt": "2026-01-01T12:00:00.000Z",
        "dueAt": told["dueAt"],
        "deadlineAt": "2026-01-01T13:30:00.000Z",
        "slackSeconds": 5400 - 120,
    }


async def test_asked_for_it_he_gets_his_token_which_heals_later_on(house, session):
    member = await house.member(session)
    told = (await house.ask("GET", f"{SESSION}?token=1", headers=member)).json()
    house.clock.advance(900)
    await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)

    answer = await house.exchange(told["token"], session.fingerprint)

    assert told["token"] == session.token.text
    assert answer.json()["newToken"] == house.truth(session).token != told["token"]


async def test_another_member_s_cookie_opens_his_own_session_and_no_other_whatever_he_asks_for(house, session):
    other = await house.log_in("berta@example.com")
    berta = await house.member(other)
    asked = f"?email=ana@example.com&session={session.id}&fingerprint={session.fingerprint}&token=1"

    told = [
        await house.ask("GET", SESSION + asked, headers=berta),
        await house.ask("GET", "/api/auth/aimharder" + asked, headers=berta),
        await house.ask("GET", "/api/auth/refresh" + asked, headers=berta),
    ]
    body = {"email": "ana@example.com", "session": session.id}
    await house.ask("POST", "/api/auth/refresh" + asked, headers=berta, json=body)
    await house.ask("DELETE", "/api/auth/aimharder" + asked, headers=berta)

    assert [answer.status_code for answer in told] == [200, 200, 200]
    assert not any(session.token.text in answer.text or session.email in answer.text for answer in told)
    mine = await house.service.store.get(session.id)
    assert (mine.status, mine.generation) == (Status.ACTIVE, session.generation)
    assert (await house.service.store.get(other.id)).cause is Cause.LOGGED_OUT_HERE


@pytest.mark.parametrize("address", ["?email=ana@example.com", "?email=ana@example.com&token=1", "?user=1"])
@pytest.mark.parametrize("path", [SESSION, "/api/auth/aimharder", "/api/auth/refresh"])
async def test_no_e_mail_in_an_address_opens_anything(house, session, path, address):
    answer = await house.ask("GET", path + address)

    assert answer.status_code == 401
    assert session.token.text not in answer.text


async def test_an_ended_session_is_told_as_ended_and_brings_no_token(house, session):
    member = await house.member(session)
    house.sim.kill(session.email, session.fingerprint)
    await house.exchange(session.token.text, session.fingerprint)

    told = (await house.ask("GET", f"{SESSION}?token=1", headers=member)).json()

    assert (told["success"], told["status"], told["token"], told["dueAt"]) == (True, "ended", None, None)


# ---------------------------------------------------------------- how it ends


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/auth/logout"), ("DELETE", "/api/auth/aimharder")])
async def test_logging_out_ends_that_session_only_and_all_its_cookies(house, session, method, path):
    other = await house.log_in(fingerprint="another-device")
    member, elsewhere, stranger = [await house.member(one) for one in (session, session, other)]

    answer = await house.ask(method, path, headers=member)

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert answer.headers["set-cookie"].startswith(f'{MEMBER_COOKIE}=""')
    assert "Max-Age=0" in answer.headers["set-cookie"]
    seen = [(await house.ask("GET", SESSION, headers=who)).status_code for who in (member, elsewhere, stranger)]
    assert seen == [401, 401, 200]
    assert (await house.service.store.get(session.id)).cause is Cause.LOGGED_OUT_HERE
    # AimHarder is believed to end all of the account's sessions when one logs out there.
    assert house.sim.totals.requests["/logout"] == 0


async def test_a_member_s_cookie_is_good_for_ninety_days(house, session):
    member = await house.member(session)
    house.clock.advance(90 * 86400 - 60)
    before = (await house.ask("GET", SESSION, headers=member)).status_code
    house.clock.advance(120)

    after = (await house.ask("GET", SESSION, headers=member)).status_code

    assert (before, after) == (200, 401)


async def test_a_session_that_is_forgotten_takes_its_cookies_with_it(house, session):
    member = await house.member(session)
    await house.service.entry.forget(session)

    assert (await house.ask("GET", SESSION, headers=member)).status_code == 401


async def test_a_session_keeps_the_twenty_youngest_of_its_cookies(house, session):
    first = await house.member(session)
    for _ in range(20):
        house.clock.advance(1)
        last = await house.member(session)

    seen = [(await house.ask("GET", SESSION, headers=who)).status_code for who in (first, last)]

    assert seen == [401, 200]


# ---------------------------------------------------------------- claims


@pytest.mark.parametrize("written", [0, 1, 2], ids=["as the site wrote it", "written once more", "and once more"])
async def test_a_browser_with_the_app_s_cookie_becomes_a_member_without_signing_in(house, session, written):
    value = auth_cookie(session)
    for _ in range(written):
        value = value.replace("%", "%25").replace("|", "%7C")
    browser = house.caller()

    answer = await claim(house, value, caller=browser)
    seen = await house.ask("GET", SESSION, caller=browser)

    told = answer.json()
    assert (answer.status_code, told["email"], told["fingerprint"]) == (200, session.email, session.fingerprint)
    assert (seen.status_code, seen.json()["csrfToken"]) == (200, told["csrfToken"])
    assert house.sim.totals.requests["/api/login"] == 1


async def test_a_claim_is_told_as_an_event(house, session):
    await claim(house, auth_cookie(session))

    assert (await house.service.store.events_of(session.id))[0].kind is EventKind.CLAIMED


async def test_a_cookie_that_names_no_account_is_found_by_the_e_mail_the_app_remembers(house, monkeypatch):
    monkeypatch.setattr(World, "auth_cookie", lambda _world, _session: "opaque")
    session = await house.log_in()
    value = auth_cookie(session)

    without = await claim(house, value)
    with_it = await claim(house, value, json={"email": " ANA@example.com"})

    assert value == "opaque"
    assert (without.status_code, with_it.status_code) == (401, 200)


@pytest.mark.parametrize("what", ["nothing", "another value", "another account", "half of it", "bytes", "an ended one"])
async def test_whoever_has_not_the_stored_cookie_is_told_to_log_in(house, session, what):
    good = auth_cookie(session)
    other = await house.log_in("berta@example.com")
    value = {
        "nothing": "",
        "another value": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "another account": good.replace(session.account_key, other.account_key, 1),
        "half of it": good[: len(good) // 2],
        "bytes": "\xff\xfe".encode("latin-1").decode("latin-1"),
        "an ended one": good,
    }[what]
    if what == "an ended one":
        await house.service.entry.log_out(session)

    answer = await house.ask("POST", CLAIM, headers={"cookie": f"amhrdrauth={value}".encode("latin-1")})

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert "set-cookie" not in answer.headers


async def test_claims_can_not_be_tried_without_end(house, session):
    tries = [(await claim(house, f"1|2|{number}")).status_code for number in range(limits.FAILURES_OF_CLAIM + 1)]

    answer = await claim(house, auth_cookie(session))

    assert tries == [401] * limits.FAILURES_OF_CLAIM + [429]
    assert (answer.status_code, int(answer.headers["retry-after"])) == (429, 900)


async def test_another_site_s_page_claims_nothing(house, session):
    answer = await claim(house, auth_cookie(session), headers={"sec-fetch-site": "cross-site"})

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


# ---------------------------------------------------------------- writes by cookie


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/auth/logout"), ("DELETE", "/api/auth/aimharder"), ("POST", "/api/auth/refresh")],
)
@pytest.mark.parametrize("token", [None, "", "0" * 64, "another member's", "his cookie itself"])
async def test_a_write_by_cookie_needs_the_token_of_that_member_s_own_page(house, session, method, path, token):
    other = await house.member(await house.log_in("berta@example.com"))
    headers = await house.member(session)
    good = headers.pop(CSRF_HEADER)
    given = {
        "another member's": other[CSRF_HEADER],
        "his cookie itself": headers["cookie"].partition("=")[2],
    }.get(token, token)
    if given is not None:
        headers[CSRF_HEADER] = given

    refused = await house.ask(method, path, headers=headers)
    let_in = await house.ask(method, path, headers=headers | {CSRF_HEADER: good})

    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    assert let_in.status_code == 200


async def test_no_get_by_cookie_changes_the_session(house, session):
    member = await house.member(session)
    before = await house.service.store.get(session.id)

    for path in (SESSION, "/api/auth/aimharder", "/api/auth/refresh", "/api/tokenUpdate?action=bulk-update"):
        await house.ask("GET", path, headers=member)
    house.clock.advance(1)

    after = await house.service.store.get(session.id)
    assert (after.generation, after.status, after.token) == (before.generation, before.status, before.token)
    assert house.sim.totals.requests["/api/tokenUpdate"] == 0


async def test_bots_bearers_and_members_cookies_are_of_different_kinds(house, session):
    bot = await house.service.store.http.bots.issue(session.id, timedelta(hours=1))
    member = (await house.member(session))["cookie"].partition("=")[2]

    by_bot = await house.ask("GET", SESSION, headers={"cookie": f"{MEMBER_COOKIE}={bot}"})
    by_member = await house.ask("GET", f"/api/sessions/{session.id}/credentials", by=member)

    assert (by_bot.status_code, by_member.status_code) == (401, 401)
