"""Attacks, each a test: what a stranger, another member, a thief of an old token or a hostile page may try."""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from random import Random

import httpx
import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Status
from aimkeeper.service import Surroundings, open_service
from aimkeeper.simulator import Faults, Rules
from aimkeeper.telemetry import Telemetry
from aimkeeper.web.access import CSRF_HEADER, Access
from aimkeeper.web.app import ROUTES, make_app
from aimkeeper.web.bodies import MAX_BODY
from aimkeeper.web.terms import Terms

NOT_FOUND = "No active session found for provided token"


# ---------------------------------------------------------------- tokens of others, and old ones


async def test_a_token_of_one_with_the_fingerprint_of_another_opens_neither(house):
    ana, berta = await house.log_in(), await house.log_in("berta@example.com")

    crossed = [
        await house.exchange(ana.token.text, berta.fingerprint),
        await house.exchange(berta.token.text, ana.fingerprint),
    ]

    assert [(answer.status_code, answer.json()["error"]) for answer in crossed] == [(404, NOT_FOUND)] * 2
    assert (house.truth(ana).rotations, house.truth(berta).rotations) == (0, 0)


async def test_an_old_token_after_its_successor_was_presented_is_a_second_party_and_an_event_says_so(house):
    session = await house.log_in()
    first = (await house.exchange(session.token.text, session.fingerprint)).json()["newToken"]
    house.clock.advance(120)
    await house.exchange(first, session.fingerprint)

    thief = await house.exchange(session.token.text, session.fingerprint, caller=house.caller("198.51.100.66"))

    assert (thief.status_code, thief.json()["code"]) == (409, "holder_conflict")
    told = [fact.kind for fact in await house.service.store.events_of(session.id)]
    assert told.count(EventKind.HOLDER_CONFLICT) == 1
    assert house.truth(session).alive


async def test_an_old_token_outside_the_heal_window_is_one_nobody_knows(house):
    session = await house.log_in()
    await house.exchange(session.token.text, session.fingerprint)
    house.clock.advance(24 * 3600 + 1)

    answer = await house.exchange(session.token.text, session.fingerprint)

    assert (answer.status_code, answer.json()["error"]) == (404, NOT_FOUND)


async def test_a_token_that_was_never_handed_out_opens_nothing_once_it_is_spent(house):
    session = await house.log_in()
    taken = session.token.text  # seen on its way to AimHarder, say, and never by a holder
    house.clock.advance(900)
    await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)

    answer = await house.exchange(taken, session.fingerprint)

    assert house.truth(session).rotations == 1
    assert (answer.status_code, answer.json()["error"]) == (404, NOT_FOUND)


# ---------------------------------------------------------------- passwords tried through two processes


async def test_brute_force_across_two_processes_counts_as_one(house, tmp_path):
    house.sim.rules = Rules(lockout_after=0)
    house.sim.add_account("ana@example.com", "correct horse")
    async with AsyncExitStack() as stack:
        callers = []
        for number in range(2):
            dice = Random(number)
            around = Surroundings(clock=house.clock, dice=dice, random_bytes=dice.randbytes, app=house.sim, inline=True)
            service = await stack.enter_async_context(open_service(house.service.settings, surroundings=around))
            house.clock.busy.append(lambda service=service: service.upstream.in_flight > house.sim.waiting)
            access = Access((house.operator,), None, Terms(public_login=True))
            callers.append(house.caller(app=make_app(service, access, Telemetry(service))))
        given = {"email": "ana@example.com", "password": "wrong"}

        statuses = [
            (await house.ask("POST", "/api/auth/login", json=given, caller=callers[number % 2])).status_code
            for number in range(8)
        ]
        right = await house.ask(
            "POST", "/api/auth/login", json=given | {"password": "correct horse"}, caller=callers[1]
        )

    assert statuses == [401] * 5 + [429] * 3
    assert right.status_code == 429
    assert house.sim.totals.requests["/api/login"] == 5


