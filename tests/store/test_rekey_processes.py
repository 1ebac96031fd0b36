"""keys rotate among real processes that rotate sessions meanwhile, killed on the way and run again."""

import asyncio
import re
import signal
import sys

import pytest

from aimkeeper.simulator import Rules
from aimkeeper.store.seal import Key, Sealer, new_key
from prove.field import KEY, Setup, field_of

pytestmark = pytest.mark.slow

# Strict: a token that was spent, or lost, would end its session.
RULES = Rules(idle_life=60, old_token="strict")
SETUP = {"sessions": 300, "rules": RULES, "refresh_every": 10, "idle": 60}
# `keys rotate` that is killed before its fourth page is written.
KILLED = """
import os, signal, sys
from aimkeeper.cli import main
from aimkeeper.store import reseal
reseal.CHUNK = 40
pages, changes = [], reseal._changes
def count(*args):
    pages.append(1)
    if len(pages) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return changes(*args)
reseal._changes = count
sys.exit(main._run())
"""


async def killed_on_the_way(trial, **environment):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, "keys", "rotate",
        cwd=trial.folder, env=trial._environment() | environment, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    return await process.wait()


async def sealed_with(trial):
    """How many sessions are sealed with each key."""
    found: dict[str, int] = {}
    async with trial.service.store._backend.reading() as tx:
        for row in await tx.rows("sealed_sessions", after="", key_id=b"none", limit=10_000):
            name = bytes(row[1])[1:5].hex()
            found[name] = found.get(name, 0) + 1
    return found


async def rotations(trial, more):
    """Until so many more were made."""
    since = trial.sim.totals.rotations
    async with asyncio.timeout(60):
        while trial.sim.totals.rotations < since + more:
            await asyncio.sleep(0.02)


async def began(trial, workers):
    """Until so many have enrolled."""
    async with asyncio.timeout(60):
        while len(await trial.service.store.owners.living_workers()) < workers:
            await asyncio.sleep(0.05)


async def harm_done(trial, **environment):
    """Sessions lost, ended or stranded, tokens spent twice: to be seen once every one of them was rotated again."""
    await trial.stop_all()
    status, said = await trial.run_once("rotate", "--all", "--yes", **environment)
    assert (status, "successful 300, failed 0" in said) == (0, True), said
    score = await trial.score()
    return (score.lost, score.ended, score.stranded, score.reuse, score.concurrent)


async def test_on_one_machine_workers_go_over_to_the_new_key_by_themselves_and_a_killed_change_goes_on(tmp_path):
    async with field_of(Setup(**SETUP, workers=2), folder=tmp_path) as trial:
        await trial.populate()
        await trial.work()
        # This process holds the database open to look into it; it must not stand in the way.
        await trial.service.store.owners.retire(trial.service.keeper.owner)
        await rotations(trial, 20)

        assert await killed_on_the_way(trial) == -signal.SIGKILL
        halfway = await sealed_with(trial)
        status, said = await trial.run_once("keys", "rotate")

        key_id = re.search(r"with key (\w{8}): \d+ sessions", said)[1]
        assert (status, len(halfway)) == (0, 2)
        assert await sealed_with(trial) == {key_id: 300}
        await trial.service.store.keys.mind()
        assert await harm_done(trial) == (0, 0, 0, 0, 0)


async def test_on_a_shared_store_it_waits_until_every_worker_was_given_the_new_key(tmp_path, postgres):
    database, new = postgres.fresh(), new_key()
    both = {"AIMKEEPER_SECRET_KEYS": f"{new},{KEY}"}
    async with field_of(Setup(**SETUP, database=database.url), folder=tmp_path) as trial:
        # This process holds the database open to look into it; it must not stand in the way.
        await trial.service.store.owners.retire(trial.service.keeper.owner)
        await trial.populate()
        old = await trial.worker("--name", "the first")
        await began(trial, 1)  # else the second, alone, would seal with the new key, and the first be kept out
        await trial.worker("--name", "the second", **both)
        await began(trial, 2)
        await rotations(trial, 20)

        refused, why = await trial.run_once("keys", "rotate", **both)
        untouched = await sealed_with(trial)
        await trial.worker("--name", "the third", **both)
        await trial.stop(old)
        killed = await killed_on_the_way(trial, **both)
        halfway = await sealed_with(trial)
        status, said = await trial.run_once("keys", "rotate", **both)

        name = Key.parse(new).id.hex()
        assert refused == 2
        assert re.search(rf"the first \(pid {old.pid}\) lacks key {name}: put that one first in its", why)
        assert untouched == {Key.parse(KEY).id.hex(): 300}
        assert (killed, len(halfway)) == (-signal.SIGKILL, 2)
        assert (status, f"Sealed again with key {name}" in said) == (0, True)
        assert await sealed_with(trial) == {name: 300}
        trial.service.store.keys._sealer = Sealer([Key.parse(new)])
        assert await harm_done(trial, **both) == (0, 0, 0, 0, 0)
    database.give_back()
