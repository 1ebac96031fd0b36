"""A house with its doors open: a real service over SQLite, the simulator upstream, callers from anywhere."""

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from aimkeeper import testing
from aimkeeper.core.begin import read_adoption
from aimkeeper.engine.entry import LogIn
from aimkeeper.service import Service, Surroundings, open_service
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Simulator
from aimkeeper.telemetry import Telemetry
from aimkeeper.testing import ManualClock
from aimkeeper.web.access import Access
from aimkeeper.web.app import make_app

EMAIL, PASSWORD = "ana@example.com", "correct horse"
OPERATOR, CRON = "the operator's own key", "the cron's own secret"
SOMEWHERE, LOOPBACK = "203.0.113.9", "127.0.0.1"


class House:
    """One service, its application, and the upstream's truth."""

    def __init__(self, folder: Path, clock: ManualClock, sim: Simulator, service: Service) -> None:
        self.folder, self.clock, self.sim, self.service = folder, clock, sim, service
        self.telemetry = Telemetry(service)
        self.worker = None
        self.operator, self.cron = OPERATOR, CRON
        self._app = None
        self._clients: list[httpx.AsyncClient] = []

    @property
    def database(self) -> Path:
        return self.service.settings.database_path

    def app(self, **options):
        access = Access((OPERATOR,), CRON)
        return make_app(self.service, access, self.telemetry, self.worker, **options)

    def caller(self, host: str = SOMEWHERE, *, base="http://keeper.test", app=None) -> httpx.AsyncClient:
        """A browser or program somewhere. It remembers cookies."""
        app = app or self._app or self.app()
        self._app = self._app or app
        transport = httpx.ASGITransport(app=app, client=(host, 40000), raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url=base)
        self._clients.append(client)
        return client

    async def ask(self, method: str, path: str, *, by=None, caller=None, **what) -> httpx.Response:
        """One request, with the clock moved as far as its answer needs."""
        headers = dict(what.pop("headers", {}))
        if by:
            headers["authorization"] = f"Bearer {by}"
        return await self.clock.finish((caller or self.caller()).request(method, path, headers=headers, **what))

    async def exchange(self, token, fingerprint, **what) -> httpx.Response:
        return await self.ask("POST", "/api/tokenUpdate", json={"fingerprint": fingerprint, "token": token}, **what)

    async def log_in(self, email=EMAIL, password=PASSWORD, **more):
        """A session kept, and past the time in which a rotation counts as young."""
        self.sim.add_account(email, password)
        session = await self.clock.finish(self.service.entry.log_in(LogIn(email, password, **more)))
        self.clock.advance(120)
        return session

    async def adopt(self, *emails):
        grants = [read_adoption(self.sim.open_session(email, "f" * 50).record()) for email in emails]
        return await self.service.entry.adopt(grants, replacing=True)

    def truth(self, session):
        return self.sim.truth(session.email, session.fingerprint)

    @contextmanager
    def store_away(self):
        """Somebody else's transaction holds the database file for as long as the block lasts."""
        other = sqlite3.connect(self.database, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def house(tmp_path, clock, monkeypatch):
    # A request turns the loop more often on its way through the framework than anything of ours does.
    monkeypatch.setattr(testing, "_TURNS", 200)
    sim = Simulator(Rules(old_token="strict"), Faults(), clock=clock, rng=Random(1))
    dice = Random(7)
    around = Surroundings(clock=clock, dice=dice, random_bytes=dice.randbytes, app=sim, inline=True)
    settings = Settings(
        data_dir=tmp_path,
        aimharder_url="http://aimharder.test",
        aimharder_login_url="http://login.aimharder.test",
        login_rate=100.0,
        max_rate=1000.0,
    )
    async with open_service(settings, role="worker", surroundings=around) as service:
        clock.busy.append(lambda: service.upstream.in_flight > sim.waiting)
        # Patience with another's transaction would be real time.
        service.store._backend._writer.execute("PRAGMA busy_timeout = 0")
        stage = House(tmp_path, clock, sim, service)
        try:
            yield stage
        finally:
            await stage.close()
