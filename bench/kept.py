"""What a bench found: kept as JSON in bench/results/, with the machine and the command that was run."""

import os
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from bench.machine import Watch, described

# Where a try is not to replace what docs/performance.md shows, BENCH_RESULTS names another folder.
RESULTS = Path(os.environ.get("BENCH_RESULTS") or Path(__file__).parent / "results")


def keep(name: str, found: dict[str, Any], watch: Watch) -> Path:
    """
    Write *found* as *name*.json; where.

    Args:
        name: One word, the bench's.
        found: What is to be read by people and by `tools/performance.py`.
        watch: Made when the bench began.
    """
    command = " ".join(["python", "-m", f"bench.{name}", *sys.argv[1:]])
    whole = {"command": command, "machine": described() | watch.shares(), **found}
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n")
    return file


def spread(values: Iterable[float], digits: int = 3) -> list[float]:
    """The median, the least and the greatest."""
    ranked = sorted(values)
    return [round(value, digits) for value in (statistics.median(ranked), ranked[0], ranked[-1])]
