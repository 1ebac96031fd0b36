"""`POST /api/auth/login`: closed unless opened, counted, and the same for those who are not known."""

import asyncio
import json
import re
from datetime import timedelta

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.simulator import Faults, Rules
from aimkeeper.store.feed import Place
from aimkeeper.web.access import MEMBER_COOKIE
from aimkeeper.web.auth import DEVICE_COOKIE

ANA, PASSWORD = "ana@example.com", "correct horse"
LOGIN = "/api/auth/login"


@pytest.fixture
async def house(house):
    house.sim.rules = Rules(old_token="strict", lockout_after=0)
    house.sim.add_account(ANA, PASSWORD)
    house.app(public_login=True)
    return house


async def log_in(house, email=ANA, password=PASSWORD, *, caller=None, by=None, headers=None, **more):
    given = {"email": email, "password": password, **more}
    return await house.ask("POST", LOGIN, json=given, caller=caller, by=by, headers=headers or {})


def cookies(answer):
    return {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}


# ---------------------------------------------------------------- who may


async def test_nobody_logs_in_where_it_was_not_opened(house):
    house.app()

    answer = await log_in(house)

    assert (answer.status_code, answer.json()["code"]) == (403, "login_closed")
    assert "AIMKEEPER_PUBLIC_LOGIN" in answer.json()["error"]
    assert house.sim.totals.requests["/api/login"] == 0


async def test_the_operator_always_may(house):
    house.app()

    answer = await log_in(house, by=house.operator)

    assert answer.status_code == 200


async def test_the_operator_s_page_may_too_and_gets_neither_token_nor_member_s_cookie(house):
    house.app()

    answer = await log_in(house, headers=house.page())

    told = answer.json()
    assert (answer.status_code, told["data"]) == (200, {"user": {"id": ANA, "email": ANA, "name": ANA}})
    assert cookies(answer) == {}
    assert house.truth(await house.service.find(ANA)).token not in answer.text


async def test_a_wrong_key_is_told_so_even_where_everybody_may(house):
    answer = await log_in(house, by="the operator's own kez")

    assert answer.status_code == 401


# ---------------------------------------------------------------- a good login


@pytest.mark.parametrize("path", ["/api/auth/login", "/api/auth/aimharder"])
async def test_a_login_answers_in_the_words_of_the_original(house, path):
    answer = await house.ask("POST", path, json={"email": f"  {ANA.upper()} ", "password": PASSWORD})

    told, session = answer.json(), await house.service.find(ANA)
    assert answer.status_code == 200
    assert told.pop("csrfToken")
    assert told == {
        "success": True,
        "data": {"user": {"id": ANA, "email": ANA, "name": ANA}, "token": house.truth(session).token},
        "fingerprint": session.fingerprint,
        "aimharderSession": True,
    }


async def test_a_login_is_kept_and_setrefresh_is_done(house):
    await log_in(house)

    session = await house.service.find(ANA)
    assert (session.setrefresh_count, session.secrets.password) == (1, None)
    assert session.token.text == house.truth(session).token


async def test_the_token_a_login_handed_out_heals_when_the_worker_has_rotated_it_away(house):
    told = (await log_in(house)).json()
    session = await house.service.find(ANA)
    house.clock.advance(900)
    await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)

    answer = await house.exchange(told["data"]["token"], session.fingerprint)

    assert answer.status_code == 200
    assert answer.json()["newToken"] == house.truth(session).token != told["data"]["token"]


@pytest.mark.parametrize(("base", "secure"), [("http://keeper.test", False), ("https://keeper.test", True)])
async def test_the_member_s_cookie_is_out_of_reach_of_scripts_and_other_sites(house, base, secure):
    answer = await log_in(house, caller=house.caller(base=base))

    name, *attributes = cookies(answer)[MEMBER_COOKIE].split("; ")
    assert len(name.partition("=")[2]) >= 43  # 256 bits
    assert {attribute.lower() for attribute in attributes} == {
        "httponly",
        "path=/",
        "samesite=lax",
        f"max-age={90 * 86400}",
        *(["secure"] if secure else []),
    }


async def test_of_the_member_s_cookie_the_store_knows_the_hash_only(house):
    answer = await log_in(house)
    value = cookies(answer)[MEMBER_COOKIE].partition("=")[2].partition(";")[0]

    stored = b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file())

    assert value.encode() not in stored


async def test_aimharder_s_own_cookies_are_never_set_in_the_visitor_s_browser(house):
    answer = await log_in(house)

    assert set(cookies(answer)) == {MEMBER_COOKIE, DEVICE_COOKIE}


# ---------------------------------------------------------------- fingerprints


async def test_each_browser_gets_a_random_fingerprint_of_its_own_and_keeps_it(house):
    mine, other = house.caller(), house.caller("203.0.113.10")

    first = (await log_in(house, caller=mine)).json()["fingerprint"]
    again = (await log_in(house, caller=mine)).json()["fingerprint"]
    elsewhere = (await log_in(house, caller=other)).json()["fingerprint"]

    assert re.fullmatch(r"[0-9a-f]{50}", first)
    assert first == again != elsewhere
    assert len(await house.service.store.by_email(ANA)) == 2


@pytest.mark.parametrize("value", ["f" * 49, "F" * 50, "g" * 50, "f" * 50 + ";", "", "\u0661" * 50])
async def test_a_device_s_cookie_that_we_did_not_make_is_not_believed(house, value):
    headers = {"cookie": f"{DEVICE_COOKIE}={value}".encode()}

    told = (await log_in(house, headers=headers)).json()

    assert told["fingerprint"] != value
    assert re.fullmatch(r"[0-9a-f]{50}", told["fingerprint"])


