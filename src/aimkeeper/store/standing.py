"""How the sessions stand, in numbers: kept counters and short index scans, never a look at every session."""

from dataclasses import dataclass
from datetime import datetime

from aimkeeper.core.session import Status
from aimkeeper.store import rows
from aimkeeper.store.backend import Transaction


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How the sessions stand.

    Attributes:
        by_status: How many there are of each.
        failing: Living ones whose last attempt failed.
        at_risk: Not rotated for `AT_RISK_AFTER`.
        overdue: Past due, and nobody holds them.
        spares: Tokens that are put aside, of all sessions.
        next_due_at, next_deadline_at: None when nothing is to be done.
    """

    by_status: dict[Status, int]
    failing: int
    at_risk: int
    overdue: int
    spares: int
    next_due_at: datetime | None
    next_deadline_at: datetime | None

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    @property
    def living(self) -> int:
        return self.total - self.by_status.get(Status.ENDED, 0)


async def read_standing(tx: Transaction, now: datetime, at_risk_deadline: datetime) -> Standing:
    """
    How they stand at *now*.

    Args:
        tx: To read in.
        now: The store's time.
        at_risk_deadline: Those with an earlier deadline count as at risk.
    """
    return Standing(
        {Status(status): count for status, count in await tx.rows("status_counts")},
        failing=await number(tx, "count_failing") or 0,
        at_risk=await number(tx, "count_unrotated_since", deadline=rows.micros(at_risk_deadline)) or 0,
        overdue=await number(tx, "count_overdue", now=rows.micros(now)) or 0,
        spares=await number(tx, "count_all_spares") or 0,
        next_due_at=rows.maybe_instant(await number(tx, "next_due")),
        next_deadline_at=rows.maybe_instant(await number(tx, "lowest_deadline")),
    )


async def number(tx: Transaction, statement: str, **params: object) -> int | None:
    """The one number a statement brings; None where it has none to tell."""
    row = await tx.row(statement, **params)
    assert row is not None, "a count and a minimum always bring a row"
    value: int | None = row[0]
    return value
