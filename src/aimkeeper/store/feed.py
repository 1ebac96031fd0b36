"""
The feed: every event in the order in which readers may rely on it.

A reader who has seen one place must never be shown an earlier one afterwards: it would be skipped. On SQLite there is
one writer at a time, so ids are given in the order of commits. PostgreSQL gives ids before the commit, and whoever took
a lower one may commit later. There a place is (transaction, id), and only events of transactions older than the oldest
one still running are shown (docs/decisions/0015).
"""

from collections.abc import Sequence
from typing import NamedTuple

from aimkeeper.core.events import Event
from aimkeeper.store.backend import Backend
from aimkeeper.store.commits import event_from, event_params
from aimkeeper.store.lots import Lots


class Place(NamedTuple):
    """
    A place in the feed; later ones compare greater.

    Attributes:
        epoch: Zero on SQLite; on PostgreSQL the transaction.
        id: The event's own.
    """

    epoch: int
    id: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.id}" if self.epoch else str(self.id)

    @classmethod
    def parse(cls, text: str) -> "Place":
        """
        As `str` wrote it.

        Raises:
            ValueError: It is no place.
        """
        epoch, dash, number = text.rpartition("-")
        parts = (epoch, number) if dash else ("0", number)
        if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):  # noqa: PLR2004 (64 bits)
            raise ValueError("not a place in the feed")
        return cls(int(parts[0]), int(parts[1]))


class Feed:
    """Reads events in order, and writes those that change no session."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lots: Lots[Event, None] = Lots(self._carry, "records")

    async def after(self, place: Place, limit: int) -> list[tuple[Place, Event]]:
        """Up to *limit* events after *place*, the earliest first."""
        async with self._backend.reading() as tx:
            found = await tx.rows("feed_after", epoch=place.epoch, id=place.id, limit=limit)
        return [(Place(row[0], row[1]), event_from(row[1:])) for row in found]

    async def last(self, limit: int) -> list[tuple[Place, Event]]:
        """The latest *limit* events, the earliest of them first."""
        async with self._backend.reading() as tx:
            found = await tx.rows("feed_last", limit=limit)
        return [(Place(row[0], row[1]), event_from(row[1:])) for row in reversed(found)]

    async def end(self) -> Place:
        """The place of the latest event; what is committed from now on comes after it."""
        async with self._backend.reading() as tx:
            row = await tx.row("feed_end")
        return Place(*row) if row else Place(0, 0)

    async def record(self, fact: Event) -> None:
        """
        Write one fact; many that come at once are written in one transaction.

        Raises:
            StoreUnavailable: It can't be written.
        """
        await self._lots.bring(fact)

    async def append(self, facts: Sequence[Event]) -> None:
        """Write *facts* in one transaction."""
        await self._backend.record([event_params(fact) for fact in facts])

    async def _carry(self, facts: list[Event]) -> list[None]:
        await self.append(facts)
        return [None] * len(facts)
