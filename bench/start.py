"""
How soon it is there: `aimkeeper --help`, and `aimkeeper serve` until its first rotation is durable.

    python -m bench.start [TIMES]

Every start is a new process, with a store that holds one session that is due. Two more programs are timed in turns with
them, for the machine's sake: Python that does nothing, and Python that imports what `serve` cannot do without.
"""

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aimkeeper.service import open_service
from bench.fill import fill
from bench.kept import keep, spread
from bench.machine import Watch
from bench.process import aimkeeper, environment
from bench.upstream import free_upstream
from bench.worker_here import Order, settings

LONGEST = 60.0
# What HTTP, settings and the store are made of.
NEEDED = "import litestar, uvicorn, msgspec, pyreqwest, cryptography.hazmat.primitives.ciphers.aead, structlog, sqlite3"


def main(times: int) -> None:
    watch = Watch()
    seconds: dict[str, list[float]] = {}
    with free_upstream(core=None) as upstream:
        ways: dict[str, Callable[[], float]] = {
            "nothing": lambda: _run([sys.executable, "-c", ""]),
            "imports": lambda: _run([sys.executable, "-c", NEEDED]),
            "help": lambda: _run([sys.executable, "-m", "aimkeeper", "--help"]),
            "first rotation": lambda: _first_rotation(upstream.url),
        }
        for _ in range(times):
            for name, way in ways.items():
                seconds.setdefault(name, []).append(way())
    found = {name.replace(" ", "_"): spread(took) for name, took in seconds.items()}
    for name, (middle, least, most) in found.items():
        print(f"{name}: {middle:.2f} s [{least:.2f} to {most:.2f}]")
    print(keep("start", {"times": times, "seconds": found}, watch))


def _run(command: list[str]) -> float:
    with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
        began = time.perf_counter()
        subprocess.run(
            command, check=True, capture_output=True, cwd=folder, env=environment(Order(url="", folder=folder))
        )
        return time.perf_counter() - began


def _first_rotation(url: str) -> float:
    with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
        order = Order(url=url, folder=folder, refresh_every=900.0, core=-1)
        asyncio.run(_one_due(order))
        began = time.perf_counter()
        with aimkeeper(order, "serve", "--port", "0"):
            looking = sqlite3.connect(f"file:{Path(folder, 'aimkeeper.db')}?mode=ro", uri=True)
            try:
                while _generation(looking) == 1:
                    time.sleep(0.002)
                    assert time.perf_counter() - began < LONGEST, "nothing was rotated"
                return time.perf_counter() - began
            finally:
                looking.close()


async def _one_due(order: Order) -> None:
    async with open_service(settings(order)) as service:
        await fill(service, 1)


def _generation(looking: sqlite3.Connection) -> int:
    return int(looking.execute("SELECT generation FROM auth_sessions").fetchone()[0])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
