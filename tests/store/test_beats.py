"""Beats prove life on a database that many machines share; no clock of one is compared with another's."""

import asyncio
from datetime import timedelta

import pytest

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.session import Status
from aimkeeper.store.beats import DEAD_AFTER_SECONDS, FENCE_SECONDS, LONGEST_GAP_SECONDS

SECOND = timedelta(seconds=1)


@pytest.fixture
def backend():
    return "postgres"


@pytest.fixture
async def claim(house, store, worker):
    [session] = await house.fleet(store, 1)
    return await store.claim_one(worker, session.id)


@pytest.fixture
async def other(house, store):
    """Another process, with a worker of its own; it watches."""
    return await house.open()


def stop(store, owner):
    """As SIGSTOP would have it: it wakes when what comes back is put back."""
    return store.owners._ours.pop(owner)


def wake(store, owner, asleep):
    store.owners._ours[owner] = asleep


async def watch(house, store, seconds, step=1.0):
    """Beat and look around for so long, as a running process does."""
    passed = 0.0
    await store.owners.beat()
    while passed < seconds:
        house.clock.advance(step)
        passed += step
        await store.owners.beat()


async def away(_owners):
    raise StoreUnavailable("the store is away.")


def is_held(house):
    return house.ask("SELECT owner IS NOT NULL FROM auth_sessions") == [(True,)]


# ------------------------------------------------------------ who is dead


async def test_a_beat_that_stands_still_for_five_seconds_is_a_dead_owners(house, store, worker, other, claim):
    stop(store, worker)
    await watch(house, other, DEAD_AFTER_SECONDS - 1)
    assert await house.reap(other) == []
    await watch(house, other, 1)

    told = await house.reap(other)

    kept = await other.get(claim.session.id)
    assert [fact.session_id for fact in told] == [claim.session.id]
    assert (kept.status, kept.owner, kept.last_error) == (Status.IN_DOUBT, None, "holder_died")
    assert [owner.dead_at for owner in await other.owners.everyone()] == [store.now()]


async def test_one_that_beats_is_left_alone_however_long_it_holds_its_claim(house, store, worker, other, claim):
    for _ in range(40):
        await watch(house, other, 1)
        await store.owners.beat()

    assert await house.reap(other) == []
    assert is_held(house)


async def test_nobody_is_dead_who_was_seen_for_the_first_time_just_now(house, store, worker, claim):
    stop(store, worker)
    house.clock.advance(3600)
    newcomer = await house.open()

    await newcomer.owners.beat()

    assert await house.reap(newcomer) == []
    assert is_held(house)


async def test_time_in_which_the_store_was_away_does_not_count(house, store, other, claim, monkeypatch):
    stop(store, claim.owner)
    await watch(house, other, DEAD_AFTER_SECONDS - 1)

    with monkeypatch.context() as patch:
        patch.setattr(other._backend, "beat", away)
        with pytest.raises(StoreUnavailable):
            await other.owners.beat()
        house.clock.advance(1)
    await watch(house, other, DEAD_AFTER_SECONDS - 1)

    assert await house.reap(other) == []
    await watch(house, other, 1)
    assert len(await house.reap(other)) == 1


async def test_who_did_not_look_for_a_while_begins_to_watch_anew(house, store, worker, other, claim):
    stop(store, worker)
    await watch(house, other, 2)

    await watch(house, other, 6, step=LONGEST_GAP_SECONDS + 0.1)

    assert await house.reap(other) == []
    await watch(house, other, DEAD_AFTER_SECONDS)
    assert len(await house.reap(other)) == 1


async def test_time_that_the_observer_slept_does_not_count(house, store, worker, other, claim):
    stop(store, worker)
    await watch(house, other, 2)
    house.clock.suspend(3600)

    await watch(house, other, 2)

    assert await house.reap(other) == []


async def test_the_database_s_wall_clock_decides_nothing(house, store, worker, other, claim):
    house.tell("UPDATE owners SET beat_at = beat_at - interval '1 year', started_at = started_at - interval '1 year'")
    await watch(house, other, DEAD_AFTER_SECONDS - 1)

    assert await house.reap(other) == []
    assert is_held(house)


async def test_an_owner_that_beats_in_the_last_moment_is_not_marked(house, store, worker, other, claim):
    asleep = stop(store, worker)
    await watch(house, other, DEAD_AFTER_SECONDS)
    wake(store, worker, asleep)
    await store.owners.beat()

    assert await house.reap(other) == []

    assert is_held(house)
    assert await store.owners.tick(worker)


