"""What every store must show: who claims is on a register, and what a dead one held goes on with the living."""

import asyncio
from datetime import timedelta

from aimkeeper.core.session import Cause, Status
from aimkeeper.store.commits import Fate

MINUTE = timedelta(minutes=1)


async def test_an_owner_stands_on_the_register_from_enrolling_to_retiring(house, store):
    owner = await store.owners.enrol("night shift", "worker")

    [known] = await store.owners.everyone()

    assert (known.id, known.name, known.role) == (owner, "night shift", "worker")
    assert (known.started_at, known.tick_at, known.dead_at) == (store.now(), None, None)
    assert known.pid > 0
    await store.owners.retire(owner)
    assert await store.owners.everyone() == []


async def test_who_is_not_on_the_register_is_told_so_at_its_tick(store, worker):
    assert not await store.owners.tick("nobody")
    await store.owners.retire(worker)
    assert not await store.owners.tick(worker)


async def test_the_living_are_left_alone(house, store, worker):
    [session] = await house.fleet(store, 1)
    await store.claim_one(worker, session.id)
    other = await house.open()

    assert await house.bury(other) == []

    assert (await store.get(session.id)).owner == worker
    assert await store.owners.tick(worker)


async def test_what_a_dead_owner_held_is_in_doubt_and_goes_on_at_once(house, store, worker):
    first, second, _ = await house.fleet(store, 3)
    for each in (first, second):
        await store.claim_one(worker, each.id)
    other = await house.open()
    heir = await other.owners.enrol("heir", "worker")
    house.clock.advance(1)

    house.die(store, worker)
    told = await house.bury(other)

    assert {(fact.kind.value, fact.session_id, fact.data["reason"]) for fact in told} == {
        ("in_doubt", first.id, "holder_died"),
        ("in_doubt", second.id, "holder_died"),
    }
    assert house.kinds(first) == ["adopted", "in_doubt"]
    kept = await other.get(first.id)
    assert (kept.status, kept.owner, kept.attempt, kept.last_error) == (Status.IN_DOUBT, None, 1, "holder_died")
    assert (kept.doubt_at, kept.due_at) == (store.now(), store.now())
    assert await house.register(other) == [heir]
    taken = await other.claim_due(heir, 2, until=other.now())
    assert {claim.session.id for claim in taken} == {first.id, second.id}


async def test_the_dead_are_buried_once_however_many_look(house, store, worker):
    [session] = await house.fleet(store, 1)
    await store.claim_one(worker, session.id)
    others = [await house.open() for _ in range(4)]
    house.die(store, worker)

    await house.watch()
    told = await asyncio.gather(*(house.reap(other) for other in others))

    assert sorted(len(facts) for facts in told) == [0, 0, 0, 1]
    assert house.kinds(session) == ["adopted", "in_doubt"]


async def test_a_token_in_doubt_stays_in_doubt_since_when_it_was_first(house, store, worker):
    [session] = await house.fleet(store, 1)
    await store.commit([house.doubt(await store.claim_one(worker, session.id))])
    since = store.now()
    house.clock.advance(5)
    await store.claim_one(worker, session.id)

    house.die(store, worker)
    await house.bury(await house.open())

    assert (await store.get(session.id)).doubt_at == since


async def test_a_dead_owners_rotation_that_arrives_after_all_is_taken(house, store, worker):
    [session] = await house.fleet(store, 1)
    rotation = house.rotation(await store.claim_one(worker, session.id))
    house.die(store, worker)
    await house.bury(await house.open())

    [result] = await store.commit([rotation])

    kept = await store.get(session.id)
    assert result.fate is Fate.COMMITTED
    assert (kept.token, kept.status, kept.doubt_at, kept.attempt) == (rotation.edit.token, Status.ACTIVE, None, 0)


async def test_what_its_owner_ended_while_a_dead_process_held_it_does_not_come_due(house, store, worker):
    [session] = await house.fleet(store, 1)
    await store.claim_one(worker, session.id)
    await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now() + MINUTE)
    house.die(store, worker)
    other = await house.open()
    heir = await other.owners.enrol("heir", "worker")

    assert await house.bury(other) == []

    kept = await other.get(session.id)
    assert (kept.status, kept.due_at, kept.owner) == (Status.ENDED, None, None)
    assert await other.claim_due(heir, 5, until=other.now()) == []


async def test_who_holds_nothing_is_never_taken_for_stopped(house, store, worker):
    house.clock.advance(7 * 86400)

    await house.bury(await house.open())

    assert await store.owners.tick(worker)


async def test_a_claim_that_was_forgotten_goes_on_when_its_owner_retires(house, store, worker, rival):
    [session] = await house.fleet(store, 1)
    await store.claim_one(worker, session.id)

    await store.owners.retire(worker)

    kept = await store.get(session.id)
    assert (kept.owner, kept.status, kept.due_at) == (None, Status.IN_DOUBT, store.now())
    assert [claim.session.id for claim in await store.claim_due(rival, 5, until=store.now())] == [session.id]


async def test_only_workers_that_live_share_the_pace(house, store, worker):
    visitor, dead, marked = [
        await store.owners.enrol(name, role)
        for name, role in (("a visitor", "visitor"), ("a dead one", "worker"), ("a marked one", "worker"))
    ]
    [session] = await house.fleet(store, 1)
    await store.claim_one(marked, session.id)
    await house.take_from(store, marked)
    house.die(store, dead)
    other = await house.open()
    await house.bury(other)

    assert [owner.id for owner in await other.owners.living_workers()] == [worker]
    assert set(await house.register(other)) == {worker, visitor}
