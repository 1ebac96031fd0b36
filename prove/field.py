"""A field to try aimkeeper on: a simulator in this process, workers in their own, one database between them."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import read_adoption
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Session
from aimkeeper.engine.entry import LogIn
from aimkeeper.service import Service, open_service
from aimkeeper.settings import Settings, say_duration
from aimkeeper.simulator import Faults, Rules, Running, Simulator, running

DEVICE = "d" * 50
PASSWORD = "a password of the trial's"
KEY = "k" * 43  # 32 bytes in base64: with a shared store, every process is given it


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """
    What a trial is made of; durations in seconds.

    Attributes:
        workers: How many processes rotate, where a trial does not say otherwise.
        database: The URL of a PostgreSQL; empty = SQLite in the trial's folder.
    """

    sessions: int
    rules: Rules
    faults: Faults = Faults()
    refresh_every: float
    idle: float
    timeout: float = 2.0
    max_rate: float = 1000.0
    remembered: bool = False
    workers: int = 1
    database: str = ""

    def settings(self, folder: Path, url: str, *, max_rate: float | None = None) -> Settings:
        return Settings(
            data_dir=folder,
            aimharder_url=url,
            aimharder_login_url=url,
            refresh_every=timedelta(seconds=self.refresh_every),
            idle_timeout=timedelta(seconds=self.idle),
            upstream_timeout=min(
                timedelta(seconds=self.timeout), timedelta(seconds=(self.idle - self.refresh_every) / 4)
            ),
            max_rate=max_rate or self.max_rate,
            login_rate=100.0,
            database_url=self.database or None,
            secret_keys=KEY if self.database else None,
        )


@dataclass(slots=True)
class Score:
    """
    What a trial came to, by the simulator's ground truth.

    Attributes:
        lost: Sessions dead upstream, or whose live token is neither in the store nor among the spares.
        ended: Sessions the store took for ended.
        stranded: Alive, but the token held is not the newest and is not accepted either.
        reuse: Times a spent token was presented; to confirm an end it is presented once more.
        reused: Sessions to which that happened.
    """

    sessions: int = 0
    rotations: int = 0
    lost: int = 0
    ended: int = 0
    stranded: int = 0
    reuse: int = 0
    reused: int = 0
    concurrent: int = 0
    replies_lost: int = 0
    claims_left: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    note: str = ""

    def __str__(self) -> str:
        told = [
            f"{self.sessions} sessions, {self.rotations} rotations, {self.lost} lost, {self.ended} ended",
            f"reuse {self.reuse} (of {self.reused} sessions), concurrent {self.concurrent}",
            f"replies lost {self.replies_lost}",
        ]
        if not self.rotations:
            return self.note
        if self.causes:
            told.append(", ".join(f"{cause} {count}" for cause, count in sorted(self.causes.items())))
        return "; ".join([*told, self.note] if self.note else told)


class Field:
    """A running trial."""

    def __init__(self, setup: Setup, site: Running, service: Service, folder: Path, stack: AsyncExitStack) -> None:
        self.setup = setup
        self.sim = site.sim
        self.url = site.url
        self.service = service
        self.folder = folder
        self._port = site.port
        self._stack = stack
        self._workers: list[asyncio.subprocess.Process] = []

    async def close_upstream(self) -> None:
        """Nobody listens where AimHarder was."""
        await self._stack.aclose()

    async def reopen_upstream(self) -> None:
        await self._stack.enter_async_context(running(self.sim, port=self._port))

    async def populate(self) -> None:
        """Adopt, or log in, the trial's sessions; the faults begin after that."""
        emails = [f"member{number:05}@example.com" for number in range(self.setup.sessions)]
        if self.setup.remembered:
            for email in emails:
                self.sim.add_account(email, PASSWORD)
            await asyncio.gather(
                *(self.service.entry.log_in(LogIn(email, PASSWORD, remember=True)) for email in emails)
            )
        else:
            grants = [self.sim.open_session(email, DEVICE) for email in emails]
            await self.service.entry.adopt([read_adoption(grant.record()) for grant in grants], replacing=False)
        self.sim.faults = self.setup.faults

    async def work(self) -> None:
        """Start as many workers as the trial has."""
        for _ in range(self.setup.workers):
            await self.worker()

    async def worker(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        """Start one more worker process."""
        process = await asyncio.create_subprocess_exec(
            *_program("worker", *arguments),
            env=self._environment() | environment,
            cwd=self.folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._workers.append(process)
        return process

    async def run_once(self, *arguments: str, stdin: bytes = b"", **environment: str) -> tuple[int, str]:
        """Run one command to its end; its exit status and what it said."""
        process = await asyncio.create_subprocess_exec(
            *_program(*arguments),
            env=self._environment() | environment,
            cwd=self.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(30):
            said, _ = await process.communicate(stdin)
        return process.returncode or 0, said.decode()

    def _environment(self) -> dict[str, str]:
        settings = self.setup.settings(self.folder, self.url)
        shared = {"AIMKEEPER_DATABASE_URL": self.setup.database, "AIMKEEPER_SECRET_KEYS": KEY}
        return {
            "PATH": os.environ.get("PATH", ""),
            "AIMKEEPER_DATA_DIR": str(self.folder),
            "AIMHARDER_URL": self.url,
            "AIMHARDER_LOGIN_URL": self.url,
            "AIMKEEPER_REFRESH_EVERY": say_duration(settings.refresh_every),
            "AIMKEEPER_IDLE_TIMEOUT": say_duration(settings.idle_timeout),
            "AIMKEEPER_UPSTREAM_TIMEOUT": say_duration(settings.timeout),
            "AIMKEEPER_MAX_RATE": f"{settings.max_rate:g}",
            "AIMKEEPER_LOGIN_RATE": f"{settings.login_rate:g}",
        } | (shared if self.setup.database else {})

    async def held_by(self, worker: asyncio.subprocess.Process) -> int:
        """How many sessions a worker process has claimed now."""
        owners = {owner.id for owner in await self.service.store.owners.everyone() if owner.pid == worker.pid}
        return sum(session.owner in owners for session in await self.sessions())

    async def says_not_ready(self, url: str) -> bool:
        """Wait until a worker that listens says what is wrong, with 503."""
        async with ClientBuilder().build() as client:
            for _ in range(200):
                answer = await client.get(url).build().send()
                if answer.status == 503:
                    return "can't" in await answer.text()
                await asyncio.sleep(0.05)
        return False

    async def ready(self, url: str) -> None:
        """Wait until a worker that listens looks for work."""
        async with ClientBuilder().build() as client:
            for _ in range(200):
                with contextlib.suppress(PyreqwestError):
                    if (await client.get(url).build().send()).status == 200:
                        return
                await asyncio.sleep(0.05)
        raise TimeoutError("the worker does not get ready")

    async def rotated_since(self, before: int) -> None:
        """Wait, for at most a quarter of the idle life, until there were more rotations than *before*."""
        for _ in range(int(self.setup.idle / 4 / 0.05)):
            if self.sim.totals.rotations > before:
                return
            await asyncio.sleep(0.05)

    async def stop(self, process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; its exit status."""
        if process.returncode is None:
            process.send_signal(number)
        return await process.wait()

    async def stop_all(self) -> None:
        for process in self._workers:
            await self.stop(process)

    async def sessions(self) -> list[Session]:
        found: list[Session] = []
        while page := await self.service.store.page(found[-1].key if found else None, 500):
            found += page
        return found

    async def score(self) -> Score:
        """Compare what the store holds with what is so."""
        totals = self.sim.totals
        score = Score(
            rotations=totals.rotations + totals.set_refreshes,
            reuse=totals.reuse,
            concurrent=totals.concurrent,
            replies_lost=totals.replies_lost,
        )
        for session in await self.sessions():
            score.sessions += 1
            score.claims_left += session.owner is not None
            truth = self.sim.truth(session.email, session.fingerprint)
            score.reused += truth.reuse > 0
            held = [session.secrets.token.text] if session.secrets.token else []
            spare = await self.service.store.spare(session.id)
            held += [spare[1].text] if spare else []
            if session.cause is not None:
                score.ended += 1
                score.causes[session.cause.value] = score.causes.get(session.cause.value, 0) + 1
            if not truth.alive:
                score.lost += 1
            elif not any(self.sim.accepts(session.email, session.fingerprint, token) for token in held):
                score.stranded += 1
        return score

    async def count_events(self, kind: EventKind) -> int:
        told = [await self.service.store.events_of(session.id) for session in await self.sessions()]
        return sum(fact.kind is kind for facts in told for fact in facts)


def _program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "aimkeeper", *arguments]


@asynccontextmanager
async def field_of(setup: Setup, *, folder: Path | None = None, seed: int = 1) -> AsyncIterator[Field]:
    """A simulator and an empty database; no worker yet."""
    sim = Simulator(setup.rules, Faults(), clock=SystemClock(), rng=Random(seed))
    with tempfile.TemporaryDirectory(prefix="aimkeeper-prove-") as name:
        place = folder or Path(name)
        async with AsyncExitStack() as stack:
            site = await stack.enter_async_context(running(sim))
            async with open_service(setup.settings(place, site.url)) as service:
                trial = Field(setup, site, service, place, stack)
                try:
                    yield trial
                finally:
                    sim.faults = Faults()
                    await trial.stop_all()
