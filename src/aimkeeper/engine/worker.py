"""The worker: claims what is due, sleeps until something is, and gives way in good order."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.fleet import Fleet
from aimkeeper.core.outcome import LONGEST_RETRY_AFTER
from aimkeeper.core.session import Session
from aimkeeper.engine.keeper import Keeper
from aimkeeper.engine.watch import Watch

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

# It looks about itself this often, whatever else happens: other processes store sessions too, or die.
TICK_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 60.0
# Two clocks that part by more than this since the last tick did not drift: one was set, or the machine slept.
JUMP_SECONDS = 2.0


class Worker:
    """
    Keeps every session of the store, with as many flights at a time as it may.

    Args:
        concurrency: Flights at a time.
        keep_rows: Whether the rows of ended sessions stay after their secrets were wiped.
        history: How long events are kept.
        name: For people, on the register of owners.

    Attributes:
        ticked_at: When it last looked for work, in `Clock.monotonic` seconds; None before the first time.
        trouble: What keeps it from the store now, as one sentence; None when nothing does.
        claimed: Told how long each look for work took the store, in seconds.
    """

    def __init__(
        self, keeper: Keeper, *, concurrency: int, keep_rows: bool, history: timedelta, name: str = "worker"
    ) -> None:
        self._keeper = keeper
        self._store: Store = keeper.store
        self._clock = keeper.clock
        self._breaker = keeper.breaker
        self._concurrency = concurrency
        self._keep_rows = keep_rows
        self._history = history
        self._name = name
        self._stopping = False
        self._awake = asyncio.Event()
        # Whoever starts may find hours of work: the earliest deadline first, until it is seen that there is no backlog.
        self._backlog = True
        self._probe: asyncio.Task[Session | None] | None = None
        self._tick_due = self._clock.monotonic()
        self._housekeeping_due = self._clock.monotonic()
        self._watch = Watch(keeper.store, keeper.policy, keeper.pace.fleet_rate)
        self._offsets = self._clock_offsets()
        self._keyed = keeper.owner
        self.ticked_at: float | None = None
        self.trouble: str | None = None
        self.claimed: Callable[[float], None] = lambda _seconds: None
        self.troubled: Callable[[StoreUnavailable], None] = lambda _error: None
        keeper.flights.landed = self.wake
        self._breaker.noticed = self.wake

    @property
    def is_ticking(self) -> bool:
        """Whether it looked for work lately."""
        return self.ticked_at is not None and self._clock.monotonic() - self.ticked_at < TICK_SECONDS * 10

    async def is_well(self) -> bool:
        """Whether it works, rotations commit and nothing is overdue."""
        return self.is_ticking and self.trouble is None and await self._watch.keeps_all()

    def wake(self) -> None:
        """Look for work now: there may be some."""
        self._awake.set()

    def stop(self) -> None:
        """Claim no more, finish what was sent, free the rest; `run` returns when that is done."""
        self._stopping = True
        self._keeper.drain()
        self.wake()

    async def run(self) -> None:
        """Work until `stop`."""
        while not self._stopping:
            try:
                wait = await self._round()
                self.trouble = None
            except StoreUnavailable as error:
                self.trouble = str(error)
                self.troubled(error)
                wait = TICK_SECONDS
            await self._sleep(wait)
        await self._keeper.flights.all_landed()

    async def _round(self) -> float:
        """Claim what is due, as much as there is room for; the seconds until it is worth looking again."""
        now = self._clock.monotonic()
        self.ticked_at = now
        if now >= self._tick_due:
            self._tick_due = now + TICK_SECONDS
            await self._tick()
        fleet = await self._breaker.look()
        if fleet.is_paused(self._store.now()):
            return TICK_SECONDS
        if fleet.is_throttled(self._store.now()):
            return self._until(fleet.throttled_until)
        if fleet.is_out:
            return await self._send_probe(fleet)
        room = min(self._concurrency - len(self._keeper.flights), self._keeper.pace.allowance())
        if room <= 0:
            # A landing wakes it; otherwise the pace does.
            return min(TICK_SECONDS, self._keeper.pace.wait() or TICK_SECONDS)
        await self._claim(room)
        if self._backlog:
            return min(TICK_SECONDS, self._keeper.pace.wait())
        return self._until(await self._store.next_due())

    async def _claim(self, room: int) -> list[asyncio.Task[Session | None]]:
        eta = self._eta() if self._backlog else None
        began = self._clock.monotonic()
        claims = await self._store.claim_due(self._keeper.owner, room, until=self._store.now(), backlog_eta=eta)
        self.claimed(self._clock.monotonic() - began)
        self._keeper.pace.take(len(claims))
        self._backlog = len(claims) == room
        now = self._store.now()
        for claim in claims:
            self._keeper.hearers.tell_lateness((now - (claim.session.due_at or now)).total_seconds())
        return [self._keeper.launch(claim) for claim in claims]

    async def _send_probe(self, fleet: Fleet) -> float:
        """In an outage: one session asks, the one that would die first; all others wait for what it hears."""
        self._backlog = True
        if self._probe is not None and self._probe.done():
            self._probe = None
            await self._breaker.probe_landed()
            fleet = self._breaker.fleet
        if self._probe is None and not len(self._keeper.flights) and await self._breaker.take_probe():
            launched = await self._claim(1)
            self._backlog = True
            if launched:
                self._probe = launched[0]
            else:
                await self._breaker.probe_landed()
            fleet = self._breaker.fleet
        return self._until(fleet.probe_at)

    def _until(self, moment: datetime | None) -> float:
        """Seconds until *moment*, at most a tick."""
        if moment is None:
            return TICK_SECONDS
        return min((moment - self._store.now()).total_seconds(), TICK_SECONDS)

    def _eta(self) -> datetime:
        """The earliest moment an answer to a request sent now could come: in about the time one takes."""
        return self._store.now() + self._keeper.policy.upstream_timeout / 10

    async def _tick(self) -> None:
        """Say that we live, see who died, and share the fleet's pace among those who live."""
        owners = self._store.owners
        if not await owners.tick(self._keeper.owner):
            # We were taken for dead: whatever we held is no longer ours. Sent requests may still commit.
            self._keeper.owner = await owners.enrol(self._name, "worker")
        await self._mind_the_keys()
        # Before anybody's claims are put in doubt: a fresh token somebody left behind settles the doubt.
        await self._store.replay_spool(self._keeper.policy, self._keeper.new_id)
        await self._keeper.bury()
        workers = len(await owners.living_workers())
        self._keeper.pace.share_among(workers)
        self._keeper.login_pace.share_among(workers)
        await self._mind_the_clock()
        now = self._clock.monotonic()
        if now >= self._housekeeping_due:
            self._housekeeping_due = now + HOUSEKEEPING_SECONDS
            await self._keep_house()

    async def _mind_the_keys(self) -> None:
        if self._keeper.owner != self._keyed:
            # Whoever enrols, again too, may find that all others have gone on to a key that it lacks.
            await self._store.keys.verify()
            self._keyed = self._keeper.owner
        await self._store.keys.mind()

    async def _keep_house(self) -> None:
        # Not while an outage or a mass death lasts: what looks dead may not be.
        if not self._breaker.fleet.freezes_verdicts:
            self._keeper.hearers.tell(*await self._store.wipe(keep_rows=self._keep_rows))
        await self._store.prune(before=self._store.now() - self._history)
        await self._retriage()
        self._keeper.hearers.tell(*await self._watch.look())

    async def _mind_the_clock(self) -> None:
        """Notice that the wall clock was set, or that the machine slept, and judge anew what is due."""
        before, self._offsets = self._offsets, self._clock_offsets()
        set_by, slept = (after - was for after, was in zip(self._offsets, before, strict=True))
        if abs(set_by) < JUMP_SECONDS and slept < JUMP_SECONDS:
            return
        self._backlog = True
        if abs(set_by) >= JUMP_SECONDS:
            await self._retriage()
        fact = Event(
            kind=EventKind.CLOCK_JUMPED,
            at=self._store.now(),
            data={"set_by_seconds": round(set_by), "slept_seconds": round(max(slept, 0.0))},
        )
        await self._store.record(fact)
        self._keeper.hearers.tell(fact)

    async def _retriage(self) -> None:
        """Make due what no rule can have put off so long: the clock stood elsewhere when it was."""
        now, every = self._store.now(), self._keeper.policy.refresh_every
        latest = now + max(every, LONGEST_RETRY_AFTER) + timedelta(seconds=JUMP_SECONDS)
        await self._store.fleet.retriage(latest=latest, latest_unfailed=now + every + timedelta(seconds=JUMP_SECONDS))

    def _clock_offsets(self) -> tuple[float, float]:
        """How far the wall clock, and the clock that counts sleep, are ahead of their neighbours, in seconds."""
        monotonic, boottime, wall = self._clock.monotonic(), self._clock.boottime(), self._clock.now().timestamp()
        return wall - boottime, boottime - monotonic

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        naps = [
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._awake.wait()),
        ]
        try:
            await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for nap in naps:
                nap.cancel()
        self._awake.clear()
