"""Loads an address with wrk (Debian's package of that name), and reads what it says."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
_TICKS = os.sysconf("SC_CLK_TCK")
# Asks for each of many in turn.
_IN_TURN = """
local asked, ready, n = {%s}, {}, 0
function init()
  for i, one in ipairs(asked) do
    ready[i] = wrk.format("GET", one[1], {Host = wrk.headers.Host, Authorization = "Bearer " .. one[2]})
  end
end
function request()
  n = n %% #ready + 1
  return ready[n]
end
"""
# A path, and the bearer that may ask for it.
Ask = tuple[str, str]


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

    def load(self, base: str, asked: Sequence[Ask], pid: int) -> Load:
        """Ask for each of *asked* in turn, below *base*, which the process *pid* serves."""
        command = ["taskset", "-c", str(self.core), "wrk", "-t1", f"-c{self.connections}", f"-d{self.seconds}s"]
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(
                _IN_TURN % ", ".join(f"{{{json.dumps(path)}, {json.dumps(bearer)}}}" for path, bearer in asked)
            )
            script.flush()
            before = cpu_seconds(pid)
            command += ["--latency", "-s", script.name, base]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            spent = cpu_seconds(pid) - before
        answers = int(_found(r"(\d+) requests in", said))
        bad = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", said))
        bad += sum(int(n) for line in re.findall(r"Socket errors: (.*)", said) for n in re.findall(r"\d+", line))
        return Load(
            rate=float(_found(r"Requests/sec:\s+([\d.]+)", said)),
            p50=_milliseconds(_found(r"(?m)^\s+50%\s+(\S+)", said)),
            p99=_milliseconds(_found(r"(?m)^\s+99%\s+(\S+)", said)),
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
