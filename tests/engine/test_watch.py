"""What bodes ill for the whole fleet is said once when it begins and once when it is over, however many look."""

from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Status
from aimkeeper.simulator import Faults, Rules

OUT = Faults(error_500=1.0)


async def told(service, *kinds):
    return [fact for fact in await service.store.fleet.events() if fact.kind in kinds]


def age(stage, sessions, minutes):
    """As if they had been rotated so long ago."""
    now = stage.clock.now()
    for session in sessions:
        stage.put_off(session, due_at=now, deadline_at=now + timedelta(minutes=90 - minutes))


async def test_sessions_at_risk_are_told_once_by_any_number_of_workers_and_once_when_they_are_safe(stage):
    services = [await stage.open() for _ in range(2)]
    sessions = await stage.adopt(services[0], 4)
    stage.sim.faults = OUT
    age(stage, sessions, 35)
    async with AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(stage.working(service))
        await stage.clock.run(150)
        stage.sim.faults = Faults()
        await services[0].store.fleet.retry_failing()
        await stage.clock.run(150)

    began, over = await told(services[0], EventKind.AT_RISK, EventKind.SAFE_AGAIN)
    assert (began.kind, began.data["count"]) == (EventKind.AT_RISK, 4)
    assert over.kind is EventKind.SAFE_AGAIN


async def test_who_was_away_for_hours_and_catches_up_at_once_cries_no_wolf(stage):
    service = await stage.open()
    await stage.adopt(service, 20)
    stage.clock.advance(3600)

    async with stage.working(service):
        await stage.clock.run(200)

    assert await told(service, EventKind.AT_RISK) == []


async def test_a_rate_that_is_too_low_is_told_with_the_numbers_and_once(stage):
    services = [await stage.open(max_rate=0.1) for _ in range(2)]
    await stage.adopt(services[0], 100)
    async with stage.working(services[0]), stage.working(services[1]):
        await stage.clock.run(200)

    [fact] = await told(services[0], EventKind.RATE_TOO_LOW)
    assert fact.data == {"due_per_second": pytest.approx(100 / 810, abs=0.01), "allowed_per_second": 0.1}


async def test_it_suffices_again_only_when_there_is_something_to_spare(stage):
    service = await stage.open(max_rate=0.1)
    [*sessions] = await stage.adopt(service, 83)
    async with stage.working(service):
        await stage.clock.run(130)
        for session in sessions[:3]:  # 80 sessions need 0.0988 a second
            await service.store.forget(session.id)
        await stage.clock.run(150)
        before = await told(service, EventKind.RATE_ENOUGH)
        for session in sessions[3:20]:
            await service.store.forget(session.id)
        await stage.clock.run(150)

    assert before == []
    assert len(await told(service, EventKind.RATE_TOO_LOW)) == 1
    assert len(await told(service, EventKind.RATE_ENOUGH)) == 1


async def test_one_whose_token_is_lost_was_told_of_by_itself_and_hides_no_others(stage):
    service = await stage.open()
    stage.sim.rules = Rules(old_token="refuse")
    sessions = await stage.adopt(service, 5)
    stage.sim.next("reset_after")
    async with stage.working(service):
        await stage.clock.run(60)
        sessions = [await service.store.get(session.id) for session in sessions]
        [lost] = [session for session in sessions if session.status is Status.TOKEN_LOST]
        age(stage, [lost], 35)
        await stage.clock.run(150)
        before, at_risk = await told(service, EventKind.AT_RISK), (await service.standing()).at_risk
        stage.sim.faults = OUT
        age(stage, [session for session in sessions if session is not lost], 35)
        await stage.clock.run(150)

    [fact] = await told(service, EventKind.AT_RISK)
    assert (at_risk, before) == (1, [])
    assert fact.data["count"] == 4
