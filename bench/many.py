"""A PostgreSQL with so many sessions in it, made in one statement: as they stand in the middle of their day."""

import asyncpg

from aimkeeper.clock import SystemClock
from aimkeeper.core.address import read_postgres
from aimkeeper.store.postgres import Postgres
from tools.cluster import Cluster, fresh

# As long as those of real sessions (`bench.written` prints them); sealed, so they do not shrink.
SEALED_BYTES, RING_BYTES = 500, 760
INTERVAL_SECONDS, IDLE_SECONDS = 810, 5400

_FILL = """
INSERT INTO public.auth_sessions (id, user_email, fingerprint, last_token_update_date, account_key, sealed, ring,
  status, generation, revision, due_at, deadline_at, alive_at)
SELECT gen_random_uuid(), 'member' || n || '@example.com', substr(repeat(md5(n::text), 2), 1, 50), at, n::text,
  substr(decode(repeat(md5(n::text), 60), 'hex'), 1, $5::int),
  substr(decode(repeat(md5(n::text), 60), 'hex'), 1, $6::int), 'active', 9, 9,
  at + $3::float * interval '1 s', at + $4::float * interval '1 s', at
  FROM (SELECT n, now() - random() * $3::float * interval '1 s' AS at
          FROM generate_series($1::int, $2::int) AS n) AS each
"""
_SHAPE = (INTERVAL_SECONDS, IDLE_SECONDS, SEALED_BYTES, RING_BYTES)


async def filled(cluster: Cluster, count: int) -> Postgres:
    """A database of *count* sessions that come due one after another, evenly over `INTERVAL_SECONDS`."""
    url = await fresh(cluster, f"many_{count}")
    backend = Postgres(read_postgres(url), SystemClock())
    await backend.open()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        for first in range(1, count + 1, 100_000):
            await connection.execute(_FILL, first, min(first + 99_999, count), *_SHAPE, timeout=3600)
        await connection.execute("VACUUM ANALYZE public.auth_sessions", timeout=3600)
        await connection.execute("CHECKPOINT", timeout=3600)
    finally:
        await connection.close()
    return backend


async def ask(backend: Postgres, sql: str) -> list[tuple[object, ...]]:
    """What the server says, on a connection of its own."""
    address = backend.address
    connection = await asyncpg.connect(
        host=address.host, port=address.port, user=address.user, database=address.database
    )
    try:
        return [tuple(row) for row in await connection.fetch(sql, timeout=3600)]
    finally:
        await connection.close()
