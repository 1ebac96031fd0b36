"""A mass death is held back, and decided by the upstream's recovery or by an operator."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.errors import ConfigError, SessionEnded
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.session import Cause, Status
from aimkeeper.simulator import Faults, Rules

EVERYBODY_OUT = Faults(logout_all=True, whoami_empty=True)


async def statuses(service):
    return {session.status for session in await service.store.page(None, 500)}


async def fleet_events(service):
    return [fact.kind for fact in await service.store.fleet.events()]


@pytest.fixture
async def service(stage):
    stage.sim.rules = Rules(idle_life=300)
    return await stage.open(refresh_every=timedelta(seconds=60), idle_timeout=timedelta(seconds=300))


async def test_when_everybody_is_logged_out_at_once_nobody_ends_and_all_come_back(stage, service):
    await stage.adopt(service, 60)
    async with stage.working(service):
        await stage.clock.run(120)
        stage.sim.faults = EVERYBODY_OUT
        await stage.clock.run(100)
        during = await statuses(service)
        stage.sim.faults = Faults()
        await stage.clock.run(120)

    assert Status.ENDED not in during
    assert Status.SUSPECTED in during
    assert await statuses(service) == {Status.ACTIVE}
    assert all(stage.holds_live_token(session) for session in await service.store.page(None, 500))
    assert await fleet_events(service) == [EventKind.VERDICTS_HELD, EventKind.VERDICTS_RELEASED]


async def test_ends_declared_just_before_it_was_seen_to_be_a_mass_death_are_taken_back(stage, service):
    sessions = await stage.adopt(service, 12)
    async with stage.working(service):
        await stage.clock.run(120)
        for session in sessions:
            stage.sim.kill(session.email, session.fingerprint)
        # Slowly enough that the first ones have climbed the whole ladder when the tenth is told.
        await stage.clock.run(58)
        told = [fact.kind for session in sessions for fact in await service.store.events_of(session.id)]

    assert EventKind.ENDED in told
    assert await statuses(service) == {Status.SUSPECTED}


async def test_a_few_deaths_among_many_are_ordinary(stage, service):
    sessions = await stage.adopt(service, 100)
    async with stage.working(service):
        await stage.clock.run(120)
        for session in sessions[:12]:
            stage.sim.kill(session.email, session.fingerprint)
        await stage.clock.run(120)

    ended = [session for session in await service.store.page(None, 500) if session.status is Status.ENDED]
    assert len(ended) == 12
    assert await fleet_events(service) == []


async def test_those_that_were_adopted_too_late_are_no_mass_death(stage, service):
    sessions = await stage.adopt(service, 35)
    late = service.store.now() - timedelta(hours=1)
    for session in sessions[:30]:
        stage.sim.kill(session.email, session.fingerprint)
        fact = Event(kind=EventKind.ADOPTED, at=late, session_id=session.id, email=session.email)
        await service.store.put(replace(session, deadline_at=late), fact, replacing=True)

    async with stage.working(service):
        await stage.clock.run(60)

    ended = [session for session in await service.store.page(None, 500) if session.status is Status.ENDED]
    assert {session.id for session in ended} == {session.id for session in sessions[:30]}
    assert await fleet_events(service) == []


async def test_an_operator_accepts_held_verdicts_and_they_end_with_their_cause(stage, service):
    sessions = await stage.adopt(service, 30)
    async with stage.working(service):
        await stage.clock.run(120)
        for session in sessions:
            stage.sim.kill(session.email, session.fingerprint)
        await stage.clock.run(100)
        held = await service.verdicts.held()
        decided = await stage.clock.finish(service.verdicts.accept())

    assert len(held) == decided == 30
    kept = await service.store.page(None, 500)
    assert {(session.status, session.cause) for session in kept} == {(Status.ENDED, Cause.SERVER_ENDED)}
    assert (await fleet_events(service))[-1] is EventKind.VERDICTS_RELEASED


async def test_an_operator_has_held_verdicts_tried_again_and_those_that_live_come_back(stage, service):
    sessions = await stage.adopt(service, 30)
    async with stage.working(service):
        await stage.clock.run(120)
        stage.sim.faults = EVERYBODY_OUT
        await stage.clock.run(90)
        stage.sim.faults = Faults()
        assert await service.verdicts.retry() > 10
        await stage.clock.run(10)

    assert await statuses(service) == {Status.ACTIVE}
    assert len(sessions) == 30


async def test_nothing_is_wiped_while_verdicts_are_held(stage, service):
    sessions = await stage.adopt(service, 30)
    async with stage.working(service):
        await stage.clock.run(120)
        stage.sim.kill(sessions[0].email, sessions[0].fingerprint)
        await stage.clock.run(70)
        stage.sim.faults = EVERYBODY_OUT
        await stage.clock.run(60)
        stage.clock.advance(24 * 3600)
        await stage.clock.run(70)

    first = await service.store.get(sessions[0].id)
    assert first is not None
    assert first.secrets.token is not None


async def test_an_end_can_be_undone_until_the_wipe_and_the_session_is_tried_at_once(stage, service):
    [session] = await stage.adopt(service)
    stage.sim.kill(session.email, session.fingerprint)
    async with stage.working(service):
        await stage.clock.run(20)
        ended = await service.store.get(session.id)
        stage.sim.revive(session.email, session.fingerprint)
        await service.verdicts.revive(ended)
        await stage.clock.run(5)

    kept = await service.store.get(session.id)
    assert ended.status is Status.ENDED
    assert kept.status is Status.ACTIVE
    assert stage.holds_live_token(kept)


async def test_an_owners_end_can_not_be_undone_nor_a_life_that_goes_on(stage, service):
    [session] = await stage.adopt(service)
    with pytest.raises(ConfigError, match="has not ended"):
        await service.verdicts.revive(session)

    ended = await service.entry.log_out(session)

    with pytest.raises(SessionEnded, match="log in again"):
        await service.verdicts.revive(ended)
