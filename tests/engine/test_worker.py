"""The worker: claims what is due, shares the pace, notices the dead, and gives way in good order."""

import asyncio
from datetime import timedelta

import pytest

from aimkeeper.core.errors import KeyProblem, StoreUnavailable
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Status
from aimkeeper.engine.committer import Committer
from aimkeeper.engine.keeper import FENCE_SECONDS
from aimkeeper.engine.pace import Pace
from aimkeeper.simulator import Faults, Rules
from aimkeeper.store.seal import Key, Sealer
from aimkeeper.testing import ManualClock


async def test_three_workers_on_one_store_never_spend_a_token_twice(stage, brief):
    services = [await stage.open() for _ in range(3)]
    await stage.adopt(services[0], 30)

    async with stage.working(services[0]), stage.working(services[1]), stage.working(services[2]):
        await stage.clock.run(1800 * brief)

    assert all(stage.holds_live_token(session) for session in await services[0].store.page(None, 100))
    totals = stage.sim.totals
    assert (totals.reuse, totals.concurrent) == (0, 0)
    assert totals.rotations >= 60 * brief


async def test_no_more_requests_fly_than_there_are_slots(stage):
    service = await stage.open(concurrency=4)
    stage.sim.faults = Faults(latency=1)
    await stage.adopt(service, 40)

    async with stage.working(service):
        await stage.clock.run(60)

    assert stage.sim.totals.max_in_flight == 4
    assert stage.sim.totals.rotations == 40


async def test_requests_start_no_faster_than_the_fleet_may(stage):
    first, second = await stage.open(max_rate=2.0), await stage.open(max_rate=2.0)
    await stage.adopt(first, 60)
    async with stage.working(first), stage.working(second):
        await stage.clock.run(2)
        before = stage.sim.totals.requests["/api/tokenUpdate"]
        await stage.clock.run(10)

    assert 18 <= stage.sim.totals.requests["/api/tokenUpdate"] - before <= 22


async def test_draining_finishes_what_was_sent_and_frees_the_rest(stage):
    service = await stage.open(concurrency=10)
    stage.sim.faults = Faults(latency=3)
    await stage.adopt(service, 20)
    async with stage.working(service):
        await stage.clock.run(2)
        sent = stage.sim.totals.requests["/api/tokenUpdate"]

    kept = await service.store.page(None, 100)
    assert 0 < sent < 20
    assert sum(session.rotations for session in kept) == sent == stage.sim.totals.requests["/api/tokenUpdate"]
    assert all(session.owner is None for session in kept)
    assert all(stage.holds_live_token(session) for session in kept)


async def test_sessions_of_a_killed_process_are_in_doubt_within_seconds_and_healed(stage):
    stage.sim.rules = Rules(old_token="grace", grace=10)
    victim, heir = await stage.open(), await stage.open()
    stage.sim.faults = Faults(latency=1)
    [session] = await stage.adopt(victim)
    claims = await victim.store.claim_due(victim.keeper.owner, 5, until=victim.store.now())
    # The request leaves, and the process is gone before the answer.
    await stage.clock.finish(victim.upstream.rotate(session.token, session.fingerprint, session.jar))
    victim.store.owners.abandon(victim.keeper.owner)

    async with stage.working(heir):
        await stage.clock.run(9)

    kept = await heir.store.get(session.id)
    assert [claim.session.id for claim in claims] == [session.id]
    assert stage.holds_live_token(kept)
    told = [fact.kind for fact in reversed(await heir.store.events_of(session.id))]
    assert told == [EventKind.ADOPTED, EventKind.IN_DOUBT, EventKind.HEALED]


async def test_a_process_that_was_taken_for_dead_sends_nothing_it_held_and_starts_over(stage):
    sleeper, other = await stage.open(), await stage.open()
    [session] = await stage.adopt(sleeper)
    [claim] = await sleeper.store.claim_due(sleeper.keeper.owner, 5, until=sleeper.store.now())
    name = sleeper.keeper.owner
    stage.stop(sleeper)
    async with stage.working(other):
        await stage.clock.run(8)
    stage.wake(sleeper)
    sent = stage.sim.totals.requests["/api/tokenUpdate"]

    await stage.clock.finish(sleeper.keeper.launch(claim))
    async with stage.working(sleeper):
        await stage.clock.run(3)

    assert sent == stage.sim.totals.requests["/api/tokenUpdate"] == 1
    assert sleeper.keeper.owner != name
    assert stage.truth(session).reuse == 0


async def test_an_old_claim_is_given_back_unsent(stage, service):
    [session] = await stage.adopt(service)
    [claim] = await service.store.claim_due(service.keeper.owner, 5, until=service.store.now())
    stage.clock.suspend(FENCE_SECONDS + 1)

    await stage.clock.finish(service.keeper.launch(claim))

    assert stage.sim.totals.requests["/api/tokenUpdate"] == 0
    assert (await service.store.get(session.id)).owner is None


async def test_a_worker_goes_on_when_the_store_comes_back(stage, service, monkeypatch):
    [session] = await stage.adopt(service)
    true_claim, calls = service.store.claim_due, []

    async def away(*args, **kwargs):
        calls.append(1)
        raise StoreUnavailable("the store is away.")

    monkeypatch.setattr(service.store, "claim_due", away)
    async with stage.working(service) as worker:
        await stage.clock.run(5)
        assert worker.trouble == "the store is away."
        monkeypatch.setattr(service.store, "claim_due", true_claim)
        await stage.clock.run(5)

    assert worker.trouble is None
    assert len(calls) > 1
    assert (await service.store.get(session.id)).rotations == 1


