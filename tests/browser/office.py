"""An operator at the page of a real `serve`, with the simulator upstream."""

import asyncio
import contextlib
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from playwright.async_api import Error as PlaywrightError
from site_of_pages import BROWSER, until

from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import read_adoption
from aimkeeper.core.session import Status
from aimkeeper.service import Service, Surroundings, open_service
from aimkeeper.serving import bind, serving
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Simulator
from aimkeeper.web.access import Access

AXE = BROWSER / "node_modules/axe-core/axe.min.js"
KEY = "the operator's own key"
DESK = {"width": 1280, "height": 900}
# What a browser writes where a page meets an answer that is not 200: that is what some tests are about.
EXPECTED = ("Failed to load resource", "net::ERR")


@dataclass
class Office:
    """
    The service, its upstream, and the pages that are open.

    Attributes:
        faults: What went wrong in the pages' own scripts, and what the policy refused them.
        bodies: What the API answered to the pages.
    """

    service: Service
    sim: Simulator
    url: str
    chromium: Any
    stack: AsyncExitStack
    faults: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    _reading: list[asyncio.Future] = field(default_factory=list)

    async def keep(self, *emails: str):
        """Sessions that are kept from now on."""
        grants = [self.sim.open_session(email, f"{number:050x}") for number, email in enumerate(emails)]
        return await self.service.entry.adopt([read_adoption(grant.record()) for grant in grants], replacing=True)

    async def end(self, session) -> None:
        """AimHarder ends it, and we believe it."""
        self.sim.kill(session.email, session.fingerprint)
        await self.judged([session], Status.ENDED)

    async def judged(self, sessions, status: Status) -> None:
        """They are asked, and a worker asks again until all of them stand so."""

        async def all_do() -> bool:
            return all([(await self.service.store.get(one.id)).status is status for one in sessions])

        asked = [asyncio.ensure_future(self.service.refresher.refresh(one, forced=True)) for one in sessions]
        working = asyncio.ensure_future(self.service.worker("serve").run())
        await until(all_do, f"they are {status}")
        # Not stopped: the service goes on.
        for task in (working, *asked):
            task.cancel()
        await asyncio.gather(working, *asked, return_exceptions=True)

    def truth(self, session):
        return self.sim.truth(session.email, session.fingerprint)

    async def browser(self, **how: Any):
        """A browser profile that is signed in."""
        context = await self.stranger(**how)
        cookie = Access((KEY,), None).page_cookie(self.service.store.now(), secure=False)
        await context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.url, "httpOnly": True}])
        return context

    async def stranger(self, **how: Any):
        """A browser profile that is not."""
        context = await self.chromium.new_context(**({"viewport": DESK} | how))
        self.stack.push_async_callback(context.close)
        context.set_default_timeout(15_000)
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        context.on("console", self._on_console)
        context.on("response", lambda answer: self._reading.append(asyncio.ensure_future(self._read(answer))))
        return context

    async def open(self, path: str = "/", **how: Any):
        """A page of a browser that is signed in, up to date."""
        page = await (await self.browser(**how)).new_page()
        await page.goto(self.url + path)
        await is_live(page)
        return page

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(told in message.text for told in EXPECTED):
            self.faults.append(message.text)

    async def _read(self, answer: Any) -> None:
        kind = answer.headers.get("content-type", "")
        if "/static/" not in answer.url and "event-stream" not in kind:
            with contextlib.suppress(PlaywrightError):  # the page has gone on
                self.bodies.append(await answer.text())

    async def all_read(self) -> str:
        """Everything the API told the pages so far."""
        await asyncio.gather(*self._reading)
        return "\n".join(self.bodies)


async def is_live(page) -> None:
    await page.wait_for_selector("#live[data-state=live]")


async def complaints(page, part: str = "html") -> list[str]:
    """What axe-core finds wrong with the page, or a part of it, as it stands."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate("(part) => axe.run(part, { resultTypes: ['violations'] })", part)
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


async def says(page, text: str) -> None:
    """The line at the bottom of the page says so."""
    await page.locator("#said p", has_text=text).wait_for()


@asynccontextmanager
async def opened(folder: Path, chromium: Any):
    sim = Simulator(Rules(old_token="grace"), Faults(), clock=SystemClock(), rng=Random(1))
    dice = Random(7)
    around = Surroundings(clock=SystemClock(), dice=dice, random_bytes=dice.randbytes, app=sim)
    settings = Settings(
        data_dir=folder,
        aimharder_url="http://aimharder.test",
        aimharder_login_url="http://login.aimharder.test",
        login_rate=100.0,
        max_rate=1000.0,
        api_keys=(KEY,),
    )
    with bind("127.0.0.1", 0) as listening:
        async with (
            open_service(settings, role="worker", name="serve", surroundings=around) as service,
            # Nobody rotates by himself, so that a test knows what was done; but somebody seems to.
            serving(service, listening, with_worker=False, stopping=asyncio.Event()) as now,
        ):
            assert await service.store.owners.tick(service.keeper.owner)
            async with AsyncExitStack() as inner:
                yield Office(service, sim, now.url, chromium, inner)
