"""Beside the beats, processes of one machine see one another's locks: whose process is gone is replaced at once."""

import pytest

from aimkeeper.core.session import Status
from aimkeeper.store.beats import DEAD_AFTER_SECONDS
from aimkeeper.store.ownership import FileLocks


@pytest.fixture
def backend():
    return "postgres"


@pytest.fixture
async def other(house, store):
    """Another process; it watches."""
    return await house.open()


async def stopped_beating(store):
    """Until the beat that is on its way has arrived."""
    async with store.owners._turn:
        pass


async def watch(house, store, seconds):
    """Beat and look around for so long, as a running process does."""
    await store.owners.beat()
    for _ in range(int(seconds)):
        house.clock.advance(1)
        await store.owners.beat()


@pytest.fixture
def neighbours(store, other, tmp_path):
    """Both processes are of one machine: each sees the locks of the other."""
    for each in (store, other):
        each.owners._locks = FileLocks(tmp_path / "owners")


async def test_whose_process_is_gone_from_this_machine_is_replaced_at_the_next_look(house, store, other, neighbours):
    [session] = await house.fleet(store, 1)
    gone = await store.owners.enrol("a worker", "worker")
    await store.claim_one(gone, session.id)

    store.owners.abandon(gone)
    await stopped_beating(store)
    await other.owners.beat()
    told = await house.reap(other)

    assert [fact.session_id for fact in told] == [session.id]
    assert (await other.get(session.id)).status is Status.IN_DOUBT
    assert await house.reap(other) == []


async def test_one_that_is_stopped_holds_its_lock_and_is_left_to_its_beat(house, store, other, neighbours):
    [session] = await house.fleet(store, 1)
    stopped = await store.owners.enrol("a worker", "worker")
    await store.claim_one(stopped, session.id)

    store.owners._ours.pop(stopped)  # as SIGSTOP would have it
    await stopped_beating(store)
    await other.owners.beat()
    early = await house.reap(other)
    await watch(house, other, DEAD_AFTER_SECONDS + 2)
    told = await house.reap(other)

    assert early == []
    assert [fact.session_id for fact in told] == [session.id]


async def test_one_of_another_machine_whose_lock_is_not_here_is_left_to_its_beat(house, store, other, neighbours):
    [session] = await house.fleet(store, 1)
    store.owners._locks = None
    far = await store.owners.enrol("a worker", "worker")
    await store.claim_one(far, session.id)

    store.owners.abandon(far)
    await stopped_beating(store)
    await other.owners.beat()
    early = await house.reap(other)

    assert early == []
    assert house.ask("SELECT owner IS NOT NULL FROM auth_sessions") == [(True,)]


async def test_who_leaves_in_good_order_leaves_no_lock_behind(store, neighbours, tmp_path):
    owner = await store.owners.enrol("a worker", "worker")
    there = len(list((tmp_path / "owners").iterdir()))

    await store.owners.retire(owner)

    assert there == 1
    assert list((tmp_path / "owners").iterdir()) == []


async def test_where_no_lock_can_be_had_the_beat_alone_tells(house, store, other, tmp_path):
    (tmp_path / "owners").write_text("a file where the folder should be")
    store.owners._locks = FileLocks(tmp_path / "owners")

    owner = await store.owners.enrol("a worker", "worker")

    assert await store.owners.tick(owner)
