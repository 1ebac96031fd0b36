"""What the tests of the documentation share: the pages, and a simulated AimHarder on a real socket."""

import asyncio
import threading
from pathlib import Path
from random import Random
from typing import Self

import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.simulator import Faults, Rules, Simulator, running

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> dict[str, str]:
    """Every page for people, by its path from the root."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in sorted(paths)}


class Site:
    """A simulated AimHarder in a thread of its own, with the members the pages speak of."""

    MEMBERS = ("you@example.com", "berta@example.com", "carlos@example.com")
    PASSWORD = "correct horse"

    def __init__(self) -> None:
        self.sim = Simulator(Rules(), Faults(), clock=SystemClock(), rng=Random(1))
        self.url = ""
        for email in self.MEMBERS:
            self.sim.add_account(email, self.PASSWORD)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="simulated site")

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with running(self.sim) as where:
            self.url = where.url
            self._ready.set()
            await self._stopping.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the simulated site does not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    def end_sessions_of(self, email: str) -> None:
        for truth in self.sim.truths():
            if truth.email == email:
                self.sim.kill(email, truth.fingerprint)


@pytest.fixture(scope="module")
def site():
    with Site() as served:
        yield served
