"""
How long a fresh token exists in memory only, and an old one is spent without its successor being safe, at full load.

    python -m bench.exposure [ROUNDS] [SECONDS]

With more in flight there is more to commit at a time: it takes longer, and the rate is higher. Each number of requests
in flight is measured with the same sessions, on both stores. The upstream answers at once: nginx, on core 1, where
PostgreSQL is too; the worker has core 0.
"""

import asyncio
import sys
import tempfile
from typing import Any

import msgspec

from bench.kept import keep, spread
from bench.machine import Watch
from bench.rotations import pinned_cluster, run_worker
from bench.upstream import free_upstream
from bench.worker_here import Order, Told
from tools.cluster import fresh

IN_FLIGHT = (32, 64, 128, 256, 512)
SESSIONS, INTERVAL = 40_000, 5.0
STORES = ("sqlite", "postgres")
MEDIAN, P99 = 0, 1


async def main(rounds: int, seconds: float) -> None:
    watch = Watch()
    cluster = await asyncio.to_thread(pinned_cluster)
    told: dict[tuple[str, int], list[Told]] = {(store, number): [] for store in STORES for number in IN_FLIGHT}
    try:
        with free_upstream() as upstream, tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
            first = Order(url=upstream.url, folder=folder, seconds=seconds, refresh_every=INTERVAL)
            orders = {
                "sqlite": first,
                "postgres": msgspec.structs.replace(first, database=await fresh(cluster, "bench")),
            }
            for order in orders.values():
                await asyncio.to_thread(run_worker, msgspec.structs.replace(order, sessions=SESSIONS, seconds=1.0))
            for number in range(rounds):
                for (store, in_flight), found in told.items():
                    order = msgspec.structs.replace(orders[store], concurrency=in_flight)
                    found.append(await asyncio.to_thread(run_worker, order))
                    print(f"round {number + 1}: {store}, {in_flight} in flight: {_line(found[-1])}", flush=True)
    finally:
        cluster.shut()
    cells = [{"store": store, "in_flight": number, **_judged(found)} for (store, number), found in told.items()]
    print(keep("exposure", {"rounds": rounds, "seconds": seconds, "cells": cells}, watch))


def _judged(rounds: list[Told]) -> dict[str, Any]:
    """Rotations a second; milliseconds."""
    return {
        "rate": spread((one.rate for one in rounds), 0),
        "exposure_p50_ms": spread((one.exposure[MEDIAN] * 1000 for one in rounds), 1),
        "exposure_p99_ms": spread((one.exposure[P99] * 1000 for one in rounds), 1),
        "on_the_way_p50_ms": spread((one.on_the_way[MEDIAN] * 1000 for one in rounds), 1),
        "on_the_way_p99_ms": spread((one.on_the_way[P99] * 1000 for one in rounds), 1),
    }


def _line(told: Told) -> str:
    ms = [f"{1000 * value:.1f}" for value in (*told.exposure[:2], *told.on_the_way[:2])]
    return f"{told.rate:,.0f}/s, answer to commit p50 {ms[0]} p99 {ms[1]} ms, send to commit p50 {ms[2]} p99 {ms[3]} ms"


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[1:]]
    asyncio.run(main(int(numbers[0]) if numbers else 5, numbers[1] if len(numbers) > 1 else 4.0))
