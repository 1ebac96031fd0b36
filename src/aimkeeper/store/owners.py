"""Who claims: processes by a random id each, and what becomes of a dead one's claims."""

import os
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aimkeeper import __version__
from aimkeeper.clock import Clock
from aimkeeper.core.change import Claim
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.outcome import Reason
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend, Transaction
from aimkeeper.store.commits import event_params
from aimkeeper.store.ownership import FileLocks

WRITE_TICK_EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Owner:
    """
    A process that may claim.

    Attributes:
        role: `worker` rotates what is due; `visitor` does one thing and goes.
        tick_at: When it last looked for work.
        dead_at: When its claims were taken from it.
        silent: How long it has given no sign of life, by the store's clock; None where a lock tells more.
        host: Where it runs.
        keys: Names of the keys it has, the one it seals with first.
    """

    id: str
    name: str
    role: str
    pid: int
    version: str
    started_at: datetime
    tick_at: datetime | None
    dead_at: datetime | None
    silent: timedelta | None = None
    host: str = ""
    keys: tuple[str, ...] = ()


class Owners(ABC):
    """
    The register of owners, whatever proves that they live.

    Attributes:
        renamed: Where it is set, an owner of ours that learns of its own death by itself is enrolled anew, and this is
            told its old and its new id. Others learn of it by `tick`.
        keys: Names of the keys this process has, the sealing one first.
    """

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self.renamed: Callable[[str, str], None] | None = None
        self.keys: tuple[str, ...] = ()

    @abstractmethod
    async def enrol(self, name: str, role: str) -> str:
        """Become an owner; its id is good until `retire`, or until it is declared dead."""

    @abstractmethod
    async def tick(self, owner: str) -> bool:
        """Say that *owner* still looks for work; False when it was declared dead meanwhile."""

    @abstractmethod
    async def retire(self, owner: str) -> None:
        """
        Go in good order.

        A claim that was forgotten on the way is not left to a name nobody knows: its session is in doubt, and goes on.
        """

    @abstractmethod
    async def reap(self, *, stuck_before: float) -> list[Event]:
        """
        Take the claims of dead owners: their sessions are in doubt from now on.

        Args:
            stuck_before: `Clock.monotonic` seconds; where locks prove life, who holds a claim older than that is taken
                for stopped, though its lock is held. It is marked, and finds the mark when it wakes.
        """

    @abstractmethod
    async def living(self) -> list[Owner]:
        """Everybody who may be at work, of whatever role: rather one who is dead than without one who lives."""

    @abstractmethod
    async def living_workers(self) -> list[Owner]:
        """The workers whose processes run."""

    @abstractmethod
    def may_send(self, claim: Claim) -> bool:
        """The fence: whether nobody can have taken *claim*'s owner for dead by now."""

    @abstractmethod
    def ours(self) -> list[str]:
        """The ids that this process has."""

    @abstractmethod
    def abandon(self, owner: str) -> None:
        """Give no more signs of life, as a killed process would; nothing is tidied up."""

    async def close(self) -> None:  # noqa: B027 (where nothing runs for the owners, nothing is to be let go of)
        """Let go of whatever runs for the owners."""

    async def everyone(self) -> list[Owner]:
        """All owners on the register, the eldest first."""
        async with self._backend.reading() as tx:
            found = await tx.rows("owners")
        return [
            Owner(
                id=row[0],
                name=row[1],
                role=row[2],
                pid=row[3],
                version=row[4],
                started_at=rows.instant(row[5]),
                tick_at=rows.maybe_instant(row[6]),
                dead_at=rows.maybe_instant(row[7]),
                silent=None if row[8] is None else timedelta(microseconds=row[8]),
                host=row[9],
                keys=tuple(row[10].split()),
            )
            for row in found
        ]

    async def tell_keys(self, key_ids: tuple[str, ...]) -> None:
        """Put on the register which keys this process holds from now on, the one it seals with first."""
        self.keys = key_ids
        async with self._backend.transaction() as tx:
            for owner in self.ours():
                await tx.row("tell_keys", id=owner, keys=" ".join(key_ids))

    async def _insert(self, owner: str, name: str, role: str) -> None:
        who = {"id": owner, "name": name, "role": role, "pid": os.getpid(), "version": __version__}
        where = {"host": socket.gethostname(), "keys": " ".join(self.keys)}
        async with self._backend.transaction() as tx:
            await self._enter(tx)
            await tx.row("insert_owner", now=rows.micros(self._clock.now()), **who, **where)

    async def _enter(self, tx: Transaction) -> None:
        """Before anything is claimed: find out whether this database may spend what it holds."""
        if await is_barred(tx):
            return
        if await self._is_lived_in(tx) or not await self._backend.home.is_strange(tx):
            await self._backend.home.enter(tx)
            return
        now = self._clock.now()
        await tx.row("mark_copied", now=rows.micros(now))
        await tx.row("insert_event", **event_params(Event(kind=EventKind.STORE_COPIED, at=now)))

    async def is_strange(self) -> bool:
        """Whether one who entered now would find a restored or copied database; nothing is written."""
        async with self._backend.transaction() as tx:
            return not await self._is_lived_in(tx) and await self._backend.home.is_strange(tx)

    async def _is_lived_in(self, tx: Transaction) -> bool:  # noqa: ARG002 (where locks tell, they are asked)
        """Whether others who came before us keep it at this moment: then it is the one, whatever we make of it."""
        return False

    async def _note_use(self, tx: Transaction) -> None:
        """Once in a while, so that an older state of the database can be told from this one."""
        if not await is_barred(tx):
            await self._backend.home.note_use(tx)

    async def _take_claims(self, tx: Transaction, owner: str) -> list[Event]:
        """In the transaction that marks *owner* dead: what it held is in doubt, and goes on at once."""
        now = self._clock.now()
        await tx.row("free_ended_claims_of", owner=owner)
        doubted = await tx.rows("doubt_claims_of", owner=owner, now=rows.micros(now))
        await tx.row("free_logins_of", owner=owner)
        await tx.row("free_outbox_of", owner=owner)
        events = [
            Event(
                kind=EventKind.IN_DOUBT,
                at=now,
                session_id=row[0],
                email=row[1],
                data={"generation": row[2], "reason": Reason.HOLDER_DIED.value},
            )
            for row in doubted
        ]
        await tx.each("insert_event", [event_params(event) for event in events])
        return events

    async def _declare_dead(self, owner: str, *, gone: bool) -> list[Event]:
        async with self._backend.transaction() as tx:
            await tx.row("mark_owner_dead", id=owner, now=rows.micros(self._clock.now()))
            events = await self._take_claims(tx, owner)
            if gone:
                await tx.row("delete_owner", id=owner)
            await self._note_use(tx)
        return events


