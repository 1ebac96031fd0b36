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

EMAIL, DEVICE = "ana@example.com", "f" * 50
CHILD = Path(__file__).with_name("crash_child.py")
POINTS = ["after_claim", "before_send", "after_send", "after_answer", "before_commit", "after_commit"]
settings = runpy.run_path(str(CHILD))["settings"]
SPENT_UNHEARD = {"after_send", "after_answer", "before_commit"}

pytestmark = pytest.mark.slow


async def crash(site, folder, point):
    """One process, to its end. `after_send` can only be seen from outside: when the request has arrived."""
    child = await asyncio.create_subprocess_exec(sys.executable, str(CHILD), str(folder), site.url, point)
    if point == "after_send":
        while not site.sim.waiting:
            await asyncio.sleep(0.005)
        child.send_signal(signal.SIGKILL)
    assert await child.wait() == -signal.SIGKILL
    while site.sim.in_flight:  # AimHarder does its work though nobody waits for the answer
        await asyncio.sleep(0.005)


async def go_on(site, folder, until):
    """The next process, until *until* says so."""
    async with open_service(settings(folder, site.url), role="worker") as service:
        worker = service.worker()
        task = asyncio.create_task(worker.run())
        try:
            async with asyncio.timeout(15):
                while not await until(service):
                    await asyncio.sleep(0.02)
        finally:
            worker.stop()
            await task


@pytest.mark.parametrize("old_token", ["grace", "strict"])
@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_any_point_the_next_process_goes_on(tmp_path, point, old_token):
    sim = Simulator(Rules(idle_life=20, old_token=old_token, grace=15), Faults(), clock=SystemClock(), rng=Random(1))
    async with running(sim) as site:
        grant = sim.open_session(EMAIL, DEVICE)
        async with open_service(settings(tmp_path, site.url)) as service:
            [session] = await service.entry.adopt([read_adoption(grant.record())], replacing=False)
        sim.faults = Faults(latency=0.3) if point == "after_send" else Faults()

        await crash(site, tmp_path, point)
        sim.faults = Faults()
        generation = 2 if point == "after_commit" else 1

        async def decided(service):
            kept = await service.store.get(session.id)
            return kept.status is Status.ENDED or kept.generation > generation

        await go_on(site, tmp_path, decided)
        async with open_service(settings(tmp_path, site.url)) as service:
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
