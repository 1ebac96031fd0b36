"""A simulated AimHarder on a real socket, a store with a kept session, and clients that can name any host."""

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from aimkeeper import Settings, open_service
from aimkeeper.clock import SystemClock
from aimkeeper.engine.entry import LogIn
from aimkeeper.serving import bind, serving
from aimkeeper.simulator import Faults, Rules, Simulator, running

KEY = "the operator's own key"
EMAIL, PASSWORD, FINGERPRINT = "ana@example.com", "correct horse", "f" * 50
BOX = "http://box.aimharder.com"
DAY = "20990101"


class Site:
    """The upstream, in a thread of its own."""

    def __init__(self) -> None:
        # As for the real hosts: the member's cookie is good for the base host and all below it.
        self.sim = Simulator(Rules(old_token="strict", cookie_domain="aimharder.com"), Faults(), clock=SystemClock())
        self.sim.add_account(EMAIL, PASSWORD)
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with running(self.sim) as where:
            self.url = where.url
            self._ready.set()
            await self._stopping.wait()

    @property
    def truth(self):
        return self.sim.truth(EMAIL, FINGERPRINT)

    def kill(self) -> None:
        self.sim.kill(EMAIL, FINGERPRINT)

    def asked(self, path="/api/bookings"):
        """How often somebody asked for *path*."""
        return self.sim.totals.requests[path]


class Keeper:
    """`aimkeeper serve` over a home's store, in a thread of its own."""

    def __init__(self, settings: Settings, *, with_worker: bool = False) -> None:
        self._settings = replace(settings, api_keys=(KEY,))
        self._with_worker = with_worker
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(20)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with (
            open_service(self._settings, role="worker" if self._with_worker else "visitor") as self.service,
            serving(
                self.service, bind("127.0.0.1", 0), with_worker=self._with_worker, stopping=self._stopping
            ) as running_at,
        ):
            self.url = running_at.url
            self._ready.set()
            await self._stopping.wait()


class Home:
    """A data folder with one kept session."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.settings = Settings(
            data_dir=folder,
            aimharder_url="http://aimharder.com",
            aimharder_login_url="http://aimharder.com",
            upstream_proxy=site.url,
            max_rate=1000.0,
        )

    def do(self, work):
        """Open the service as another process would, and do *work* with it."""

        async def whole():
            async with open_service(self.settings) as service:
                return await work(service)

        # A thread of its own: the test may have a loop already.
        box = []
        thread = threading.Thread(target=lambda: box.append(asyncio.run(whole())))
        thread.start()
        thread.join()
        return box[0]

    def log_in(self, *, remember=True, fingerprint=FINGERPRINT):
        return self.do(lambda service: service.entry.log_in(LogIn(EMAIL, PASSWORD, fingerprint, remember)))

    def log_out(self) -> None:
        async def work(service):
            await service.entry.log_out(await service.find(EMAIL))

        self.do(work)

    def reads(self) -> int:
        """How often credentials were read, by the store's own book."""

        async def work(service):
            session = await service.find(EMAIL)
            told = await service.store.events_of(session.id, limit=1000)
            return sum(fact.kind == "credentials_read" for fact in told)

        return self.do(work)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in list(os.environ):
        if name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


@pytest.fixture
def site():
    with Site() as served:
        yield served


@pytest.fixture
def home(tmp_path, site):
    made = Home(tmp_path / "data", site)
    made.log_in()
    return made


@pytest.fixture
def keeper(home):
    with Keeper(home.settings) as served:
        yield served


@pytest.fixture
def key():
    return KEY


@pytest.fixture
def bookings():
    return f"{BOX}/api/bookings?day={DAY}&box=9283"


@pytest.fixture
def by_site(site):
    """Every request goes to the simulator, with the Host it names: as a proxy has it."""
    return {"proxy": site.url}
