"""Alarms: what holds for the whole fleet, told once when it begins and once when it is over, however many look."""

from datetime import datetime

from aimkeeper.clock import Clock
from aimkeeper.core.events import Event
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend
from aimkeeper.store.commits import event_params
from aimkeeper.store.standing import number


class Alarms:
    """Which alarms are raised."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock

    async def raised(self) -> dict[str, datetime]:
        """Those that are raised, with since when."""
        async with self._backend.reading() as tx:
            return {row[0]: rows.instant(row[1]) for row in await tx.rows("alarms")}

    async def count_at_risk(self, deadline: datetime) -> int:
        """How many sessions have an earlier deadline, those left out that were told of by themselves."""
        async with self._backend.reading() as tx:
            return await number(tx, "count_at_risk", deadline=rows.micros(deadline)) or 0

    async def sound(self, what: str, fact: Event) -> bool:
        """Raise *what* and write the fact that says so; False when it was raised already."""
        async with self._backend.transaction() as tx:
            if not await tx.row("raise_alarm", what=what, now=rows.micros(self._clock.now())):
                return False
            await tx.each("insert_event", [event_params(fact)])
        return True

    async def clear(self, what: str, fact: Event) -> bool:
        """It is over, and *fact* says so; False when it was not raised."""
        async with self._backend.transaction() as tx:
            if not await tx.row("clear_alarm", what=what):
                return False
            await tx.each("insert_event", [event_params(fact)])
        return True
