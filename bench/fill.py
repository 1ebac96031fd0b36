"""Fills a store with sessions as the free upstream knows them: due at once, or as they stand in the middle of a day."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import sqrt
from random import Random
from uuid import UUID

import asyncpg

from aimkeeper.core.cookies import AUTH_COOKIE, Cookie, Jar
from aimkeeper.core.session import Secrets, Session
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.service import Service
from aimkeeper.store import rows
from bench.upstream import STICKY, TOKEN

LOT = 5000
# So many are stored a second at the least; whoever wants no backlog waits as long as that would have taken.
SLOWEST = 6000
# A session is rotated after so much of the interval at the soonest; on average after nine tenths (core/policy.py).
SOONEST = 0.8
MEAN = (1 + SOONEST) / 2
_JAR = Jar(
    (
        Cookie(AUTH_COOKIE, "a1B2c3D4" * 8, "127.0.0.1", host_only=False),
        Cookie("PHPSESSID", "0123456789abcdef0123456789", "127.0.0.1"),
        Cookie("AWSALB", STICKY, "127.0.0.1"),
        Cookie("AWSALBCORS", STICKY, "127.0.0.1"),
    )
)
_COLUMNS = (
    "id", "user_email", "fingerprint", "created_at", "updated_at", "last_token_update_date", "account_key", "sealed",
    "status", "generation", "revision", "due_at", "deadline_at", "setrefresh_due", "settled_in", "ring",
)  # fmt: skip


async def fill(service: Service, count: int, *, spread: timedelta = timedelta(0)) -> None:
    """
    Store *count* sessions with four cookies each.

    Args:
        service: Whose store it is.
        count: How many.
        spread: The interval: they come due as sessions do that were rotated ever since, so that as many are due in the
            first second as in any other, which begins when this returns. 0 = all are due at once.
    """
    dice, now = Random(count), service.store.now()
    begin = now + timedelta(seconds=count / SLOWEST if spread else -1)
    address = service.settings.database_url
    line = await asyncpg.connect(address) if address else None
    try:
        for first in range(0, count, LOT):
            lot = [
                _session(service, number, begin + spread * _residual(dice.random()), dice)
                for number in range(first, min(first + LOT, count))
            ]
            await (_copy(service, line, lot, now) if line else _insert(service, lot, now))
            await asyncio.sleep(0)
        if line:
            await line.execute("VACUUM ANALYZE public.auth_sessions", timeout=3600)
        await asyncio.sleep(max((begin - service.store.now()).total_seconds(), 0))
    finally:
        if line:
            await line.close()


def _residual(share: float) -> float:
    """
    How much of an interval is left until a session is due, among sessions that were kept for long: the *share*-th of
    them, 0 to 1, in order.
    """
    straight = SOONEST / MEAN
    if share < straight:
        return share * MEAN
    # Among the last, fewer and fewer: those whose jitter was so long.
    rest = max(1 - (share - straight) / (1 - straight), 0.0)
    return 1 - (1 - SOONEST) * sqrt(rest)


def _session(service: Service, number: int, due_at: datetime, dice: Random) -> Session:
    rotated_at = due_at - service.policy.refresh_every * (SOONEST + (1 - SOONEST) * dice.random())
    return Session(
        id=str(UUID(int=dice.getrandbits(128), version=4)),
        email=f"member{number:07}@example.com",
        fingerprint=Fingerprint(f"{number:050x}"),
        secrets=Secrets(Token(TOKEN), _JAR),
        created_at=rotated_at,
        rotated_at=rotated_at,
        due_at=due_at,
        deadline_at=rotated_at + service.policy.idle_timeout,
        settled_in=True,
    )


async def _insert(service: Service, lot: Sequence[Session], now: datetime) -> None:
    store = service.store
    async with store._backend.transaction() as tx:  # noqa: SLF001 (a bench may)
        await tx.each("insert_session", [rows.new_params(one, store._sealer, now) for one in lot])  # noqa: SLF001


async def _copy(service: Service, line: asyncpg.Connection, lot: Sequence[Session], now: datetime) -> None:
    """As PostgreSQL takes rows soonest: a million in two minutes."""
    records = []
    for one in lot:
        made = rows.new_params(one, service.store._sealer, now)  # noqa: SLF001 (a bench may)
        records.append(
            (one.id, one.email, one.fingerprint, now, now, one.rotated_at, made["account_key"], made["sealed"],
             "active", 1, 1, one.due_at, one.deadline_at, False, True, made["ring"])
        )  # fmt: skip
    await line.copy_records_to_table("auth_sessions", schema_name="public", columns=_COLUMNS, records=records)
