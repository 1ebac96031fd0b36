"""Bearers and cookies: what opens, for how long, and what is told to those who are kept out."""

import pytest

from aimkeeper.web.access import PAGE_COOKIE, Access


def page_cookie(house, value=None):
    value = value or Access((house.operator,), None).page_cookie(house.clock.now(), secure=False).value
    return {"headers": {"cookie": f"{PAGE_COOKIE}={value}"}}


@pytest.mark.parametrize(
    "header",
    [b"Bearer \xff\xfe", b"Bearer", b"bearer  ", b"Bearer \xc3\xa9", b"Bearer a b", b"Bearer " + b"x" * 5000],
    ids=["bytes", "nothing", "blanks", "other letters", "two words", "very long"],
)
async def test_a_bearer_that_is_no_key_is_a_wrong_one_and_no_fault(house, header):
    answer = await house.ask("GET", "/api/sessions", headers={"authorization": header})

    assert answer.status_code == 401


@pytest.mark.parametrize("value", ["\u0661.x".encode(), b"", b".", b"9" * 13 + b"." + b"0" * 64, b"-1.x", b"1e9.x"])
async def test_a_page_s_cookie_of_rubbish_opens_nothing_and_is_no_fault(house, value):
    answer = await house.ask("GET", "/api/sessions", headers={"cookie": PAGE_COOKIE.encode() + b"=" + value})

    assert answer.status_code == 401


async def test_the_scheme_of_a_bearer_may_be_written_in_small_letters(house):
    answer = await house.ask("GET", "/api/sessions", headers={"authorization": f"bearer {house.operator}"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "sentence"),
    [
        ("GET", "/api/sessions", "sign in with a link from `aimkeeper open`, or send the operator's key as a bearer."),
        ("POST", "/api/cron/refresh-tokens", "send the operator's key or the cron secret as a bearer."),
        ("GET", "/api/auth/session", "log in."),
        ("GET", "/api/auth/refresh", "log in, or send the operator's key as a bearer."),
        ("GET", "/metrics", "send the operator's key as a bearer."),
        (
            "GET",
            "/api/sessions/x/credentials",
            "send the operator's key or what `aimkeeper lend` printed as a bearer.",
        ),
    ],
)
async def test_who_is_not_let_in_is_told_by_what_he_would_be_and_nothing_else(house, method, path, sentence):
    await house.log_in()

    answer = await house.ask(method, path)

    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {"success": False, "error": sentence, "code": "unauthorized"}


async def test_every_one_of_several_operator_keys_opens_while_they_are_changed(house):
    old, new = "the old key of the operator", "the new key of the operator"
    house.app(keys=(new, old))
    page = Access((old,), None).page_cookie(house.clock.now(), secure=False)

    answers = [await house.ask("GET", "/api/sessions", by=key) for key in (old, new)]
    with_page = await house.ask("GET", "/api/sessions", **page_cookie(house, page.value))

    assert [answer.status_code for answer in (*answers, with_page)] == [200, 200, 200]


async def test_the_page_s_cookie_dies_with_the_key_it_was_made_with(house):
    cookie = page_cookie(house)
    assert (await house.ask("GET", "/api/sessions", **cookie)).status_code == 200

    house.app(keys=("another key of the operator's",))

    assert (await house.ask("GET", "/api/sessions", **cookie)).status_code == 401


@pytest.mark.parametrize("after", [12 * 3600 + 1, 365 * 86400])
async def test_the_page_s_cookie_is_good_for_twelve_hours(house, after):
    cookie = page_cookie(house)
    assert (await house.ask("GET", "/api/sessions", **cookie)).status_code == 200

    house.clock.advance(after)

    assert (await house.ask("GET", "/api/sessions", **cookie)).status_code == 401


async def test_the_page_s_cookie_can_not_be_made_to_last_longer(house):
    value = Access((house.operator,), None).page_cookie(house.clock.now(), secure=False).value
    until, _, signature = value.partition(".")

    answer = await house.ask("GET", "/api/sessions", **page_cookie(house, f"{int(until) + 1}.{signature}"))

    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["key", "api_key", "token", "access_token", "authorization"])
async def test_no_key_in_an_address_opens_anything(house, name):
    answer = await house.ask("GET", "/api/sessions", params={name: house.operator})

    assert answer.status_code == 401


async def test_the_page_s_cookie_is_no_bearer(house):
    value = Access((house.operator,), None).page_cookie(house.clock.now(), secure=False).value

    answer = await house.ask("POST", "/api/cron/refresh-tokens", by=value)

    assert answer.status_code == 401


async def test_a_page_reads_no_secret_wherever_it_looks(house):
    session = await house.log_in(remember=True)
    secrets = [session.token.text, "correct horse", *(cookie.value for cookie in session.jar.cookies)]
    paths = ["", "/api/status", "/api/sessions", f"/api/sessions/{session.id}", f"/api/sessions/{session.id}/rotations"]
    paths += [
        "/api/events",
        "/api/verdicts",
        "/api/tokenUpdate?action=stats",
        f"/api/sessions/{session.id}/credentials",
    ]

    told = [await house.ask("GET", path or "/", headers=house.page()) for path in paths]

    assert [answer.status_code for answer in told] == [200] * 8 + [401]
    assert not [secret for answer in told for secret in secrets if secret in answer.text]
