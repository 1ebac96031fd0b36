"""
What the Next.js app's front end and automation send, sent to aimkeeper over a real socket, and what comes back.

The requests are those of the original feature, word for word. Where the answer is another one, the test says which;
docs/coming-from-the-nextjs-app.md says why, line by line.
"""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass

import httpx
import pytest

from aimkeeper import Settings, open_service
from aimkeeper.serving import bind, serving
from aimkeeper.simulator import Faults, Rules

EMAIL = "you@example.com"
ENVIRONMENT_FINGERPRINT = "my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb"
KEY, CRON = "the operator's own key", "the cron's own secret"


@dataclass
class App:
    """The app's browser and its automation, in front of an aimkeeper that anybody may log in to."""

    site: object
    service: object
    browser: httpx.AsyncClient
    password: str

    async def sign_in(self) -> dict:
        """What the app's login page sends."""
        answer = await self.browser.post("/api/auth/aimharder", json={"email": EMAIL, "password": self.password})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def cron(self, action: str) -> httpx.Response:
        address = f"/api/tokenUpdate?action={action}"
        return await self.browser.get(address, headers={"authorization": f"Bearer {CRON}"})

    def truth(self):
        [truth] = [one for one in self.site.sim.truths() if one.logins]
        return truth


@pytest.fixture
async def app(site, tmp_path):
    settings = Settings(
        data_dir=tmp_path,
        aimharder_url=site.url,
        aimharder_login_url=site.url,
        api_keys=(KEY,),
        cron_secret=CRON,
        public_login=True,
        fingerprint=ENVIRONMENT_FINGERPRINT,
        max_rate=1000.0,
        login_rate=100.0,
    )
    async with (
        open_service(settings) as service,
        serving(service, bind("127.0.0.1", 0), with_worker=False, stopping=asyncio.Event()) as served,
        httpx.AsyncClient(base_url=served.url, timeout=20, trust_env=False) as browser,
    ):
        yield App(site, service, browser, site.PASSWORD)


@pytest.fixture
def site():
    from .conftest import Site  # noqa: PLC0415 (the fixture of that name serves a whole module)

    with Site() as served:
        yield served


# ---------------------------------------------------------------- the way of one visitor, from login to logout


async def test_the_front_end_s_own_sequence_works_from_login_to_logout(app):
    """Login, session check, refresh state, token update, token update again, logout."""
    signed_in = await app.sign_in()
    checked = await app.browser.get("/api/auth/aimharder", params={"email": EMAIL})
    state = await app.browser.get("/api/auth/refresh", params={"email": EMAIL})
    asked = {"fingerprint": signed_in["fingerprint"], "token": signed_in["data"]["token"]}
    first = await app.browser.post("/api/tokenUpdate", json=asked)
    again = await app.browser.post("/api/tokenUpdate", json={**asked, "token": first.json()["newToken"]})
    logged_out = await app.browser.request(
        "DELETE", "/api/auth/aimharder", json={"email": EMAIL}, headers={"x-csrf-token": signed_in["csrfToken"]}
    )
    told = await app.browser.post("/api/tokenUpdate", json={**asked, "token": again.json()["newToken"]})

    assert (signed_in["success"], signed_in["aimharderSession"]) == (True, True)
    assert signed_in["data"]["user"] == {"id": EMAIL, "email": EMAIL, "name": EMAIL}
    assert (checked.status_code, checked.json()["success"]) == (200, True)
    assert set(state.json()) == {"success", "needsRefresh", "token", "lastRefreshDate", "refreshCount"}
    assert (state.json()["needsRefresh"], state.json()["refreshCount"]) == (False, 1)
    assert set(first.json()) == {"success", "newToken", "updatedAt"}
    assert again.json()["newToken"] == app.truth().token
    assert logged_out.json() == {"success": True}
    assert told.json() == {"logout": 1}
    assert (app.truth().reuse, app.truth().concurrent) == (0, 0)


# ---------------------------------------------------------------- POST /api/tokenUpdate


@pytest.mark.parametrize(
    "sent",
    [{"json": {}}, {"json": {"token": "t"}}, {"json": {"fingerprint": "", "token": "t"}}, {"content": b"{"}],
    ids=["nothing", "no fingerprint", "an empty one", "no JSON"],
)
async def test_a_token_update_without_both_is_400_in_the_original_words(app, sent):
    answer = await app.browser.post("/api/tokenUpdate", headers={"content-type": "application/json"}, **sent)

    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["error"] == "fingerprint and token parameters are required"


