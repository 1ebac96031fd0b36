"""Statistics and bulk update: what the original feature's automation asks for."""

import re

import pytest

from aimkeeper.simulator import Faults, Rules

BULK = [
    ("GET", "/api/tokenUpdate?action=bulk-update"),
    ("POST", "/api/tokenUpdate?action=bulk-update"),
    ("POST", "/api/cron/refresh-tokens"),
]


@pytest.fixture
async def fleet(house):
    """Three sessions that are due, and one logged out here."""
    sessions = await house.adopt("ana@example.com", "berta@example.com", "carlos@example.com", "dora@example.com")
    await house.service.entry.log_out(sessions[3])
    house.clock.advance(5)
    return sessions[:3]


async def test_statistics_count_the_living_the_rotated_the_failing_and_the_ended(house, fleet):
    house.sim.next("rate_limited", times=100, session=("ana@example.com", "f" * 50))
    await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)

    answer = await house.ask("GET", "/api/tokenUpdate?action=stats", by=house.operator)

    told = answer.json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("timestamp"))
    assert told == {
        "success": True,
        "tokenUpdateStats": {"totalSessions": 3, "recentlyUpdated": 3, "failedUpdates": 1},
        "sessionStats": {"total": 4, "active": 3, "expired": 1},
        "standing": {"overdue": 0, "atRisk": 0, "lowestSlackSeconds": 5395},
    }


async def test_statistics_of_an_empty_house_are_zeros(house):
    told = (await house.ask("GET", "/api/tokenUpdate?action=stats", by=house.operator)).json()

    assert told["tokenUpdateStats"] == {"totalSessions": 0, "recentlyUpdated": 0, "failedUpdates": 0}
    assert told["sessionStats"] == {"total": 0, "active": 0, "expired": 0}
    assert told["standing"] == {"overdue": 0, "atRisk": 0, "lowestSlackSeconds": None}


@pytest.mark.parametrize(("method", "path"), BULK, ids=["get", "post", "the cron's own route"])
async def test_a_bulk_update_rotates_what_is_due_and_counts_it(house, fleet, method, path):
    answer = await house.ask(method, path, by=house.cron)

    told = answer.json()
    assert (answer.status_code, told["success"]) == (200, True)
    assert told["results"] == {
        "processed": 3,
        "successful": 3,
        "failed": 0,
        "loggedOut": 0,
        "skipped": 0,
        "remaining": 0,
        "errors": [],
    }
    assert [house.truth(session).rotations for session in fleet] == [1, 1, 1]


async def test_a_bulk_update_takes_what_is_due_within_half_an_interval_and_no_more(house, fleet):
    await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)

    at_once = (await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)).json()["results"]
    house.clock.advance(15 * 60)
    later = (await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)).json()["results"]

    # First rotations of a fleet are spread from a tenth of the interval on: some are due soon, none of them twice.
    assert at_once["processed"] < 3
    assert later["processed"] >= 3 - at_once["processed"]
    assert house.sim.totals.reuse == 0


async def test_a_bulk_update_names_what_failed_by_id_and_code_never_by_e_mail(house, fleet):
    house.sim.kill("ana@example.com", "f" * 50)
    house.sim.next("error_500", times=40, session=("berta@example.com", "f" * 50))
    house.sim.rules = Rules(old_token="grace")

    answer = await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)

    results = answer.json()["results"]
    errors = {error["session"]: error["code"] for error in results["errors"]}
    assert (results["successful"], results["loggedOut"], results["failed"]) == (1, 1, 1)
    assert errors == {fleet[0].id: "session_ended", fleet[1].id: "server_error"}
    assert "@" not in answer.text


async def test_a_bulk_update_asks_for_each_session_once_however_it_fares(house, fleet):
    house.sim.faults = Faults(rate_limited=1.0, retry_after=1)

    results = (await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)).json()["results"]

    assert (results["successful"], results["failed"], results["remaining"]) == (0, 3, 0)
    assert house.sim.totals.requests["/api/tokenUpdate"] == 3


async def test_a_bulk_update_stops_after_about_fifty_seconds_and_says_what_remains(house):
    await house.adopt(*(f"member{number}@example.com" for number in range(8)))
    house.clock.advance(5)
    house.service.keeper.pace.share_among(20_000)  # one turn in twenty seconds
    began = house.clock.monotonic()

    results = (await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)).json()["results"]

    assert house.clock.monotonic() - began <= 75
    assert 1 < results["processed"] < 8
    assert results["processed"] + results["remaining"] == 8


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", ""),
        ("GET", "?action="),
        ("GET", "?action=nonsense"),
        ("GET", "?action=Stats"),
        ("POST", "?action=stats"),
        ("POST", "?action=x"),
    ],
)
async def test_another_action_is_told_which_there_are(house, method, query):
    answer = await house.ask(method, f"/api/tokenUpdate{query}", by=house.operator)

    assert answer.status_code == 400
    assert answer.json() == {
        "success": False,
        "error": "Invalid action parameter. Use ?action=stats or ?action=bulk-update",
        "code": "bad_request",
    }
