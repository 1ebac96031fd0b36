"""A house with its doors open: a real service over SQLite, the simulator upstream, callers from anywhere."""

import asyncio
import shutil
import sqlite3
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from aimkeeper import testing
from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import read_adoption
from aimkeeper.core.session import SessionKey, Status
from aimkeeper.engine.entry import LogIn
from aimkeeper.service import Service, Surroundings, open_service
from aimkeeper.serving import bind, serving
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Simulator
from aimkeeper.telemetry import Telemetry
from aimkeeper.testing import ManualClock
from aimkeeper.web import feed
from aimkeeper.web.access import CSRF_HEADER, MEMBER_COOKIE, MEMBER_LIFE, PAGE_COOKIE, Access, csrf_of
from aimkeeper.web.app import make_app
from aimkeeper.web.terms import Terms

EMAIL, PASSWORD = "ana@example.com", "correct horse"
OPERATOR, CRON = "the operator's own key", "the cron's own secret"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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

    def app(self, *, keys=(OPERATOR,), health_only=False, **terms):
        """The application on those terms; the last one made is the one that callers call."""
        access = Access(keys, CRON, Terms(**terms))
        self._app = make_app(self.service, access, self.telemetry, self.worker, health_only=health_only)
        return self._app

    def page(self) -> dict[str, str]:
        """What the operator's own page sends along: its cookie, and its token."""
        value = Access((OPERATOR,), None).page_cookie(self.clock.now(), secure=False).value
        return {"cookie": f"{PAGE_COOKIE}={value}", CSRF_HEADER: csrf_of(value)}

    async def member(self, session) -> dict[str, str]:
        """What the page of a member's browser sends along: his cookie, and its token."""
        value = await self.service.store.http.members.issue(session.id, MEMBER_LIFE)
        return {"cookie": f"{MEMBER_COOKIE}={value}", CSRF_HEADER: csrf_of(value)}

    def caller(self, host: str = SOMEWHERE, *, base="http://keeper.test", app=None) -> httpx.AsyncClient:
        """A browser or program somewhere. It remembers cookies."""
        app = app or self._app or self.app()
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


class Site(threading.Thread):
    """A whole aimkeeper on a socket, in a thread of its own, with the simulator upstream."""

    def __init__(self, folder):
        super().__init__(name="served")
        self.folder = folder
        self.sim = Simulator(
            Rules(old_token="stateless", lockout_after=0), Faults(), clock=SystemClock(), rng=Random(1)
        )
        self.ready = threading.Event()
        self.faults: list[Exception] = []
        self.operator = {"authorization": f"Bearer {OPERATOR}"}

    def run(self):
        asyncio.run(self._serve())

    async def _serve(self):
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        dice = Random(7)
        around = Surroundings(clock=SystemClock(), dice=dice, random_bytes=dice.randbytes, app=self.sim)
        chosen = Settings(
            data_dir=self.folder,
            aimharder_url="http://aimharder.test",
            aimharder_login_url="http://login.aimharder.test",
            login_rate=100.0,
            max_rate=10_000.0,
            api_keys=(OPERATOR,),
            public_login=True,
            public_remember=True,
        )
        with bind("127.0.0.1", 0) as listening:
            async with (
                open_service(chosen, surroundings=around) as self.service,
                serving(self.service, listening, with_worker=False, stopping=asyncio.Event()) as running,
            ):
                self.service.keeper.hearers.faults.append(self.faults.append)
                self.url = running.url
                self.ready.set()
                await self.stopping.wait()

    def call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def session(self, number):
        """The id of a session that is kept, made anew when it was ended."""
        return self.call(self._session(number))

    async def _session(self, number):
        email, device = f"member{number}@example.com", "f" * 50
        known = await self.service.store.by_pair(SessionKey(email, device))
        if known is None or known.status is not Status.ACTIVE:
            grant = read_adoption(self.sim.open_session(email, device).record())
            [known] = await self.service.entry.adopt([grant], replacing=True)
        return known.id

    def member(self):
        """The headers of a member's page."""
        return self.call(self._member())

    async def _member(self):
        value = await self.service.store.http.members.issue(await self._session(0), MEMBER_LIFE)
        return {"cookie": f"{MEMBER_COOKIE}={value}", CSRF_HEADER: csrf_of(value)}

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.join(20)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    patched = pytest.MonkeyPatch()
    patched.setattr(feed, "STREAM_SECONDS", 0.0)
    served = Site(tmp_path_factory.mktemp("site"))
    served.start()
    assert served.ready.wait(20)
    yield served
    served.stop()
    patched.undo()


@pytest.fixture
def look(tmp_path):
    """What a browser, always the same one, makes of an address."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt install chromium")

    def opened(url):
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
        command += [f"--user-data-dir={tmp_path / 'profile'}", url]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    return opened
