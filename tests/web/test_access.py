"""Who may do what: each route by each kind of caller."""

import pytest

from aimkeeper.web.access import PAGE_COOKIE, Access
from aimkeeper.web.app import make_app

CALLERS = {
    "nobody": {},
    "an empty bearer": {"headers": {"authorization": "Bearer "}},
    "a wrong bearer": {"headers": {"authorization": "Bearer the operator's own kez"}},
    "the key by another scheme": {"headers": {"authorization": "Basic the operator's own key"}},
    "a bearer that is no text": {"headers": {"authorization": b"Bearer \xff\xfe"}},
    "a page signed by nobody": {"headers": {"cookie": f"{PAGE_COOKIE}=99999999999.{'0' * 64}"}},
    "a page cookie of rubbish": {"headers": {"cookie": f"{PAGE_COOKIE}=\u0661.x".encode()}},
    "cron": {"headers": {"authorization": "Bearer the cron's own secret"}},
    "operator": {"headers": {"authorization": "Bearer the operator's own key"}},
    "operator, in small letters": {"headers": {"authorization": "bearer the operator's own key"}},
    "page": "page",
}
OPERATOR = {"operator", "operator, in small letters"}
ROUTES = {
    "POST /api/tokenUpdate": set(CALLERS),  # whoever holds a token; without one, 400
    "GET /api/tokenUpdate?action=stats": OPERATOR | {"cron", "page"},
    "GET /api/tokenUpdate?action=bulk-update": OPERATOR | {"cron"},
    "POST /api/tokenUpdate?action=bulk-update": OPERATOR | {"cron"},
    "GET /api/tokenUpdate": OPERATOR | {"cron"},
    "POST /api/cron/refresh-tokens": OPERATOR | {"cron"},
    "GET /api/sessions": OPERATOR | {"page"},
    "GET /metrics": OPERATOR,
    "GET /": {"page"},
    "GET /healthz": set(CALLERS),
    "GET /readyz": set(CALLERS),
    "GET /openapi.json": set(CALLERS),
    "GET /docs": set(CALLERS),
}


def page_cookie(house, **changes):
    cookie = Access((house.operator,), None).page_cookie(house.clock.now(), secure=False)
    return {"headers": {"cookie": f"{PAGE_COOKIE}={changes.get('value', cookie.value)}"}}


@pytest.mark.parametrize("route", ROUTES)
async def test_only_those_who_may_get_in_and_all_others_get_401(house, route):
    method, path = route.split()
    let_in = set()
    for name, how in CALLERS.items():
        answer = await house.ask(method, path, **(page_cookie(house) if how == "page" else how))
        assert answer.status_code in (200, 400, 401), (name, answer.text)
        if answer.status_code != 401:
            let_in.add(name)

    assert let_in == ROUTES[route]


async def test_who_is_not_let_in_is_told_by_which_key_and_nothing_else(house):
    await house.log_in()

    answer = await house.ask("GET", "/api/sessions")

    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {
        "success": False,
        "error": "sign in with a link from `aimkeeper open`, or send the operator's key as a bearer.",
        "code": "unauthorized",
    }


async def test_every_one_of_several_operator_keys_opens_while_they_are_changed(house):
    old, new = "the old key of the operator", "the new key of the operator"
    app = make_app(house.service, Access((new, old), None), house.telemetry)
    page = Access((old,), None).page_cookie(house.clock.now(), secure=False)

    answers = [await house.ask("GET", "/api/sessions", by=key, caller=house.caller(app=app)) for key in (old, new)]
    with_page = await house.ask(
        "GET", "/api/sessions", caller=house.caller(app=app), headers={"cookie": f"{PAGE_COOKIE}={page.value}"}
    )

    assert [answer.status_code for answer in (*answers, with_page)] == [200, 200, 200]


@pytest.mark.parametrize("after", [12 * 3600 + 1, 365 * 86400])
async def test_the_page_s_cookie_is_good_for_twelve_hours(house, after):
    cookie = page_cookie(house)
    assert (await house.ask("GET", "/api/sessions", **cookie)).status_code == 200

    house.clock.advance(after)

    assert (await house.ask("GET", "/api/sessions", **cookie)).status_code == 401


async def test_the_page_s_cookie_can_not_be_made_to_last_longer(house):
    value = Access((house.operator,), None).page_cookie(house.clock.now(), secure=False).value
    until, _, signature = value.partition(".")

    answer = await house.ask("GET", "/api/sessions", **page_cookie(house, value=f"{int(until) + 1}.{signature}"))

    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["key", "api_key", "token", "access_token", "authorization"])
async def test_no_key_in_an_address_opens_anything(house, name):
    answer = await house.ask("GET", "/api/sessions", params={name: house.operator})

    assert answer.status_code == 401


async def test_the_page_s_cookie_is_no_bearer(house):
    value = Access((house.operator,), None).page_cookie(house.clock.now(), secure=False).value

    answer = await house.ask("POST", "/api/cron/refresh-tokens", by=value)

    assert answer.status_code == 401
