"""
Whole rotations against the bare client: SQLite, PostgreSQL, one and two workers. Every figure a ratio within one round.

    python -m bench.rotations [ROUNDS] [SECONDS]

Needs nginx and PostgreSQL (Debian's packages). The worker has core 0; nginx and PostgreSQL share core 1.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import msgspec

from bench.bare import Posts
from bench.kept import keep
from bench.machine import Watch, cpu_seconds
from bench.upstream import free_upstream
from bench.worker_here import Order, Told
from tools.cluster import Cluster, fresh

# The most a second there can be is this, by nine tenths of the interval of 5 s.
SESSIONS, CONCURRENCY = 40_000, 256

Cell = dict[str, Any]


async def main(rounds: int, seconds: float) -> None:
    watch = Watch()
    cluster = await asyncio.to_thread(pinned_cluster)
    try:
        with free_upstream() as upstream, tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as name:
            database = await fresh(cluster, "bench")
            lite = Order(url=upstream.url, folder=name, seconds=seconds, concurrency=CONCURRENCY)
            shared = msgspec.structs.replace(lite, database=database)
            for order in (lite, shared):
                run_worker(msgspec.structs.replace(order, sessions=SESSIONS, seconds=1.0))
            told = []
            for number in range(rounds):
                told.append(_round(upstream.url, lite, shared, cluster))
                print(f"round {number + 1}: {_line(told[-1])}", flush=True)
    finally:
        cluster.shut()
    result = {"sessions": SESSIONS, "in_flight": CONCURRENCY, "rounds": told, **_judged(told)}
    keep("rotations", result, watch)
    print(_table(result))


def pinned_cluster(settings: str = "shared_buffers = 512MB\nmax_wal_size = 4GB\n") -> Cluster:
    """A PostgreSQL on core 1."""
    cluster = Cluster(settings)
    cluster.start()
    for process in server_processes(cluster):
        subprocess.run(["taskset", "-a", "-c", "-p", "1", str(process)], check=True, capture_output=True)
    return cluster


def server_processes(cluster: Cluster) -> list[int]:
    """The PostgreSQL server and its helpers: what they start later stands on the same core."""
    parent = int((cluster.folder / "data" / "postmaster.pid").read_text("ascii").split()[0])
    found = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False)
    return [parent, *map(int, found.stdout.split())]


def run_bare(url: str, seconds: float) -> Posts:
    arguments = [url, str(CONCURRENCY), str(seconds), "0"]
    return msgspec.json.decode(run_here("bench.bare", *arguments), type=Posts)


def run_worker(order: Order) -> Told:
    return msgspec.json.decode(run_here("bench.worker_here", msgspec.json.encode(order).decode()), type=Told)


def run_here(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stderr}")
    return done.stdout


def _round(url: str, lite: Order, shared: Order, cluster: Cluster) -> dict[str, Cell]:
    watch = Watch()
    bare = run_bare(url, lite.seconds)
    cells: dict[str, Cell] = {"bare": {"rate": bare.rate, "cpu_us": bare.cpu_us}}
    for name, order in (("sqlite", lite), ("postgres", shared)):
        server_pid = server_processes(cluster)[0]
        before = cpu_seconds(server_pid, and_children=True)
        told = run_worker(order)
        cells[name] = {
            "rate": told.rate,
            "cpu_us": told.cpu_us,
            "ratio": told.rate / bare.rate,
            "cpu_ratio": bare.cpu_us / told.cpu_us,
            "exposure_ms": [round(value * 1000, 1) for value in told.exposure],
            "group": told.rotations / max(told.groups, 1),
            "others": told.others,
            "peak_mb": told.peak_mb,
            # Of all it did for the worker, its start included.
            "server_cpu_us": (cpu_seconds(server_pid, and_children=True) - before) * 1e6
            / max(told.rotations, 1) if name == "postgres" else None,
        }  # fmt: skip
    return {**cells, "machine": watch.shares()}


def _judged(told: list[dict[str, Cell]]) -> dict[str, Any]:
    """Median and range of each ratio."""
    judged = {}
    for cell in ("sqlite", "postgres"):
        for name in ("ratio", "cpu_ratio"):
            values = sorted(one[cell][name] for one in told)
            judged[f"{cell}_{name}"] = [round(v, 3) for v in (statistics.median(values), values[0], values[-1])]
    return judged


def _line(cells: dict[str, Cell]) -> str:
    parts = [f"{name} {cell['rate']:,.0f}/s {cell['cpu_us']:.0f} us" for name, cell in cells.items() if "rate" in cell]
    ratios = [
        f"{name} {cells[name]['ratio']:.3f} (cpu {cells[name]['cpu_ratio']:.3f})" for name in ("sqlite", "postgres")
    ]
    exposure = f"exposure ms {cells['sqlite']['exposure_ms']} {cells['postgres']['exposure_ms']}"
    return "; ".join([*parts, *ratios, exposure, str(cells["machine"])])


def _table(result: dict[str, Any]) -> str:
    lines = ["| figure | median | range |", "|---|---|---|"]
    for name, (median, low, high) in ((k, v) for k, v in result.items() if k.endswith("ratio")):
        lines.append(f"| {name} | {median:.3f} | {low:.3f} to {high:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[1:]]
    asyncio.run(main(int(numbers[0]) if numbers else 5, numbers[1] if len(numbers) > 1 else 4.0))
