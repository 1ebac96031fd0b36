"""
Uvicorn or granian, beside the worker: requests a second, p99, processor time, and how late rotations get meanwhile.

    python -m bench.servers [ROUNDS]       needs wrk; granian where it is to be compared (pip install granian)
"""

import asyncio
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.request import Request, urlopen

from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import read_adoption
from aimkeeper.service import open_service
from aimkeeper.simulator import Rules, Simulator, running
from bench.serve_here import IDLE, KEY, settings
from bench.wrk import Ask, Load, Wrk

SESSIONS, PORT = 200, 18931
DAY = timedelta(days=1)
# `{id}` is one session for all who ask, `{each}` each of them in turn, `{own}` each in turn by a bot's own bearer.
ROUTES = {
    "constant": "/healthz",
    "list of 20": "/api/sessions?limit=20",
    "credentials": "/api/sessions/{id}/credentials",
}
# What was found of each route, and the p99 of the rotations' lateness meanwhile, in seconds.
Found = dict[str, tuple[Load, float]]


async def main(rounds: int) -> None:
    servers = ["uvicorn", *(["granian"] if importlib.util.find_spec("granian") else [])]
    told: dict[tuple[str, str], list[tuple[Load, float]]] = {}
    for _ in range(rounds):
        for server in servers:
            for route, found in (await served(server, ROUTES)).items():
                told.setdefault((server, route), []).append(found)
    print("| server | route | requests/s median [range] | p50 ms | p99 ms | CPU us/request | rotation lateness p99 s |")
    print("|---|---|---|---|---|---|---|")
    for (server, route), found in told.items():
        loads = [load for load, _ in found]
        rates = sorted(load.rate for load in loads)
        p50, p99, cpu = (statistics.median(getattr(load, name) for load in loads) for name in ("p50", "p99", "cpu_us"))
        late = statistics.median(lateness for _, lateness in found)
        bad = sum(load.bad for load in loads)
        print(
            f"| {server} | {route}{f' ({bad} bad)' if bad else ''} | {statistics.median(rates):,.0f} "
            f"[{rates[0]:,.0f} to {rates[-1]:,.0f}] | {p50:.1f} | {p99:.1f} | {cpu:.0f} | <= {late:g} |"
        )


async def served(server: str, routes: Mapping[str, str], database: str = "") -> Found:
    """
    Serve from a process of its own, on one core, and load each of *routes* from the other.

    Args:
        server: `uvicorn` or `granian`.
        routes: Paths by name.
        database: The URL of a PostgreSQL database; empty = SQLite.
    """
    os.sched_setaffinity(0, {1})  # the simulator and wrk
    with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as name:
        folder = Path(name)
        sim = Simulator(Rules(idle_life=IDLE, old_token="grace", grace=10.0), clock=SystemClock())
        async with running(sim) as site:
            async with open_service(settings(folder, site.url, database)) as service:
                grants = [site.sim.open_session(f"m{number}@example.com", "d" * 50) for number in range(SESSIONS)]
                adopted = await service.entry.adopt([read_adoption(grant.record()) for grant in grants], replacing=True)
                ids = [session.id for session in adopted]
                own = [(one.id, (await service.bots.lend(one, DAY, by="bench")).bearer) for one in adopted]
            asked = {name: _asked(path, ids, own) for name, path in routes.items()}
            return await asyncio.to_thread(_measure, [server, str(PORT), name, site.url, database], asked)


def _asked(path: str, ids: Sequence[str], own: Sequence[Ask]) -> list[Ask]:
    if "{own}" in path:
        return [(path.replace("{own}", one), bearer) for one, bearer in own]
    return [
        (path.replace("{id}", ids[0]).replace("{each}", one), KEY) for one in (ids if "{each}" in path else ids[:1])
    ]


def _measure(arguments: list[str], routes: Mapping[str, list[Ask]]) -> Found:
    command = ["taskset", "-c", "0", sys.executable, "-m", "bench.serve_here", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{PORT}"
    try:
        _wait_for(f"{base}/readyz")
        bearer = {"Authorization": f"Bearer {KEY}"}
        time.sleep(4)  # every session rotated once
        found = {}
        for name, asked in routes.items():
            before = _lateness(base, bearer)
            load = Wrk().load(base, asked, process.pid)
            found[name] = (load, _p99(before, _lateness(base, bearer)))
        return found
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(url: str) -> None:
    for _ in range(200):
        try:
            with urlopen(url) as answer:  # noqa: S310 (our own)
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(url)


def _lateness(base: str, headers: dict[str, str]) -> dict[float, int]:
    with urlopen(Request(f"{base}/metrics", headers=headers)) as answer:  # noqa: S310 (our own)
        lines = answer.read().decode().splitlines()
    rows = [line for line in lines if line.startswith("aimkeeper_lateness_seconds_bucket")]
    return {float(row.split('le="')[1].split('"')[0]): int(float(row.split()[-1])) for row in rows}


def _p99(before: dict[float, int], after: dict[float, int]) -> float:
    counts = {bound: after[bound] - before.get(bound, 0) for bound in after}
    most = max(counts.values())
    return next(bound for bound, count in sorted(counts.items()) if count >= 0.99 * most)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
