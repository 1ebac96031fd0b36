"""Processes that tell: what was committed is told once, whoever dies; a watcher misses the heart of a dead one."""

import asyncio
import json
import signal
import sqlite3
from contextlib import closing

import pytest

from tests.notify.conftest import HOOK, SECRET, Receiver

from .conftest import EMAIL, until

pytestmark = pytest.mark.slow


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def telling(machine, receiver):
    machine.set(AIMKEEPER_WEBHOOK_URL=f"{receiver.url}/hook", AIMKEEPER_WEBHOOK_SECRET=SECRET)
    return machine


def written(machine, kind):
    with closing(sqlite3.connect(machine.data / "aimkeeper.db")) as database:
        return database.execute("SELECT count(*) FROM events WHERE kind = ?", (kind,)).fetchone()[0]


async def test_what_was_committed_before_a_kill_is_told_after_it_once(telling, site, receiver):
    name = await telling.log_in()
    first, _ = await telling.serve()
    site.sim.kill(*name.split("#"))
    await until(lambda: written(telling, "ended"), "the end of the session, committed")

    first.process.kill()
    await first.ends()
    before = len(receiver.told)
    second, _ = await telling.serve()
    third = await telling.start("worker")
    await until(lambda: receiver.told, "somebody who tells")
    await asyncio.sleep(1)  # nobody tells it again
    await second.stop()
    await third.stop()

    [told] = receiver.told
    assert before == 0
    assert told.kinds == ["ended"]
    assert told.json["data"]["events"][0]["email"] == EMAIL


async def test_the_heart_of_a_killed_process_is_missed_and_its_successor_s_is_heard(machine, receiver):
    machine.set(AIMKEEPER_HEARTBEAT_URL=f"{receiver.url}/ping")
    await machine.log_in()
    first, _ = await machine.serve()
    await until(lambda: len(receiver.told) >= 3, "a heart that beats")

    first.process.send_signal(signal.SIGKILL)
    await first.ends()
    beats = len(receiver.told)
    await asyncio.sleep(1)  # three beats' time
    silent = len(receiver.told) - beats
    second, _ = await machine.serve()
    await until(lambda: len(receiver.told) > beats, "another heart")
    await second.stop()

    assert silent == 0


async def test_an_address_apprise_can_not_use_stops_the_start_with_one_line(machine):
    ran = await machine.run("worker", AIMKEEPER_NOTIFY_URLS="nonsense://s3cret")

    assert ran.status == 2
    assert ran.err.startswith("aimkeeper: AIMKEEPER_NOTIFY_URLS: address 1 is none that Apprise can use")
    assert "s3cret" not in ran.err
    assert machine.claims() == []


async def test_in_the_log_of_one_who_tells_stands_no_address(machine, site, receiver):
    machine.set(
        DISCORD_WEBHOOK_URL=f"{receiver.url}{HOOK}",
        AIMKEEPER_NOTIFY_URLS="json://127.0.0.1:1/apprise-s3cret",
        AIMKEEPER_HEARTBEAT_URL=f"{receiver.url}/ping-s3cret",
        TOKEN_REFRESH_DEBUG="true",
    )
    receiver.answers = [404] * 20
    name = await machine.log_in()
    server, _ = await machine.serve()
    site.sim.kill(*name.split("#"))
    await until(lambda: any(told.path == HOOK for told in receiver.told), "Discord")
    await asyncio.sleep(1)
    await server.stop()

    assert json.dumps(server.err).count("s3cret") == 0
    assert machine.claims() == []
