"""What runs beside aimkeeper: a service to be measured, and Prometheus' own tools."""

import asyncio
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aimkeeper.core.begin import read_adoption
from aimkeeper.service import Service, Surroundings, open_service
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Simulator
from aimkeeper.telemetry import Telemetry
from aimkeeper.testing import ManualClock

ROOT = Path(__file__).resolve().parents[2]
OPS, RUNBOOK, REFERENCE = ROOT / "ops", ROOT / "docs" / "runbook", ROOT / "docs" / "reference"
DEVICE = "f" * 50


def tool(*arguments: str | Path, **more) -> subprocess.CompletedProcess:
    """Prometheus' tool for rules and metrics, from Debian; skipped where it is missing and can't be installed."""
    done = subprocess.run(
        [ROOT / "tools" / "prometheus.sh", "promtool", *arguments],
        capture_output=True, text=True, timeout=110, check=False, **more,
    )  # fmt: skip
    if done.returncode == 2 and "is missing" in done.stderr:
        pytest.skip(done.stderr.strip())
    return done


class Stage:
    """One service, measured, and the upstream's truth."""

    def __init__(self, service: Service, sim: Simulator, clock: ManualClock) -> None:
        self.service, self.sim, self.clock = service, sim, clock
        self.telemetry = Telemetry(service)

    async def text(self) -> str:
        return (await self.telemetry.metrics()).decode()

    async def numbers(self) -> dict[str, float]:
        """Every sample, by its name with its labels."""
        families = list(text_string_to_metric_families(await self.text()))
        return {
            sample.name + (str(sample.labels) if sample.labels else ""): sample.value
            for family in families
            for sample in family.samples
        }

    async def adopt(self, count: int = 1):
        emails = [f"member{number:05}@example.com" for number in range(count)]
        grants = [read_adoption(self.sim.open_session(email, DEVICE).record()) for email in emails]
        return await self.service.entry.adopt(grants, replacing=True)

    @asynccontextmanager
    async def working(self):
        """The service's worker runs, and is watched."""
        worker = self.service.worker()
        self.telemetry.watch(worker)
        task = asyncio.create_task(worker.run())
        await self.clock.settle()
        try:
            yield worker
        finally:
            worker.stop()
            await self.clock.finish(task)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def stage(tmp_path, clock):
    sim = Simulator(Rules(old_token="strict"), Faults(), clock=clock, rng=Random(1))
    dice = Random(7)
    around = Surroundings(clock=clock, dice=dice, random_bytes=dice.randbytes, app=sim, inline=True)
    settings = Settings(
        data_dir=tmp_path,
        aimharder_url="http://aimharder.test",
        aimharder_login_url="http://login.aimharder.test",
        max_rate=20.0,
    )
    async with open_service(settings, role="worker", surroundings=around) as service:
        clock.busy.append(lambda: service.upstream.in_flight > sim.waiting)
        yield Stage(service, sim, clock)
