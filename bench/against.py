"""
One session at a time, as others do it, against aimkeeper: rotations a second at 0, 50 and 250 ms upstream latency.

    python -m bench.against [ROUNDS] [SECONDS]

What the loops do, and how kindly: bench/loops.py. Everybody asks the same upstream (bench/slow.py) and has core 0;
upstream and PostgreSQL share core 1.
"""

import asyncio
import sys
import tempfile
from typing import Any

import msgspec

from bench.kept import keep, spread
from bench.loops import LOOPS, Kept
from bench.machine import Watch
from bench.rotations import pinned_cluster, run_here, run_worker
from bench.slow import slow_upstream
from bench.worker_here import Order
from tools.cluster import Cluster, fresh

# Latency in milliseconds, and so many of aimkeeper's requests in flight: what such a latency asks for.
LATENCIES = {0: 256, 50: 512, 250: 2000}
# Enough that none is due a second time while it is measured.
SESSIONS, INTERVAL = 60_000, 60.0
STORES = ("sqlite", "postgres")

# Rotations a second by whom.
Rates = dict[str, float]


async def main(rounds: int, seconds: float) -> None:
    watch = Watch()
    cluster = await asyncio.to_thread(pinned_cluster)
    found: dict[int, list[Rates]] = {latency: [] for latency in LATENCIES}
    try:
        for number in range(rounds):
            for latency in LATENCIES:
                with slow_upstream(latency) as url:
                    found[latency].append(await _round(cluster, url, latency, seconds))
                print(f"round {number + 1}, {latency} ms: {_line(found[latency][-1])}", flush=True)
    finally:
        cluster.shut()
    result = {
        "rounds": rounds,
        "seconds": seconds,
        "latencies": [
            {"milliseconds": latency, "in_flight": LATENCIES[latency], **_judged(rates)}
            for latency, rates in found.items()
        ],
    }
    print(keep("against", result, watch))


async def _round(cluster: Cluster, url: str, latency: int, seconds: float) -> Rates:
    await cluster.tell("DROP DATABASE IF EXISTS against")
    database = await fresh(cluster, "against")
    rates = {}
    for name in LOOPS:
        said = await asyncio.to_thread(run_here, "bench.loops", name, url, database, str(seconds), "0")
        rates[name] = msgspec.json.decode(said, type=Kept).rate
    with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
        order = Order(url=url, folder=folder, seconds=seconds, concurrency=LATENCIES[latency], warm=2.0)
        order = msgspec.structs.replace(order, sessions=SESSIONS, refresh_every=INTERVAL)
        for store in STORES:
            here = msgspec.structs.replace(order, database=database if store == "postgres" else "")
            told = await asyncio.to_thread(run_worker, here)
            rates[store] = told.rate
    return rates


def _judged(rounds: list[Rates]) -> dict[str, Any]:
    rates = {who: spread((one[who] for one in rounds), 1) for who in rounds[0]}
    times = {
        f"{store} : {loop}": spread((one[store] / one[loop] for one in rounds), 0) for store in STORES for loop in LOOPS
    }
    return {"rates": rates, "times": times}


def _line(rates: Rates) -> str:
    told = [f"{who} {rate:,.1f}/s" for who, rate in rates.items()]
    return ", ".join([*told, *(f"postgres : {loop} = {rates['postgres'] / rates[loop]:,.0f}" for loop in LOOPS)])


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[1:]]
    asyncio.run(main(int(numbers[0]) if numbers else 5, numbers[1] if len(numbers) > 1 else 5.0))
