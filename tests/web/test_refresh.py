"""`/api/auth/refresh`: setrefresh for one session, by its member or the operator."""

import asyncio

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Status
from aimkeeper.simulator import Faults, Rules

REFRESH = "/api/auth/refresh"


@pytest.fixture
async def session(house):
    return await house.log_in()


async def test_a_member_has_setrefresh_done_and_the_new_token_is_kept(house, session):
    answer = await house.ask("POST", REFRESH, headers=await house.member(session))

    kept = await house.service.store.get(session.id)
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "refreshed": True, "lastRefreshDate": "2026-01-01T12:02:00.000Z"}
    assert (kept.setrefresh_count, kept.rotations) == (2, 0)
    assert kept.token.text == house.truth(session).token != session.token.text


async def test_the_operator_says_which_by_its_id_or_the_platform_s_own(house):
    [session] = await house.adopt("carlos@example.com")
    named = await house.ask("POST", f"{REFRESH}?session={session.id}", by=house.operator)
    unnamed = await house.ask("POST", REFRESH, by=house.operator)
    unknown = await house.ask("POST", f"{REFRESH}?session=nobody", by=house.operator)
    by_email = await house.ask("POST", f"{REFRESH}?session=carlos@example.com", by=house.operator)

    assert [answer.status_code for answer in (named, unnamed, unknown, by_email)] == [200, 400, 404, 404]
    assert (await house.service.store.get(session.id)).setrefresh_count == 1


async def test_a_setrefresh_that_is_young_is_answered_without_a_new_one(house, session):
    member = await house.member(session)
    first = (await house.ask("POST", REFRESH, headers=member)).json()
    house.clock.advance(59)

    again = (await house.ask("POST", REFRESH, headers=member)).json()

    assert again == first
    assert house.sim.totals.requests["/setrefresh"] == 2  # one of the login


async def test_many_at_once_share_one_setrefresh(house, session):
    member, caller = await house.member(session), house.caller()
    house.sim.faults = Faults(latency=0.5)

    answers = await house.clock.finish(asyncio.gather(*(caller.post(REFRESH, headers=member) for _ in range(10))))

    assert {answer.status_code for answer in answers} == {200}
    assert (house.truth(session).concurrent, house.truth(session).reuse) == (0, 0)
    assert (await house.service.store.get(session.id)).setrefresh_count == 2


async def test_a_rotation_under_way_is_waited_for_and_setrefresh_is_done_all_the_same(house, session):
    member, caller = await house.member(session), house.caller()
    house.sim.faults = Faults(latency=0.5)
    given = {"fingerprint": session.fingerprint, "token": session.token.text}

    rotated, refreshed = await house.clock.finish(
        asyncio.gather(caller.post("/api/tokenUpdate", json=given), caller.post(REFRESH, headers=member))
    )

    kept = await house.service.store.get(session.id)
    assert (rotated.status_code, refreshed.status_code) == (200, 200)
    assert (kept.setrefresh_count, house.truth(session).concurrent, house.truth(session).reuse) == (2, 0, 0)
    assert kept.token.text == house.truth(session).token


async def test_an_answer_that_was_lost_puts_the_session_in_doubt_and_heals(house, session):
    house.sim.rules = Rules(old_token="grace", grace=60)
    house.sim.next("reset_after", path="/setrefresh")

    answer = await house.ask("POST", REFRESH, headers=await house.member(session))

    kept = await house.service.store.get(session.id)
    assert answer.status_code == 200
    assert (kept.status, kept.setrefresh_count) == (Status.ACTIVE, 2)
    assert house.truth(session).alive
    told = [fact.kind for fact in await house.service.store.events_of(session.id)]
    assert told[:2] == [EventKind.HEALED, EventKind.IN_DOUBT]


async def test_a_setrefresh_that_brings_nothing_is_given_up_and_the_session_lives_on(house, session):
    house.sim.rules = Rules(old_token="grace", grace=600)
    house.sim.faults = Faults(error_500=1.0, paths=("/setrefresh",))

    answer = await house.ask("POST", REFRESH, headers=await house.member(session))
    house.clock.advance(60)
    holder = await house.exchange(session.token.text, session.fingerprint)

    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert holder.status_code == 200
    assert (await house.service.store.get(session.id)).status is Status.ACTIVE


async def test_an_ended_session_is_refused_with_410(house, session):
    member = await house.member(session)
    house.sim.kill(session.email, session.fingerprint)
    await house.exchange(session.token.text, session.fingerprint)

    asked = await house.ask("POST", REFRESH, headers=member)
    state = await house.ask("GET", REFRESH, headers=member)

    assert [(a.status_code, a.json()["code"]) for a in (asked, state)] == [(410, "session_ended")] * 2


# ---------------------------------------------------------------- how the last one stands


async def test_its_state_is_told_in_the_words_of_the_original(house, session):
    answer = await house.ask("GET", REFRESH, headers=await house.member(session))

    assert answer.json() == {
        "success": True,
        "needsRefresh": False,
        "token": session.token.text,
        "lastRefreshDate": "2026-01-01T12:00:00.000Z",
        "refreshCount": 1,
    }


@pytest.mark.parametrize(("age", "needs"), [(3599, False), (3600, True), (8000, True)])
async def test_it_needs_one_after_the_threshold(house, session, age, needs):
    house.clock.advance(age - 120)

    told = (await house.ask("GET", REFRESH, headers=await house.member(session))).json()

    assert told["needsRefresh"] is needs


async def test_it_needs_one_where_there_was_none(house):
    [session] = await house.adopt("carlos@example.com")

    told = (await house.ask("GET", REFRESH, headers=await house.member(session))).json()

    assert (told["needsRefresh"], told["lastRefreshDate"], told["refreshCount"]) == (True, None, 0)


async def test_the_operator_s_reading_is_told_as_an_event_for_it_holds_the_token(house, session):
    told = (await house.ask("GET", f"{REFRESH}?session={session.id}", by=house.operator)).json()

    fact = (await house.service.store.events_of(session.id))[0]
    assert told["token"] == session.token.text
    assert fact.kind is EventKind.CREDENTIALS_READ
