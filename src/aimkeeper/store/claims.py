"""Claims: who may spend a session's token now. Each is durable before it is used."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from aimkeeper.clock import Clock
from aimkeeper.core.change import Claim
from aimkeeper.core.errors import KeyProblem, StoreUnavailable
from aimkeeper.core.policy import DOUBT_LASTS
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend
from aimkeeper.store.seal import Sealer
from aimkeeper.store.waiting import done

# A row whose secrets do not open is looked at again this much later; it must not hold up the others.
UNREADABLE_FOR = timedelta(minutes=5)
# A claim whose answer was lost may still be on its way through the network for so many seconds.
LOST_FOR = 60.0


class Claims:
    """
    Takes sessions for an owner, and gives unsent ones back.

    Args:
        sealer: Asked for when needed: the keys are known only once the store is open.
        clock: Of the store.
    """

    def __init__(self, backend: Backend, sealer: Callable[[], Sealer], clock: Clock) -> None:
        self._backend = backend
        self._sealer = sealer
        self._clock = clock
        self._count = 0
        # Owner, and when it was lost: nobody holds what such a claim took, and nobody would ever give it back.
        self._lost: dict[str, tuple[str, float]] = {}

    async def due(
        self, owner: str, limit: int, *, until: datetime, begun: datetime | None, backlog_eta: datetime | None
    ) -> list[Claim]:
        """See `Store.claim_due`."""
        limits = {
            "limit": limit,
            "now": rows.micros(until),
            "begun": rows.micros(begun or until),
            "fresh": rows.micros(self._clock.now() - DOUBT_LASTS),
        }
        if backlog_eta is None:
            return await self._take("claim_steady", owner, **limits)
        return await self._take("claim_backlog", owner, eta=rows.micros(backlog_eta), **limits)

    async def one(self, owner: str, session_id: str) -> Claim | None:
        """See `Store.claim_one`."""
        return next(iter(await self._take("claim_one", owner, id=session_id)), None)

    async def free(self, claim: Claim) -> None:
        """Give an unsent claim back."""
        async with self._backend.transaction() as tx:
            await tx.row("free_claim", id=claim.session.id, owner=claim.owner, claim_id=claim.claim_id)

    async def _take(self, statement: str, owner: str, **limits: object) -> list[Claim]:
        await self._free_lost()
        self._count += 1
        claim_id, taken_at = f"{owner}.{self._count}", self._clock.boottime()
        # On one machine others measure its age while they are awake; the holder's own fence counts sleep too.
        claimed_at = int(self._clock.monotonic() * 1e6)
        try:
            found = await self._backend.claim(
                statement, owner=owner, claim_id=claim_id, claimed_at=claimed_at, **limits
            )
        except BaseException as error:
            self._lost[claim_id] = (owner, self._clock.monotonic())
            if isinstance(error, asyncio.CancelledError):
                # It was carried out all the same, and whoever wanted it has gone.
                with suppress(StoreUnavailable):
                    await done(asyncio.ensure_future(self._free_lost()))
            raise
        claims, unreadable = [], []
        for row in found:
            try:
                claims.append(Claim(rows.session_from(row, self._sealer()), owner, claim_id, taken_at))
            except KeyProblem:
                unreadable.append(row[0])
        if unreadable:
            await self._put_off(unreadable, owner, claim_id)
        return claims

    async def _put_off(self, unreadable: list[str], owner: str, claim_id: str) -> None:
        due_at = rows.micros(self._clock.now() + UNREADABLE_FOR)
        async with self._backend.transaction() as tx:
            for session_id in unreadable:
                await tx.row("put_off_unreadable", id=session_id, owner=owner, claim_id=claim_id, due_at=due_at)

    async def _free_lost(self) -> None:
        """Give back what was claimed without our hearing; more than once, for it may still be carried out."""
        now = self._clock.monotonic()
        for claim_id, (owner, lost_at) in list(self._lost.items()):
            async with self._backend.transaction() as tx:
                await tx.row("free_lost_claim", owner=owner, claim_id=claim_id)
            if now - lost_at >= LOST_FOR:
                self._lost.pop(claim_id, None)
