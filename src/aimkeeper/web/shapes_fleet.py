"""Answers about all sessions at once, as types: statistics, bulk update, the fleet at a glance, health."""

from typing import Literal

from msgspec import Struct

from aimkeeper.web.shapes import Words


class UpdateStats(Words):
    """Living sessions, those rotated in the last hour, those whose last attempt failed."""

    total_sessions: int
    recently_updated: int
    failed_updates: int


class SessionStats(Struct):
    """All rows, living sessions, rows of ended ones."""

    total: int
    active: int
    expired: int


class Standing(Words):
    """Past due and held by nobody; not rotated for 29 minutes; seconds until the next deadline, null without one."""

    overdue: int
    at_risk: int
    lowest_slack_seconds: int | None


class Stats(Words):
    """The statistics of the original feature, and how the sessions stand."""

    success: Literal[True]
    token_update_stats: UpdateStats
    session_stats: SessionStats
    standing: Standing
    timestamp: str


class BulkFailure(Struct):
    """Why one session was not rotated."""

    session: str
    code: str
    error: str


class BulkResults(Words):
    """What a bulk update did."""

    processed: int
    successful: int
    failed: int
    logged_out: int
    skipped: int
    remaining: int
    errors: list[BulkFailure]


class BulkUpdated(Struct):
    """What a bulk update did, and when."""

    success: Literal[True]
    results: BulkResults
    timestamp: str


class Counts(Struct):
    """How many sessions there are, by where they stand."""

    total: int
    living: int
    active: int
    in_doubt: int
    suspected: int
    token_lost: int
    ended: int
    overdue: int
    at_risk: int
    failing: int
    ended_today: int


class Upstream(Struct):
    """
    How AimHarder is: `well`, `out`, `returning`, `throttled`; and whether it is we who hold still.

    `barred`: why nobody's resuming would help, and what does: this database is a copy, or its sessions moved away.
    """

    state: Literal["well", "out", "returning", "throttled"]
    since: str | None
    verdicts_held_since: str | None
    paused: bool
    paused_until: str | None
    barred: str | None


class Rates(Struct):
    """Rotations a second: those that come due, those allowed, those done lately."""

    due: float
    allowed: float
    measured: float
    enough: bool


class Keeper(Struct):
    """A worker that lives."""

    name: str
    version: str
    started_at: str
    last_tick_at: str | None


class Fleet(Struct):
    """The fleet at a glance."""

    success: Literal[True]
    now: str
    sessions: Counts
    lowest_slack_seconds: int | None
    next_due_at: str | None
    upstream: Upstream
    rates: Rates
    workers: list[Keeper]
    csrf_token: str | None


class Durations(Struct):
    """What half, 95 % and 99 % of them stay below, in seconds."""

    p50: float
    p95: float
    p99: float


class Slot(Struct):
    """
    What one slot of time brought: new tokens, failures, logouts; how long exchanges took, how late they began.

    Durations are null where none was measured.
    """

    at: str
    rotated: int
    failed: int
    logged_out: int
    took: Durations | None
    late: Durations | None


class Slack(Struct):
    """
    How long living sessions have until their deadline: so many in each part, from the next to die on.

    `past`: beyond their deadline. Below `at_risk_below` seconds they count as at risk.
    """

    part_seconds: float
    past: int
    parts: list[int]
    at_risk_below: float
    sampled: int
    living: int


class Series(Struct):
    """What the charts show."""

    success: Literal[True]
    now: str
    step_seconds: int
    slots: list[Slot]
    slack: Slack


class Alive(Struct):
    """The process runs."""

    status: Literal["alive"]


class Ready(Struct):
    """Whether the database can be written and this process's worker looks for work."""

    ready: bool
    store: str
    worker: str
