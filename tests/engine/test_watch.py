"""What bodes ill for the whole fleet is said once when it begins and once when it is over, however many look."""

from contextlib import AsyncExitStack

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.simulator import Faults

OUT = Faults(error_500=1.0)


async def told(service, *kinds):
    return [fact for fact in await service.store.fleet.events() if fact.kind in kinds]


async def test_sessions_at_risk_are_told_once_by_any_number_of_workers_and_once_when_they_are_safe(stage):
    services = [await stage.open() for _ in range(2)]
    await stage.adopt(services[0], 40)
    stage.sim.faults = OUT
    async with AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(stage.working(service))
        await stage.clock.run(40 * 60)
        stage.sim.faults = Faults()
        await stage.clock.run(5 * 60)

    began, over = await told(services[0], EventKind.AT_RISK, EventKind.SAFE_AGAIN)
    assert (began.kind, began.data["count"]) == (EventKind.AT_RISK, 40)
    assert over.kind is EventKind.SAFE_AGAIN


async def test_who_was_away_for_hours_and_catches_up_at_once_cries_no_wolf(stage):
    service = await stage.open()
    await stage.adopt(service, 20)
    stage.clock.advance(3600)

    async with stage.working(service):
        await stage.clock.run(600)

    assert await told(service, EventKind.AT_RISK) == []


async def test_a_rate_that_is_too_low_is_told_with_the_numbers_and_once(stage):
    services = [await stage.open(max_rate=0.1) for _ in range(2)]
    await stage.adopt(services[0], 100)
    async with stage.working(services[0]), stage.working(services[1]):
        await stage.clock.run(600)

    [fact] = await told(services[0], EventKind.RATE_TOO_LOW)
    assert fact.data == {"due_per_second": pytest.approx(100 / 810, abs=0.01), "allowed_per_second": 0.1}


async def test_it_suffices_again_only_when_there_is_something_to_spare(stage):
    service = await stage.open(max_rate=0.1)
    [*sessions] = await stage.adopt(service, 83)
    async with stage.working(service):
        await stage.clock.run(130)
        for session in sessions[:3]:  # 80 sessions need 0.0988 a second
            await service.store.forget(session.id)
        await stage.clock.run(300)
        before = await told(service, EventKind.RATE_ENOUGH)
        for session in sessions[3:20]:
            await service.store.forget(session.id)
        await stage.clock.run(300)

    assert before == []
    assert len(await told(service, EventKind.RATE_TOO_LOW)) == 1
    assert len(await told(service, EventKind.RATE_ENOUGH)) == 1
