"""The worker: claims what is due, sleeps until something is, and gives way in good order."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.engine.keeper import Keeper

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

# It looks about itself this often, whatever else happens: other processes store sessions too, or die.
TICK_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 60.0
# On one machine, an owner with a claim this much older than the upstream timeout is stopped, not busy.
STUCK_SECONDS = 60.0


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
    """

    def __init__(
        self, keeper: Keeper, *, concurrency: int, keep_rows: bool, history: timedelta, name: str = "worker"
    ) -> None:
        self._keeper = keeper
        self._store: Store = keeper.store
        self._clock = keeper.clock
        self._concurrency = concurrency
        self._keep_rows = keep_rows
        self._history = history
        self._name = name
        self._stopping = False
        self._awake = asyncio.Event()
        self._backlog = False
        self._tick_due = self._clock.monotonic()
        self._housekeeping_due = self._clock.monotonic()
        self.ticked_at: float | None = None
        self.trouble: str | None = None
        self.troubled: Callable[[StoreUnavailable], None] = lambda _error: None
        keeper.flights.landed = self.wake

    @property
    def is_ticking(self) -> bool:
        """Whether it looked for work lately."""
        return self.ticked_at is not None and self._clock.monotonic() - self.ticked_at < TICK_SECONDS * 10

    def wake(self) -> None:
        """Look for work now: there may be some."""
        self._awake.set()

    def stop(self) -> None:
        """Claim no more, finish what was sent, free the rest; `run` returns when that is done."""
        self._stopping = True
        self._keeper.draining = True
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
        room = min(self._concurrency - len(self._keeper.flights), self._keeper.pace.allowance())
        if room <= 0:
            # A landing wakes it; otherwise the pace does.
            return min(TICK_SECONDS, self._keeper.pace.wait() or TICK_SECONDS)
        claims = await self._store.claim_due(
            self._keeper.owner, room, until=self._store.now(), backlog_eta=self._eta() if self._backlog else None
        )
        self._keeper.pace.take(len(claims))
        now_at = self._store.now()
        for claim in claims:
            for hear in self._keeper.hearers.lateness:
                hear((now_at - (claim.session.due_at or now_at)).total_seconds())
            self._keeper.launch(claim)
        self._backlog = len(claims) == room
        if self._backlog:
            return min(TICK_SECONDS, self._keeper.pace.wait())
        due = await self._store.next_due()
        return TICK_SECONDS if due is None else min((due - self._store.now()).total_seconds(), TICK_SECONDS)

    def _eta(self) -> datetime:
        """The earliest moment an answer to a request sent now could come: in about the time one takes."""
        return self._store.now() + self._keeper.policy.upstream_timeout / 10

    async def _tick(self) -> None:
        """Say that we live, see who died, and share the fleet's pace among those who live."""
        owners = self._store.owners
        if not await owners.tick(self._keeper.owner):
            # We were taken for dead: whatever we held is no longer ours. Sent requests may still commit.
            self._keeper.owner = await owners.enrol(self._name, "worker")
        timeout = self._keeper.policy.upstream_timeout.total_seconds()
        self._keeper.hearers.tell(*await owners.reap(stuck_before=self._clock.boottime() - timeout - STUCK_SECONDS))
        self._keeper.pace.share_among(len(await owners.living_workers()))
        now = self._clock.monotonic()
        if now >= self._housekeeping_due:
            self._housekeeping_due = now + HOUSEKEEPING_SECONDS
            self._keeper.hearers.tell(*await self._store.wipe(keep_rows=self._keep_rows))
            await self._store.prune(events_before=self._store.now() - self._history)

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
