"""Clocks that jump and machines that sleep: what is due is judged anew, and nothing is sent twice."""

from datetime import timedelta

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.simulator import Faults, Rules


async def jumps(service):
    return [fact.data for fact in await service.store.fleet.events() if fact.kind is EventKind.CLOCK_JUMPED]


@pytest.mark.parametrize("hours", [-2, 2], ids=["back", "ahead"])
async def test_a_wall_clock_that_is_set_kills_nobody(stage, service, hours):
    await stage.adopt(service, 20)
    async with stage.working(service):
        await stage.clock.run(1200)
        stage.clock.set_wall(stage.clock.now() + timedelta(hours=hours))
        await stage.clock.run(5000)

    assert all(stage.truth(session).alive for session in await service.store.page(None, 50))
    assert all(stage.holds_live_token(session) for session in await service.store.page(None, 50))
    assert stage.sim.totals.reuse == 0
    assert [round(data["set_by_seconds"] / 3600) for data in await jumps(service)] == [hours]


async def test_a_clock_set_back_while_nobody_worked_is_noticed_at_the_start(stage):
    service = await stage.open()
    await stage.adopt(service, 20)
    async with stage.working(service):
        await stage.clock.run(1200)
    stage.clock.set_wall(stage.clock.now() - timedelta(hours=3))

    again = await stage.open()
    async with stage.working(again):
        await stage.clock.run(1200)

    assert all(stage.holds_live_token(session) for session in await again.store.page(None, 50))


async def test_a_machine_that_slept_rotates_what_became_due_and_sends_no_old_claim(stage, service):
    stage.sim.rules = Rules(old_token="strict")
    await stage.adopt(service, 20)
    async with stage.working(service):
        await stage.clock.run(1200)
        stage.clock.suspend(40 * 60)
        await stage.clock.run(60)
        rotated = [session.rotated_at for session in await service.store.page(None, 50)]

    assert min(rotated) > stage.clock.now() - timedelta(minutes=20)
    assert stage.sim.totals.reuse == 0
    assert [data["slept_seconds"] for data in await jumps(service)] == [2400]


async def test_a_request_that_slept_with_the_machine_is_not_sent_by_a_second_one(stage):
    stage.sim.rules = Rules(old_token="strict")
    stage.sim.faults = Faults(latency=2)
    first, second = await stage.open(), await stage.open()
    [session] = await stage.adopt(first)
    async with stage.working(first), stage.working(second):
        await stage.clock.run(1)
        stage.clock.suspend(300)
        await stage.clock.run(60)

    kept = await first.store.get(session.id)
    assert stage.holds_live_token(kept)
    assert (stage.truth(session).reuse, stage.truth(session).concurrent) == (0, 0)


async def test_clocks_that_drift_a_little_are_nobodys_business(stage, service):
    await stage.adopt(service)
    async with stage.working(service):
        for _ in range(60):
            stage.clock.set_wall(stage.clock.now() + timedelta(milliseconds=100))
            await stage.clock.run(1)

    assert await jumps(service) == []
