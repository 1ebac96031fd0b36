"""Beats between real processes: one killed, one stopped and woken, one well; and a database that goes and returns."""

import asyncio
import json
import signal
import sys

import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.core.address import read_postgres
from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.session import Status
from aimkeeper.store.beats import BeatingOwners
from aimkeeper.store.database_clock import DatabaseClock
from aimkeeper.store.postgres import Postgres
from aimkeeper.store.store import Store

pytestmark = pytest.mark.slow

# Another process: it enrols, claims one session, and tells by the line how it stands whenever it is asked.
PROCESS = """
import asyncio, json, sys
from pathlib import Path
from aimkeeper.clock import SystemClock
from aimkeeper.core.address import read_postgres
from aimkeeper.store.beats import BeatingOwners
from aimkeeper.store.postgres import Postgres
from aimkeeper.store.seal import load_sealer
from aimkeeper.store.store import Store

url, folder, session = sys.argv[1], Path(sys.argv[2]), sys.argv[3]

def sealers(sealed):
    return load_sealer(None, folder / "secret.key", store_is_sealed=sealed)

async def main():
    clock = SystemClock()
    backend = Postgres(read_postgres(url), clock)
    store = Store(backend, sealers, BeatingOwners(backend, clock), clock, spool_folder=folder / "spool")
    await store.open()
    known = {"name": await store.owners.enrol("another process", "worker")}
    store.owners.renamed = lambda old, new: known.update(name=new)
    claim = await store.claim_one(known["name"], session)
    print(json.dumps(known), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({**known, "may send": store.owners.may_send(claim)}), flush=True)

asyncio.run(main())
"""


class Process:
    """A real one."""

    def __init__(self, child) -> None:
        self._child = child

    async def hear(self) -> dict:
        return json.loads(await self._child.stdout.readline())

    async def ask(self) -> dict:
        self._child.stdin.write(b"\n")
        return await self.hear()

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    async def end(self) -> None:
        if self._child.returncode is None:
            self._child.kill()
        await self._child.communicate()


@pytest.fixture
def backend():
    return "postgres"


@pytest.fixture
async def start(house):
    """Starts processes that hold a session each."""
    started = []

    async def begin(session) -> tuple[Process, str]:
        command = [sys.executable, "-c", PROCESS, house.database.url, str(house.folder), session.id]
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        process = Process(await asyncio.create_subprocess_exec(*command, **pipes))
        started.append(process)
        return process, (await process.hear())["name"]

    yield begin
    for process in started:
        await process.end()


@pytest.fixture
async def observer(house):
    """This process, on the machine's own clock."""
    backend = Postgres(read_postgres(house.database.url), SystemClock())
    clock = DatabaseClock(SystemClock())
    store = Store(backend, house.sealers, BeatingOwners(backend, clock), clock, spool_folder=house.folder / "spool")
    await store.open()
    await store.owners.enrol("observer", "worker")
    yield store
    await store.close()


async def reaped(store, seconds):
    """What a worker finds that looks about itself for so long."""
    told, loop = [], asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        told += await store.owners.reap(stuck_before=0)
        await asyncio.sleep(0.1)
    return told


async def test_the_killed_and_the_stopped_are_replaced_within_seconds_and_who_wakes_sends_nothing(
    house, store, start, observer
):
    sessions = await house.fleet(store, 3)
    killed, stopped, well = [(await start(session))[0] for session in sessions]
    assert all([(await process.ask())["may send"] for process in (killed, stopped, well)])

    killed.send(signal.SIGKILL)
    stopped.send(signal.SIGSTOP)
    early = await reaped(observer, 3)
    told = await reaped(observer, 5)
    stopped.send(signal.SIGCONT)
    woken = await stopped.ask()
    await asyncio.sleep(1.5)
    anew = await stopped.ask()

    assert early == []
    assert {fact.session_id for fact in told} == {session.id for session in sessions[:2]}
    assert [(await observer.get(each.id)).status for each in sessions] == [Status.IN_DOUBT] * 2 + [Status.ACTIVE]
    assert not woken["may send"]
    assert not anew["may send"]
    assert anew["name"] != woken["name"]
    assert (await well.ask())["may send"]
    names = {owner.id for owner in await observer.owners.everyone() if owner.dead_at is None and owner.pid}
    assert {anew["name"], (await well.ask())["name"]} < names


async def test_a_database_that_goes_away_and_returns_kills_nobody(house, store, start, observer, postgres):
    [session] = await house.fleet(store, 1)
    other, name = await start(session)

    await asyncio.to_thread(postgres.stop)
    await asyncio.sleep(3)
    unsure = await other.ask()
    with pytest.raises(StoreUnavailable, match="can't be reached"):
        await observer.get(session.id)
    await asyncio.sleep(3)
    await asyncio.to_thread(postgres.start)
    while not (await other.ask())["may send"]:
        await asyncio.sleep(0.05)
    told = await reaped(observer, 2)

    assert not unsure["may send"]
    assert told == []
    assert (await other.ask()) == {"name": name, "may send": True}
    assert (await observer.get(session.id)).owner == name
    assert [owner.dead_at for owner in await observer.owners.everyone()] == [None, None]
