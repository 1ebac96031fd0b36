"""How often a login may go wrong, how many may stand in line, how many sessions an account may have."""

import asyncio
import math

import pytest

from aimkeeper.simulator import Faults, Rules
from aimkeeper.web import limits
from aimkeeper.web.auth import MOST_SESSIONS

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


# ---------------------------------------------------------------- failures


async def test_a_refused_password_says_how_many_tries_are_left(house):
    left = [(await log_in(house, password="wrong")).json() for _ in range(5)]

    assert [told["remainingAttempts"] for told in left] == [4, 3, 2, 1, 0]
    assert {(told["success"], told["code"]) for told in left} == {(False, "bad_credentials")}


async def test_after_five_failures_from_one_address_for_one_e_mail_even_the_right_password_waits(house):
    for _ in range(5):
        await log_in(house, password="wrong")
    asked = house.sim.totals.requests["/api/login"]

    answer = await log_in(house)

    told = answer.json()
    assert (answer.status_code, told["code"]) == (429, "too_many_attempts")
    assert (told["rateLimited"], told["minutesRemaining"], answer.headers["retry-after"]) == (True, 15, "900")
    assert told["error"] == "Too many failed attempts. Please try again in 15 minutes."
    assert house.sim.totals.requests["/api/login"] == asked


async def test_fifteen_minutes_after_the_first_failure_there_is_one_more_try_and_no_more(house):
    for seconds in (0, 60, 60, 60, 60):
        house.clock.advance(seconds)
        await log_in(house, password="wrong")
    house.clock.advance(15 * 60 - 4 * 60 + 1)

    tries = [(await log_in(house, password="wrong")).status_code for _ in range(2)]

    assert tries == [401, 429]


async def test_a_good_login_forgets_the_failures_before_it(house):
    for _ in range(4):
        await log_in(house, password="wrong")
    await log_in(house)

    told = (await log_in(house, password="wrong")).json()

    assert told["remainingAttempts"] == 4


async def test_many_at_once_can_not_outrun_the_count(house):
    caller = house.caller()
    given = {"email": ANA, "password": "wrong"}

    answers = await house.clock.finish(asyncio.gather(*(caller.post(LOGIN, json=given) for _ in range(30))))

    assert sorted({answer.status_code for answer in answers}) == [401, 429]
    assert house.sim.totals.requests["/api/login"] == 5


async def test_one_address_may_fail_for_twenty_e_mails_and_no_more(house):
    tries = [(await log_in(house, f"m{number}@example.com", "wrong")).status_code for number in range(22)]
    elsewhere = await log_in(house, "m30@example.com", "wrong", caller=house.caller("198.51.100.7"))

    assert tries == [401] * limits.FAILURES_OF_ADDRESS + [429] * 2
    assert elsewhere.status_code == 401


async def test_all_addresses_together_may_fail_a_hundred_times_and_no_more(house):
    statuses = []
    for number in range(limits.FAILURES_OF_ALL + 1):
        caller = house.caller(f"198.51.{number}.7")
        statuses.append((await log_in(house, f"m{number}@example.com", "wrong", caller=caller)).status_code)
    operator = await log_in(house, by=house.operator)

    assert statuses == [401] * limits.FAILURES_OF_ALL + [429]
    assert operator.status_code == 200


async def test_one_household_of_ipv6_counts_as_one_address(house):
    tries = []
    for number in range(limits.FAILURES_OF_ADDRESS + 1):
        caller = house.caller(f"2001:db8:1:2::{number:x}")
        tries.append((await log_in(house, f"m{number}@example.com", "wrong", caller=caller)).status_code)

    assert tries[-2:] == [401, 429]


async def test_a_login_the_site_could_not_judge_does_not_count(house):
    house.sim.faults = Faults(error_500=1.0, paths=("/api/login",))
    unjudged = [(await log_in(house)).status_code for _ in range(6)]
    house.sim.faults = Faults()

    told = (await log_in(house, password="wrong")).json()

    assert unjudged == [503] * 6
    assert told["remainingAttempts"] == 4


async def test_an_account_that_the_site_has_locked_out_counts_and_says_for_how_long(house):
    house.sim.rules = Rules(lockout_after=2)
    statuses = [(await log_in(house, password="wrong")).status_code for _ in range(2)]

    answer = await log_in(house)

    told = answer.json()
    assert statuses == [401, 401]
    assert (answer.status_code, told["code"], told["rateLimited"]) == (429, "locked_out", True)
    assert told["minutesRemaining"] == math.ceil(int(answer.headers["retry-after"]) / 60) > 1


async def test_an_address_the_site_refuses_is_told_that_nobody_judged_the_password(house):
    house.sim.rules = Rules(forbid=True)

    answer = await log_in(house)

    assert (answer.status_code, answer.json()["code"]) == (403, "upstream_refused")
    assert "not judged" in answer.json()["error"]


async def test_a_public_login_does_not_stand_in_a_line_without_end(house):
    pace = house.service.keeper.login_pace
    pace.share_among(100)  # one a second
    pace.take(60)

    public = await log_in(house)
    own = await log_in(house, by=house.operator)

    assert (public.status_code, public.json()["code"]) == (503, "upstream_unavailable")
    assert 10 < int(public.headers["retry-after"]) <= 70
    assert own.status_code == 200


# ---------------------------------------------------------------- ten sessions an account


async def test_an_account_has_at_most_ten_sessions_and_an_eleventh_ends_none_of_them(house):
    for number in range(MOST_SESSIONS):
        assert (await log_in(house, fingerprint=f"device-{number}")).status_code == 200

    eleventh = await log_in(house, fingerprint="device-10")
    known = await log_in(house, fingerprint="device-3")

    assert (eleventh.status_code, eleventh.json()["code"]) == (409, "too_many_sessions")
    assert "set-cookie" not in eleventh.headers
    assert known.status_code == 200
    assert len(await house.service.store.by_email(ANA)) == MOST_SESSIONS


async def test_whoever_does_not_know_the_password_is_not_told_of_the_ten(house):
    for number in range(MOST_SESSIONS):
        await log_in(house, fingerprint=f"device-{number}")

    answer = await log_in(house, password="wrong", fingerprint="device-10")

    assert (answer.status_code, answer.json()["code"]) == (401, "bad_credentials")
