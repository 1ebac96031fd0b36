"""Fills a store with sessions that are due at once, as the free upstream knows them."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from aimkeeper.core.cookies import AUTH_COOKIE, Cookie, Jar
from aimkeeper.core.session import Secrets, Session
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.service import Service
from aimkeeper.store import rows
from bench.upstream import STICKY, TOKEN

LOT = 500


async def fill(service: Service, count: int) -> None:
    """Store *count* sessions with four cookies each."""
    store, now = service.store, service.store.now()
    jar = Jar(
        (
            Cookie(AUTH_COOKIE, "a1B2c3D4" * 8, "127.0.0.1", host_only=False),
            Cookie("PHPSESSID", "0123456789abcdef0123456789", "127.0.0.1"),
            Cookie("AWSALB", STICKY, "127.0.0.1"),
            Cookie("AWSALBCORS", STICKY, "127.0.0.1"),
        )
    )

    async def lot(first: int) -> None:
        async with store._backend.transaction() as tx:  # noqa: SLF001 (a bench may)
            for number in range(first, min(first + LOT, count)):
                session = Session(
                    id=str(uuid4()),
                    email=f"member{number:07}@example.com",
                    fingerprint=Fingerprint(f"{number:050x}"),
                    secrets=Secrets(Token(TOKEN), jar),
                    created_at=now,
                    rotated_at=now - timedelta(minutes=15),
                    due_at=now - timedelta(seconds=1),
                    deadline_at=now - timedelta(minutes=15) + service.policy.idle_timeout,
                    settled_in=True,
                )
                await tx.row("insert_session", **rows.new_params(session, store._sealer, now))  # noqa: SLF001

    for first in range(0, count, LOT * 4):
        await asyncio.gather(*(lot(start) for start in range(first, min(first + LOT * 4, count), LOT)))
