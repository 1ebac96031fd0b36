"""aimkeeper as people run it, a process of its own, and what can be seen of it from outside."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench.worker_here import KEY, Order

OPERATOR = "the-key-of-the-bench"
Process = subprocess.Popen[bytes]
# In seconds: what lies above the last bound of `/metrics` counts as so long.
LONGEST = 3600.0


def environment(order: Order) -> dict[str, str]:
    """The settings that *order* stands for, as variables; nothing else of aimkeeper's is left in them."""
    ours = ("AIMKEEPER_", "AIMHARDER_", "TOKEN_", "DATABASE_URL", "CRON_SECRET")
    chosen = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    chosen |= {
        "AIMKEEPER_DATA_DIR": order.folder,
        "AIMKEEPER_SECRET_KEYS": KEY,
        "AIMKEEPER_API_KEY": OPERATOR,
        "AIMKEEPER_REFRESH_EVERY": f"{order.refresh_every:g}s",
        "AIMKEEPER_MAX_RATE": f"{min(order.max_rate, 10_000):g}",
        "AIMKEEPER_CONCURRENCY": str(order.concurrency),
        "AIMKEEPER_LOG_FORMAT": "json",
        "AIMHARDER_URL": order.url,
        "AIMHARDER_LOGIN_URL": order.url,
    }
    return chosen | ({"AIMKEEPER_DATABASE_URL": order.database} if order.database else {})


@contextmanager
def aimkeeper(order: Order, *words: str) -> Iterator[Process]:
    """Run one of its commands on `Order.core` until the block is left; what it says goes to `said` in the folder."""
    pinned = ["taskset", "-c", str(order.core)] if order.core >= 0 else []
    command = [*pinned, sys.executable, "-m", "aimkeeper", *words]
    with Path(order.folder, "said").open("wb") as said:
        # From the store's folder, so that no `.env` of the place it was called from is read.
        process = subprocess.Popen(command, cwd=order.folder, env=environment(order), stdout=said, stderr=said)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def wait_for(url: str, process: Process, seconds: float = 60.0) -> None:
    """
    Until it answers.

    Raises:
        RuntimeError: The process has ended.
        TimeoutError: It did not answer in time.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(URLError, OSError), urlopen(url) as answer:  # noqa: S310 (our own)
            answer.read()
            return
        if process.poll() is not None:
            raise RuntimeError(f"aimkeeper ended with {process.returncode}")
        time.sleep(0.01)
    raise TimeoutError(url)


def memory_mb(pid: int) -> tuple[float, float]:
    """What it holds now, and the most it ever held, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return round(found["VmRSS"], 1), round(found["VmHWM"], 1)


class Metrics:
    """What `/metrics` says: counters as they are, and durations as how many fell where since this was last asked."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._before: dict[str, float] = {}
        self._now: dict[str, float] = {}
        self.look()

    def look(self) -> None:
        with urlopen(self._url) as answer:  # noqa: S310 (our own)
            lines = answer.read().decode().splitlines()
        self._before = self._now
        self._now = {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        }

    def total(self, prefix: str) -> float:
        """The sum of all that begin so."""
        return sum(value for name, value in self._now.items() if name.startswith(prefix))

    def quantile(self, name: str, share: float) -> float:
        """The bound in seconds that *share* of the durations since the last look stayed below; 0 without any."""
        start = f'{name}_bucket{{le="'
        counts = [
            (float(key[len(start) :].split('"')[0]), count - self._before.get(key, 0.0))
            for key, count in self._now.items()
            if key.startswith(start)
        ]
        whole = counts[-1][1] if counts else 0.0
        return next((min(bound, LONGEST) for bound, count in counts if whole and count >= whole * share), 0.0)
