"""What a figure was measured on, and how much of the machine others took meanwhile."""

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from aimkeeper import __version__

_TICKS = os.sysconf("SC_CLK_TCK")


def described() -> dict[str, str]:
    """The machine, by what matters here."""
    model = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "?")
    memory = int(next(line for line in _lines("/proc/meminfo") if line.startswith("MemTotal")).split()[1])
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": f"{os.cpu_count()} x {model}",
        "memory": f"{memory / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "pyreqwest": version("pyreqwest"),
        "aimkeeper": __version__,
        "commit": _commit(),
    }


def cpu_seconds(pid: int, *, and_children: bool = False) -> float:
    """Processor time of one process, in seconds; with those of its children, that run or have ended."""
    total = 0.0
    for one in (pid, *(_children(pid) if and_children else ())):
        try:
            fields = Path(f"/proc/{one}/stat").read_text("ascii").rpartition(")")[2].split()
        except OSError:
            continue
        # Its own, then what children left behind that have ended.
        spent = fields[11:15] if and_children else fields[11:13]
        total += sum(map(int, spent)) / _TICKS
    return total


class Watch:
    """How busy the machine is from its making on."""

    def __init__(self) -> None:
        self._before = _cpu_line()

    def shares(self) -> dict[str, float]:
        """`idle` and `stolen` (taken by the host) shares of all cores since then, 0 to 1."""
        spent = [now - before for now, before in zip(_cpu_line(), self._before, strict=True)]
        whole = sum(spent) or 1
        return {"idle": round((spent[3] + spent[4]) / whole, 3), "stolen": round(spent[7] / whole, 3)}


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text("ascii").split()]
    return found


def _cpu_line() -> list[int]:
    return [int(field) for field in _lines("/proc/stat")[0].split()[1:9]]


def _lines(path: str) -> list[str]:
    return Path(path).read_text("utf-8", "replace").splitlines()


def _commit() -> str:
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "?"
