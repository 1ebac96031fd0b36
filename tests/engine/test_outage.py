"""An outage is one event for the whole fleet: verdicts frozen, one probe at a time, then a ramp."""

from datetime import timedelta

import pytest

from aimkeeper.core.errors import Paused, UpstreamUnavailable
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Status
from aimkeeper.simulator import Faults

ALL_FAIL = Faults(error_500=1.0)


async def fleet_events(service):
    return [fact.kind for fact in await service.store.fleet.events()]


async def all_sessions(service):
    return await service.store.page(None, 500)


async def test_an_outage_is_told_once_at_its_start_and_once_at_its_end_and_nobody_is_lost(stage):
    service = await stage.open()
    await stage.adopt(service, 40)
    async with stage.working(service):
        await stage.clock.run(900)
        stage.sim.faults = ALL_FAIL
        await stage.clock.run(1800)
        stage.sim.faults = Faults()
        await stage.clock.run(900)

    told = [kind for kind in await fleet_events(service) if kind not in (EventKind.AT_RISK, EventKind.SAFE_AGAIN)]
    assert told == [EventKind.OUTAGE_BEGAN, EventKind.OUTAGE_ENDED]
    assert all(stage.holds_live_token(session) for session in await all_sessions(service))


async def test_in_an_outage_one_probe_at_a_time_goes_out_and_ever_more_seldom(stage):
    service = await stage.open()
    await stage.adopt(service, 60)
    stage.sim.faults = Faults(error_500=1.0, latency=2.0)
    async with stage.working(service):
        await stage.clock.run(60)
        assert service.keeper.breaker.fleet.is_out
        before, stage.sim.totals.max_in_flight = stage.sim.totals.requests["/api/tokenUpdate"], 0
        await stage.clock.run(600)
        probes = stage.sim.totals.requests["/api/tokenUpdate"] - before

    assert stage.sim.totals.max_in_flight == 1
    assert 600 / 20 <= probes <= 600 / 15


async def test_after_an_outage_the_rate_rises_and_the_earliest_deadlines_go_first(stage):
    service = await stage.open(max_rate=16.0)
    await stage.adopt(service, 200)
    async with stage.working(service):
        await stage.clock.run(900)
        stage.sim.faults = ALL_FAIL
        await stage.clock.run(1200)
        waiting = await all_sessions(service)
        stage.sim.faults = Faults()
        while service.keeper.breaker.fleet.is_out:
            await stage.clock.run(0.1)
        before = stage.sim.totals.rotations
        await stage.clock.run(1)
        first_second = stage.sim.totals.rotations - before
        await stage.clock.run(2)
    by_deadline = [session.id for session in sorted(waiting, key=lambda session: session.deadline_at)]
    saved = {s.id for s in await all_sessions(service) if s.generation > generation_of(waiting, s)}
    assert first_second <= 3
    assert saved == set(by_deadline[: len(saved)])


def generation_of(sessions, session):
    return next(known.generation for known in sessions if known.id == session.id)


async def test_who_asks_in_an_outage_is_told_to_come_back_and_nothing_is_sent(stage):
    service = await stage.open()
    sessions = await stage.adopt(service, 60)
    stage.sim.faults = ALL_FAIL
    async with stage.working(service):
        await stage.clock.run(60)
    sent = stage.sim.totals.requests["/api/tokenUpdate"]

    with pytest.raises(UpstreamUnavailable, match="answers nobody"):
        await stage.clock.finish(service.refresher.refresh(await service.store.get(sessions[0].id)))

    assert stage.sim.totals.requests["/api/tokenUpdate"] == sent


async def test_two_processes_share_one_outage(stage):
    first, second = await stage.open(), await stage.open()
    await stage.adopt(first, 60)
    stage.sim.faults = ALL_FAIL
    async with stage.working(first), stage.working(second):
        await stage.clock.run(60)
        assert first.keeper.breaker.fleet.is_out
        assert second.keeper.breaker.fleet.is_out
        stage.sim.faults = Faults()
        await stage.clock.run(60)

    assert await fleet_events(first) == [EventKind.OUTAGE_BEGAN, EventKind.OUTAGE_ENDED]


async def test_no_session_is_declared_dead_while_an_outage_lasts(stage):
    service = await stage.open()
    sessions = await stage.adopt(service, 60)
    stage.sim.faults = ALL_FAIL
    async with stage.working(service):
        await stage.clock.run(60)
        for session in sessions:
            stage.sim.kill(session.email, session.fingerprint)
        stage.sim.faults = Faults(error_500=0.9)
        await stage.clock.run(20)
        during = [session.status for session in await all_sessions(service)]
        stage.sim.faults = Faults()
        await stage.clock.run(3600)

    assert Status.ENDED not in during


async def test_half_of_the_answers_wanting_fewer_requests_stops_everybody_for_as_long_as_they_say(stage):
    service = await stage.open()
    await stage.adopt(service, 200)
    stage.sim.faults = Faults(rate_limited=1.0, retry_after=20)
    async with stage.working(service):
        while not service.keeper.breaker.fleet.throttled_until:
            await stage.clock.run(0.1)
        await stage.clock.run(1)
        sent = stage.sim.totals.requests["/api/tokenUpdate"]
        stage.sim.faults = Faults()
        await stage.clock.run(17)
        assert stage.sim.totals.requests["/api/tokenUpdate"] == sent
        await stage.clock.run(600)

    assert await fleet_events(service) == [EventKind.THROTTLED]
    assert all(stage.holds_live_token(session) for session in await all_sessions(service))


async def test_a_single_429_lowers_the_rate_by_a_tenth_and_it_comes_back_by_and_by(stage, service):
    await stage.adopt(service)
    stage.sim.faults = Faults(retry_after=1)
    stage.sim.next("rate_limited")
    rate = service.keeper.pace.rate

    async with stage.working(service):
        await stage.clock.run(0.5)
        lowered = service.keeper.pace.rate
        await stage.clock.run(30)

    assert lowered == pytest.approx(rate * 0.9, rel=0.02)
    assert service.keeper.pace.rate == rate


async def test_a_pause_stops_workers_and_callers_until_somebody_resumes(stage, service):
    [session] = await stage.adopt(service)
    await service.keeper.breaker.pause(None)
    async with stage.working(service):
        await stage.clock.run(1000)
        with pytest.raises(Paused):
            await stage.clock.finish(service.refresher.refresh(session, forced=True))
        assert stage.truth(session).rotations == 0
        assert await service.keeper.breaker.resume()
        await stage.clock.run(5)

    assert stage.truth(session).rotations == 1
    assert await fleet_events(service) == [EventKind.PAUSED, EventKind.RESUMED]
    assert not await service.keeper.breaker.resume()


async def test_a_pause_for_a_while_ends_by_itself(stage, service):
    [session] = await stage.adopt(service)
    await service.keeper.breaker.pause(service.store.now() + timedelta(minutes=10))
    async with stage.working(service):
        await stage.clock.run(590)
        before = stage.truth(session).rotations
        await stage.clock.run(20)

    assert (before, stage.truth(session).rotations) == (0, 1)
    assert await fleet_events(service) == [EventKind.PAUSED, EventKind.RESUMED]
