"""A fleet with a past for pictures of the page: an hour and a quarter of keeping, lived through in seconds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import read_adoption
from aimkeeper.engine.entry import LogIn
from aimkeeper.service import Service, Surroundings, open_service
from aimkeeper.serving import Serving, bind, serving
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Simulator
from aimkeeper.telemetry import Telemetry
from aimkeeper.testing import ManualClock

PAST = timedelta(minutes=75)
PASSWORD = "a password of the picture's"  # noqa: S105 (there is nobody behind it)
WELL = Faults(latency=0.07, jitter=0.09)
BUSY = Faults(latency=0.35, jitter=0.6, error_500=0.2, reset_after=0.06)
FIRST = ["ana", "berta", "carlos", "diego", "elena", "fran", "gema", "hugo", "ines", "javi", "kike", "laura", "marc",
         "nuria", "oscar", "paula", "quim", "rosa", "sergi", "teresa", "unai", "vera", "yago", "zoe"]  # fmt: skip
LAST = ["soler", "vidal", "ferrer", "campos", "ortega", "reyes", "navarro"]


class Clock:
    """Moved by hand until it is let go; from then on the machine's own."""

    def __init__(self, start: datetime) -> None:
        self.by_hand = ManualClock(start)
        self._system = SystemClock()
        self._let_go: tuple[float, float] | None = None

    def let_go(self) -> None:
        """What slept on it is over by now."""
        at = self._system.monotonic()
        self._let_go = (self.by_hand.monotonic() - at, self.by_hand.boottime() - at)

    def now(self) -> datetime:
        return self._system.now() if self._let_go else self.by_hand.now()

    def monotonic(self) -> float:
        return self._system.monotonic() + self._let_go[0] if self._let_go else self.by_hand.monotonic()

    def boottime(self) -> float:
        return self._system.monotonic() + self._let_go[1] if self._let_go else self.by_hand.boottime()

    async def sleep(self, seconds: float) -> None:
        await (self._system if self._let_go else self.by_hand).sleep(seconds)


class Stage:
    """A fleet, and the site that it is kept at."""

    def __init__(self, folder: Path, members: int) -> None:
        self.folder = folder
        self.clock = Clock(SystemClock().now() - PAST)
        self.sim = Simulator(Rules(old_token="grace"), WELL, clock=self.clock, rng=Random(11))  # noqa: S106, S311 (a rule, a picture)
        dice = Random(7)  # noqa: S311 (a picture)
        self.around = Surroundings(clock=self.clock, dice=dice, random_bytes=dice.randbytes, app=self.sim, inline=True)
        names = [f"{first}.{last}@example.com" for last in LAST for first in FIRST]
        self.emails = sorted(names[:members])
        self.settings = Settings(
            data_dir=folder,
            aimharder_url="http://aimharder.test",
            aimharder_login_url="http://login.aimharder.test",
            login_rate=100.0,
        )

    async def live_through(self) -> None:
        """Log some in, take the others over, and keep them; a bad quarter of an hour in the middle, some ends."""
        clock = self.clock.by_hand
        async with open_service(self.settings, role="worker", surroundings=self.around) as service:
            clock.busy.append(lambda: service.upstream.in_flight > self.sim.waiting)
            telemetry = Telemetry(service)
            await self._populate(service)
            worker = service.worker("stage")
            jobs = [asyncio.create_task(worker.run()), asyncio.create_task(telemetry.minutes.run(clock.sleep))]
            await clock.run(28 * 60)
            self.sim.faults = BUSY
            await clock.run(7 * 60)
            self.sim.faults = WELL
            await clock.run(12 * 60)
            await self._end_some(service)
            await clock.run((SystemClock().now() - clock.now()).total_seconds() - 1)
            await self._trouble_one(service)
            while clock.now() < SystemClock().now():
                await clock.run(1)
            worker.stop()
            jobs[1].cancel()
            await clock.finish(asyncio.gather(*jobs, return_exceptions=True))
            await telemetry.minutes.flush()
        self.clock.let_go()

    @asynccontextmanager
    async def served(self, *, with_worker: bool = True) -> AsyncIterator[Serving]:
        """The fleet, kept from now on by the machine's own clock."""
        with bind("127.0.0.1", 0) as listening:
            async with (
                open_service(self.settings, role="worker", name="serve", surroundings=self.around) as service,
                serving(service, listening, with_worker=with_worker, stopping=asyncio.Event(), name="serve") as now,
            ):
                yield now

    async def _populate(self, service: Service) -> None:
        for email in self.emails[::9]:
            self.sim.add_account(email, PASSWORD)
            remember = email < "m"
            await self.clock.by_hand.finish(service.entry.log_in(LogIn(email, PASSWORD, remember=remember)))
        others = [email for email in self.emails if email not in self.emails[::9]]
        devices = Random(5)  # noqa: S311 (a picture)
        grants = [self.sim.open_session(email, f"{devices.getrandbits(200):050x}") for email in others]
        await service.entry.adopt([read_adoption(grant.record()) for grant in grants], replacing=True)

    async def _end_some(self, service: Service) -> None:
        for email in self.emails[4::50]:
            [session] = await service.store.by_email(email)
            self.sim.kill(session.email, session.fingerprint)
        [session] = await service.store.by_email(self.emails[40])
        await service.entry.log_out(session)

    async def _trouble_one(self, service: Service) -> None:
        """One that is in doubt at the end: nobody hears what it is answered."""
        [session] = await service.store.http.board.nearest_deadline(1)
        self.sim.next("error_500", times=99, session=(session.email, session.fingerprint))
        asked = service.refresher.refresh(session, forced=True)
        await self.clock.by_hand.finish(asyncio.gather(asked, return_exceptions=True))
