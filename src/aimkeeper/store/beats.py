"""
Who lives, on a database that many machines share: each owner's beat grows by the second, and others watch it.

No clock of one machine is compared with another's. An observer calls an owner dead once it has seen its beat stand
still for 5 s on its own monotonic clock, with the store reachable throughout. The owner itself sends nothing once its
last confirmed beat is 2.5 s old, measured from before that beat left. Mark and beat lock the same row, so that each
comes wholly before the other.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from aimkeeper.clock import Clock
from aimkeeper.core.change import Claim
from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.events import Event
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend
from aimkeeper.store.owners import WRITE_TICK_EVERY, Owner, Owners, new_owner
from aimkeeper.store.ownership import FileLocks

BEAT_SECONDS = 1.0
DEAD_AFTER_SECONDS = 5.0
# Nobody sends on an older beat: twice as long again must pass before anybody else takes over.
FENCE_SECONDS = 2.5
# Who could not look for so long can't tell whether the beat stood still, or the store.
LONGEST_GAP_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Pulse:
    """
    An owner's beat, as the store told it.

    Attributes:
        raised: Whether it is ours, and was raised just now.
    """

    owner: str
    beat: int
    is_dead: bool
    raised: bool


class Beating(Backend, Protocol):
    """A backend on which owners beat."""

    async def beat(self, owners: dict[str, int | None]) -> list[Pulse]:
        """
        Raise the beats of *owners*, each with the instant of its last tick, and tell everybody's.

        On a connection of its own, so that it goes on while claims and commits are slow.
        """


@dataclass(slots=True)
class _Ours:
    """Attributes: `confirmed_at` in `Clock.boottime` seconds, from before the beat left."""

    name: str
    role: str
    confirmed_at: float
    tick: int | None = None
    is_dead: bool = False


@dataclass(slots=True)
class _Watched:
    """Attributes: `since`, when we first saw this beat, in `Clock.monotonic` seconds."""

    beat: int
    since: float
    until: float


class BeatingOwners(Owners):
    """
    The register, with beats as the proof of life.

    Args:
        locks: Of this machine and this run of its kernel only. Whoever held one and does not any more is dead, without
            waiting for its beat. None = beats alone.
    """

    def __init__(self, backend: Beating, clock: Clock, locks: FileLocks | None = None) -> None:
        super().__init__(backend, clock)
        self._locks = locks
        self._heart = backend
        self._ours: dict[str, _Ours] = {}
        self._watched: dict[str, _Watched] = {}
        self._looked_at: float | None = None
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._renewal = asyncio.Lock()

    async def enrol(self, name: str, role: str) -> str:
        owner = new_owner()
        # From before its row is there: it can't be dead earlier than others can have seen it.
        ours = _Ours(name, role, confirmed_at=self._clock.boottime())
        # Before its row, and without it where none can be had: then its beat tells.
        with suppress(StoreUnavailable):
            if self._locks:
                self._locks.hold(owner)
        try:
            await self._insert(owner, name, role)
        except BaseException:
            self._let_go(owner)
            raise
        self._ours[owner] = ours
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._go_on_beating(), name="beat")
        return owner

    async def tick(self, owner: str) -> bool:
        ours = self._ours.get(owner)
        if ours is None or (ours.is_dead and self.renamed is None):
            return False
        if ours.is_dead:
            await self._start_over()
            return True
        now = rows.micros(self._clock.now())
        # It goes along with a beat: two writers of one row would wait for one another.
        if ours.tick is None or abs(now - ours.tick) >= WRITE_TICK_EVERY.total_seconds() * 1e6:
            ours.tick = now
        return True

    async def retire(self, owner: str) -> None:
        self._ours.pop(owner, None)
        await self._declare_dead(owner, gone=True)
        self._let_go(owner)

    async def reap(self, *, stuck_before: float) -> list[Event]:  # noqa: ARG002 (who is stopped is silent here)
        events: list[Event] = []
        for owner, watched in list(self._watched.items()):
            process_is_gone = self._locks is not None and self._locks.was_let_go(owner)
            if process_is_gone or watched.until - watched.since >= DEAD_AFTER_SECONDS:
                events += await self._bury(owner, watched.beat)
                self._watched.pop(owner, None)
        return events

    async def living(self) -> list[Owner]:
        # Silence alone does not count: a database that was away has heard of nobody for a while.
        return [owner for owner in await self.everyone() if owner.dead_at is None]

    async def living_workers(self) -> list[Owner]:
        # How long others were silent is for people and for sharing the pace; it makes nobody dead.
        return [
            owner
            for owner in await self.everyone()
            if owner.role == "worker"
            and owner.dead_at is None
            and (owner.silent is None or owner.silent.total_seconds() < DEAD_AFTER_SECONDS)
        ]

    def may_send(self, claim: Claim) -> bool:
        ours = self._ours.get(claim.owner)
        if ours is None or ours.is_dead:
            return False
        return self._clock.boottime() - ours.confirmed_at < FENCE_SECONDS

    def ours(self) -> list[str]:
        return list(self._ours)

    def abandon(self, owner: str) -> None:
        self._ours.pop(owner)
        if self._locks:
            self._locks.abandon(owner)

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def beat(self) -> None:
        """
        Beat once for every owner of ours, and look how the others do; whoever finds its mark enrols anew.

        Raises:
            StoreUnavailable: The beats may not have arrived.
        """
        async with self._turn:
            beating = {owner: ours.tick for owner, ours in self._ours.items() if not ours.is_dead}
            sent_at, looked_at = self._clock.boottime(), self._clock.monotonic()
            try:
                pulses = await self._heart.beat(beating)
            except BaseException:
                self._looked_at = None
                raise
            raised = {pulse.owner for pulse in pulses if pulse.raised}
            for owner in beating:
                ours = self._ours.get(owner)
                if ours is not None:
                    ours.is_dead = owner not in raised
                    ours.confirmed_at = ours.confirmed_at if ours.is_dead else sent_at
            self._watch(pulses, looked_at)
        await self._start_over()

    async def _go_on_beating(self) -> None:
        while True:
            began = self._clock.monotonic()
            # The fence sees to it that nothing is sent meanwhile.
            with suppress(StoreUnavailable):
                await self.beat()
            await self._clock.sleep(max(began + BEAT_SECONDS - self._clock.monotonic(), 0.05))

    def _watch(self, pulses: list[Pulse], looked_at: float) -> None:
        now = self._clock.monotonic()
        unbroken = self._looked_at is not None and looked_at - self._looked_at <= LONGEST_GAP_SECONDS
        self._looked_at = now
        watched: dict[str, _Watched] = {}
        for pulse in pulses:
            if pulse.is_dead or pulse.owner in self._ours:
                continue
            known = self._watched.get(pulse.owner) if unbroken else None
            if known is not None and known.beat == pulse.beat:
                # From when we had heard it for the first time to when we asked again: it stood still at least so long.
                watched[pulse.owner] = _Watched(known.beat, known.since, looked_at)
            else:
                watched[pulse.owner] = _Watched(pulse.beat, now, now)
        self._watched = watched

    async def _bury(self, owner: str, beat: int) -> list[Event]:
        async with self._backend.transaction() as tx:
            marked = await tx.row("mark_silent_owner", id=owner, beat=beat, now=rows.micros(self._clock.now()))
            if marked is None:
                return []  # it beats again, or another was quicker
            events = await self._take_claims(tx, owner)
        if self._locks and self._locks.was_let_go(owner):
            self._locks.forget(owner)
        return events

    async def _start_over(self) -> None:
        """Those of ours that were taken for dead begin anew under another id: what they held is no longer theirs."""
        async with self._renewal:
            for owner, ours in list(self._ours.items()):
                if ours.is_dead and self.renamed is not None:
                    again = await self.enrol(ours.name, ours.role)
                    self._ours.pop(owner, None)
                    self.renamed(owner, again)
                    await self._declare_dead(owner, gone=True)
                    self._let_go(owner)

    def _let_go(self, owner: str) -> None:
        if self._locks:
            self._locks.drop(owner)