async def test_a_fault_nobody_foresaw_leaves_the_session_in_doubt_not_claimed(stage, service, monkeypatch):
    [session] = await stage.adopt(service)
    faults = []
    service.keeper.hearers.faults.append(faults.append)

    async def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(service.upstream, "rotate", broken)
    async with stage.working(service):
        await stage.clock.run(1)
        # Before the bug is mended: on a busy machine the next try may be under way while we look.
        held = await service.store.get(session.id)
        monkeypatch.undo()
        await stage.clock.run(5)

    assert (held.status, held.owner) == (Status.IN_DOUBT, None)
    assert [type(fault) for fault in faults][:1] == [RuntimeError]
    assert stage.holds_live_token(await service.store.get(session.id))


async def test_a_backlog_is_kept_in_the_order_of_deadlines_and_the_lost_go_last(stage):
    service = await stage.open(concurrency=1, max_rate=1.0)
    sessions = await stage.adopt(service, 6)
    now = service.store.now()
    # The third will die first, the fifth is past its deadline already.
    deadlines = {2: 100, 0: 200, 1: 300, 3: 400, 5: 500, 4: -50}
    for index, seconds in deadlines.items():
        stage.put_off(sessions[index], due_at=now, deadline_at=now + timedelta(seconds=seconds))

    async with stage.working(service):
        await stage.clock.run(12)

    order = [entry.user_id for entry in stage.sim.log if entry.path == "/api/tokenUpdate"]
    members = [stage.truth(session).user_id for session in sessions]
    # The first is claimed before anybody knows of a backlog.
    rest = [index for index in (2, 0, 1, 3, 5, 4) if members[index] != order[0]]
    assert [members.index(user) for user in order[1:]] == rest


async def test_a_group_holds_all_that_waits_and_a_row_that_can_not_be_written_fails_alone(stage, service, monkeypatch):
    sessions = await stage.adopt(service, 8)
    claims = await service.store.claim_due(service.keeper.owner, 8, until=service.store.now() + timedelta(minutes=15))
    sizes, true_commit = [], service.store.commit

    async def watched(changes):
        sizes.append(len(changes))
        if any(change.before.id == sessions[3].id for change in changes):
            raise ValueError("poison")
        return await true_commit(changes)

    monkeypatch.setattr(service.store, "commit", watched)
    faults = []
    service.keeper.hearers.faults.append(faults.append)

    landed = await stage.clock.finish(
        asyncio.gather(*(service.keeper.launch(claim) for claim in claims), return_exceptions=True)
    )

    assert max(sizes) > 4
    assert sum(isinstance(one, BaseException) for one in landed) == 1
    assert sum(stage.holds_live_token(one) for one in landed if not isinstance(one, BaseException)) == 7


async def test_changes_wait_in_memory_while_the_store_is_away(stage, service, monkeypatch):
    [session] = await stage.adopt(service)
    true_commit, troubles = service.store.commit, []

    async def away(_changes):
        raise StoreUnavailable("the store is away.")

    monkeypatch.setattr(service.store, "commit", away)
    service.keeper.committer.trouble = troubles.append
    async with stage.working(service):
        await stage.clock.run(3)
        monkeypatch.setattr(service.store, "commit", true_commit)
        await stage.clock.run(3)

    assert troubles
    assert stage.holds_live_token(await service.store.get(session.id))


async def test_the_exposure_of_fresh_tokens_is_told(stage, service):
    exposures = []
    service.keeper.committer.exposed = exposures.append
    await stage.log_in(service)

    assert exposures
    assert all(seconds >= 0 for seconds in exposures)
    assert isinstance(service.keeper.committer, Committer)


def test_pace_spends_no_more_than_it_earns_and_lets_debts_wait():
    clock = ManualClock()
    pace = Pace(clock, 10)

    assert pace.allowance() == 2
    pace.take(5)
    assert pace.allowance() == 0
    assert pace.wait() == pytest.approx(0.35)
    clock.advance(0.36)
    assert pace.allowance() == 1
    pace.share_among(2)
    assert pace.rate == 5


def test_who_comes_a_little_late_for_his_turn_has_not_lost_it():
    clock = ManualClock()
    pace = Pace(clock, 4, late=0.5)
    began = clock.monotonic()
    for _ in range(100):
        assert pace.allowance() == 1
        pace.take()
        clock.advance(pace.wait() + 0.05)

    assert clock.monotonic() - began == pytest.approx(100 / 4, abs=0.25)


async def test_those_who_wait_for_their_turn_stand_in_line():
    clock = ManualClock()
    pace = Pace(clock, 1)
    order = []

    async def ask(name):
        await pace.turn()
        order.append((name, clock.monotonic() - 1000))

    tasks = [asyncio.create_task(ask(name)) for name in "abc"]
    await clock.run(5)

    assert order == [("a", 0), ("b", 1), ("c", 2)]
    assert all(task.done() for task in tasks)


async def test_a_process_that_starts_over_without_the_key_that_others_went_over_to_stops(stage):
    service = await stage.open()
    worker = service.worker()
    strange = Sealer([Key.new()]).seal("meta", "seal_check", b"aimkeeper").hex()
    async with service.store._backend.transaction() as tx:
        await tx.row("set_meta", key="seal_check", value=strange)
    await worker._mind_the_keys()  # it enrolled while it was fit to

    service.keeper.rename(service.keeper.owner, "another name")

    with pytest.raises(KeyProblem, match="which is not among"):
        await worker._mind_the_keys()
