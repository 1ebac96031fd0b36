"""What the page of all sessions asks of the store; each answer costs what is shown, not what is kept."""

from collections.abc import Callable, Mapping
from datetime import datetime

from aimkeeper.core.errors import KeyProblem
from aimkeeper.core.session import Session
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend
from aimkeeper.store.seal import Sealer

# Of a larger fleet the slack of so many is looked at.
SAMPLE = 1000
_FIRST, _LAST = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"


class Board:
    """Counts by the minute, and the sessions in other orders than by name."""

    def __init__(self, backend: Backend, sealer: Callable[[], Sealer]) -> None:
        self._backend = backend
        self._sealer = sealer

    async def add_tallies(self, minute: int, counts: Mapping[str, int]) -> None:
        """Add to what is counted in *minute*, whole minutes since 1970, by word."""
        params = [{"minute": minute, "what": what, "count": count} for what, count in sorted(counts.items())]
        async with self._backend.transaction() as tx:
            await tx.each("add_tally", params)

    async def tallies(self, since_slot: int, step: int) -> list[tuple[int, str, int]]:
        """(slot, word, count) from that slot on; a slot is *step* minutes, counted from 1970."""
        async with self._backend.reading() as tx:
            found = await tx.rows("tallies_by_slot", minute=since_slot * step, step=step)
        return [(int(slot), str(what), int(count)) for slot, what, count in found]

    async def nearest_deadline(self, limit: int) -> list[Session]:
        """The sessions that would die first."""
        async with self._backend.reading() as tx:
            return [self._readable(row) for row in await tx.rows("nearest_deadline", limit=limit)]

    async def sample_deadlines(self, start: str | None) -> list[datetime]:
        """
        When living sessions would die.

        Args:
            start: An id drawn by chance, where the sample of `SAMPLE` rows begins; None = at the first, for the few.
        """
        begin = start or _FIRST
        async with self._backend.reading() as tx:
            found = await tx.rows("deadlines_from", start=begin, stop=_LAST, limit=SAMPLE)
            if len(found) < SAMPLE and start:
                # Around the end, and on from the first.
                found += await tx.rows("deadlines_from", start=_FIRST, stop=start, limit=SAMPLE - len(found))
        return [rows.instant(row[0]) for row in found]

    def _readable(self, row: rows.Row) -> Session:
        try:
            return rows.session_from(row, self._sealer())
        except KeyProblem:
            return rows.session_without_secrets(row)
