"""
How late rotations are at 50, 80 and 95 % of what a worker can do: from when a session is due to its claim.

    python -m bench.lateness [ROUNDS] [SECONDS]

In each round the capacity is measured first, with all sessions due at once; then so many sessions are kept, at an
interval of 20 seconds and with its jitter, that they come due at that share of it. They start as in the middle of a
day. The worker has core 0; nginx and PostgreSQL share core 1.
"""

import asyncio
import sys
import tempfile
from typing import Any

import msgspec

from bench.fill import MEAN
from bench.kept import keep, spread
from bench.machine import Watch
from bench.rotations import pinned_cluster, run_worker
from bench.upstream import free_upstream
from bench.worker_here import Order, Told
from tools.cluster import Cluster, fresh

SHARES = (0.5, 0.8, 0.95)
INTERVAL = 20.0
# Of the measurement of the capacity: none is due a second time while it lasts.
SESSIONS, CAPACITY_SECONDS = 60_000, 4.0
IN_FLIGHT = 256
STORES = ("sqlite", "postgres")
MEDIAN, P99, GREATEST = 0, 1, 2


async def main(rounds: int, seconds: float) -> None:
    watch = Watch()
    cluster = await asyncio.to_thread(pinned_cluster)
    capacities: dict[str, list[float]] = {store: [] for store in STORES}
    told: dict[tuple[str, float], list[Told]] = {(store, share): [] for store in STORES for share in SHARES}
    try:
        with free_upstream() as upstream:
            for number in range(rounds):
                for store in STORES:
                    whole = Order(url=upstream.url, folder="", sessions=SESSIONS, seconds=CAPACITY_SECONDS)
                    capacity = (await _run(cluster, whole, store)).rate
                    capacities[store].append(capacity)
                    for share in SHARES:
                        kept = round(capacity * share * INTERVAL * MEAN)
                        part = msgspec.structs.replace(whole, sessions=kept, steady=True, seconds=seconds, warm=3.0)
                        found = await _run(cluster, part, store)
                        told[store, share].append(found)
                        print(f"round {number + 1}: {store}, {_line(found, share, capacity)}", flush=True)
    finally:
        cluster.shut()
    result = {
        "rounds": rounds,
        "seconds": seconds,
        "in_flight": IN_FLIGHT,
        "capacity": {store: spread(rates, 0) for store, rates in capacities.items()},
        "cells": [{"store": store, "share": share, **_judged(found)} for (store, share), found in told.items()],
    }
    print(keep("lateness", result, watch))


async def _run(cluster: Cluster, order: Order, store: str) -> Told:
    """On an empty store of its own."""
    await cluster.tell("DROP DATABASE IF EXISTS bench")
    database = await fresh(cluster, "bench") if store == "postgres" else ""
    with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
        order = msgspec.structs.replace(order, folder=folder, database=database, concurrency=IN_FLIGHT)
        return await asyncio.to_thread(run_worker, msgspec.structs.replace(order, refresh_every=INTERVAL))


def _judged(rounds: list[Told]) -> dict[str, Any]:
    """Rotations a second; milliseconds."""
    names = {"p50": MEDIAN, "p99": P99, "max": GREATEST}
    late = {f"{name}_ms": spread((one.lateness[place] * 1000 for one in rounds), 1) for name, place in names.items()}
    return {"rate": spread((one.rate for one in rounds), 0), **late}


def _line(told: Told, share: float, capacity: float) -> str:
    p50, p99, greatest = (f"{1000 * value:.0f}" for value in told.lateness)
    return f"{share:.0%} of {capacity:,.0f}/s: {told.rate:,.0f}/s, late p50 {p50} p99 {p99} max {greatest} ms"


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[1:]]
    asyncio.run(main(int(numbers[0]) if numbers else 5, numbers[1] if len(numbers) > 1 else 12.0))
