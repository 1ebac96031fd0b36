"""
The outbox: which events each channel was told of, and the one process that tells it.

The events themselves are the queue: a channel's row only says how far it has got. What is to be told is written down
before it is sent, so that a second try, also of another process, tells the very same.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from aimkeeper.clock import Clock
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend
from aimkeeper.store.feed import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """
    How far one channel has got.

    Attributes:
        owner: The process that tells; None when nobody does.
        place: Everything up to here is told.
        until: What is being told, or is to be told again, ends here; None when nothing is under way.
        attempt: How often telling that has failed.
        not_before: When to try again.
        told_at: When something was told last.
        problem: Why the last try failed, as a stable word; None when it did not.
        created_at: When the channel was first heard of: what happened before is not told there.
    """

    channel: str
    owner: str | None
    place: Place
    until: Place | None
    attempt: int
    not_before: datetime | None
    told_at: datetime | None
    problem: str | None
    created_at: datetime


class Outbox:
    """The channels' rows."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock

    async def enter(self, channel: str) -> Box:
        """The channel's row; one that was never heard of begins with what happens from now on."""
        async with self._backend.transaction() as tx:
            end = await tx.row("feed_end") or (0, 0)
            now = rows.micros(self._clock.now())
            await tx.row("enter_outbox", channel=channel, epoch=end[0], place=end[1], now=now)
            row = await tx.row("outbox", channel=channel)
        assert row is not None, "a row that was just entered is there"
        box = _box(row)
        # A database that came back from a dump counts its transactions anew; places are then earlier than they were.
        return replace(box, place=min(box.place, Place(*end)), until=min(box.until, Place(*end)) if box.until else None)

    async def read(self, channel: str) -> Box | None:
        """The channel's row, if it was ever heard of."""
        async with self._backend.reading() as tx:
            row = await tx.row("outbox", channel=channel)
        return _box(row) if row else None

    async def everything(self) -> list[Box]:
        """The rows of all channels that were ever heard of."""
        async with self._backend.reading() as tx:
            return [_box(row) for row in await tx.rows("all_of_outbox")]

    async def take(self, channel: str, owner: str) -> bool:
        """Become the one who tells, until `leave` or death; False when another process is."""
        async with self._backend.transaction() as tx:
            return await tx.row("take_outbox", channel=channel, owner=owner) is not None

    async def leave(self, channel: str, owner: str) -> None:
        """Tell no more."""
        async with self._backend.transaction() as tx:
            await tx.row("give_up_outbox", channel=channel, owner=owner)

    async def write(self, box: Box, owner: str) -> bool:
        """Write how far the channel has got; False when *owner* is not the one who tells any more."""
        async with self._backend.transaction() as tx:
            row = await tx.row(
                "write_outbox",
                channel=box.channel,
                owner=owner,
                epoch=box.place.epoch,
                place=box.place.id,
                until_epoch=box.until.epoch if box.until else None,
                until_place=box.until.id if box.until else None,
                attempt=box.attempt,
                not_before=rows.maybe_micros(box.not_before),
                told_at=rows.maybe_micros(box.told_at),
                problem=box.problem,
            )
        return row is not None

    async def beat(self, channel: str, before: datetime) -> bool:
        """For what is told at intervals: whether nobody did since *before*; then it is this process's turn."""
        async with self._backend.transaction() as tx:
            now = rows.micros(self._clock.now())
            return await tx.row("beat_outbox", channel=channel, now=now, before=rows.micros(before)) is not None


def _box(row: rows.Row) -> Box:
    return Box(
        channel=row[0],
        owner=row[1],
        place=Place(row[2], row[3]),
        until=None if row[4] is None else Place(row[4], row[5]),
        attempt=row[6],
        not_before=rows.maybe_instant(row[7]),
        told_at=rows.maybe_instant(row[8]),
        problem=row[9],
        created_at=rows.instant(row[10]),
    )