async def test_the_operator_s_key_can_not_be_tried_without_end(house):
    tries = [(await house.ask("POST", "/sign-in", data={"key": f"wrong key {n}"})).status_code for n in range(11)]

    right = await house.ask("POST", "/sign-in", data={"key": house.operator})
    elsewhere = await house.ask("POST", "/sign-in", data={"key": house.operator}, caller=house.caller("198.51.100.7"))

    assert tries == [401] * 10 + [429]
    assert (right.status_code, "set-cookie" in right.headers) == (429, False)
    assert elsewhere.status_code == 303


# ---------------------------------------------------------------- a hostile page, while the operator's is open

FORMS = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
WRITES = [
    (method, path.replace("{session_id:str}", "{id}"))
    for route in ROUTES
    for path in route.paths
    for method in route.http_methods
    if method in ("POST", "DELETE") and path.startswith(("/api/sessions", "/api/verdicts", "/api/pause", "/api/resume"))
]

# What the operator's own page may not do either, with whatever token.
BY_KEY_ONLY = "/api/sessions/{id}/bearers"


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_a_hostile_page_changes_nothing_even_in_a_browser_that_sends_every_cookie_along(house, method, path):
    session = await house.log_in()
    page = house.page()
    page.pop(CSRF_HEADER)
    hostile = page | {
        "origin": "https://evil.example",
        "referer": "https://evil.example/",
        "sec-fetch-site": "cross-site",
    }
    grant = house.sim.open_session("eve@example.com", "e" * 50).record()

    answers = [
        await house.ask(
            method, path.format(id=session.id), headers=hostile | {"content-type": kind}, content=json.dumps(grant)
        )
        for kind in (*FORMS, "application/json")
    ]

    refusal = (401, "unauthorized") if path == BY_KEY_ONLY else (403, "csrf")
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {refusal}
    assert not any("access-control-allow-origin" in answer.headers for answer in answers)
    assert len(await house.service.store.page(None, 10)) == 1
    assert (await house.service.store.get(session.id)).status is Status.ACTIVE
    assert (await house.service.keeper.breaker.look(afresh=True)).paused_at is None


async def test_a_hostile_page_can_read_neither_a_list_nor_the_page_s_own_token(house):
    headers = house.page() | {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}

    preflight = await house.ask("OPTIONS", "/api/status", headers=headers | {"access-control-request-method": "GET"})
    answer = await house.ask("GET", "/api/status", headers=headers)
    page = await house.ask("GET", "/", headers=headers)

    for told in (preflight, answer, page):
        assert not [name for name in told.headers if name.startswith("access-control-")]
        assert told.headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


async def test_no_get_of_a_hostile_page_s_images_and_links_changes_anything(house):
    session = await house.log_in()
    before = await house.service.store.get(session.id)
    gets = [path for route in ROUTES for path in route.paths if "GET" in route.http_methods]

    for path in gets:
        await house.ask("GET", path.replace("{session_id:str}", session.id), headers=house.page())
        await house.ask("GET", "/api/tokenUpdate?action=bulk-update", headers=house.page())

    assert await house.service.store.get(session.id) == before
    assert house.sim.totals.requests["/api/tokenUpdate"] == 0


async def test_the_page_s_own_token_lets_its_writes_in(house):
    session = await house.log_in()
    page = await house.ask("GET", "/", headers=house.page())
    token = page.text.partition('name="csrf-token" content="')[2].partition('"')[0]
    status = (await house.ask("GET", "/api/status", headers=house.page())).json()

    answer = await house.ask(
        "DELETE", f"/api/sessions/{session.id}", headers={"cookie": house.page()["cookie"], CSRF_HEADER: token}
    )

    assert token == status["csrf_token"] == house.page()[CSRF_HEADER]
    assert answer.status_code == 200


# ---------------------------------------------------------------- bodies

