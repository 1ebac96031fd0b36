"""
What a worker holds in memory beside few sessions and beside many: it should depend on what is in flight, not on them.

    python -m bench.memory [SESSIONS] [SQLITE-SESSIONS] [SECONDS]

A million in PostgreSQL and 200,000 in SQLite unless told otherwise, at an interval of 15 minutes, with 256 requests in
flight at most. Each worker is `aimkeeper worker`, and is looked at after a minute of work.
"""

import asyncio
import sys
import tempfile
from typing import Any

import msgspec

from bench.kept import keep
from bench.machine import Watch
from bench.process import Metrics, aimkeeper, memory_mb, wait_for
from bench.rotations import pinned_cluster
from bench.soak import IN_FLIGHT, INTERVAL, SERVER, stored
from bench.upstream import free_upstream
from bench.worker_here import Order
from tools.cluster import free_port, fresh

FEW = 1000


async def main(shared: int, embedded: int, seconds: float) -> None:
    watch = Watch()
    cluster = await asyncio.to_thread(pinned_cluster, SERVER)
    found = []
    try:
        with free_upstream() as upstream:
            for store, sessions in (("sqlite", FEW), ("sqlite", embedded), ("postgres", FEW), ("postgres", shared)):
                database = await fresh(cluster, f"memory_{sessions}") if store == "postgres" else ""
                with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
                    order = Order(url=upstream.url, folder=folder, database=database, concurrency=IN_FLIGHT)
                    order = msgspec.structs.replace(order, refresh_every=INTERVAL)
                    await stored(order, sessions)
                    found.append({"store": store, "sessions": sessions, **await _held(order, seconds)})
                print(found[-1], flush=True)
    finally:
        cluster.shut()
    print(keep("memory", {"seconds": seconds, "in_flight": IN_FLIGHT, "cells": found}, watch))


async def _held(order: Order, seconds: float) -> dict[str, Any]:
    port = free_port()
    with aimkeeper(order, "worker", "--listen", f"127.0.0.1:{port}") as worker:
        await asyncio.to_thread(wait_for, f"http://127.0.0.1:{port}/readyz", worker)
        await asyncio.sleep(seconds)
        metrics = Metrics(f"http://127.0.0.1:{port}/metrics")
        now, most = memory_mb(worker.pid)
        rotations = metrics.total('aimkeeper_exchanges_total{via="token_update",what="rotated"}')
        return {"rotations": round(rotations), "memory_mb": now, "memory_peak_mb": most}


if __name__ == "__main__":
    given = [int(word.replace("_", "")) for word in sys.argv[1:]]
    asyncio.run(main(*(given + [1_000_000, 200_000, 60][len(given) :])))
