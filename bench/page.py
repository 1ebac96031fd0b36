"""
The measured parts of docs/performance.md and its plots, from what lies in bench/results/.

    python -m bench.page          write them
    python -m bench.page --check  say what is stale; exit 1 when anything is
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.goals import verdicts
from bench.plots import Plot
from bench.tables import NAMES, TABLES, Result, table

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "pictures" / "performance"
_BLOCK = re.compile(r"(<!-- measured: ([a-z ]+) -->\n).*?(<!-- end of what was measured -->)", re.DOTALL)


def results(folder: Path = ROOT / "bench" / "results") -> dict[str, Result]:
    """What every bench found last, by its name."""
    return {file.stem: msgspec.json.decode(file.read_bytes()) for file in sorted(folder.glob("*.json"))}


def page(text: str, found: dict[str, Result]) -> str:
    """*text* with what was *found* between its marks."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{_measured(block[2], found)}\n\n{block[3]}", text)


def _measured(name: str, found: dict[str, Result]) -> str:
    if name == "goals":
        return verdicts(found)
    if name == "machine":
        return _runs(found)
    if name not in found:
        return f"Not measured yet: `python -m bench.{name}`."
    drawn = PLOTS[name](found[name]) if name in PLOTS else {}
    pictures = [f"![{plot.title}](pictures/performance/{file}.svg)" for file, plot in drawn.items()]
    return "\n\n".join([TABLES[name](found[name]), _source(name, found[name]), *pictures])


def _source(name: str, result: Result) -> str:
    machine = result["machine"]
    shares = f", {machine['idle']:.0%} of it idle, {machine['stolen']:.0%} stolen" if "idle" in machine else ""
    command = result.get("command", f"python -m bench.{name}")
    many: Any = result.get("rounds", result.get("times", 1))
    rounds = len(many) if isinstance(many, list) else int(many)
    often = f", {rounds} rounds" if rounds > 1 else ""
    return f"`{command}`{often}, {machine['date']}, {machine['cpu']}{shares}, commit {machine['commit']}."


def _runs(found: dict[str, Result]) -> str:
    rows = [
        (f"`{name}`", machine["date"], machine["cpu"], machine["memory"], machine["kernel"], machine["python"])
        for name, machine in ((name, result["machine"]) for name, result in found.items())
    ]
    return table(("Bench", "Date", "Processor", "Memory", "Kernel", "Python"), rows)


def plots(found: dict[str, Result]) -> dict[str, str]:
    """Each picture's text by its file name; of what was not measured there is none."""
    made = {name: plot for bench, draw in PLOTS.items() if bench in found for name, plot in draw(found[bench]).items()}
    return {f"{name}.svg": plot.svg() for name, plot in made.items()}


def _against(result: Result) -> dict[str, Plot]:
    each = result["latencies"]
    series = {name: [(one["milliseconds"], one["rates"][store][0]) for one in each] for store, name in NAMES.items()}
    plot = Plot("Rotations a second by the upstream's latency", "latency, ms", "rotations/s", series)
    return {"against": plot}


def _claims(result: Result) -> dict[str, Plot]:
    kinds = list(result["sizes"][0]["milliseconds"])
    first = result["sizes"][0]["milliseconds"]
    series = {
        kind: [(one["sessions"], one["milliseconds"][kind] / first[kind]) for one in result["sizes"]] for kind in kinds
    }
    return {"claims": Plot("A claim, in times of the first", "sessions in the table", "times", series, log=True)}


def _exposure(result: Result) -> dict[str, Plot]:
    def series(name: str) -> dict[str, list[tuple[float, float]]]:
        lines: dict[str, list[tuple[float, float]]] = {}
        for cell in result["cells"]:
            lines.setdefault(NAMES[cell["store"]], []).append((cell["in_flight"], cell[name][0]))
        return lines

    return {
        "exposure": Plot("Exposure p99 by requests in flight", "in flight", "ms", series("exposure_p99_ms"), log=True),
        "rate": Plot("Rotations a second by requests in flight", "in flight", "rotations/s", series("rate"), log=True),
    }


def _lateness(result: Result) -> dict[str, Plot]:
    lines: dict[str, list[tuple[float, float]]] = {}
    for cell in result["cells"]:
        lines.setdefault(NAMES[cell["store"]], []).append((cell["share"] * 100, cell["p99_ms"][0]))
    return {"lateness": Plot("Lateness p99 by load", "% of the capacity", "ms", lines)}


def _soak(result: Result) -> dict[str, Plot]:
    series: list[dict[str, float]] = result["series"]

    def line(name: str, by: float = 1.0) -> list[tuple[float, float]]:
        return [(one["at"] / 60, one[name] * by) for one in series]

    minutes = "minutes"
    return {
        "soak-rate": Plot("Soak: rotations a second", minutes, "rotations/s", {"rotations": line("rate")}),
        "soak-lateness": Plot("Soak: lateness", minutes, "s", {"p99": line("late_p99"), "p50": line("late_p50")}),
        "soak-memory": Plot("Soak: the worker's memory", minutes, "MB", {"worker": line("memory_mb")}),
        "soak-cores": Plot(
            "Soak: processor, in cores",
            minutes,
            "cores",
            {"worker": line("worker_cores"), "PostgreSQL": line("server_cores"), "idle, of two": line("idle", 2.0)},
        ),
        "soak-table": Plot(
            "Soak: table, indexes and log",
            minutes,
            "MB",
            {"table": line("table_mb"), "indexes": line("indexes_mb"), "log written": line("log_mb")},
        ),
        "soak-dead": Plot("Soak: dead rows", minutes, "rows", {"dead rows": line("dead")}),
    }


PLOTS: dict[str, Callable[[Result], dict[str, Plot]]] = {
    "against": _against,
    "claims": _claims,
    "exposure": _exposure,
    "lateness": _lateness,
    "soak": _soak,
}


def main(arguments: list[str]) -> int:
    found = results()
    wanted: dict[Path, str] = {PICTURES / name: text for name, text in plots(found).items()}
    wanted[PAGE] = page(PAGE.read_text("utf-8"), found)
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    if arguments == ["--check"]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run `python -m bench.page`.", file=sys.stderr)
        return 1 if stale else 0
    PICTURES.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(wanted[path], "utf-8")
        print(f"{path.relative_to(ROOT)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
