"""`GET /api/sessions/{id}/credentials`: live token and cookies, for those who may have them."""

import asyncio

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.simulator import Faults


@pytest.fixture
async def session(house):
    return await house.log_in()


async def read(house, session, query="", **what):
    return await house.ask("GET", f"/api/sessions/{session.id}/credentials{query}", **{"by": house.operator, **what})


async def test_credentials_hold_everything_that_opens_the_session(house, session):
    answer = await read(house, session)

    told = answer.json()
    jar = {cookie["name"]: cookie["value"] for cookie in told["cookies"]}
    assert answer.status_code == 200
    assert told["token"] == house.truth(session).token
    assert jar == {cookie.name: cookie.value for cookie in session.jar.cookies}
    assert told["cookie"] == session.jar.header("aimharder.test", house.clock.now())
    assert (told["fingerprint"], told["slackSeconds"]) == (session.fingerprint, 5400 - 120)


async def test_what_holds_a_secret_is_kept_by_no_cache(house, session):
    answer = await read(house, session)

    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("slack", "rotations"), [("", 0), ("0", 0), ("10m", 0), ("87m", 0), ("89m", 1), ("1h30m", 1)])
async def test_it_is_rotated_first_when_there_is_less_slack_than_asked_for(house, session, slack, rotations):
    answer = await read(house, session, f"?min_slack={slack}")

    assert answer.status_code == 200
    assert house.truth(session).rotations == rotations
    assert answer.json()["token"] == house.truth(session).token


@pytest.mark.parametrize(
    ("slack", "sentence"),
    [
        ("90m1s", "a fresh rotation gives 5400 s of slack: more can't be asked for."),
        ("100d", "a fresh rotation gives 5400 s of slack: more can't be asked for."),
        ("soon", "min_slack must be a duration like 90s, 15m or 1h30m."),
        ("-5m", "min_slack must be a duration like 90s, 15m or 1h30m."),
        ("9" * 40 + "h", "min_slack is too long."),
    ],
)
async def test_more_slack_than_there_can_be_or_none_at_all_is_refused(house, session, slack, sentence):
    answer = await read(house, session, f"?min_slack={slack}")

    assert (answer.status_code, answer.json()["error"]) == (400, sentence)
    assert house.truth(session).rotations == 0


async def test_every_reading_is_an_event_that_says_by_whom(house, session):
    for _ in range(3):
        await read(house, session)

    told = await house.service.store.events_of(session.id)
    assert [(fact.kind, fact.data.get("by")) for fact in told[:3]] == [
        (EventKind.CREDENTIALS_READ, "HTTP, operator")
    ] * 3


async def test_many_readers_at_once_are_each_recorded(house, session):
    caller, headers = house.caller(), {"authorization": f"Bearer {house.operator}"}
    path = f"/api/sessions/{session.id}/credentials"

    answers = await house.clock.finish(asyncio.gather(*(caller.get(path, headers=headers) for _ in range(40))))

    told = [fact for fact in await house.service.store.events_of(session.id) if fact.kind is EventKind.CREDENTIALS_READ]
    assert {answer.status_code for answer in answers} == {200}
    assert len(told) == 40


async def test_what_can_not_be_recorded_is_not_handed_out(house, session):
    await read(house, session)

    with house.store_away():
        answer = await read(house, session)

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert session.token.text not in answer.text
    assert (await read(house, session)).status_code == 200


async def test_the_credentials_of_an_ended_session_are_gone(house, session):
    await house.service.entry.log_out(session)

    answer = await read(house, session)

    assert (answer.status_code, answer.json()["code"]) == (410, "session_ended")


async def test_while_the_site_is_away_old_credentials_that_are_good_enough_are_handed_out(house, session):
    house.sim.faults = Faults(error_500=1.0)

    enough = await read(house, session, "?min_slack=10m")
    more = await read(house, session, "?min_slack=90m")

    assert (enough.status_code, more.status_code) == (200, 503)


async def test_a_platform_s_own_id_is_as_good_as_ours(house):
    given = house.sim.open_session("zoe@example.com", "e" * 50).record() | {"ref": "member-17"}
    await house.ask("POST", "/api/sessions", json=given, by=house.operator)

    answer = await house.ask("GET", "/api/sessions/member-17/credentials", by=house.operator)

    assert answer.json()["token"] == given["token"]
