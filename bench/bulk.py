"""
One bulk-update of many sessions over HTTP: how long, and how much memory it takes, on SQLite and on PostgreSQL.

    python -m bench.bulk [SESSIONS] [ROUNDS]

10,000 sessions, all of them due, unless told otherwise. `aimkeeper serve --no-worker` on core 0 answers; nginx, as the
upstream, and PostgreSQL share core 1. A bulk-update is given 50 seconds: what is left then is in `remaining`.
"""

import asyncio
import json
import sys
import tempfile
import time
from typing import Any
from urllib.request import Request, urlopen

from aimkeeper.service import open_service
from bench.fill import fill
from bench.kept import keep, spread
from bench.machine import Watch, cpu_seconds
from bench.process import OPERATOR, aimkeeper, memory_mb, wait_for
from bench.rotations import pinned_cluster
from bench.upstream import free_upstream
from bench.worker_here import Order, settings
from tools.cluster import Cluster, free_port, fresh

STORES = ("sqlite", "postgres")
PATIENCE = 120.0

Told = dict[str, float]


async def main(sessions: int, rounds: int) -> None:
    watch = Watch()
    cluster = await asyncio.to_thread(pinned_cluster)
    told: dict[str, list[Told]] = {store: [] for store in STORES}
    try:
        with free_upstream() as upstream:
            for _ in range(rounds):
                for store in STORES:
                    told[store].append(await _round(cluster, upstream.url, store, sessions))
                    print(store, told[store][-1], flush=True)
    finally:
        cluster.shut()
    stores = {store: {name: spread(one[name] for one in found) for name in found[0]} for store, found in told.items()}
    print(keep("bulk", {"sessions": sessions, "rounds": rounds, **stores}, watch))


async def _round(cluster: Cluster, url: str, store: str, sessions: int) -> Told:
    await cluster.tell("DROP DATABASE IF EXISTS bulk")
    database = await fresh(cluster, "bulk") if store == "postgres" else ""
    with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
        order = Order(url=url, folder=folder, database=database, refresh_every=900.0)
        async with open_service(settings(order)) as service:
            await fill(service, sessions)
        return await asyncio.to_thread(_ask, order)


def _ask(order: Order) -> Told:
    port = free_port()
    with aimkeeper(order, "serve", "--no-worker", "--port", str(port)) as process:
        wait_for(f"http://127.0.0.1:{port}/healthz", process)
        before, cpu, began = memory_mb(process.pid)[0], cpu_seconds(process.pid), time.perf_counter()
        request = Request(
            f"http://127.0.0.1:{port}/api/tokenUpdate?action=bulk-update",
            method="POST",
            headers={"authorization": f"Bearer {OPERATOR}"},
        )
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 (our own)
            results: dict[str, Any] = json.load(answer)["results"]
        seconds = time.perf_counter() - began
        return {
            "seconds": round(seconds, 2),
            "rate": round(results["successful"] / seconds, 1),
            "successful": results["successful"],
            "failed": results["failed"],
            "remaining": results["remaining"],
            "cpu_seconds": round(cpu_seconds(process.pid) - cpu, 2),
            "memory_before_mb": before,
            "memory_peak_mb": memory_mb(process.pid)[1],
        }


if __name__ == "__main__":
    given = [int(word.replace("_", "")) for word in sys.argv[1:]]
    asyncio.run(main(*(given + [10_000, 5][len(given) :])))