# ------------------------------------------------------------ the fence


async def test_a_claim_may_be_sent_while_the_last_beat_is_young(house, store, worker, claim):
    await store.owners.beat()
    house.clock.advance(FENCE_SECONDS - 0.1)
    assert store.owners.may_send(claim)

    house.clock.advance(0.1)

    assert not store.owners.may_send(claim)
    await store.owners.beat()
    assert store.owners.may_send(claim)


async def test_time_asleep_counts_for_the_fence(house, store, worker, claim):
    await store.owners.beat()

    house.clock.suspend(FENCE_SECONDS)

    assert not store.owners.may_send(claim)


async def test_a_beat_is_as_old_as_its_sending_not_as_its_answer(house, store, worker, claim, monkeypatch):
    true_beat = store._backend.beat

    async def slow(owners):
        pulses = await true_beat(owners)
        house.clock.advance(FENCE_SECONDS)
        return pulses

    monkeypatch.setattr(store._backend, "beat", slow)
    await store.owners.beat()

    assert not store.owners.may_send(claim)


async def test_a_beat_that_did_not_arrive_confirms_nothing(house, store, worker, claim, monkeypatch):
    await store.owners.beat()
    house.clock.advance(FENCE_SECONDS - 0.1)

    monkeypatch.setattr(store._backend, "beat", away)
    with pytest.raises(StoreUnavailable):
        await store.owners.beat()
    house.clock.advance(0.1)

    assert not store.owners.may_send(claim)


async def test_nobody_sends_for_an_owner_that_is_not_theirs_or_has_gone(house, store, worker, other, claim):
    assert not other.owners.may_send(claim)
    await store.owners.retire(worker)
    assert not store.owners.may_send(claim)


async def test_whoever_is_dead_to_others_has_long_been_stopped_by_its_own_fence(house, store, worker, other, claim):
    """Whatever the two see of one another, in steps of a tenth of a second."""
    await store.owners.beat()
    asleep = stop(store, worker)
    for _ in range(80):
        await other.owners.beat()
        dead = bool(await house.reap(other))
        wake(store, worker, asleep)
        assert not (dead and store.owners.may_send(claim))
        if dead:
            return
        stop(store, worker)
        house.clock.advance(0.1)
    pytest.fail("it was never found dead")


# ------------------------------------------------------------ the mark


async def test_a_marked_owner_finds_the_mark_at_its_next_beat_and_claims_and_sends_nothing(
    house, store, worker, other, claim
):
    asleep = stop(store, worker)
    await watch(house, other, DEAD_AFTER_SECONDS)
    await house.reap(other)
    wake(store, worker, asleep)

    await store.owners.beat()

    assert not store.owners.may_send(claim)
    assert not await store.owners.tick(worker)
    assert await store.claim_due(worker, 5, until=store.now()) == []
    assert await store.logins.begin("ana@example.com", worker) is None


@pytest.mark.parametrize("finder", ["its beat", "its tick"])
async def test_a_marked_owner_begins_anew_under_another_name_and_says_so(house, store, other, claim, finder):
    worker, renamed = claim.owner, []
    store.owners.renamed = lambda old, new: renamed.append((old, new))
    asleep = stop(store, worker)
    await watch(house, other, DEAD_AFTER_SECONDS)
    await house.reap(other)
    wake(store, worker, asleep)

    if finder == "its beat":
        await store.owners.beat()
    else:
        asleep.is_dead = True
        assert await store.owners.tick(worker)

    [(old, again)] = renamed
    assert old == worker
    assert [(owner.id, owner.name) for owner in await other.owners.everyone()] == [(again, "a worker")]
    assert not store.owners.may_send(claim)
    [taken] = await store.claim_due(again, 5, until=store.now())
    assert store.owners.may_send(taken)


async def test_a_mark_waits_for_the_claim_under_way_and_takes_what_it_took(house, store, worker, other):
    [session] = await house.fleet(store, 1)
    asleep = stop(store, worker)
    await watch(house, other, DEAD_AFTER_SECONDS)
    async with house.blocking("SELECT 1 FROM auth_sessions FOR UPDATE") as let_go:
        # The claim holds its owner's row, and waits for the session's.
        claiming = asyncio.create_task(store.claim_one(worker, session.id))
        await house.waiting(1)
        reaping = asyncio.create_task(house.reap(other))
        await house.waiting(2)
        await let_go()
        taken, told = await asyncio.gather(claiming, reaping)
    wake(store, worker, asleep)

    assert taken is not None
    assert [fact.session_id for fact in told] == [session.id]
    assert not is_held(house)


