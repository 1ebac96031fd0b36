"""A real browser in front of a real aimkeeper in front of a simulated AimHarder."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import read_adoption
from aimkeeper.service import Service, Surroundings, open_service
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Simulator
from aimkeeper.telemetry import Telemetry
from aimkeeper.web.access import Access
from aimkeeper.web.app import make_app

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EMAIL, DEVICE = "ana@example.com", "f" * 50
# Chromium must neither look for Google nor throw its pages out of the back/forward cache.
FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
NOT_OUR_DEFAULT = ["--disable-back-forward-cache"]
# Reports what the page's own scripts were refused, and counts what they leave behind.
WATCH = (HERE / "pages" / "watch.js").read_text("utf-8")

has_playwright = importlib.util.find_spec("playwright") is not None
# On a developer's machine the rest can be tested without a browser; where it counts, nothing may be left out unseen.
if not has_playwright and not os.environ.get("CI"):
    collect_ignore = [path.name for path in HERE.glob("test_*.py")]

sys.path.insert(0, str(HERE))

from members import Members  # noqa: E402 (the folder is no package)
from site_of_pages import Site, served  # noqa: E402


class Visitor:
    """A browser profile, and what its pages wrote and were refused."""

    def __init__(self, context, site: Site) -> None:
        self.context, self.site = context, site
        self.written: list[str] = []
        self.faults: list[str] = []
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.faults.append(str(error.error)))

    def _on_console(self, message) -> None:
        self.written.append(message.text)
        # That a request was refused or failed is what some tests are about.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)

    async def store(self, **values: str) -> None:
        """Sign in, as the site's own login does."""
        page = await self.context.new_page()
        await page.goto(f"{self.site.url}/page/blank.html")
        for name, value in values.items():
            await page.evaluate("([name, value]) => localStorage.setItem(name, value)", [name, value])
        await page.close()

    async def sign_in(self, token: str, email: str = EMAIL) -> None:
        await self.store(**{"user-email": email, "fingerprint": DEVICE, "refreshToken": token})

    async def give_cookie(self, name: str, value: str) -> None:
        """As an answer of the service would, out of every script's sight."""
        await self.context.add_cookies([{"name": name, "value": value, "url": self.site.url, "httpOnly": True}])

    async def open(self, name: str = "start.html", query: str = "mode=holder"):
        page = await self.context.new_page()
        await page.goto(f"{self.site.url}/page/{name}?{query}")
        return page

    async def stored(self, page, key: str) -> str | None:
        return await page.evaluate("(key) => localStorage.getItem(key)", key)


@dataclass
class Keeper:
    """A real aimkeeper over the simulator, and its truth."""

    service: Service
    sim: Simulator
    site: Site

    async def keep(self, email: str = EMAIL):
        """A session that is kept from now on."""
        grant = read_adoption(self.sim.open_session(email, DEVICE).record())
        [session] = await self.service.entry.adopt([grant], replacing=True)
        return session

    def truth(self, session):
        return self.sim.truth(session.email, session.fingerprint)

    def exchanges(self) -> int:
        return self.site.count("/api/tokenUpdate")


@pytest.fixture(scope="session", autouse=True)
def tools():
    """Chromium and the npm packages of the lock files."""
    subprocess.run([str(ROOT / "tools/browser.sh"), "setup"], check=True, timeout=600)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(tools):
    from playwright.async_api import async_playwright  # noqa: PLC0415 (only where it is installed)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=FLAGS,
            chromium_sandbox=False,
            ignore_default_args=NOT_OUR_DEFAULT,
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def stack():
    async with AsyncExitStack() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def keeper(tmp_path, stack) -> Keeper:
    """It believes in short intervals, so that two exchanges in one test are two rotations."""
    sim = Simulator(Rules(old_token="strict"), Faults(), clock=SystemClock(), rng=Random(1))
    dice = Random(7)
    around = Surroundings(clock=SystemClock(), dice=dice, random_bytes=dice.randbytes, app=sim)
    settings = Settings(
        data_dir=tmp_path,
        aimharder_url="http://aimharder.test",
        aimharder_login_url="http://login.aimharder.test",
        refresh_every=timedelta(seconds=1.5),
        max_rate=1000.0,
    )
    service = await stack.enter_async_context(open_service(settings, surroundings=around))
    app = make_app(service, Access(("the operator's own key",), None), Telemetry(service))
    return Keeper(service, sim, await stack.enter_async_context(served(Site(app))))


@pytest_asyncio.fixture(loop_scope="session")
async def office(tmp_path, chromium):
    """An operator's page; at the end its scripts met no fault, and the policy refused them nothing."""
    from office import opened  # noqa: PLC0415 (it needs Playwright)

    async with opened(tmp_path, chromium) as there:
        yield there
    assert there.faults == []


@pytest_asyncio.fixture(loop_scope="session")
async def members(keeper):
    """Members of the service; `members.site` is the site that they visit."""
    service = Members(keeper)
    service.site = keeper.site
    keeper.site.service = service.app
    return service


@pytest_asyncio.fixture(loop_scope="session")
async def visit(chromium, stack):
    """Opens a browser profile at a site; at the end nothing was refused by the CSP, and no secret was written."""
    visitors: list[Visitor] = []

    async def visit(site: Site) -> Visitor:
        context = await chromium.new_context()
        stack.push_async_callback(context.close)
        await context.add_init_script(WATCH)
        visitors.append(Visitor(context, site))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        assert visitor.faults == []
        written = "\n".join(visitor.written)
        assert not re.search(rf"\d\|\d{{6}}|{EMAIL}|{DEVICE[:6]}|[0-9a-f]{{16}}", written), written
        # Cookies of AimHarder's load balancer stay with the service.
        assert [c["name"] for c in await visitor.context.cookies() if c["name"].startswith("AWSALB")] == []
