"""A stage for the engine: a real store, the simulator as upstream, a clock that is moved by hand."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from aimkeeper.core.begin import read_adoption
from aimkeeper.engine.entry import LogIn
from aimkeeper.service import Service, Surroundings, open_service
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Simulator
from aimkeeper.testing import ManualClock

EMAIL, PASSWORD, DEVICE = "ana@example.com", "correct horse", "f" * 50
# What must hold whatever the sessions are kept in; the rest is tried on SQLite only, which is quicker.
ON_BOTH = {"test_worker", "test_keeping"}


class Stage:
    """One upstream, one database (a file, or one of PostgreSQL's), any number of processes over it."""

    def __init__(self, folder: Path, clock: ManualClock, stack: AsyncExitStack, database=None) -> None:
        self.folder = folder
        self.clock = clock
        self.sim = Simulator(Rules(old_token="strict"), Faults(), clock=clock, rng=Random(1))
        self.sim.add_account(EMAIL, PASSWORD)
        self.services: list[Service] = []
        self._stack = stack
        self._dice = Random(7)
        self._database = database
        self._asleep = {}
        clock.busy.append(lambda: sum(s.upstream.in_flight for s in self.services) > self.sim.waiting)
        clock.busy.append(lambda: any(s.store._backend.pending for s in self.services))

    def settings(self, **changes) -> Settings:
        known = {"data_dir": self.folder, "aimharder_url": "http://aimharder.test", "login_rate": 100.0}
        known |= {"aimharder_login_url": "http://login.aimharder.test", "max_rate": 1000.0}
        if self._database:
            known |= {"database_url": self._database.url, "secret_keys": "k" * 43}
        return Settings(**{**known, **changes})

    async def open(self, *, seam=lambda point: None, role="worker", **changes) -> Service:
        """Another process, as it were."""
        around = Surroundings(
            clock=self.clock,
            dice=self._dice,
            random_bytes=self._dice.randbytes,
            app=self.sim,
            inline=True,
            seam=seam,
        )
        service = await self._stack.enter_async_context(
            open_service(self.settings(**changes), role=role, surroundings=around)
        )
        self.services.append(service)
        return service

    @asynccontextmanager
    async def working(self, service: Service):
        """The service's worker runs while the block does, and is drained after."""
        worker = service.worker()
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await self.clock.finish(task)

    def grant(self, email=EMAIL, device=DEVICE):
        """A session opened upstream behind our back, as an adoption."""
        return read_adoption(self.sim.open_session(email, device).record())

    async def adopt(self, service: Service, count: int = 1):
        """Adopt *count* sessions; they come in the order of their e-mails."""
        emails = [EMAIL] if count == 1 else [f"member{n:05}@example.com" for n in range(count)]
        return await service.entry.adopt([self.grant(email) for email in emails], replacing=True)

    async def log_in(self, service: Service, **changes):
        return await self.clock.finish(service.entry.log_in(replace(LogIn(EMAIL, PASSWORD), **changes)))

    def stop(self, service: Service) -> None:
        """As SIGSTOP would have it, until `wake`: no sign of life, for as long as it takes others to notice."""
        if self._database:
            self._asleep[service] = service.store.owners._ours.pop(service.keeper.owner)
        else:
            self.clock.advance(120)

    def wake(self, service: Service) -> None:
        if self._database:
            service.store.owners._ours[service.keeper.owner] = self._asleep.pop(service)

    def put_off(self, session, *, due_at, deadline_at) -> None:
        """Write these instants into the row, behind the store's back."""
        instants = [moment.timestamp() for moment in (due_at, deadline_at)]
        if self._database:
            sql = "UPDATE auth_sessions SET due_at = to_timestamp(?), deadline_at = to_timestamp(?) WHERE id::text = ?"
            self._database.ask(sql, *instants, session.id)
            return
        with closing(sqlite3.connect(self.folder / "aimkeeper.db")) as connection, connection:
            sql = "UPDATE auth_sessions SET due_at = ?, deadline_at = ? WHERE id = ?"
            connection.execute(sql, (*(int(instant * 1e6) for instant in instants), session.id))

    def truth(self, session):
        return self.sim.truth(session.email, session.fingerprint)

    def holds_live_token(self, session) -> bool:
        """Whether the token we hold is the very one the upstream issued last, and the session lives."""
        truth = self.truth(session)
        return truth.alive and session.token.text == truth.token


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def pytest_generate_tests(metafunc):
    if "keeps_in" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in ON_BOTH:
        metafunc.parametrize("keeps_in", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def keeps_in(request) -> str:
    return getattr(request, "param", "sqlite")


@pytest.fixture
def brief(keeps_in) -> float:
    """What is lived through by the hour on SQLite is lived through for a part of that where time passes slower."""
    return 1 if keeps_in == "sqlite" else 1 / 6


@pytest.fixture
async def stage(tmp_path, clock, keeps_in, request):
    database = request.getfixturevalue("database") if keeps_in == "postgres" else None
    async with AsyncExitStack() as stack:
        yield Stage(tmp_path, clock, stack, database)


@pytest.fixture
async def service(stage) -> Service:
    return await stage.open()


MINUTE = timedelta(minutes=1)
