"""A real process killed by SIGKILL at each point of a rotation: whoever starts next goes on, and nothing is lost."""

import asyncio
import runpy
import signal
import sys
from pathlib import Path
from random import Random

import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import read_adoption
from aimkeeper.core.session import Cause, Status
from aimkeeper.service import open_service
from aimkeeper.simulator import Faults, Rules, Simulator, running
from aimkeeper.store import beats

EMAIL, DEVICE = "ana@example.com", "f" * 50
CHILD = Path(__file__).with_name("crash_child.py")
POINTS = ["after_claim", "before_send", "after_send", "after_answer", "before_commit", "after_commit"]
child = runpy.run_path(str(CHILD))
SPENT_UNHEARD = {"after_send", "after_answer", "before_commit"}

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path, keeps_in, request, monkeypatch):
    """Where the processes live: how to start one on a site, and what to tell a real one."""
    url = request.getfixturevalue("database").url if keeps_in == "postgres" else ""
    for name in ("BEAT_SECONDS", "DEAD_AFTER_SECONDS", "FENCE_SECONDS", "LONGEST_GAP_SECONDS"):
        monkeypatch.setattr(beats, name, getattr(beats, name))
    child["hurry"]()
    return House(tmp_path, url)


class House:
    def __init__(self, folder, database):
        self.folder, self.database = folder, database

    def open(self, site, **options):
        return open_service(child["settings"](self.folder, site.url, self.database), **options)

    def command(self, site, point):
        return [sys.executable, str(CHILD), str(self.folder), site.url, point, *([self.database] * bool(self.database))]


async def crash(site, house, point):
    """One process, to its end. `after_send` can only be seen from outside: when the request has arrived."""
    process = await asyncio.create_subprocess_exec(*house.command(site, point))
    if point == "after_send":
        while not site.sim.waiting:
            await asyncio.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    while site.sim.in_flight:  # AimHarder does its work though nobody waits for the answer
        await asyncio.sleep(0.005)


async def go_on(site, house, until):
    """The next process, until *until* says so."""
    async with house.open(site, role="worker") as service:
        worker = service.worker()
        task = asyncio.create_task(worker.run())
        try:
            async with asyncio.timeout(15):
                while not await until(service):
                    await asyncio.sleep(0.02)
        finally:
            worker.stop()
            await task


EVERYWHERE = [("sqlite", old_token, point) for old_token in ("grace", "strict") for point in POINTS]
# Where others must be watched for a while before they are taken for dead, each case takes seconds.
EVERYWHERE += [("postgres", "grace", point) for point in POINTS]
EVERYWHERE += [("postgres", "strict", point) for point in ("after_claim", "before_commit")]


@pytest.mark.parametrize(("keeps_in", "old_token", "point"), EVERYWHERE, indirect=["keeps_in"])
async def test_killed_at_any_point_the_next_process_goes_on(house, point, old_token):
    sim = Simulator(Rules(idle_life=20, old_token=old_token, grace=15), Faults(), clock=SystemClock(), rng=Random(1))
    async with running(sim) as site:
        grant = sim.open_session(EMAIL, DEVICE)
        async with house.open(site) as service:
            [session] = await service.entry.adopt([read_adoption(grant.record())], replacing=False)
        sim.faults = Faults(latency=0.3) if point == "after_send" else Faults()

        await crash(site, house, point)
        sim.faults = Faults()
        generation = 2 if point == "after_commit" else 1

        async def decided(service):
            kept = await service.store.get(session.id)
            return kept.status is Status.ENDED or kept.generation > generation

        await go_on(site, house, decided)
        async with house.open(site) as service:
            kept = await service.store.get(session.id)
            history = await service.store.events_of(session.id)

    truth = sim.truth(EMAIL, DEVICE)
    if old_token == "strict" and point in SPENT_UNHEARD:
        # The upstream forgives nothing: the session is gone, and we say whose fault it was.
        assert (kept.status, kept.cause) == (Status.ENDED, Cause.DOUBLE_SPENT)
        assert history[0].data["evidence"]
    else:
        assert truth.alive
        assert kept.token.text == truth.token
        assert truth.reuse == (point in SPENT_UNHEARD)
    assert kept.owner is None
    assert truth.concurrent == 0
