"""The table of who may do what: every route there is, by every method, for every kind of caller. 0 wrong admissions."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest

from aimkeeper.core.session import Status
from aimkeeper.serving import sign_in_link
from aimkeeper.web.access import CSRF_HEADER, MEMBER_COOKIE, PAGE_COOKIE
from aimkeeper.web.app import ROUTES

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
HOUR = timedelta(hours=1)


async def bearer(text):
    return {"authorization": f"Bearer {text}"}


async def whole(headers):
    return headers


async def without(headers, instead=None):
    kept = {name: value for name, value in headers.items() if name != CSRF_HEADER}
    return kept | ({CSRF_HEADER: instead} if instead else {})


async def member_without(house):
    return await without(await house.member(house.session))


async def revoked(house):
    secret = await house.service.store.http.bots.issue(house.session.id, HOUR)
    await house.service.store.http.bots.revoke(secret)
    return await bearer(secret)


async def expired(house):
    secret = await house.service.store.http.bots.issue(house.session.id, timedelta(seconds=1))
    house.clock.advance(1)
    return await bearer(secret)


CALLERS = {
    "nobody": lambda _: whole({}),
    "a wrong bearer": lambda house: bearer(house.operator[:-1] + "z"),
    "an empty bearer": lambda house: bearer(""),
    "the key by another scheme": lambda house: whole({"authorization": f"Basic {house.operator}"}),
    "the key as a cookie": lambda house: whole({"cookie": urlencode({PAGE_COOKIE: house.operator})}),
    "a wrong bearer with the page's cookie": lambda house: whole(house.page() | {"authorization": "Bearer x"}),
    "cron": lambda house: bearer(house.cron),
    "operator": lambda house: bearer(house.operator),
    "page": lambda house: whole(house.page()),
    "page without its token": lambda house: without(house.page()),
    "page with a made-up token": lambda house: without(house.page(), instead="0" * 64),
    "a page signed by nobody": lambda house: whole({"cookie": f"{PAGE_COOKIE}=99999999999.{'0' * 64}"}),
    "member": lambda house: house.member(house.session),
    "member without his token": member_without,
    "a member nobody knows": lambda house: whole({"cookie": f"{MEMBER_COOKIE}={'A' * 43}"}),
    "bot": lambda house: house.lent(house.session),
    "bot of another session": lambda house: house.lent(house.other),
    "bot whose bearer was revoked": revoked,
    "bot whose bearer is too old": expired,
    "a bot's bearer as a member's cookie": lambda house: house.lent_as_cookie(house.session),
}
EVERYBODY = set(CALLERS)
OPERATOR, CRON = {"operator"}, {"cron"}
PAGE_READS = {"page", "page without its token", "page with a made-up token"}
PAGE_WRITES = {"page"}
MEMBER_READS, MEMBER_WRITES = {"member", "member without his token"}, {"member"}

# By hand from the manual. What stands for nobody is open to whoever brings something in the body or the address.
MAY = {
    "GET /": PAGE_READS,
    "GET /sessions/{id}": PAGE_READS,
    "GET /docs": EVERYBODY,
    "GET /openapi.json": EVERYBODY,
    "GET /static/page.css": EVERYBODY,
    "GET /sign-in/made-up": set(),
    "POST /sign-in": set(),
    "POST /sign-out": PAGE_WRITES,
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /metrics": OPERATOR,
    "POST /api/tokenUpdate": EVERYBODY,
    "POST /api/tokenUpdate?action=bulk-update": OPERATOR | CRON,
    "GET /api/tokenUpdate": OPERATOR | CRON,
    "GET /api/tokenUpdate?action=bulk-update": OPERATOR | CRON,
    "GET /api/tokenUpdate?action=stats": OPERATOR | CRON | PAGE_READS,
    "POST /api/cron/refresh-tokens": OPERATOR | CRON,
    "POST /api/auth/login": OPERATOR | PAGE_WRITES,
    "POST /api/auth/aimharder": OPERATOR | PAGE_WRITES,
    "POST /api/auth/claim": set(),
    "GET /api/auth/session": MEMBER_READS,
    "GET /api/auth/session?token=1&email=ana@example.com": MEMBER_READS,
    "GET /api/auth/aimharder": MEMBER_READS,
    "POST /api/auth/logout": MEMBER_WRITES,
    "DELETE /api/auth/aimharder": MEMBER_WRITES,
    "GET /api/auth/refresh": MEMBER_READS | OPERATOR,
    "GET /api/auth/refresh?session={id}": MEMBER_READS | OPERATOR,
    "POST /api/auth/refresh": MEMBER_WRITES | OPERATOR,
    "GET /api/sessions": OPERATOR | PAGE_READS,
    "POST /api/sessions": OPERATOR | PAGE_WRITES,
    "GET /api/sessions/{id}": OPERATOR | PAGE_READS,
    "DELETE /api/sessions/{id}": OPERATOR | PAGE_WRITES,
    "GET /api/sessions/{id}/rotations": OPERATOR | PAGE_READS,
    "GET /api/sessions/{id}/credentials": OPERATOR | {"bot"},
    "POST /api/sessions/{id}/bearers": OPERATOR,
    "DELETE /api/sessions/{id}/bearers": OPERATOR,
    "POST /api/sessions/{id}/rotate": OPERATOR | PAGE_WRITES,
    "POST /api/sessions/{id}/check": OPERATOR | PAGE_WRITES,
    "POST /api/sessions/{id}/revive": OPERATOR | PAGE_WRITES,
    "GET /api/status": OPERATOR | PAGE_READS,
    "GET /api/series": OPERATOR | PAGE_READS,
    "GET /api/events": OPERATOR | PAGE_READS,
    "GET /api/verdicts": OPERATOR | PAGE_READS,
    "POST /api/verdicts/accept": OPERATOR | PAGE_WRITES,
    "POST /api/verdicts/retry": OPERATOR | PAGE_WRITES,
    "POST /api/pause": OPERATOR | PAGE_WRITES,
    "POST /api/resume": OPERATOR | PAGE_WRITES,
}
NAMES = {"/static/page.css": "/static/{name:path}", "/sign-in/made-up": "/sign-in/{code:str}"}


def path_of(route):
    return route.partition(" ")[2].partition("?")[0]


PATHS = sorted({path_of(route) for route in MAY})
# Whatever the table does not name must not be there at all.
TABLE = list(MAY) + [f"{method} {path}" for path in PATHS for method in METHODS if f"{method} {path}" not in MAY]


@pytest.fixture
async def house(house):
    house.session = await house.log_in()
    house.other = await house.log_in("berta@example.com")

    async def lent(session):
        return await bearer(await house.service.store.http.bots.issue(session.id, HOUR))

    async def lent_as_cookie(session):
        return {"cookie": f"{MEMBER_COOKIE}={await house.service.store.http.bots.issue(session.id, HOUR)}"}

    house.lent, house.lent_as_cookie = lent, lent_as_cookie
    return house


def test_the_table_names_every_route_there_is():
    there = {
        (method, path.replace("{session_id:str}", "{id}"))
        for route in ROUTES
        for path in route.paths
        for method in route.http_methods
        if method != "OPTIONS"
    }

    told = {(route.partition(" ")[0], NAMES.get(path_of(route), path_of(route))) for route in MAY}
    assert told - {("GET", "/docs")} == there


@pytest.mark.parametrize("route", TABLE)
async def test_only_those_who_may_get_in(house, route):
    # What is not there needs no clock to say so.
    ask = house.ask if route in MAY else house.caller().request
    wrong = []
    for name, who in CALLERS.items():
        known = await house.service.store.get(house.session.id)
        if known is None or known.status is Status.ENDED:
            house.session = await house.log_in()  # one who may end it was let in before
        method, path = route.replace("{id}", house.session.id).split()
        answer = await ask(method, path, headers=await who(house))
        if was_let_in(answer) != (name in MAY.get(route, ())):
            wrong.append((name, answer.status_code, answer.text))

    assert wrong == []


def was_let_in(answer):
    assert answer.status_code < 500, answer.text
    if answer.status_code not in (401, 403, 405, 429):
        return True
    assert "newToken" not in answer.text
    assert answer.json()["success"] is False if "json" in answer.headers["content-type"] else True
    return False


@pytest.mark.parametrize("route", ["GET /api/sessions/{id}", "GET /api/sessions/{id}/credentials", "GET /api/status"])
async def test_without_an_operator_s_key_its_routes_say_what_to_set(house, route):
    method, path = route.replace("{id}", house.session.id).split()
    house.app(keys=())

    answers = [await house.ask(method, path, by=key) for key in (None, house.operator, "", house.cron)]

    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json()["code"] for answer in answers} == {"no_operator_key"}
    assert "AIMKEEPER_API_KEY" in answers[0].json()["error"]


async def test_without_an_operator_s_key_cron_members_and_bots_go_on(house):
    house.app(keys=())

    told = [
        await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron),
        await house.ask("GET", "/api/auth/session", headers=await house.member(house.session)),
        await house.ask(
            "GET", f"/api/sessions/{house.session.id}/credentials", headers=await house.lent(house.session)
        ),
    ]

    assert [answer.status_code for answer in told] == [200, 200, 200]


async def test_without_a_key_no_page_opens_not_even_by_a_link_or_an_empty_key(house):
    house.app(keys=())

    link = await house.ask("GET", await sign_in_link(house.service, ""))
    key = await house.ask("POST", "/sign-in", data={"key": ""})
    forged = await house.ask("GET", "/", headers={"cookie": f"{PAGE_COOKIE}=99999999999.{'0' * 64}"})

    assert (link.status_code, link.json()["code"], "set-cookie" in link.headers) == (503, "no_operator_key", False)
    assert (key.status_code, forged.status_code) == (401, 401)
