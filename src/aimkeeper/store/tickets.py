"""Tickets: secrets that open one session each, known here by hash only: members' cookies, and bots' bearers."""

import hashlib
import secrets
from datetime import timedelta

from aimkeeper.clock import Clock
from aimkeeper.core.errors import SessionEnded
from aimkeeper.core.session import Status
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend
from aimkeeper.store.trips import Trips

SECRET_BYTES = 32
# So many of a kind for one session: whoever signs in again and again leaves no heap behind.
MOST = 20


class Tickets:
    """
    Tickets of one kind.

    Args:
        kind: `member` or `bot`; one of another kind opens nothing here.
        prefix: In front of each secret, so that a scanner of files knows it for one.
    """

    def __init__(self, backend: Backend, clock: Clock, kind: str, prefix: str = "") -> None:
        self._backend = backend
        self._clock = clock
        self._kind = kind
        self._prefix = prefix
        self._by_hash = Trips(backend, "ticket", "hash", lambda: {"kind": kind, "now": rows.micros(clock.now())})

    async def issue(self, session_id: str, lifetime: timedelta) -> str:
        """
        A fresh secret of 256 random bits, good for *session_id* until *lifetime* is over or it is revoked.

        Raises:
            SessionEnded: It ended meanwhile; what was issued after that would open the next one.
        """
        secret = self._prefix + secrets.token_urlsafe(SECRET_BYTES)
        now = self._clock.now()
        async with self._backend.transaction() as tx:
            row = await tx.row("lock_by_id", id=session_id)
            if row is None or rows.session_without_secrets(row).status is Status.ENDED:
                raise SessionEnded("the session has just ended: log in again.")
            await tx.row(
                "insert_ticket",
                hash=self._hash(secret),
                kind=self._kind,
                session_id=session_id,
                now=rows.micros(now),
                expires_at=rows.micros(now + lifetime),
            )
            await tx.row("keep_young_tickets", session_id=session_id, kind=self._kind, keep=MOST)
            # Last, for it waits for nobody: whoever waits for what it locked can't be waited for in turn.
            await tx.row("prune_tickets", now=rows.micros(now))
        return secret

    async def session_of(self, secret: str) -> str | None:
        """The session it opens; None when it is unknown, revoked or too old. Many who ask at once share a trip."""
        row = await self._by_hash.row(self._hash(secret))
        return row[0] if row else None

    async def revoke(self, secret: str) -> None:
        """It opens nothing any more."""
        async with self._backend.transaction() as tx:
            await tx.row("delete_ticket", hash=self._hash(secret), kind=self._kind)

    async def revoke_all(self, session_id: str) -> int:
        """None of this session's opens anything any more; how many there were."""
        async with self._backend.transaction() as tx:
            return len(await tx.rows("delete_tickets_of", session_id=session_id, kind=self._kind))

    def _hash(self, secret: str) -> str:
        # Of 256 random bits: a plain hash can't be turned back, and to look one up tells nothing about it.
        return hashlib.sha256(f"aimkeeper {self._kind}\0{secret}".encode()).hexdigest()
