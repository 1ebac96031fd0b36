"""Loads an address with wrk (Debian's package of that name), and reads what it says."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """
    What one run brought.

    Attributes:
        rate: Answers a second.
        p50, p99: Latency in milliseconds.
        bad: Answers other than 2xx, and errors of sockets.
        cpu_us: Processor time of the serving process for each answer, in microseconds.
    """

    rate: float
    p50: float
    p99: float
    bad: int
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Wrk:
    """
    How to load.

    Attributes:
        core: Which core wrk runs on.
    """

    connections: int = 32
    seconds: int = 5
    core: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)

    def load(self, url: str, pid: int) -> Load:
        """Load *url*, served by the process *pid*."""
        command = ["taskset", "-c", str(self.core), "wrk", "-t1", f"-c{self.connections}", f"-d{self.seconds}s"]
        command += ["--latency", *(part for item in self.headers.items() for part in ("-H", ": ".join(item))), url]
        before = cpu_seconds(pid)
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        spent = cpu_seconds(pid) - before
        answers = int(_found(r"(\d+) requests in", said))
        bad = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", said))
        bad += sum(int(n) for line in re.findall(r"Socket errors: (.*)", said) for n in re.findall(r"\d+", line))
        return Load(
            rate=float(_found(r"Requests/sec:\s+([\d.]+)", said)),
            p50=_milliseconds(_found(r"50%\s+(\S+)", said)),
            p99=_milliseconds(_found(r"99%\s+(\S+)", said)),
            bad=bad,
            cpu_us=spent * 1e6 / max(answers, 1),
        )


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, f"wrk did not say {pattern}: {text}"
    return match[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()  # type: ignore[union-attr]  # wrk's own form
    return float(number) * _UNITS[unit]
