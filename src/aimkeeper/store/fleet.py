"""The fleet's one row, and what is done to many sessions at once because of it."""

from datetime import datetime, timedelta

from aimkeeper.clock import Clock
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.fleet import FIRST_PROBE, Fleet
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend, Transaction
from aimkeeper.store.commits import event_from, event_params

# So many rows in one transaction: others must not wait long.
CHUNK = 500


class FleetState:
    """What holds for all sessions at once, shared by every process on the store."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock

    async def read(self) -> Fleet:
        async with self._backend.reading() as tx:
            row = await tx.row("fleet")
        assert row is not None, "the fleet's row is made by the migration and never deleted"
        revision, outage, recovered, probe, gap, held, throttled, paused, until, copied, moved_to = row
        return Fleet(
            revision=revision,
            outage_at=rows.maybe_instant(outage),
            recovered_at=rows.maybe_instant(recovered),
            probe_at=rows.maybe_instant(probe),
            probe_gap=timedelta(microseconds=gap) if gap else FIRST_PROBE,
            held_at=rows.maybe_instant(held),
            throttled_until=rows.maybe_instant(throttled),
            paused_at=rows.maybe_instant(paused),
            paused_until=rows.maybe_instant(until),
            copied_at=rows.maybe_instant(copied),
            moved_to=moved_to,
        )

    async def change(self, fleet: Fleet, fact: Event | None) -> bool:
        """
        Write *fleet*, with the event that says so, if nobody changed it since that revision.

        Returns:
            Whether it was written; False = another process was quicker.
        """
        async with self._backend.transaction() as tx:
            won = await tx.row(
                "change_fleet",
                revision=fleet.revision,
                outage_at=rows.maybe_micros(fleet.outage_at),
                recovered_at=rows.maybe_micros(fleet.recovered_at),
                probe_at=rows.maybe_micros(fleet.probe_at),
                probe_gap=fleet.probe_gap // timedelta(microseconds=1),
                held_at=rows.maybe_micros(fleet.held_at),
                throttled_until=rows.maybe_micros(fleet.throttled_until),
                paused_at=rows.maybe_micros(fleet.paused_at),
                paused_until=rows.maybe_micros(fleet.paused_until),
            )
            if won and fact:
                await _write(tx, fact)
        return won is not None

    async def take_over(self) -> None:
        """From now on this store is the one that may spend what it holds, wherever it stands."""
        async with self._backend.transaction() as tx:
            await tx.row("unbar")
            await self._backend.home.settle(tx)
            await _write(tx, Event(kind=EventKind.TAKEN_OVER, at=self._clock.now()))

    async def events(self, after: int = 0, limit: int = 100) -> list[Event]:
        """Facts about the whole fleet after the one with id *after*, the latest last."""
        async with self._backend.reading() as tx:
            return [event_from(row) for row in await tx.rows("fleet_events", after=after, limit=limit)]

    async def recall_ends(self, since: datetime) -> int:
        """Turn the verdicts since *since* into suspicions; how many."""
        now = self._clock.now()
        async with self._backend.transaction() as tx:
            recalled = await tx.rows("recall_ends", since=rows.micros(since), now=rows.micros(now))
            facts = [
                Event(
                    kind=EventKind.SUSPECTED,
                    at=now,
                    session_id=session_id,
                    email=email,
                    data={"generation": generation, "was": "ended"},
                )
                for session_id, email, generation in recalled
            ]
            await _write(tx, *facts)
        return len(recalled)

    async def retry_suspected(self) -> int:
        """Have every suspected session tried from the start, before all others; how many."""
        return await self._in_chunks("retry_suspected", now=rows.micros(self._clock.now()))

    async def retry_failing(self) -> int:
        """Have every session whose last attempt failed tried again now; how many."""
        return await self._in_chunks("retry_failing", now=rows.micros(self._clock.now()))

    async def retriage(self, *, latest: datetime, latest_unfailed: datetime) -> int:
        """
        Make due what no rule can have put off so long: its due time was written while the clock stood elsewhere.

        Args:
            latest: No session is due later.
            latest_unfailed: Nor is one later than this whose last attempt did not fail.
        """
        return await self._in_chunks(
            "retriage",
            now=rows.micros(self._clock.now()),
            latest=rows.micros(latest),
            latest_unfailed=rows.micros(latest_unfailed),
        )

    async def _in_chunks(self, statement: str, **params: object) -> int:
        count = 0
        while True:
            async with self._backend.transaction() as tx:
                found = await tx.rows(statement, limit=CHUNK, **params)
            count += len(found)
            if len(found) < CHUNK:
                return count


async def _write(tx: Transaction, *facts: Event) -> None:
    await tx.each("insert_event", [event_params(fact) for fact in facts])
