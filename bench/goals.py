"""What must be reached, what is hoped for, and what was measured."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.fill import MEAN
from bench.plots import said
from bench.tables import NAMES, Result, table

FULL_INTERVAL = 900.0
# Full load: the fewest in flight with which nearly as much is done as with any number.
NEARLY = 0.95


@dataclass(frozen=True, slots=True)
class Goal:
    """
    One figure.

    Attributes:
        must, goal: What it is to be at the most; at the least where `more` is better. No goal: None.
        unit: Behind the number.
        read: What of a bench's result is to be compared, each with what it is called.
    """

    figure: str
    bench: str
    must: float
    goal: float | None
    unit: str
    read: Callable[[Result], Iterator[tuple[str, float]]]
    more: bool = False

    def rows(self, found: dict[str, Result]) -> Iterator[tuple[str, ...]]:
        limits = (_with(self.must, self.unit), "" if self.goal is None else _with(self.goal, self.unit))
        if self.bench not in found:
            yield (self.figure, *limits, "not yet", f"`python -m bench.{self.bench}`")
            return
        for name, value in self.read(found[self.bench]):
            figure = f"{self.figure}, {name}" if name else self.figure
            yield (figure, *limits, _with(value, self.unit), self._judged(value))

    def _judged(self, value: float) -> str:
        for name, limit in (("goal", self.goal), ("must", self.must)):
            if limit is not None and (value >= limit if self.more else value <= limit):
                return f"{name} reached"
        return f"missed by {abs(value - self.must) / self.must:.0%}"


def verdicts(found: dict[str, Result]) -> str:
    """All of them, as a table."""
    return table(("Figure", "Must", "Goal", "Measured", ""), (row for goal in GOALS for row in goal.rows(found)))


def _ratio(store: str) -> Callable[[Result], Iterator[tuple[str, float]]]:
    return lambda result: iter([("", result[f"{store}_ratio"][0])])


def _exposure(result: Result) -> Iterator[tuple[str, float]]:
    for store, name in NAMES.items():
        cells = [cell for cell in result["cells"] if cell["store"] == store]
        most = max(cell["rate"][0] for cell in cells)
        full = next(cell for cell in cells if cell["rate"][0] >= NEARLY * most)
        yield f"{name}, {full['in_flight']} in flight", full["exposure_p99_ms"][0]


def _lateness(result: Result) -> Iterator[tuple[str, float]]:
    for cell in result["cells"]:
        if cell["share"] == 0.8:
            yield NAMES[cell["store"]], cell["p99_ms"][0] / 1000


def _together(result: Result) -> Iterator[tuple[str, float]]:
    each = {number: result[f"workers_{number}"]["sessions_at_15_minutes"][0] for number in (1, 2)}
    best = max(each, key=lambda number: each[number])
    yield f"{best} worker{'s' if best > 1 else ''}", each[best] / 1e6


def _alone(result: Result) -> Iterator[tuple[str, float]]:
    spent = statistics.median(one["postgres"]["cpu_us"] for one in result["rounds"])
    yield "by processor time", 1e6 / spent * FULL_INTERVAL * MEAN / 1e6


def _times(loop: str) -> Callable[[Result], Iterator[tuple[str, float]]]:
    def read(result: Result) -> Iterator[tuple[str, float]]:
        slowest = result["latencies"][-1]
        for store, name in NAMES.items():
            yield name, slowest["times"][f"{store} : {loop}"][0]

    return read


def _claims(result: Result) -> Iterator[tuple[str, float]]:
    first, last = result["sizes"][0], result["sizes"][-1]
    for kind in ("steady", "backlog"):
        times = [took / first["milliseconds"][each] for each, took in last["milliseconds"].items() if kind in each]
        yield f"{said(last['sessions'])} : {said(first['sessions'])} rows, {kind}", max(times)


def _memory(result: Result) -> Iterator[tuple[str, float]]:
    cell = max(result["cells"], key=lambda one: one["sessions"])
    yield f"{said(cell['sessions'])} sessions", cell["memory_peak_mb"]


def _credentials(result: Result) -> Iterator[tuple[str, float]]:
    yield "", result["ratio"][0]


def _seconds(name: str) -> Callable[[Result], Iterator[tuple[str, float]]]:
    return lambda result: iter([("", result["seconds"][name][0])])


def _with(value: float, unit: str) -> str:
    digits = 2 if value < 10 else 0
    number = f"{value:,.{digits}f}".removesuffix(".00")
    return f"{number} {unit}" if unit else number


GOALS = (
    Goal("SQLite rotations/s : bare client", "rotations", 0.35, 0.5, "", _ratio("sqlite"), more=True),
    Goal("PostgreSQL rotations/s : bare client", "rotations", 0.45, 0.55, "", _ratio("postgres"), more=True),
    Goal("exposure p99 at full load", "exposure", 100, 50, "ms", _exposure),
    Goal("lateness p99 at 80 % of capacity", "lateness", 2, 1, "s", _lateness),
    Goal("sessions at a 15-minute interval, all on two cores", "workers", 3, 5, "M", _together, more=True),
    Goal("the same for each core of workers, store elsewhere", "rotations", 5, 8, "M", _alone, more=True),
    Goal("against the original loop at 250 ms", "against", 1000, None, "times", _times("original"), more=True),
    Goal("against the Nango-shaped loop at 250 ms", "against", 1000, None, "times", _times("nango"), more=True),
    Goal("claim", "claims", 3, 2, "times", _claims),
    Goal("worker memory", "memory", 200, 120, "MB", _memory),
    Goal("credentials over HTTP : constant route", "credentials", 0.5, 0.7, "", _credentials, more=True),
    Goal("`aimkeeper --help`", "start", 0.2, None, "s", _seconds("help")),
    Goal("`serve` to first rotation", "start", 1.5, None, "s", _seconds("first_rotation")),
)
