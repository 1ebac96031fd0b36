"""
One worker and two on one PostgreSQL: what a second process brings where all of it shares two cores.

    python -m bench.workers [ROUNDS] [SECONDS]

The first worker has core 0, the second core 1, where nginx and PostgreSQL are too. What all of it together keeps at an
interval of 15 minutes is the rate times 810 seconds, the mean between two rotations of a session.
"""

import asyncio
import sys
import tempfile
from typing import Any

import msgspec

from bench.fill import MEAN
from bench.kept import keep, spread
from bench.machine import Watch, cpu_seconds
from bench.rotations import pinned_cluster, run_worker, server_processes
from bench.upstream import free_upstream
from bench.worker_here import Order, Told
from tools.cluster import Cluster, fresh

SESSIONS, INTERVAL = 60_000, 60.0
IN_FLIGHT = 256
FULL_INTERVAL = 900.0


async def main(rounds: int, seconds: float) -> None:
    watch = Watch()
    cluster = await asyncio.to_thread(pinned_cluster)
    told: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    try:
        with free_upstream() as upstream, tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
            order = Order(url=upstream.url, folder=folder, concurrency=IN_FLIGHT, warm=2.0, seconds=seconds)
            for number in range(rounds):
                for workers, found in told.items():
                    found.append(await _round(cluster, msgspec.structs.replace(order, refresh_every=INTERVAL), workers))
                    print(f"round {number + 1}: {workers} on core 0 to {workers - 1}: {found[-1]}", flush=True)
    finally:
        cluster.shut()
    ratios = [two["rate"] / one["rate"] for one, two in zip(told[1], told[2], strict=True)]
    result: dict[str, Any] = {"rounds": rounds, "seconds": seconds, "in_flight": IN_FLIGHT}
    for workers, found in told.items():
        cell: dict[str, Any] = {name: spread((one[name] for one in found), 1) for name in found[0]}
        cell["sessions_at_15_minutes"] = [round(rate * FULL_INTERVAL * MEAN) for rate in cell["rate"]]
        result[f"workers_{workers}"] = cell
    print(keep("workers", {**result, "two_to_one": spread(ratios)}, watch))


async def _round(cluster: Cluster, order: Order, workers: int) -> dict[str, float]:
    """On a fresh database, all sessions of which are due at once."""
    await cluster.tell("DROP DATABASE IF EXISTS workers")
    order = msgspec.structs.replace(order, database=await fresh(cluster, "workers"))
    await asyncio.to_thread(run_worker, msgspec.structs.replace(order, sessions=SESSIONS, warm=0.1, seconds=0.1))
    server_pid = server_processes(cluster)[0]
    before = cpu_seconds(server_pid, and_children=True)
    orders = [msgspec.structs.replace(order, core=core) for core in range(workers)]
    told: list[Told] = await asyncio.gather(*(asyncio.to_thread(run_worker, one) for one in orders))
    server = cpu_seconds(server_pid, and_children=True) - before
    done = sum(one.rotations for one in told)
    rate = sum(one.rate for one in told)
    whole = rate * (order.seconds + order.warm)
    return {
        "rate": rate,
        "worker_cpu_us": sum(one.cpu for one in told) / max(done, 1) * 1e6,
        "server_cpu_us": server / max(whole, 1) * 1e6,
    }


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[1:]]
    asyncio.run(main(int(numbers[0]) if numbers else 5, numbers[1] if len(numbers) > 1 else 4.0))
