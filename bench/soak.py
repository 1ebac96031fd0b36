"""
A fleet on one machine for a while: so many sessions in PostgreSQL at an interval of 15 minutes, kept by one worker.

    python -m bench.soak [SESSIONS] [MINUTES]

A million sessions for 20 minutes unless told otherwise: 1,235 rotations a second, as they come in the middle of a day.
Before that they are stored, which takes three minutes a million, and 5 GB of disk besides 8 GB of log. The worker is
`aimkeeper worker` on core 0; nginx, as the upstream, and PostgreSQL share core 1. Every few seconds it is noted how the
worker, the table and the machine stand.
"""

import asyncio
import sys
import tempfile
import time
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec

from aimkeeper.service import open_service
from bench.fill import MEAN, fill
from bench.kept import keep
from bench.machine import Watch, cpu_seconds
from bench.process import Metrics, Process, aimkeeper, memory_mb, wait_for
from bench.rotations import pinned_cluster, server_processes
from bench.upstream import free_upstream
from bench.worker_here import Order, settings
from tools.cluster import Cluster, free_port, fresh

INTERVAL = 900.0
IN_FLIGHT = 256
EVERY = 5.0
# What came due while the worker was being started is caught up with in so many seconds, which are in the series only.
STARTING = 30.0
# What docs/scale.md says for a million; checkpoints as often as they come, so that some are seen.
SERVER = """
shared_buffers = 4GB
max_wal_size = 8GB
checkpoint_timeout = 5min
autovacuum_naptime = 15s
autovacuum_vacuum_cost_limit = 1000
"""
_ASK = """
SELECT pg_table_size('public.auth_sessions'), pg_indexes_size('public.auth_sessions'),
       pg_current_wal_insert_lsn() - '0/0'::pg_lsn, n_dead_tup, autovacuum_count, pg_database_size(current_database())
  FROM pg_stat_user_tables WHERE relid = 'public.auth_sessions'::regclass
"""

Sample = dict[str, float]


async def main(sessions: int, minutes: float) -> None:
    watch = Watch()
    cluster = await asyncio.to_thread(pinned_cluster, SERVER)
    try:
        with free_upstream() as upstream, tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
            database = await fresh(cluster, "soak")
            order = Order(url=upstream.url, folder=folder, database=database, concurrency=IN_FLIGHT)
            order = msgspec.structs.replace(order, refresh_every=INTERVAL)
            await stored(order, sessions)
            port = free_port()
            with aimkeeper(order, "worker", "--listen", f"127.0.0.1:{port}") as worker:
                await asyncio.to_thread(wait_for, f"http://127.0.0.1:{port}/readyz", worker)
                seen = Seen(worker, cluster, f"http://127.0.0.1:{port}/metrics", await asyncpg.connect(database))
                series = await seen.run(minutes * 60)
    finally:
        cluster.shut()
    result = {"sessions": sessions, "interval_seconds": INTERVAL, "in_flight": IN_FLIGHT, "series": series}
    due = sessions / INTERVAL / MEAN
    print(keep("soak", {**result, "due_a_second": round(due, 1), **summed(series)}, watch))


async def stored(order: Order, sessions: int) -> None:
    """Fill the store as in the middle of a day."""
    began = time.monotonic()
    async with open_service(settings(order)) as service:
        await fill(service, sessions, spread=timedelta(seconds=order.refresh_every))
    print(f"{sessions:,} sessions stored in {time.monotonic() - began:.0f} s", flush=True)