async def test_an_app_may_bring_its_own_fingerprint_which_no_cookie_repeats(house):
    answer = await log_in(house, fingerprint="of;the=app,itself")

    assert answer.json()["fingerprint"] == "of;the=app,itself"
    assert DEVICE_COOKIE not in cookies(answer)


# ---------------------------------------------------------------- remembering


async def test_a_password_is_kept_only_where_that_was_opened_too(house):
    refused = await log_in(house, remember=True)
    house.app(public_login=True, public_remember=True)
    kept = await log_in(house, remember=True)

    assert (refused.status_code, refused.json()["code"]) == (403, "remember_closed")
    assert kept.status_code == 200
    assert (await house.service.find(ANA)).secrets.password == PASSWORD
    assert house.sim.totals.requests["/api/login"] == 1


async def test_the_operator_may_have_any_password_kept(house):
    await log_in(house, by=house.operator, remember=True)

    assert (await house.service.find(ANA)).secrets.password == PASSWORD


# ---------------------------------------------------------------- rubbish


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Email and password are required"),
        ({"email": ANA}, "Email and password are required"),
        ({"email": "", "password": PASSWORD}, "Email and password are required"),
        ({"email": ANA, "password": None}, "Email and password are required"),
        ({"email": 5, "password": PASSWORD}, "Invalid email or password format"),
        ({"email": ANA, "password": ["x"]}, "Invalid email or password format"),
        ({"email": {"$ne": 1}, "password": {"$ne": 1}}, "Invalid email or password format"),
        ({"email": ANA, "password": "x" * 1025}, "Invalid email or password format"),
        ({"email": ANA, "password": "\ud800"}, "Invalid email or password format"),
        ({"email": ANA, "password": "a\0b"}, "Invalid email or password format"),
        ({"email": "ana", "password": PASSWORD}, "Invalid email format"),
        ({"email": "ana@ex ample.com", "password": PASSWORD}, "Invalid email format"),
        ({"email": "ana@example.com\r\nx-evil: 1", "password": PASSWORD}, "Invalid email format"),
        ({"email": "a" * 256 + "@example.com", "password": PASSWORD}, "Invalid email format"),
        ({"email": ANA, "password": PASSWORD, "remember": "yes"}, "remember must be true or false."),
        (
            {"email": ANA, "password": PASSWORD, "fingerprint": "f\r\nset-cookie: x=1"},
            "fingerprint must be 1 to 200 plain characters without spaces.",
        ),
        (
            {"email": ANA, "password": PASSWORD, "fingerprint": 7},
            "fingerprint must be 1 to 200 plain characters without spaces.",
        ),
    ],
)
async def test_rubbish_is_refused_in_the_words_of_the_original_and_reaches_nobody(house, given, sentence):
    body, headers = json.dumps(given), {"content-type": "application/json"}
    answer = await house.ask("POST", LOGIN, content=body, headers=headers)

    assert (answer.status_code, answer.json()["error"], answer.json()["code"]) == (400, sentence, "bad_request")
    assert house.sim.totals.requests["/api/login"] == 0
    assert cookies(answer) == {}


# ---------------------------------------------------------------- who is known is not told


async def test_an_e_mail_that_is_kept_here_is_answered_like_one_nobody_knows(house):
    await log_in(house, by=house.operator)
    await log_in(house, by=house.operator, fingerprint="another")

    async def tried(email):
        caller = house.caller(f"203.0.113.{50 + len(email) % 100}")
        before = house.sim.totals.requests.total(), house.clock.monotonic()
        answer = await log_in(house, email, "wrong", caller=caller)
        work = house.sim.totals.requests.total() - before[0], house.clock.monotonic() - before[1]
        return answer.status_code, answer.json(), sorted(answer.headers.items()), work

    assert await tried(ANA) == await tried("nobody.is.this@example.com")


async def test_each_login_is_told_in_the_log_of_events_and_no_failure_fills_it(house):
    await log_in(house, password="wrong")
    await log_in(house)
    await log_in(house, by=house.operator, fingerprint="another")

    told = [(fact.kind, fact.data.get("by")) for _, fact in await house.service.store.http.feed.after(Place(0, 0), 100)]

    assert told == [(EventKind.LOGGED_IN, "public login"), (EventKind.LOGGED_IN, None)]


# ---------------------------------------------------------------- other sites' pages


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_a_form_of_another_site_can_send_is_no_login(house, content_type):
    body = b'{"email": "ana@example.com", "password": "correct horse"}'

    answer = await house.ask("POST", LOGIN, content=body, headers={"content-type": content_type})

    assert (answer.status_code, answer.json()["code"]) == (415, "not_json")
    assert cookies(answer) == {}


async def test_another_site_s_page_logs_nobody_in(house):
    answer = await log_in(house, headers={"sec-fetch-site": "cross-site", "origin": "https://evil.example"})

    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    assert house.sim.totals.requests["/api/login"] == 0


async def test_a_member_who_hangs_up_while_he_logs_in_is_logged_in_all_the_same(house):
    house.sim.faults = Faults(latency=2.0)
    waiting = asyncio.create_task(house.caller().post(LOGIN, json={"email": ANA, "password": PASSWORD}))
    await house.clock.run(1)

    waiting.cancel()
    await house.clock.run(10)

    session = await house.service.find(ANA)
    assert session.token.text == house.truth(session).token
    assert session.setrefresh_count == 1
    assert timedelta(0) < session.deadline_at - house.clock.now()