async def test_a_token_nobody_holds_is_404_in_the_original_words(app):
    answer = await app.browser.post("/api/tokenUpdate", json={"fingerprint": "f", "token": "1|1766907797|x"})

    assert (answer.status_code, answer.json()["error"]) == (404, "No active session found for provided token")


async def test_a_stale_token_brings_the_present_one_where_the_original_said_404(app):
    signed_in = await app.sign_in()
    held = {"fingerprint": signed_in["fingerprint"], "token": signed_in["data"]["token"]}
    session = await app.service.find(EMAIL)
    rotated = await app.service.refresher.refresh(session, forced=True)

    answer = await app.browser.post("/api/tokenUpdate", json=held)

    assert (answer.status_code, answer.json()["newToken"]) == (200, rotated.token.text)
    assert app.truth().reuse == 0


async def test_an_upstream_logout_is_200_logout_once_it_is_confirmed(app):
    signed_in = await app.sign_in()
    await app.service.keeper.who_am_i(await app.service.find(EMAIL))
    app.site.end_sessions_of(EMAIL)
    held = {"fingerprint": signed_in["fingerprint"], "token": await newest(app)}

    answers = [await app.browser.post("/api/tokenUpdate", json=held) for _ in range(2)]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"logout": 1})] * 2
    # The original deleted the row at the first word of it.
    assert (await app.service.find(EMAIL)).cause == "server_ended"


async def test_an_upstream_error_is_503_with_when_to_ask_again_where_the_original_said_400(app):
    signed_in = await app.sign_in()
    app.site.sim.faults = Faults(rate_limited=1.0, retry_after=60.0)

    answer = await app.browser.post(
        "/api/tokenUpdate", json={"fingerprint": signed_in["fingerprint"], "token": await newest(app, older=120)}
    )

    assert answer.status_code in (429, 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["success"] is False
    assert app.truth().alive


# ---------------------------------------------------------------- GET /api/tokenUpdate


async def test_statistics_have_the_original_s_fields_and_need_the_secret(app):
    await app.sign_in()

    told = (await app.cron("stats")).json()
    without = await app.browser.get("/api/tokenUpdate?action=stats")

    assert told["success"] is True
    assert told["tokenUpdateStats"] == {"totalSessions": 1, "recentlyUpdated": 1, "failedUpdates": 0}
    assert told["sessionStats"] == {"total": 1, "active": 1, "expired": 0}
    assert told["timestamp"].endswith("Z")
    assert without.status_code == 401


async def test_a_bulk_update_has_the_original_s_fields_names_nobody_and_needs_the_secret(app):
    await app.sign_in()

    told = (await app.cron("bulk-update")).json()
    without = await app.browser.get("/api/tokenUpdate?action=bulk-update")

    original = {"processed", "successful", "failed", "loggedOut", "skipped", "errors"}
    assert original | {"remaining"} == set(told["results"])
    assert EMAIL not in str(told)
    assert without.status_code == 401


async def test_another_action_is_400_in_the_original_words(app):
    answer = await app.cron("purge")

    assert answer.status_code == 400
    assert answer.json()["error"] == "Invalid action parameter. Use ?action=stats or ?action=bulk-update"


# ---------------------------------------------------------------- /api/auth/refresh


async def test_an_e_mail_in_the_address_of_refresh_opens_nothing(app):
    await app.sign_in()
    stranger = httpx.AsyncClient(base_url=app.browser.base_url, trust_env=False)

    async with stranger:
        answers = [
            await stranger.get("/api/auth/refresh", params={"email": EMAIL}),
            await stranger.post("/api/auth/refresh", json={"email": EMAIL}),
            await stranger.get("/api/auth/aimharder", params={"email": EMAIL}),
        ]

    assert [answer.status_code for answer in answers] == [401] * 3
    assert all("token" not in answer.json() for answer in answers)


async def test_a_member_s_refresh_does_setrefresh_and_keeps_what_it_brings(app):
    signed_in = await app.sign_in()
    session = await age(app, 120)
    before = app.truth()

    answer = await app.browser.post(
        "/api/auth/refresh", json={"email": EMAIL}, headers={"x-csrf-token": signed_in["csrfToken"]}
    )

    assert answer.status_code == 200
    assert set(answer.json()) == {"success", "refreshed", "lastRefreshDate"}
    assert app.truth().set_refreshes == before.set_refreshes + 1
    # The original threw the returned token away; then the next tokenUpdate presented a spent one.
    assert (await app.service.find(EMAIL)).token.text == app.truth().token != session.token.text


async def test_a_member_s_write_without_the_page_s_csrf_token_is_403(app):
    await app.sign_in()

    answers = [
        await app.browser.post("/api/auth/refresh", json={"email": EMAIL}),
        await app.browser.request("DELETE", "/api/auth/aimharder", json={"email": EMAIL}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, "csrf")] * 2
    assert (await app.service.find(EMAIL)).status == "active"


# ---------------------------------------------------------------- /api/auth/aimharder


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"email": EMAIL}, "Email and password are required"),
        ({"email": EMAIL, "password": 7}, "Invalid email or password format"),
        ({"email": "nobody", "password": "p"}, "Invalid email format"),
    ],
)
async def test_a_login_that_lacks_something_is_400_in_the_original_words(app, sent, sentence):
    answer = await app.browser.post("/api/auth/aimharder", json=sent)

    assert (answer.status_code, answer.json()["error"]) == (400, sentence)


