"""Locks prove life, between real processes: the kernel frees them however a process goes."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.session import Status
from aimkeeper.store.ownership import FileLocks

# Another process: it opens the store, enrols, claims what is due, says so, and waits to be told to go.
PROCESS = """
import asyncio, os, sys
from pathlib import Path
from aimkeeper.clock import SystemClock
from aimkeeper.store.owners import LockingOwners
from aimkeeper.store.ownership import FileLocks
from aimkeeper.store.seal import load_sealer
from aimkeeper.store.sqlite import Sqlite
from aimkeeper.store.store import Store

folder = Path(sys.argv[1])

def sealers(sealed):
    return load_sealer(None, folder / "secret.key", store_is_sealed=sealed)

async def main():
    backend = Sqlite(folder / "aimkeeper.db")
    owners = LockingOwners(backend, FileLocks(folder / "owners"), SystemClock())
    store = Store(backend, sealers, owners, SystemClock(), spool_folder=folder / "spool")
    print("ready", flush=True)
    sys.stdin.readline()
    await store.open()
    owner = await store.owners.enrol("another process", "worker")
    claims = await store.claim_due(owner, int(sys.argv[2]), until=store.now())
    print(owner, *(claim.session.id for claim in claims), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    if sys.argv[3] == "goes in good order":
        await store.owners.retire(owner)
        await store.close()
    else:
        os._exit(3)

asyncio.run(main())
"""


class Process:
    """A real one."""

    def __init__(self, folder, claims, way):
        command = [sys.executable, "-c", PROCESS, str(folder), str(claims), way]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.hear() == "ready"

    def hear(self) -> str:
        return self.child.stdout.readline().strip()

    def go_on(self) -> None:
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def start(self) -> list[str]:
        """Open, enrol and claim: the owner and the sessions it took."""
        self.go_on()
        return self.hear().split()

    def kill(self) -> None:
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


@contextmanager
def process(folder, claims=0, way="goes in good order"):
    started = Process(folder, claims, way)
    try:
        yield started
    finally:
        started.child.kill()
        started.child.communicate()


def open_files():
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture
def backend():
    return "sqlite in threads"


@pytest.fixture
def locks(tmp_path):
    return FileLocks(tmp_path / "owners")


# ------------------------------------------------------------ between processes


@pytest.mark.slow
async def test_a_killed_process_is_replaced_at_once(house, store, worker):
    first, second = await house.fleet(store, 2)
    with process(house.folder, claims=1) as other:
        theirs, taken = other.start()
        assert taken in (first.id, second.id)
        other.kill()

        told = await store.owners.reap(stuck_before=0)

    assert [fact.session_id for fact in told] == [taken]
    kept = await store.get(taken)
    assert (kept.status, kept.owner, kept.due_at) == (Status.IN_DOUBT, None, store.now())
    assert [owner.id for owner in await store.owners.everyone()] == [worker]
    assert not (house.folder / "owners" / f"{theirs}.lock").exists()
    claims = await store.claim_due(worker, 1, until=store.now())
    assert [claim.session.id for claim in claims] == [taken]


@pytest.mark.slow
async def test_a_living_process_keeps_what_it_holds_even_while_it_is_stopped(house, store, worker):
    await house.fleet(store, 1)
    with process(house.folder, claims=1) as other:
        theirs, taken = other.start()
        other.child.send_signal(signal.SIGSTOP)

        assert await store.owners.reap(stuck_before=0) == []
        assert {owner.id for owner in await store.owners.living_workers()} == {worker, theirs}
        assert (await store.get(taken)).owner == theirs
        assert await store.claim_one(worker, taken) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "left"), [("goes in good order", 0), ("drops dead", 1)], ids=["in good order", "without a word"]
)
async def test_a_process_that_goes_leaves_the_register_itself_or_is_struck_off(house, store, worker, way, left):
    with process(house.folder, way=way) as other:
        [theirs] = other.start()
        other.go_on()
        other.child.wait()

    assert len(await store.owners.everyone()) == 1 + left
    assert (house.folder / "owners" / f"{theirs}.lock").exists() == bool(left)
    await store.owners.reap(stuck_before=0)
    assert [owner.id for owner in await store.owners.everyone()] == [worker]


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
async def test_processes_that_open_a_new_database_at_once_all_succeed_and_share_one_key(house, attempt):
    with process(house.folder) as one, process(house.folder) as two, process(house.folder) as three:
        others = [one, two, three]
        for other in others:
            other.go_on()
        owners = [other.hear() for other in others]

        store = await house.open()
        assert {owner.id for owner in await store.owners.everyone()} == set(owners)
        assert all(owners)
    assert len((house.folder / "secret.key").read_text().split()) == 1


@pytest.mark.slow
async def test_processes_that_claim_at_once_share_the_sessions_out(house, store):
    kept = await house.fleet(store, 30)
    with process(house.folder, claims=10) as one, process(house.folder, claims=10) as two:
        for other in (one, two):
            other.go_on()
        taken = [session for other in (one, two) for session in other.hear().split()[1:]]

    assert len(taken) == len(set(taken)) == 20
    assert set(taken) <= {session.id for session in kept}


# ------------------------------------------------------------ locks alone


def test_a_lock_is_held_from_taking_to_dropping(locks, tmp_path):
    others = FileLocks(tmp_path / "owners")

    locks.hold("a")
    assert (locks.is_alive("a"), others.is_alive("a"), others.is_alive("b")) == (True, True, False)
    locks.drop("a")
    assert (locks.is_alive("a"), others.is_alive("a")) == (False, False)
    assert list((tmp_path / "owners").iterdir()) == []


def test_lock_files_are_for_their_owner_only(locks, tmp_path):
    locks.hold("a")

    assert stat.S_IMODE((tmp_path / "owners").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "owners" / "a.lock").stat().st_mode) == 0o600
    locks.drop("a")


def test_two_who_look_at_the_same_moment_do_not_take_one_another_for_the_holder(locks, tmp_path):
    locks.hold("a")
    locks.abandon("a")
    looking = os.open(tmp_path / "owners" / "a.lock", os.O_RDWR)
    fcntl.flock(looking, fcntl.LOCK_SH)

    assert not locks.is_alive("a")

    os.close(looking)


def test_a_lock_that_is_taken_can_not_be_taken_again_and_nothing_is_left_open(locks, tmp_path):
    others = FileLocks(tmp_path / "owners")
    locks.hold("a")
    before = open_files()

    with pytest.raises(StoreUnavailable, match="no lock can be taken"):
        others.hold("a")

    assert open_files() == before
    locks.drop("a")


def test_dropping_and_forgetting_what_is_not_there_is_nothing(locks):
    locks.drop("nobody")
    locks.forget("nobody")


def test_a_folder_that_can_not_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreUnavailable, match="no lock can be taken"):
        FileLocks(tmp_path / "file").hold("a")


@pytest.mark.parametrize("where", ["open", "flock"])
def test_where_nobody_can_say_who_lives_nobody_is_taken_for_dead(locks, tmp_path, monkeypatch, where):
    locks.hold("a")
    others = FileLocks(tmp_path / "owners")

    def too_many(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(*((os, "open", too_many) if where == "open" else (fcntl, "flock", too_many)))
    with pytest.raises(StoreUnavailable, match="Too many open files"):
        others.is_alive("a")

    monkeypatch.undo()
    locks.drop("a")


# ------------------------------------------------------------ stopped, not dead


async def test_a_tick_says_when_it_last_looked_for_work_but_writes_seldom(house, store, worker):
    seen = []
    for _ in range(12):
        assert await store.owners.tick(worker)
        seen.append((await store.owners.everyone())[0].tick_at)
        house.clock.advance(1)

    started = seen[0]
    assert seen == [started] * 10 + [started + timedelta(seconds=10)] * 2


async def test_a_tick_is_written_again_though_the_clock_was_set_back(house, store, worker):
    await store.owners.tick(worker)
    house.clock.set_wall(house.clock.now() - timedelta(days=1))

    assert await store.owners.tick(worker)

    assert (await store.owners.everyone())[0].tick_at == store.now()


async def test_an_owner_that_stopped_while_it_held_a_claim_is_marked_and_finds_the_mark(house, store, worker):
    [session] = await house.fleet(store, 1)
    await store.claim_one(worker, session.id)
    other = await house.open()
    house.clock.advance(61)

    told = await house.reap(other)

    assert [fact.session_id for fact in told] == [session.id]
    assert (await other.get(session.id)).owner is None
    assert (await other.owners.everyone())[0].dead_at == store.now()
    assert not await store.owners.tick(worker)
    # It lives: its row and its lock stay until it goes, and it is marked once.
    assert await house.reap(other) == []
    house.die(store, worker)
    await house.reap(other)
    assert await other.owners.everyone() == []


@pytest.mark.parametrize("seconds", [0, 59, 60])
async def test_an_owner_that_is_only_busy_is_not_marked(house, store, worker, seconds):
    [session] = await house.fleet(store, 1)
    await store.claim_one(worker, session.id)
    house.clock.advance(seconds)

    assert await house.reap(await house.open()) == []

    assert await store.owners.tick(worker)


async def test_time_asleep_does_not_count_for_all_slept_alike(house, store, worker):
    [session] = await house.fleet(store, 1)
    await store.claim_one(worker, session.id)
    house.clock.suspend(3600)

    assert await house.reap(await house.open()) == []
    house.clock.advance(61)
    assert len(await house.reap(await house.open())) == 1


async def test_who_can_not_be_put_on_the_register_holds_no_lock(house, store):
    house.tell("ALTER TABLE owners RENAME TO elsewhere")

    with pytest.raises(StoreUnavailable):
        await store.owners.enrol("a worker", "worker")

    assert list((house.folder / "owners").iterdir()) == []
