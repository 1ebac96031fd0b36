"""Whom to save when there is not time for all: our order against the best possible one and first-in-first-out."""

import asyncio
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from aimkeeper.core.begin import read_adoption
from aimkeeper.service import Service, Surroundings, open_service
from aimkeeper.simulator import Faults, Simulator
from aimkeeper.testing import ManualClock
from prove.field import DEVICE, Setup, field_of

# The upstream is away for this share of the idle life, and comes back this much slower than sessions come due.
AWAY, BACK_AT = 0.8, 0.4
# Until even those rotated just before it went away are dead if nobody saved them.
LONGER = 0.05


@dataclass(frozen=True, slots=True)
class Saved:
    """How many sessions lived through it."""

    ours: int
    best: int
    first_in_first_out: int

    def __str__(self) -> str:
        return f"saved {self.ours}; best possible {self.best}, first in first out {self.first_in_first_out}"


def best_possible(deaths: list[float], gap: float) -> int:
    """The most that can be served in time, one each *gap*: the earliest death first, whoever is dead left out."""
    served = 0
    for death in sorted(deaths):
        if (served + 1) * gap <= death:
            served += 1
    return served


def first_in_first_out(deaths_by_due: list[float], gap: float) -> int:
    """How many are served in time when each is served in the order in which it came due, dead or alive."""
    return sum((place + 1) * gap <= death for place, death in enumerate(deaths_by_due))


async def by_hand_apart(setup: Setup) -> Saved:
    """`by_hand` in a process of its own: it never waits, and what else this one has to do would."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        return await asyncio.get_running_loop().run_in_executor(apart, _by_hand_here, setup)


def _by_hand_here(setup: Setup) -> Saved:
    return asyncio.run(by_hand(setup))


async def by_hand(setup: Setup) -> Saved:
    """On a clock moved by hand: in-process, no waiting."""
    clock, dice = ManualClock(), Random(7)
    sim = Simulator(setup.rules, Faults(), clock=clock, rng=Random(1))
    due_rate = setup.sessions / (setup.refresh_every * 0.9)
    with TemporaryDirectory(prefix="aimkeeper-prove-") as folder:
        around = Surroundings(clock=clock, dice=dice, random_bytes=dice.randbytes, app=sim, inline=True)
        async with AsyncExitStack() as stack:
            await _keep_for(stack, setup, around, Path(folder), max_rate=1000.0, seconds=2 * setup.refresh_every)
        async with AsyncExitStack() as stack:
            sim.faults = Faults(error_500=1.0)
            service = await _service(stack, setup, around, Path(folder), BACK_AT * due_rate)
            worker = service.worker()
            task = asyncio.create_task(worker.run())
            await clock.run(AWAY * setup.idle)
            sim.faults = Faults()
            expected = await _expected(service, sim, clock.boottime(), BACK_AT * due_rate)
            await clock.run((1 - AWAY + LONGER) * setup.idle)
            worker.stop()
            await clock.finish(task)
            return Saved(sum(truth.alive for truth in sim.truths()), *expected)


async def for_real(setup: Setup) -> Saved:
    """On real sockets and the real clock; the upstream's port is closed while it is away."""
    due_rate = setup.sessions / (setup.refresh_every * 0.9)
    async with field_of(setup) as field:
        worker = await field.worker()
        await field.populate()
        await asyncio.sleep(2 * setup.refresh_every)
        await field.stop(worker)
        await field.close_upstream()
        worker = await field.worker(AIMKEEPER_MAX_RATE=f"{BACK_AT * due_rate:.3g}")
        await asyncio.sleep(AWAY * setup.idle)
        await field.reopen_upstream()
        expected = await _expected(field.service, field.sim, field.sim.clock.boottime(), BACK_AT * due_rate)
        await asyncio.sleep((1 - AWAY + LONGER) * setup.idle)
        await field.stop(worker)
        return Saved(sum(truth.alive for truth in field.sim.truths()), *expected)


async def _expected(service: Service, sim: Simulator, now: float, rate: float) -> tuple[int, int]:
    """What the best order and first-in-first-out would save from now on, served at *rate* a second."""
    sessions, page = [], await service.store.page(None, 500)
    while page:
        sessions += page
        page = await service.store.page(page[-1].key, 500)
    by_due = sorted(sessions, key=lambda session: session.rotated_at)
    deaths = [sim.dies_at(session.email, session.fingerprint) - now for session in by_due]
    return best_possible(deaths, 1 / rate), first_in_first_out(deaths, 1 / rate)


async def _service(stack: AsyncExitStack, setup: Setup, around: Surroundings, folder: Path, max_rate: float) -> Service:
    settings = setup.settings(folder, "http://aimharder.test", max_rate=max_rate)
    return await stack.enter_async_context(open_service(settings, role="worker", surroundings=around))


async def _keep_for(
    stack: AsyncExitStack, setup: Setup, around: Surroundings, folder: Path, *, max_rate: float, seconds: float
) -> None:
    service = await _service(stack, setup, around, folder, max_rate)
    clock, sim = around.clock, around.app
    assert isinstance(clock, ManualClock)
    assert isinstance(sim, Simulator)
    clock.busy.append(lambda: service.upstream.in_flight > sim.waiting)
    emails = [f"member{number:05}@example.com" for number in range(setup.sessions)]
    for start in range(0, len(emails), 500):
        grants = [read_adoption(sim.open_session(email, DEVICE).record()) for email in emails[start : start + 500]]
        await service.entry.adopt(grants, replacing=False)
    worker = service.worker()
    task = asyncio.create_task(worker.run())
    await clock.run(seconds)
    worker.stop()
    await clock.finish(task)
    clock.busy.clear()