@pytest.mark.parametrize("way", ["one", "steady", "backlog", "a login"])
async def test_a_claim_that_waits_for_the_mark_takes_nothing(house, store, worker, way):
    [session] = await house.fleet(store, 1)
    now = store.now()
    work = {
        "one": lambda: store.claim_one(worker, session.id),
        "steady": lambda: store.claim_due(worker, 5, until=now),
        "backlog": lambda: store.claim_due(worker, 5, until=now, backlog_eta=now),
        "a login": lambda: store.logins.begin("ana@example.com", worker),
    }[way]
    async with house.blocking("UPDATE owners SET dead_at = now()") as let_go:
        claiming = asyncio.create_task(work())
        await house.waiting(1)
        await let_go()
        taken = await claiming

    assert not taken
    assert not is_held(house)
    assert house.ask("SELECT owner FROM logins") == []


async def test_beats_go_on_while_every_other_connection_waits(house, store, worker):
    sessions = await house.fleet(store, 8)
    async with house.blocking("SELECT 1 FROM auth_sessions FOR UPDATE") as let_go:
        claims = [asyncio.create_task(store.claim_one(worker, session.id)) for session in sessions]
        await house.waiting(5)

        await store.owners.beat()

        assert not any(claim.done() for claim in claims)
        await let_go()
        assert all(await asyncio.gather(*claims))


# ------------------------------------------------------------ the register


async def test_a_tick_goes_along_with_a_beat_and_seldom(house, store, worker):
    seen = []
    for _ in range(12):
        assert await store.owners.tick(worker)
        await store.owners.beat()
        seen.append((await store.owners.everyone())[0].tick_at)
        house.clock.advance(1)

    started = seen[0]
    assert seen == [started] * 10 + [started + 10 * SECOND] * 2


async def test_whoever_is_silent_is_said_to_be_and_shares_no_pace(house, store, worker):
    house.tell("UPDATE owners SET beat_at = clock_timestamp() - interval '6 seconds'")

    [owner] = await store.owners.everyone()

    assert 6 * SECOND <= owner.silent < 60 * SECOND
    assert await store.owners.living_workers() == []


async def test_the_dead_are_shown_for_an_hour_and_then_forgotten(house, store, worker, other, claim):
    await house.take_from(store, worker)
    marked_at = store.now()
    house.clock.advance(3599)
    await other.prune(before=store.now())
    assert [owner.dead_at for owner in await other.owners.everyone()] == [marked_at]

    house.clock.advance(2)
    await other.prune(before=store.now())

    assert await other.owners.everyone() == []


async def test_an_owner_beats_by_itself_by_the_second_from_enrolling_on(house, store, worker):
    await beaten(house, 1)
    for beat in (2, 3, 4):
        house.clock.advance(0.9)
        await asyncio.sleep(0.01)
        assert house.ask("SELECT beat FROM owners") == [(beat - 1,)]

        house.clock.advance(0.1)

        await beaten(house, beat)


async def beaten(house, beat):
    async with asyncio.timeout(20):
        while house.ask("SELECT beat FROM owners") != [(beat,)]:
            await asyncio.sleep(0.001)


async def test_a_beat_that_failed_is_followed_by_the_next(house, store, worker, monkeypatch):
    true_beat, failed = store._backend.beat, []

    async def failing(owners):
        failed.append(owners)
        await away(owners)

    monkeypatch.setattr(store._backend, "beat", failing)
    while not failed:
        house.clock.advance(1)
        await asyncio.sleep(0.001)
    monkeypatch.setattr(store._backend, "beat", true_beat)
    before = house.ask("SELECT beat FROM owners")[0][0]
    while house.ask("SELECT beat FROM owners")[0][0] == before:
        house.clock.advance(1)
        await asyncio.sleep(0.001)


async def test_who_closed_its_store_beats_no_more(house, store, worker):
    await store.close()

    before = house.ask("SELECT beat FROM owners")
    house.clock.advance(10)
    await asyncio.sleep(0.02)

    assert house.ask("SELECT beat FROM owners") == before
