"""
One worker process, as the benches measure it: it runs, and says how much it did in a window of time.

    python -m bench.worker_here '{"url": …}'       the fields of `Order`
"""

import asyncio
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import uvloop

from aimkeeper.core.session import Turn
from aimkeeper.service import Service, open_service
from aimkeeper.serving import rarely_look_for_circles
from aimkeeper.settings import Settings
from aimkeeper.telemetry import Telemetry, set_up_logs
from bench.fill import fill

KEY = "k" * 43


class Order(msgspec.Struct, kw_only=True):
    """
    What to do.

    Attributes:
        database: Its URL; "" = SQLite in `folder`.
        sessions: So many are stored before; 0 = they are there.
        steady: They come due as in the middle of a day, not all at once.
        warm, seconds: How long to run before the window and inside it.
        core: Where this process may run; -1 = anywhere.
    """

    url: str
    folder: str
    database: str = ""
    sessions: int = 0
    steady: bool = False
    warm: float = 1.0
    seconds: float = 4.0
    concurrency: int = 256
    refresh_every: float = 5.0
    max_rate: float = 1e6
    core: int = 0


class Told(msgspec.Struct, kw_only=True):
    """
    What was done in the window. Seconds; `cpu` is the process's, all threads.

    Attributes:
        exposure: From an answer to the durable commit of its token: median, 99th percentile, greatest.
        on_the_way: From the sending of the old token to the durable commit of the new one, the same.
        lateness: From when a session was due to its claim, the same.
        peak_mb: The most memory it ever held, in megabytes.
    """

    rotations: int
    others: int
    seconds: float
    cpu: float
    groups: int
    claims: int
    exposure: list[float]
    on_the_way: list[float]
    lateness: list[float]
    peak_mb: float

    @property
    def rate(self) -> float:
        return self.rotations / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu / max(self.rotations, 1) * 1e6


class Counted:
    """Hears what a service does, beside its telemetry."""

    def __init__(self, service: Service) -> None:
        self._now = service.store.now
        self.exposure: list[float] = []
        self.on_the_way: list[float] = []
        self.lateness: list[float] = []
        self.groups = self.claims = self.rotations = self.others = 0
        self._count_groups = service.keeper.committer.wrote
        keeper, exposed = service.keeper, service.keeper.committer.exposed
        keeper.hearers.lateness.append(self.lateness.append)
        keeper.hearers.turns.append(self._turn)
        keeper.committer.wrote = self._wrote
        keeper.committer.exposed = lambda seconds: (exposed(seconds), self.exposure.append(seconds))[0]

    def _wrote(self, seconds: float) -> None:
        self.groups += 1
        self._count_groups(seconds)

    def _turn(self, turn: Turn) -> None:
        if turn.what == "rotated":
            self.rotations += 1
            self.on_the_way.append(self._now().timestamp() - turn.at + turn.took_ms / 1000)
        else:
            self.others += 1

    def start_over(self) -> None:
        self.exposure.clear()
        self.on_the_way.clear()
        self.lateness.clear()
        self.groups = self.claims = self.rotations = self.others = 0


def settings(order: Order) -> Settings:
    return Settings(
        data_dir=Path(order.folder),
        database_url=order.database or None,
        secret_keys=KEY,
        aimharder_url=order.url,
        aimharder_login_url=order.url,
        refresh_every=timedelta(seconds=order.refresh_every),
        idle_timeout=timedelta(minutes=90),
        max_rate=order.max_rate,
        concurrency=order.concurrency,
    )


async def work(order: Order) -> Told:
    async with open_service(settings(order), role="worker", name="bench") as service:
        if order.sessions:
            spread = service.policy.refresh_every if order.steady else timedelta(0)
            await fill(service, order.sessions, spread=spread)
        telemetry, worker = Telemetry(service), service.worker("bench")
        telemetry.watch(worker)
        counted = Counted(service)
        rarely_look_for_circles()
        task = asyncio.create_task(worker.run())
        await asyncio.sleep(order.warm)
        counted.start_over()
        since, cpu = time.perf_counter(), time.process_time()
        await asyncio.sleep(order.seconds)
        told = Told(
            seconds=time.perf_counter() - since,
            cpu=time.process_time() - cpu,
            rotations=counted.rotations,
            others=counted.others,
            groups=counted.groups,
            claims=counted.claims,
            exposure=_quantiles(counted.exposure),
            on_the_way=_quantiles(counted.on_the_way),
            lateness=_quantiles(counted.lateness),
            peak_mb=_peak_mb(),
        )
        worker.stop()
        await task
    return told


def _quantiles(values: list[float]) -> list[float]:
    """The median, the 99th percentile and the greatest."""
    ranked = sorted(values) or [0.0]
    return [round(ranked[min(int(len(ranked) * share), len(ranked) - 1)], 5) for share in (0.5, 0.99, 1.0)]


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return round(int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024, 1)


def main() -> None:
    order = msgspec.json.decode(sys.argv[1], type=Order)
    if order.core >= 0:
        os.sched_setaffinity(0, {order.core})
    set_up_logs(as_json=True)
    print(msgspec.json.encode(uvloop.run(work(order))).decode())


if __name__ == "__main__":
    main()