class Seen:
    """What is noted every few seconds."""

    def __init__(self, worker: Process, cluster: Cluster, metrics: str, line: asyncpg.Connection) -> None:
        self._worker = worker
        self._cluster = cluster
        self._metrics = Metrics(metrics)
        self._line = line
        self._began = self._at = time.monotonic()
        self._watch = Watch()
        self._cpu = self._spent()
        self._rotations = self._rotated()
        self._log_at_first = 0.0

    async def run(self, seconds: float) -> list[Sample]:
        self._log_at_first = (await self._server())["log_mb"]
        series = []
        while time.monotonic() - self._began < seconds:
            await asyncio.sleep(EVERY)
            series.append(await self._sample())
            if len(series) % 6 == 0:
                print(_line(series[-1]), flush=True)
        await self._line.close()
        return series

    async def _sample(self) -> Sample:
        await asyncio.to_thread(self._metrics.look)
        before, self._at = self._at, time.monotonic()
        passed = self._at - before
        shares, self._watch = self._watch.shares(), Watch()
        cpu, self._cpu = self._cpu, self._spent()
        rotations, self._rotations = self._rotations, self._rotated()
        server = await self._server()
        server["log_mb"] -= self._log_at_first
        late = {
            f"late_p{share * 100:g}": self._metrics.quantile("aimkeeper_lateness_seconds", share) for share in _SHARES
        }
        return {
            "at": round(self._at - self._began, 1),
            "rotations": self._rotations,
            "rate": round((self._rotations - rotations) / passed, 1),
            **late,
            "exposure_p99": self._metrics.quantile("aimkeeper_exposure_seconds", 0.99),
            "memory_mb": memory_mb(self._pid)[0],
            "worker_cores": round((self._cpu[0] - cpu[0]) / passed, 3),
            "server_cores": round((self._cpu[1] - cpu[1]) / passed, 3),
            **server,
            **shares,
        }

    @property
    def _pid(self) -> int:
        return self._worker.pid

    def _spent(self) -> tuple[float, float]:
        """Seconds of processor time of the worker, and of the server with its helpers."""
        return cpu_seconds(self._pid), cpu_seconds(server_processes(self._cluster)[0], and_children=True)

    def _rotated(self) -> float:
        return self._metrics.total('aimkeeper_exchanges_total{via="token_update",what="rotated"}')

    async def _server(self) -> Sample:
        await self._line.execute("SELECT pg_stat_clear_snapshot()")
        table, indexes, log, dead, swept, whole = await self._line.fetchrow(_ASK)
        megabytes = {"table_mb": table, "indexes_mb": indexes, "log_mb": int(log), "database_mb": whole}
        return {name: round(size / 2**20, 1) for name, size in megabytes.items()} | {"dead": dead, "vacuums": swept}


_SHARES = (0.5, 0.99, 1.0)


def summed(series: list[Sample]) -> dict[str, Any]:
    """What is to be said of the whole time, but for its beginning."""
    series = [one for one in series if one["at"] > STARTING] or series
    first, last = series[0], series[-1]
    passed = last["at"] - first["at"]
    mean = {name: round(sum(one[name] for one in series) / len(series), 3) for name in _MEANS}
    return {
        "rate": round((last["rotations"] - first["rotations"]) / max(passed, 1), 1),
        "worst": {name: max(one[name] for one in series) for name in _WORST},
        "mean": mean,
        "log_mb_a_second": round((last["log_mb"] - first["log_mb"]) / max(passed, 1), 2),
        "table_growth": round(last["table_mb"] / first["table_mb"], 3),
        "indexes_growth": round(last["indexes_mb"] / first["indexes_mb"], 3),
        "vacuums": last["vacuums"] - first["vacuums"],
    }


_MEANS = ("worker_cores", "server_cores", "idle", "stolen")
_WORST = ("late_p50", "late_p99", "late_p100", "exposure_p99", "memory_mb", "dead")


def _line(one: Sample) -> str:
    return (
        f"{one['at']:6.0f} s  {one['rate']:,.0f}/s  late p99 <= {one['late_p99']:g} s  {one['memory_mb']:.0f} MB  "
        f"worker {one['worker_cores']:.2f}, server {one['server_cores']:.2f} cores  idle {one['idle']:.0%}  "
        f"table {one['table_mb']:,.0f} + {one['indexes_mb']:,.0f} MB  log {one['log_mb']:,.0f} MB  "
        f"dead {one['dead']:,.0f}"
    )


if __name__ == "__main__":
    numbers = [float(argument.replace("_", "")) for argument in sys.argv[1:]]
    asyncio.run(main(int(numbers[0]) if numbers else 1_000_000, numbers[1] if len(numbers) > 1 else 20.0))
