"""`/api/sessions/{id}/bearers`: what a bot on another machine is lent, for how long, and what is left of it."""

from datetime import timedelta

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause
from aimkeeper.web.described import iso


@pytest.fixture
async def session(house):
    return await house.log_in()


async def lend(house, session, **what):
    return await house.ask("POST", f"/api/sessions/{session.id}/bearers", **{"by": house.operator, **what})


async def borrowed(house, session):
    return (await lend(house, session)).json()["bearer"]


async def read(house, session, bearer):
    return await house.ask("GET", f"/api/sessions/{session.id}/credentials", by=bearer)


async def revoke(house, session):
    return await house.ask("DELETE", f"/api/sessions/{session.id}/bearers", by=house.operator)


@pytest.mark.parametrize(
    ("body", "days"),
    [({}, 30), ({"json": {}}, 30), ({"json": {"lifetime": "1m"}}, 1 / 1440), ({"json": {"lifetime": "365d"}}, 365)],
    ids=["nothing", "an empty body", "the shortest", "the longest"],
)
async def test_a_bot_is_lent_the_credentials_for_as_long_as_was_said_and_no_longer(house, session, body, days):
    until = house.clock.now() + timedelta(days=days)

    answer = await lend(house, session, **body)

    told = answer.json()
    assert (answer.status_code, told["expires_at"]) == (201, iso(until))
    assert (await read(house, session, told["bearer"])).json()["token"] == house.truth(session).token
    house.clock.advance(days * 86400)
    assert (await read(house, session, told["bearer"])).status_code == 401


@pytest.mark.parametrize(
    ("lifetime", "sentence"),
    [
        ("59s", "lifetime must be from 1m to 365d."),
        ("365d1s", "lifetime must be from 1m to 365d."),
        ("0", "lifetime must be from 1m to 365d."),
        ("soon", "lifetime must be a duration like 90s, 15m or 1h30m."),
        ("9" * 99 + "d", "lifetime is too long."),
        ("9" * 999 + "d", "lifetime must be a duration like 90s, 15m or 1h30m."),
        (30, "lifetime must be a duration like 90s, 15m or 1h30m."),
        (["30d"], "lifetime must be a duration like 90s, 15m or 1h30m."),
    ],
    ids=["too short", "too long", "nothing", "a word", "endless", "a mile of digits", "a number", "a list"],
)
async def test_a_lifetime_that_makes_no_sense_lends_nothing(house, session, lifetime, sentence):
    answer = await lend(house, session, json={"lifetime": lifetime})

    assert (answer.status_code, answer.json()["error"]) == (400, sentence)
    assert (await revoke(house, session)).json()["revoked"] == 0


async def test_revoking_ends_all_of_that_session_and_nothing_else(house, session):
    other, member = await house.log_in("berta@example.com"), await house.member(session)
    mine, hers = [await borrowed(house, session) for _ in range(2)], await borrowed(house, other)

    answer = await revoke(house, session)

    assert answer.json() == {"success": True, "revoked": 2}
    assert [(await read(house, session, bearer)).status_code for bearer in mine] == [401, 401]
    assert (await read(house, other, hers)).status_code == 200
    assert (await house.ask("GET", "/api/auth/session", headers=member)).status_code == 200
    assert (await house.service.store.get(session.id)).token == session.token


async def test_a_bot_is_told_that_its_session_ended_and_goes_on_when_it_is_revived(house, session):
    bearer = await borrowed(house, session)
    house.sim.kill(session.email, session.fingerprint)
    await house.exchange(session.token.text, session.fingerprint)
    assert (await house.service.store.get(session.id)).cause is Cause.SERVER_ENDED

    ended, another = await read(house, session, bearer), await lend(house, session)
    await house.log_in(fingerprint=session.fingerprint)
    revived = await read(house, session, bearer)

    assert (ended.status_code, ended.json()["code"]) == (410, "session_ended")
    assert (another.status_code, another.json()["code"]) == (410, "session_ended")
    assert (revived.status_code, revived.json()["token"]) == (200, house.truth(session).token)


@pytest.mark.parametrize("who", ["the operator", "the member", "the command line"])
async def test_a_session_that_was_logged_out_is_lent_no_more_not_even_after_the_next_login(house, session, who):
    bearer, member = await borrowed(house, session), await house.member(session)

    if who == "the operator":
        await house.ask("DELETE", f"/api/sessions/{session.id}", by=house.operator)
    elif who == "the member":
        await house.ask("POST", "/api/auth/logout", headers=member)
    else:
        await house.service.entry.log_out(session)
    ended = await read(house, session, bearer)
    again = await house.log_in(fingerprint=session.fingerprint)

    assert again.id == session.id
    assert (ended.status_code, (await read(house, session, bearer)).status_code) == (401, 401)
    assert (await house.ask("GET", "/api/auth/session", headers=member)).status_code == 401


async def test_what_was_lent_of_a_session_whose_row_is_wiped_opens_nothing(house, session):
    bearer = await borrowed(house, session)
    house.sim.kill(session.email, session.fingerprint)
    await house.exchange(session.token.text, session.fingerprint)
    house.clock.advance(25 * 3600)

    await house.service.store.wipe(keep_rows=False)

    assert (await read(house, session, bearer)).status_code == 401


async def test_each_bearer_is_an_event_that_says_until_when_and_so_is_their_end(house, session):
    until = house.clock.now() + timedelta(days=30)
    await borrowed(house, session)
    await revoke(house, session)

    ended, lent, *_ = await house.service.store.events_of(session.id)

    assert (lent.kind, dict(lent.data)) == (EventKind.BEARER_ISSUED, {"by": "HTTP", "until": until.isoformat()})
    assert (ended.kind, dict(ended.data)) == (EventKind.BEARERS_REVOKED, {"by": "HTTP", "count": 1})


async def test_the_bearer_is_told_once_and_nowhere_again(house, session):
    bearer = await borrowed(house, session)
    await read(house, session, bearer)

    looks = ("/api/sessions", f"/api/sessions/{session.id}", f"/api/sessions/{session.id}/rotations", "/api/events")
    told = [(await house.ask("GET", path, by=house.operator)).text for path in (*looks, "/api/status", "/metrics")]

    assert "bearer_issued" in told[2]
    assert "HTTP, bot" in told[2]
    assert not [text for text in told if bearer in text or bearer.removeprefix("aimkeeper-bot-") in text]
    assert bearer not in repr(await house.service.bots.lend(session, timedelta(days=1), by="a test"))


async def test_what_can_not_be_recorded_is_not_lent(house, session):
    with house.store_away():
        answer = await lend(house, session)

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert "aimkeeper-bot-" not in answer.text
    assert (await revoke(house, session)).json()["revoked"] == 0


async def test_a_session_is_lent_by_the_platform_s_own_id_too(house):
    given = house.sim.open_session("zoe@example.com", "e" * 50).record() | {"ref": "member-17"}
    await house.ask("POST", "/api/sessions", json=given, by=house.operator)

    lent = await house.ask("POST", "/api/sessions/member-17/bearers", by=house.operator)
    answer = await house.ask("GET", "/api/sessions/member-17/credentials", by=lent.json()["bearer"])

    assert answer.json()["token"] == given["token"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_nothing_is_lent_of_what_is_not_there(house, method):
    answer = await house.ask(method, "/api/sessions/nobody/bearers", by=house.operator)

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_session")
