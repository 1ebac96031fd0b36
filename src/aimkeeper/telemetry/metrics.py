"""
Numbers for Prometheus: counted while things happen, put into its words only when somebody asks.

What is heard on the way of a rotation costs an addition or two: no lock, no look-up of labels. All of it is heard, and
told, in the loop's one thread. Every label has its values from a closed list; none names a session or a person.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from aimkeeper.core.events import EventKind
from aimkeeper.core.fleet import Fleet
from aimkeeper.core.outcome import Life, Reason
from aimkeeper.core.session import Status, Turn
from aimkeeper.core.telling import Problem

if TYPE_CHECKING:
    from aimkeeper.service import Capacity
    from aimkeeper.store.standing import Standing

# Upper bounds in seconds: from a commit on a quick disk to a backlog of a whole interval.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
_NAMES = [*(str(float(bound)) for bound in BOUNDS), "+Inf"]

SPENDS = ("token_update", "setrefresh", "spare")
EXCHANGES = tuple((via, what) for via in SPENDS for what in ("rotated", "logged_out", *map(str, Reason)))
EXCHANGES += tuple(("whoami", what) for what in map(str, Life))
# Apprise's addresses are counted together: how many there are is for somebody else to choose.
CHANNELS = ("discord", "webhook", "apprise", "heartbeat")
MESSAGES = tuple((channel, outcome) for channel in CHANNELS for outcome in ("told", *map(str, Problem)))
VIAS = (*SPENDS, "whoami")
# Whatever has no place in the list: a mistake of ours, which must not grow.
OTHER = ("other", "other")


class Spread:
    """How often a duration fell where."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * len(_NAMES)
        self._sum = 0.0

    def note(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._sum += seconds

    def told(self) -> tuple[list[tuple[str, float]], float]:
        """Each bound with how many lie at or below it, and the sum of all."""
        return list(zip(_NAMES, accumulate(self._counts), strict=True)), self._sum


@dataclass(frozen=True, slots=True)
class Look:
    """
    What the store says about the whole fleet, at one moment.

    Attributes:
        slack: Seconds until the next session would die; None when there is none.
        workers: How many live.
        untold_channels: Channels whose last message could not be delivered.
    """

    standing: "Standing"
    capacity: "Capacity"
    fleet: Fleet
    slack: float | None
    throttled: bool
    paused: bool
    workers: int
    untold_channels: int


class Numbers(Collector):
    """
    Everything that is counted in this process, and what the store said when it was last asked.

    Attributes:
        look: None while the store can't be asked: then nothing is said about the fleet.
        trouble: Whether this process's worker is kept from the store.
        ticked_at: When this process's worker last looked for work, seconds since 1970; None without one.
        spool_files: How many files with fresh tokens lie on this machine.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._events = dict.fromkeys(EventKind, 0)
        self._exchanges = dict.fromkeys((*EXCHANGES, OTHER), 0)
        self._messages = dict.fromkeys(MESSAGES, 0)
        self._took = {via: Spread() for via in (*VIAS, OTHER[0])}
        self.exposure, self.lateness, self.commits, self.claims = Spread(), Spread(), Spread(), Spread()
        self.look: Look | None = None
        self.trouble = False
        self.ticked_at: float | None = None
        self.spool_files = 0

    def note_event(self, kind: EventKind) -> None:
        self._events[kind] += 1

    def note_told(self, channel: str, problem: Problem | None) -> None:
        self._messages[channel.partition("-")[0], problem.value if problem else "told"] += 1

    def note_turn(self, turn: Turn) -> None:
        known = (turn.via, turn.what) in self._exchanges
        via, what = (turn.via, turn.what) if known else OTHER
        self._exchanges[via, what] += 1
        if turn.took_ms >= 0:
            self._took[via].note(turn.took_ms / 1000)

    def collect(self) -> Iterator[Metric]:
        """Every metric there is, in the order of the reference page."""
        if self.look is not None:
            yield from _told_of_the_fleet(self.look)
        store_up = self.look is not None and not self.trouble
        yield _gauge("store_up", "Whether the store can be read, and written by this process's worker.", store_up)
        if self.ticked_at is not None:
            yield _gauge(
                "last_tick_timestamp_seconds", "When this process's worker last looked for work.", self.ticked_at
            )
        yield _gauge("spool_files", "Files with fresh tokens that the store could not take.", self.spool_files)
        yield _counter(
            "events", "Exceptional facts, by kind.", ("kind",), {(k.value,): n for k, n in self._events.items()}
        )
        yield _counter(
            "exchanges", "Answers of AimHarder, by what was asked and what came.", ("via", "what"), self._exchanges
        )
        yield _counter(
            "messages",
            "Tries to tell somebody elsewhere, by what came of them.",
            ("channel", "outcome"),
            self._messages,
        )
        took = HistogramMetricFamily("aimkeeper_exchange_seconds", "How long exchanges took.", labels=["via"])
        for via, spread in self._took.items():
            took.add_metric([via], *spread.told())
        yield took
        yield _histogram("exposure", "How long fresh tokens existed in memory only.", self.exposure)
        yield _histogram("lateness", "How long after their due time sessions were claimed.", self.lateness)
        yield _histogram("commit", "How long the store took for a group of commits.", self.commits)
        yield _histogram("claim", "How long the store took to hand out sessions that are due.", self.claims)
        info = GaugeMetricFamily("aimkeeper_info", "Which version runs.", labels=["version"])
        info.add_metric([self._version], 1)
        yield info


def _told_of_the_fleet(look: Look) -> Iterator[Metric]:
    standing, capacity = look.standing, look.capacity
    sessions = GaugeMetricFamily("aimkeeper_sessions", "Sessions, by status.", labels=["status"])
    for status in Status:
        sessions.add_metric([status.value], standing.by_status.get(status, 0))
    yield sessions
    yield _gauge("failing_sessions", "Living, and their last attempt failed.", standing.failing)
    yield _gauge("overdue_sessions", "Past due and not in flight.", standing.overdue)
    yield _gauge("at_risk_sessions", "Not rotated for 29 minutes.", standing.at_risk)
    if look.slack is not None:
        yield _gauge("lowest_slack_seconds", "Until the next session would die; below 0 past its deadline.", look.slack)
    yield _gauge("spares", "Fresh tokens that lost their commit and are put aside.", standing.spares)
    yield _gauge("outage", "Whether AimHarder fails nearly everybody.", look.fleet.outage_at is not None)
    yield _gauge("throttled", "Whether AimHarder asked everybody to wait.", look.throttled)
    yield _gauge(
        "verdicts_held", "Whether ends are held back, for too many came at once.", look.fleet.held_at is not None
    )
    yield _gauge("paused", "Whether an operator stopped everything.", look.paused)
    yield _gauge("workers", "Workers that live.", look.workers)
    yield _gauge("untold_channels", "Channels whose last message could not be delivered.", look.untold_channels)
    yield _gauge("due_rate", "Rotations that come due per second.", capacity.due_rate)
    yield _gauge("allowed_rate", "Requests that may start per second.", capacity.allowed_rate)
    yield _gauge("measured_rate", "Rotations committed per second, over the last five minutes.", capacity.measured_rate)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"aimkeeper_{name}", about, value=float(value))


def _counter(name: str, about: str, labels: tuple[str, ...], counts: Mapping[Any, int]) -> Metric:
    """*counts* has the labels' values as its keys."""
    family = CounterMetricFamily(f"aimkeeper_{name}", about, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _histogram(name: str, about: str, spread: Spread) -> Metric:
    buckets, total = spread.told()
    return HistogramMetricFamily(f"aimkeeper_{name}_seconds", about, buckets=buckets, sum_value=total)
