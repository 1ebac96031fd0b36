"""
The original front end's own requests, replayed as its code sends them (docs/upstream.md names the commit).

What it must do otherwise with aimkeeper is marked here with "otherwise", and stands in docs/reference/http.md.
"""

import pytest

from aimkeeper.core.session import Cause

EMAIL, PASSWORD = "ana@example.com", "correct horse"
# The original has one fingerprint for everybody, from NEXT_PUBLIC_AIMHARDER_FINGERPRINT.
THEIRS = "my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb"


@pytest.fixture
async def browser(house):
    house.sim.add_account(EMAIL, PASSWORD)
    house.app(public_login=True)
    return house.caller()


async def test_logging_in_looking_refreshing_and_logging_out_as_the_original_does(house, browser):
    async def send(method, path, **what):
        return await house.ask(method, path, caller=browser, **what)

    # login-form.tsx
    login = await send("POST", "/api/auth/aimharder", json={"email": EMAIL, "password": PASSWORD})
    told = login.json()
    assert (login.status_code, told["success"], told["aimharderSession"]) == (200, True, True)
    assert told["data"]["user"] == {"id": EMAIL, "email": EMAIL, "name": EMAIL}

    # useAutoTokenRefresh.hook.tsx, at its mount
    state = await send("GET", f"/api/auth/refresh?email={EMAIL}")
    assert set(state.json()) == {"success", "needsRefresh", "token", "lastRefreshDate", "refreshCount"}
    token = state.json()["token"]

    # The same, every fifteen minutes. Otherwise: the fingerprint is the one the login answered with.
    for _ in range(3):
        house.clock.advance(900)
        updated = await send("POST", "/api/tokenUpdate", json={"fingerprint": told["fingerprint"], "token": token})
        assert (updated.status_code, updated.json()["success"]) == (200, True)
        token = updated.json()["newToken"]

    # Otherwise: a write by cookie brings its page's token along, which login and session answer with.
    csrf = {"x-csrf-token": told["csrfToken"]}
    refreshed = await send("POST", "/api/auth/refresh", json={"email": EMAIL}, headers=csrf)
    assert refreshed.json()["refreshed"] is True

    seen = await send("GET", f"/api/auth/aimharder?email={EMAIL}")
    assert (seen.status_code, seen.json()["success"]) == (200, True)

    # sign-out: the original sends the e-mail as the body of a DELETE.
    out = await send("DELETE", "/api/auth/aimharder", json={"email": EMAIL}, headers=csrf)
    assert (out.status_code, out.json()) == (200, {"success": True})
    session = await house.service.find(EMAIL)
    assert session.cause is Cause.LOGGED_OUT_HERE

    # And what the hook still sends on its next tick.
    late = await send("POST", "/api/tokenUpdate", json={"fingerprint": told["fingerprint"], "token": token})
    assert (late.status_code, late.json()) == (200, {"logout": 1})
    assert house.truth(session).reuse == 0


async def test_with_the_fingerprint_it_has_for_everybody_it_goes_on_where_it_names_it_at_the_login(house, browser):
    given = {"email": EMAIL, "password": PASSWORD, "fingerprint": THEIRS}
    token = (await house.ask("POST", "/api/auth/aimharder", json=given, caller=browser)).json()["data"]["token"]
    house.clock.advance(900)

    updated = await house.exchange(token, THEIRS, caller=browser)

    assert updated.json()["success"] is True


async def test_a_session_adopted_from_its_table_goes_on_without_anybody_signing_in(house, browser):
    given = house.sim.open_session(EMAIL, THEIRS).record()
    await house.ask("POST", "/api/sessions", json=given, by=house.operator)
    kept = next(cookie["value"] for cookie in given["cookies"] if cookie["name"] == "amhrdrauth")

    claimed = await house.ask("POST", "/api/auth/claim", headers={"cookie": f"amhrdrauth={kept}"}, caller=browser)
    state = await house.ask("GET", "/api/auth/refresh", caller=browser)
    updated = await house.exchange(given["token"], THEIRS, caller=browser)

    assert (claimed.status_code, state.json()["token"]) == (200, given["token"])
    assert updated.json()["success"] is True


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
async def test_otherwise_an_e_mail_in_an_address_opens_nothing(house, browser, email):
    await house.log_in()

    told = [
        await house.ask("GET", f"{path}?email={email}", caller=house.caller())
        for path in ("/api/auth/refresh", "/api/auth/aimharder")
    ]

    assert [answer.status_code for answer in told] == [401, 401]


async def test_its_scheduled_workflow_gets_the_same_answers_once_it_brings_the_cron_secret(house):
    await house.log_in()
    house.clock.advance(900)

    without = await house.ask("GET", "/api/tokenUpdate?action=bulk-update")
    with_it = await house.ask("GET", "/api/tokenUpdate?action=bulk-update", by=house.cron)
    stats = await house.ask("GET", "/api/tokenUpdate?action=stats", by=house.cron)

    assert without.status_code == 401
    assert {"processed", "successful", "failed", "loggedOut", "skipped", "errors"} <= set(with_it.json()["results"])
    assert with_it.json()["results"]["successful"] == 1
    assert {"tokenUpdateStats", "sessionStats"} <= set(stats.json())