JSON_ROUTES = [
    ("/api/auth/login", {}),
    ("/api/auth/claim", {}),
    ("/api/sessions", {"authorization": "Bearer the operator's own key"}),
    ("/api/pause", {"authorization": "Bearer the operator's own key"}),
    ("/api/verdicts/accept", {"authorization": "Bearer the operator's own key"}),
]
DEEP = 10_000
RUBBISH = {
    "lists in lists": b"[" * DEEP + b"]" * DEEP,
    "objects in objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "unclosed depth": b'{"email":' + b"[" * DEEP,
    "a name twice": b'{"email": "ana@example.com", "email": "eve@example.com", "password": "x"}',
    "a name twice, deep inside": b'{"cookies": [{"name": "a", "name": "b", "value": "c"}]}',
    "no object": b'"text"',
    "not a number": b'{"email": NaN}',
    "a number without end": b'{"email": 1' + b"0" * 5000 + b"}",
    "half": b'{"email": "ana@exa',
    "bytes": b"\xff\xfe\x00",
    "another coding": '{"email": "a"}'.encode("utf-16"),
}


@pytest.mark.parametrize(("path", "headers"), JSON_ROUTES, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("what", RUBBISH)
async def test_a_body_that_is_no_plain_object_is_refused_and_is_no_fault(house, path, headers, what):
    house.app(public_login=True)

    answer = await house.ask(
        "POST", path, content=RUBBISH[what], headers=headers | {"content-type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize(("path", "headers"), JSON_ROUTES, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("lies", [False, True], ids=["announced", "not announced"])
async def test_a_body_above_sixty_four_kibibytes_is_refused(house, path, headers, lies):
    house.app(public_login=True)
    body = b'{"a": "' + b"a" * MAX_BODY + b'"}'

    async def in_parts():
        for start in range(0, len(body), 1024):
            yield body[start : start + 1024]

    answer = await house.ask(
        "POST", path, content=in_parts() if lies else body, headers=headers | {"content-type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


# ---------------------------------------------------------------- headers smuggled in


@pytest.mark.parametrize("smuggled", ["\r\nset-cookie: evil=1", "\nx-evil: 1", "\r\n\r\n<script>", "\u2028", "\0"])
@pytest.mark.parametrize("field", ["email", "fingerprint", "token", "ref"])
async def test_no_header_is_smuggled_in_by_what_somebody_gives_himself_for(house, smuggled, field):
    given = house.sim.open_session("eve@example.com", "e" * 50).record()
    given[field] = (given.get(field) or "x") + smuggled + "x"

    answer = await house.ask("POST", "/api/sessions", json=given, by=house.operator)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "evil" not in str(answer.headers)
    assert smuggled not in answer.text
    assert await house.service.store.page(None, 10) == []


# ---------------------------------------------------------------- a bot's bearer


async def test_a_bot_s_bearer_opens_its_own_session_and_no_other(house):
    ana, berta = await house.log_in(), await house.log_in("berta@example.com")
    bearer = await house.service.store.http.bots.issue(ana.id, timedelta(hours=1))

    own = await house.ask("GET", f"/api/sessions/{ana.id}/credentials", by=bearer)
    other = await house.ask("GET", f"/api/sessions/{berta.id}/credentials", by=bearer)
    nobody = await house.ask("GET", "/api/sessions/no-such-session/credentials", by=bearer)

    assert (own.status_code, own.json()["token"]) == (200, ana.token.text)
    assert (other.status_code, other.json()) == (403, nobody.json())
    assert berta.token.text not in other.text


@pytest.mark.parametrize("how", ["its time is over", "it is revoked", "its session is logged out", "it is forgotten"])
async def test_a_bot_s_bearer_ends_with_its_time_and_its_session_and_when_it_is_revoked(house, how):
    session = await house.log_in()
    bearer = await house.service.store.http.bots.issue(session.id, timedelta(minutes=5))
    path = f"/api/sessions/{session.id}/credentials"
    before = await house.ask("GET", path, by=bearer)

    if how == "its time is over":
        house.clock.advance(301)
    elif how == "it is revoked":
        await house.service.store.http.bots.revoke(bearer)
    elif how == "its session is logged out":
        await house.service.entry.log_out(session)
    else:
        await house.service.entry.forget(session)

    assert before.status_code == 200
    assert (await house.ask("GET", path, by=bearer)).status_code == 401


async def test_of_a_bot_s_bearer_the_store_knows_the_hash_only(house):
    session = await house.log_in()
    bearer = await house.service.store.http.bots.issue(session.id, timedelta(minutes=5))

    stored = b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file())

    assert bearer.startswith("aimkeeper-bot-")
    assert bearer.encode() not in stored


# ---------------------------------------------------------------- too often


async def test_a_stranger_can_not_try_tokens_without_end_and_a_member_is_not_kept_out_for_it(house):
    session = await house.log_in()
    tries = [(await house.exchange(f"1|2|{n}", "f" * 50)).status_code for n in range(62)]

    stranger = await house.exchange("1|2|3", "f" * 50)
    member = await house.exchange(session.token.text, session.fingerprint, caller=house.caller("198.51.100.7"))

    assert tries == [404] * 60 + [429] * 2
    assert (stranger.json()["code"], int(stranger.headers["retry-after"])) == ("too_many_requests", 1)
    assert member.status_code == 200


async def test_fifty_at_once_and_young_answers_do_not_count_against_a_session(house):
    session = await house.log_in()
    caller = house.caller()
    given = {"fingerprint": session.fingerprint, "token": session.token.text}

    async def all_at_once(token):
        asked = (caller.post("/api/tokenUpdate", json=given | {"token": token}) for _ in range(50))
        return await house.clock.finish(asyncio.gather(*asked))

    shared = await all_at_once(session.token.text)
    young = [await all_at_once(shared[0].json()["newToken"]) for _ in range(5)]

    assert {answer.status_code for answers in (shared, *young) for answer in answers} == {200}
    assert house.sim.totals.requests["/api/tokenUpdate"] == 1


async def test_a_session_has_aimharder_asked_ten_times_a_minute_and_no_more(house):
    session, [other] = await house.log_in(), await house.adopt("zoe@example.com")
    house.sim.faults = Faults(retry_after=120)
    house.sim.next("rate_limited", times=50)  # so that none of them waits

    told = [await house.exchange(session.token.text, session.fingerprint) for _ in range(12)]
    another = await house.exchange(other.token.text, other.fingerprint)
    house.clock.advance(7)
    later = await house.exchange(session.token.text, session.fingerprint)

    assert [answer.json()["code"] for answer in told] == ["rate_limited"] * 10 + ["too_many_requests"] * 2
    assert int(told[-1].headers["retry-after"]) == 6
    assert [answer.json()["code"] for answer in (another, later)] == ["rate_limited"] * 2


async def test_every_429_says_when_to_come_again(house):
    house.app(public_login=True)
    house.sim.rules = Rules(lockout_after=0)
    house.sim.add_account("ana@example.com", "correct horse")
    refused: list[httpx.Response] = []
    for _ in range(70):
        refused += [
            await house.exchange("1|2|3", "f" * 50),
            await house.ask("POST", "/api/auth/login", json={"email": "ana@example.com", "password": "x"}),
            await house.ask("POST", "/api/auth/claim", headers={"cookie": "amhrdrauth=1|2|3"}),
            await house.ask("POST", "/sign-in", data={"key": "x"}),
        ]

    refused = [answer for answer in refused if answer.status_code == 429]

    assert {answer.request.url.path for answer in refused} == {
        "/api/tokenUpdate",
        "/api/auth/login",
        "/api/auth/claim",
        "/sign-in",
    }
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