class LockingOwners(Owners):
    """On one machine: a kernel file lock proves life, the row only names names."""

    def __init__(self, backend: Backend, locks: FileLocks, clock: Clock) -> None:
        super().__init__(backend, clock)
        self._locks = locks

    async def enrol(self, name: str, role: str) -> str:
        owner = new_owner()
        # The lock comes first: a row without one would look like a dead owner's.
        self._locks.hold(owner)
        try:
            await self._insert(owner, name, role)
        except BaseException:
            self._locks.drop(owner)
            raise
        return owner

    async def tick(self, owner: str) -> bool:
        now = self._clock.now()
        async with self._backend.reading() as tx:
            row = await tx.row("owner", id=owner)
        if row is None or row[7] is not None:
            return False
        if row[6] is not None and abs(now - rows.instant(row[6])) < WRITE_TICK_EVERY:
            return True  # it is for people to read; a laptop's disk need not be woken every second
        async with self._backend.transaction() as writing:
            await self._note_use(writing)
            return await writing.row("tick_owner", id=owner, now=rows.micros(now)) is not None

    async def retire(self, owner: str) -> None:
        await self._declare_dead(owner, gone=True)
        self._locks.drop(owner)

    async def reap(self, *, stuck_before: float) -> list[Event]:
        known = await self.everyone()
        async with self._backend.reading() as tx:
            stuck = {row[0] for row in await tx.rows("stuck_owners", claimed_before=int(stuck_before * 1e6))}
        events: list[Event] = []
        for owner in known:
            gone = not self._locks.is_alive(owner.id)
            if gone or (owner.id in stuck and owner.dead_at is None):
                events += await self._declare_dead(owner.id, gone=gone)
            if gone:
                self._locks.forget(owner.id)
        return events

    async def living(self) -> list[Owner]:
        return [owner for owner in await self.everyone() if owner.dead_at is None and self._locks.is_alive(owner.id)]

    async def living_workers(self) -> list[Owner]:
        return [owner for owner in await self.living() if owner.role == "worker"]

    def ours(self) -> list[str]:
        return self._locks.held

    def may_send(self, claim: Claim) -> bool:  # noqa: ARG002 (others look at it)
        return True  # while the lock is held, the age of the claim says it all, and the keeper measures that

    def abandon(self, owner: str) -> None:
        self._locks.abandon(owner)

    async def _is_lived_in(self, tx: Transaction) -> bool:
        return any(row[7] is None and self._locks.is_alive(row[0]) for row in await tx.rows("owners"))


async def is_barred(tx: Transaction) -> bool:
    """Whether the database is a copy, or its sessions have moved."""
    row = await tx.row("bars")
    return row is not None and (row[0] is not None or row[1] is not None)


def new_owner() -> str:
    """An id that no process ever had."""
    return secrets.token_hex(6)
