"""
`aimkeeper adopt FILE` with many lines: lines a second, and whether its memory grows with them.

    python -m bench.adopting [LINES ...]

10,000 and 100,000 lines unless told otherwise; a million take 600 MB of file and 4 GB of store. On SQLite, then on
PostgreSQL, each time into an empty store. The file is made before, and is not timed.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.kept import keep
from bench.machine import Watch
from bench.process import aimkeeper
from bench.rotations import pinned_cluster
from bench.upstream import STICKY
from bench.worker_here import Order
from tools.cluster import Cluster, fresh

SIZES = (10_000, 100_000)
STORES = ("sqlite", "postgres")
_COOKIES = [
    {"name": "amhrdrauth", "value": "a1B2c3D4" * 8},
    {"name": "PHPSESSID", "value": "0123456789abcdef0123456789"},
    {"name": "AWSALB", "value": STICKY},
    {"name": "AWSALBCORS", "value": STICKY},
]


async def main(sizes: tuple[int, ...]) -> None:
    watch = Watch()
    cluster = await asyncio.to_thread(pinned_cluster, "shared_buffers = 1GB\nmax_wal_size = 8GB\n")
    found = []
    try:
        for lines in sizes:
            for store in STORES:
                found.append({"store": store, "lines": lines, **await _adopted(cluster, store, lines)})
                print(found[-1], flush=True)
    finally:
        cluster.shut()
    print(keep("adopting", {"cells": found}, watch))


async def _adopted(cluster: Cluster, store: str, lines: int) -> dict[str, Any]:
    await cluster.tell("DROP DATABASE IF EXISTS adopting")
    database = await fresh(cluster, "adopting") if store == "postgres" else ""
    with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
        file = Path(folder, "sessions.jsonl")
        _write(file, lines)
        order = Order(url="http://127.0.0.1:9", folder=folder, database=database, refresh_every=900.0)
        return await asyncio.to_thread(_run, order, file, lines)


def _write(file: Path, lines: int) -> None:
    expiry = int(time.time()) + 7_776_000
    with file.open("w", encoding="ascii") as out:
        for number in range(lines):
            token = f"{number + 1}|{expiry}|{number:032x}"
            line = {"email": f"member{number:07}@example.com", "fingerprint": f"{number:050x}", "token": token}
            out.write(json.dumps(line | {"cookies": _COOKIES}) + "\n")


def _run(order: Order, file: Path, lines: int) -> dict[str, Any]:
    began = time.perf_counter()
    with aimkeeper(order, "adopt", str(file)) as process:
        _, status, spent = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    said = Path(order.folder, "said").read_text("utf-8")
    assert f"Adopted {lines}, refused 0." in said, said[-2000:]
    return {
        "seconds": round(seconds, 1),
        "rate": round(lines / seconds),
        "cpu_us": round((spent.ru_utime + spent.ru_stime) / lines * 1e6),
        "memory_peak_mb": round(spent.ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    asyncio.run(main(tuple(int(word.replace("_", "")) for word in sys.argv[1:]) or SIZES))
