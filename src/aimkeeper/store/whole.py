"""
The database as a whole: its backup, and its move to another, from a laptop's file to PostgreSQL.

At no moment may both spend the same tokens, and whatever breaks off, one of them may. So the old one is marked first,
durably: nothing of it can be claimed any more. Then all of it goes in one transaction of the new one's, with a word
that tells where it came from; by that, whoever lost the answer to the commit finds out what became of it.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aimkeeper.clock import Clock
from aimkeeper.core.errors import ConfigError, StoreUnavailable
from aimkeeper.core.events import Event, EventKind
from aimkeeper.store.backend import Backend, Transaction
from aimkeeper.store.commits import event_params
from aimkeeper.store.fleet import FleetState
from aimkeeper.store.queries import numbered
from aimkeeper.store.rows import Params, Row

PAGE = 500
_NAME, _CAME_FROM = "move_name", "came_from"


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows of each kind arrived."""

    sessions: int
    spares: int
    events: int


@dataclass(frozen=True, slots=True)
class Load:
    """One table: what SQLite keeps as 0 or 1, PostgreSQL keeps as a truth value."""

    leave: str
    carry: str
    flags: frozenset[str] = frozenset()


SESSIONS = Load("leave_sessions", "carry_sessions", frozenset(("auto_refresh_enabled", "setrefresh_due", "settled_in")))
SPARES = Load("leave_spares", "carry_spares")
EVENTS = Load("leave_events", "carry_events")
OTHERS = (
    Load("leave_logins", "carry_logins"),
    Load("leave_tickets", "carry_tickets"),
    Load("leave_tallies", "carry_tallies"),
)
# Not carried: who was at work there, tries that were counted within minutes, links that are good for ten of them, and
# how far each channel was told, in places of the old feed.
LEFT_BEHIND = frozenset(("meta", "fleet", "owners", "status_counts", "limits", "sign_ins", "outbox", "alarms"))


class Whole:
    """One database; of a move, the old or the new one."""

    def __init__(self, backend: Backend, fleet: FleetState, clock: Clock) -> None:
        self.backend = backend
        self.fleet = fleet
        self._clock = clock

    async def back_up(self, target: Path) -> None:
        """
        Copy everything but the key into a new file, while others use the database.

        Raises:
            ConfigError, StoreUnavailable: As `Backend.backup` says.
        """
        await self.backend.backup(target)

    async def move_to(self, new: "Whole", progress: Callable[[int], None] = lambda _count: None) -> Moved:
        """
        Move everything; where that was done before, say so again. Nobody else may be at work here.

        Args:
            new: The other one.
            progress: Told how many sessions are carried.

        Raises:
            ConfigError: The new one holds sessions of its own; or this one is a copy, or has moved elsewhere.
            StoreUnavailable: One of them can't be used now. This one goes on as before, or the sentence says otherwise.
        """
        name = await self._leave(str(new.backend))
        await self._pause_too(new)
        try:
            return await self._carry(name, new.backend, progress)
        except BaseException as error:
            if not await _has_arrived(name, new.backend):
                await self._stay()
                raise
            if not isinstance(error, StoreUnavailable):
                raise
        # Only the answer to the commit was lost.
        return await self._carry(name, new.backend, progress)

    async def _leave(self, target: str) -> str:
        """Mark this one as moved; the name of this move."""
        fleet = await self.fleet.read()
        if fleet.bar and fleet.moved_to != target:
            raise ConfigError(fleet.bar)
        async with self.backend.transaction() as tx:
            if await tx.row("is_held"):
                raise ConfigError("a session is being rotated at this moment: try again in a minute.")
            await tx.row("add_meta", key=_NAME, value=secrets.token_hex(8))
            row = await tx.row("get_meta", key=_NAME)
            assert row is not None, "it was added, or there already"
            await tx.row("mark_moved", moved_to=target)
        return str(row[0])

    async def _pause_too(self, new: "Whole") -> None:
        """What an operator has stopped does not go on elsewhere."""
        fleet = await self.fleet.read()
        if fleet.paused_at is not None:
            theirs = await new.fleet.read()
            await new.fleet.change(replace(theirs, paused_at=fleet.paused_at, paused_until=fleet.paused_until), None)

    async def _stay(self) -> None:
        """Nothing arrived: this one is the one, as before."""
        async with self.backend.transaction() as tx:
            await tx.row("unbar")

    async def _carry(self, name: str, target: Backend, progress: Callable[[int], None]) -> Moved:
        # Our writer waits meanwhile: what is read is one moment's state.
        async with self.backend.transaction() as old, target.transaction() as new:
            there = await new.row("get_meta", key=_CAME_FROM)
            is_there = there is not None and there[0] == name
            if not is_there:
                if (await new.rows("holds_sessions"))[0][0]:
                    raise ConfigError(f"the {target} holds sessions already: only an empty one can take others in.")
                fact = Event(kind=EventKind.STORE_MOVED, at=self._clock.now(), data={"to": str(target)})
                await old.row("insert_event", **event_params(fact))
                await new.row("set_meta", key=_CAME_FROM, value=name)
            into = None if is_there else new
            moved = Moved(
                sessions=await _carry_table(SESSIONS, old, into, progress),
                spares=await _carry_table(SPARES, old, into),
                events=await _carry_table(EVENTS, old, into),
            )
            for load in OTHERS:
                await _carry_table(load, old, into)
        return moved


async def _carry_table(
    load: Load, old: Transaction, new: Transaction | None, progress: Callable[[int], None] = lambda _count: None
) -> int:
    """Every row of one table, *new* None = it is there already; how many there are."""
    names = numbered()[load.carry].names
    count, after = 0, ""
    while found := await old.rows(load.leave, after=after, limit=PAGE):
        if new is not None:
            await new.each(load.carry, [_carried(names, row[1:], load.flags) for row in found])
        count, after = count + len(found), str(found[-1][0])
        progress(count)
    return count


def _carried(names: Sequence[str], values: Row, flags: frozenset[str]) -> Params:
    given = zip(names, values, strict=True)
    return {name: bool(value) if name in flags else value for name, value in given}


async def _has_arrived(name: str, target: Backend) -> bool:
    """
    Whether the new one holds what was carried, though we were not told so.

    Raises:
        StoreUnavailable: Nobody can say now.
    """
    try:
        async with target.reading() as tx:
            row = await tx.row("get_meta", key=_CAME_FROM)
    except StoreUnavailable as error:
        raise StoreUnavailable(
            f"{str(error).rstrip('.')}, and whether everything arrived there is not known: run the same command again "
            "when it is back. Until then nothing is spent from here."
        ) from None
    return row is not None and row[0] == name