async def test_a_refused_login_is_401_with_the_tries_that_remain_and_the_sixth_is_429(app):
    sent = {"email": EMAIL, "password": "wrong"}
    app.site.sim.rules = Rules(lockout_after=0)

    answers = [await app.browser.post("/api/auth/aimharder", json=sent) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert [answer.json()["remainingAttempts"] for answer in answers[:5]] == [4, 3, 2, 1, 0]
    assert answers[5].json()["rateLimited"] is True
    assert 1 <= answers[5].json()["minutesRemaining"] <= 15


async def test_a_login_sets_one_cookie_of_ours_and_none_of_aimharder_s(app):
    await app.sign_in()

    held = {cookie.name for cookie in app.browser.cookies.jar}
    assert "aimkeeper_member" in held
    assert held & {"AWSALB", "AWSALBCORS", "PHPSESSID", "amhrdrauth", "aimharder-auth"} == set()


async def test_a_login_gets_a_fingerprint_of_its_own_and_not_the_environment_s(app):
    signed_in = await app.sign_in()

    assert signed_in["fingerprint"] == app.truth().fingerprint
    assert signed_in["fingerprint"] != ENVIRONMENT_FINGERPRINT


async def test_a_session_check_without_a_session_is_401_where_the_original_said_200(app):
    answer = await app.browser.get("/api/auth/aimharder", params={"email": EMAIL})

    assert (answer.status_code, answer.json()["success"]) == (401, False)


async def test_a_logout_takes_the_cookie_away_and_ends_that_session_only(app):
    signed_in = await app.sign_in()

    answer = await app.browser.request(
        "DELETE", "/api/auth/aimharder", json={"email": EMAIL}, headers={"x-csrf-token": signed_in["csrfToken"]}
    )

    assert answer.json() == {"success": True}
    assert "aimkeeper_member" not in {cookie.name for cookie in app.browser.cookies.jar}
    assert (await app.service.find(EMAIL)).cause == "logged_out_here"
    assert app.truth().alive  # AimHarder was not told: it would end all of the account's


# ---------------------------------------------------------------- the day of the change, and what is not here


async def test_a_browser_of_the_app_becomes_a_member_by_the_cookie_it_has_and_nobody_signs_in(app):
    await app.sign_in()
    stored = (await app.service.find(EMAIL)).jar.get("amhrdrauth").value
    async with httpx.AsyncClient(base_url=app.browser.base_url, trust_env=False) as old_browser:
        old_browser.cookies.set("amhrdrauth", stored)

        claimed = await old_browser.post("/api/auth/claim", json={})
        state = await old_browser.get("/api/auth/session")

    assert (claimed.status_code, claimed.json()["email"]) == (200, EMAIL)
    assert (state.status_code, state.json()["status"]) == (200, "active")
    assert app.truth().logins == 1


@pytest.mark.parametrize("path", ["/api/booking?day=20260102&box=9283", "/api/auth/sync-device-session"])
async def test_what_is_not_of_this_service_is_404(app, path):
    answer = await app.browser.get(path, headers={"x-user-email": EMAIL})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def newest(app, *, older=0):
    """The present token, of a session rotated so many seconds ago."""
    return (await age(app, older)).token.text


async def age(app, seconds):
    """The session as if it had been rotated so much earlier; a young one is answered without asking AimHarder."""
    with closing(sqlite3.connect(app.service.settings.database_path)) as database, database:
        database.execute(
            "UPDATE auth_sessions SET last_token_update_date = last_token_update_date - ?1, "
            "last_refresh_date = last_refresh_date - ?1",
            (int(max(seconds, 120) * 1e6),),
        )
    return await app.service.find(EMAIL)
