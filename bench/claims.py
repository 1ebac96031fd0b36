"""
How long a claim takes as the sessions grow, in steady state and in a backlog. What counts is the ratio within one run.

    python -m bench.claims [SESSIONS ...]

10,000 and 100,000 sessions unless told otherwise; 5,000,000 take 20 GB of disk. Needs PostgreSQL (Debian's package).
"""

import asyncio
import os
import statistics
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta

import msgspec

from aimkeeper.store import rows
from aimkeeper.store.postgres import Postgres
from bench.kept import keep
from bench.machine import Watch
from bench.many import INTERVAL_SECONDS, ask, filled
from tools.cluster import Cluster

SIZES = (10_000, 100_000)
LIMITS = (32, 200)
TIMES = 40
OWNER = "bench"
KINDS = ("steady", "backlog")


class Told(msgspec.Struct):
    """
    One size.

    Attributes:
        table, indexes: Bytes for each session, freshly filled.
        milliseconds: Of one claim, from the call to the rows, by what the sessions were like and how many were wanted.
    """

    sessions: int
    table: int
    indexes: int
    milliseconds: dict[str, float]


async def main(sizes: tuple[int, ...]) -> None:
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**21
    # The tables whole, as docs/scale.md wants it, where half of the machine's memory suffices for that.
    cluster = Cluster(f"shared_buffers = {half}MB\nmax_wal_size = 32GB\nmaintenance_work_mem = 512MB\n")
    cluster.start()
    watch = Watch()
    try:
        databases = [await _filled(cluster, count) for count in sizes]
        told = [Told(count, *await _sizes(backend, count), {}) for count, backend in zip(sizes, databases, strict=True)]
        began = datetime.now(UTC)
        for what in KINDS:
            for limit in LIMITS:
                # In turns: whatever slows the machine down slows all of them.
                took = await _in_turns(list(zip(sizes, databases, strict=True)), what, limit, began)
                for one, seconds in zip(told, took, strict=True):
                    one.milliseconds[f"{what} {limit}"] = round(statistics.median(seconds) * 1000, 2)
        for backend in databases:
            await backend.close()
    finally:
        cluster.shut()
    for one in told:
        print(_line(told[0], one))
    keep("claims", {"claims": TIMES, "sizes": told}, watch)


async def _filled(cluster: Cluster, count: int) -> Postgres:
    began = time.monotonic()
    backend = await filled(cluster, count)
    async with backend.transaction() as tx:
        who = {"id": OWNER, "name": OWNER, "role": "worker", "pid": 1, "version": "", "host": "", "keys": ""}
        await tx.row("insert_owner", now=rows.micros(datetime.now(UTC)), **who)
    print(f"{count:,} sessions made in {time.monotonic() - began:.0f} s", flush=True)
    return backend


async def _sizes(backend: Postgres, count: int) -> tuple[int, int]:
    [(table, indexes)] = await ask(
        backend, "SELECT pg_relation_size('public.auth_sessions'), pg_indexes_size('public.auth_sessions')"
    )
    return round(int(str(table)) / count), round(int(str(indexes)) / count)


async def _in_turns(databases: list[tuple[int, Postgres]], what: str, limit: int, began: datetime) -> list[list[float]]:
    """Seconds of many claims on each database, each of other sessions than before; all are given back at the end."""
    took: list[list[float]] = [[] for _ in databases]
    for number in range(1, TIMES + 1):
        for place, (count, backend) in enumerate(databases):
            # So much later at each look that just so many have come due since the last; in a backlog all of them are.
            pace = timedelta(seconds=INTERVAL_SECONDS * limit / count)
            now = began + (number * pace if what == "steady" else timedelta(seconds=2 * INTERVAL_SECONDS))
            took[place].append(await _claim(backend, what, limit, now))
    for _, backend in databases:
        await ask(backend, "UPDATE public.auth_sessions SET owner = NULL, claim_id = NULL WHERE owner IS NOT NULL")
    return took


async def _claim(backend: Postgres, what: str, limit: int, now: datetime) -> float:
    instants = {"now": now, "begun": now, "fresh": now - timedelta(minutes=2)} | (
        {"eta": now} if what == "backlog" else {}
    )
    given = {name: rows.micros(moment) for name, moment in instants.items()}
    began = time.perf_counter()
    found = await backend.claim(
        f"claim_{what}", owner=OWNER, claim_id=str(uuid.uuid4()), claimed_at=0, limit=limit, **given
    )
    seconds = time.perf_counter() - began
    assert len(found) > limit // 4, f"{what} found {len(found)} only"
    return seconds


def _line(first: Told, told: Told) -> str:
    cells = [
        f"{what}: {took} ms ({took / first.milliseconds[what]:.2f} of the first)"
        for what, took in told.milliseconds.items()
    ]
    return f"{told.sessions:>9,} sessions  " + ", ".join(cells)


if __name__ == "__main__":
    asyncio.run(main(tuple(int(word.replace("_", "")) for word in sys.argv[1:]) or SIZES))
