"""What must be reached, what is hoped for, and what was measured."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bench.fill import MEAN
from bench.plots import said
from bench.tables import NAMES, Result, table

FULL_INTERVAL = 900.0
# Full load: the fewest in flight with which nearly as much is done as with any number.
NEARLY = 0.95
# What claims and memory are to be measured with.
MOST_ROWS, MOST_SESSIONS = 5_000_000, 1_000_000


class Read(NamedTuple):
    """
    One measured value.

    Attributes:
        name: What is to be added to the figure's name.
        smaller: Measured at a smaller size than was asked for.
    """

    name: str
    value: float
    smaller: bool = False


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
    read: Callable[[Result], Iterator[Read]]
    more: bool = False

    def rows(self, found: dict[str, Result]) -> Iterator[tuple[str, ...]]:
        limits = (_with(self.must, self.unit), "" if self.goal is None else _with(self.goal, self.unit))
        if self.bench not in found:
            yield (self.figure, *limits, "not yet", f"`python -m bench.{self.bench}`")
            return
        for name, value, smaller in self.read(found[self.bench]):
            figure = f"{self.figure}, {name}" if name else self.figure
            verdict = self._judged(value) + (", but at a smaller size" if smaller else "")
            yield (figure, *limits, _with(value, self.unit), verdict)

    def _judged(self, value: float) -> str:
        for name, limit in (("goal", self.goal), ("must", self.must)):
            if limit is not None and (value >= limit if self.more else value <= limit):
                return f"{name} reached"
        return f"missed by {abs(value - self.must) / self.must:.0%}"


def verdicts(found: dict[str, Result]) -> str:
    """All of them, as a table."""
    return table(("Figure", "Must", "Goal", "Measured", ""), (row for goal in GOALS for row in goal.rows(found)))


def _ratio(store: str) -> Callable[[Result], Iterator[Read]]:
    return lambda result: iter([Read("", result[f"{store}_ratio"][0])])


def _exposure(result: Result) -> Iterator[Read]:
    for store, name in NAMES.items():
        cells = [cell for cell in result["cells"] if cell["store"] == store]
        most = max(cell["rate"][0] for cell in cells)
        full = next(cell for cell in cells if cell["rate"][0] >= NEARLY * most)
        yield Read(f"{name}, {full['in_flight']} in flight", full["exposure_p99_ms"][0])


def _lateness(result: Result) -> Iterator[Read]:
    for cell in result["cells"]:
        if cell["share"] == 0.8:
            yield Read(NAMES[cell["store"]], cell["p99_ms"][0] / 1000)


def _together(result: Result) -> Iterator[Read]:
    each = {number: result[f"workers_{number}"]["sessions_at_15_minutes"][0] for number in (1, 2)}
    best = max(each, key=lambda number: each[number])
    yield Read(f"{best} worker{'s' if best > 1 else ''}", each[best] / 1e6)


def _alone(result: Result) -> Iterator[Read]:
    spent = statistics.median(one["postgres"]["cpu_us"] for one in result["rounds"])
    yield Read("by processor time", 1e6 / spent * FULL_INTERVAL * MEAN / 1e6)


def _times(loop: str) -> Callable[[Result], Iterator[Read]]:
    def read(result: Result) -> Iterator[Read]:
        slowest = result["latencies"][-1]
        for store, name in NAMES.items():
            yield Read(name, slowest["times"][f"{store} : {loop}"][0])

    return read


def _claims(result: Result) -> Iterator[Read]:
    first, last = result["sizes"][0], result["sizes"][-1]
    for kind in ("steady", "backlog"):
        times = [took / first["milliseconds"][each] for each, took in last["milliseconds"].items() if kind in each]
        name = f"{said(last['sessions'])} : {said(first['sessions'])} rows, {kind}"
        yield Read(name, max(times), last["sessions"] < MOST_ROWS)


def _memory(result: Result) -> Iterator[Read]:
    cell = max(result["cells"], key=lambda one: one["sessions"])
    yield Read(f"{said(cell['sessions'])} sessions", cell["memory_peak_mb"], cell["sessions"] < MOST_SESSIONS)


def _credentials(result: Result) -> Iterator[Read]:
    yield Read("", result["ratio"][0])


def _seconds(name: str) -> Callable[[Result], Iterator[Read]]:
    return lambda result: iter([Read("", result["seconds"][name][0])])


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
