"""Group commit: many sessions' changes in one transaction, each loser told apart and nothing lost."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import assert_never

import msgspec

from aimkeeper.core.change import Change, Kind
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.frozen import altered, value
from aimkeeper.core.policy import event
from aimkeeper.core.session import Session, Status
from aimkeeper.core.token import Token
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend, Collision, Moved, Transaction
from aimkeeper.store.seal import Sealer

# The statements of a group, in the order in which they are asked.
_STATEMENTS = ("commit_rotation", "commit_attempt", "commit_touch")


class Fate(Enum):
    """What became of a change."""

    COMMITTED = "committed"
    SUPERSEDED = "superseded"  # someone else rotated first, or took the claim over; a fresh token is now a spare
    GONE = "gone"  # the session was forgotten meanwhile


@value(frozen=True, slots=True)
class Result:
    """
    What became of one change.

    Attributes:
        session: The row as it now is; None when it is gone.
        events: What was written along with it.
    """

    fate: Fate
    session: Session | None
    events: tuple[Event, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the change was made."""
        return self.fate is Fate.COMMITTED


async def commit(backend: Backend, changes: Sequence[Change], sealer: Sealer, now: datetime) -> list[Result]:
    """Commit *changes*; the results come in their order. What is routine, most of them, goes the quick way."""
    results: dict[int, Result] = {}
    with suppress(Collision, Moved):  # they are told apart below
        results |= await _commit_routine(backend, changes, sealer, now)
    rest = [place for place in range(len(changes)) if place not in results]
    if rest:
        others = [changes[place] for place in rest]
        try:
            found = await _commit_each(backend, others, sealer, now)
        except Collision:
            found = await _commit_each(backend, others, sealer, now)
        results.update(zip(rest, found, strict=True))
    return [results[place] for place in range(len(changes))]


async def _commit_routine(
    backend: Backend, changes: Sequence[Change], sealer: Sealer, now: datetime
) -> dict[int, Result]:
    """
    Those of *changes* that are routine, by one statement: all of them or none.

    Returns:
        What became of each, by its place in *changes*.

    Raises:
        Moved: Somebody else wrote into one of the rows; nothing was changed.
    """
    # In the rows' order, so that two groups of a shared database can't wait for one another in a circle.
    places = sorted(
        (place for place, change in enumerate(changes) if rows.is_routine(change)),
        key=lambda place: changes[place].before.id,
    )
    if places:
        params = [rows.routine_params(changes[place], sealer, now) for place in places]
        await backend.change_all("commit_routine", params, _tally(now, "rotated", len(places)))
    return {
        place: _committed(changes[place], changes[place].after, _left_by_routine(changes[place])) for place in places
    }


async def _commit_each(backend: Backend, changes: Sequence[Change], sealer: Sealer, now: datetime) -> list[Result]:
    async with backend.transaction() as tx:
        return await GroupCommit(tx, sealer, now).run(changes)


def _left_by_routine(change: Change) -> rows.Row:
    return change.before.revision + 1, change.before.fingerprint, 0, None


def _committed(change: Change, after: Session, row: rows.Row, *events: Event) -> Result:
    # The commit may have left these otherwise than it was decided.
    revision, fingerprint, spares, owner = row
    session = altered(after, revision=revision, fingerprint=fingerprint, spares=spares, owner=owner)
    return Result(Fate.COMMITTED, session, (*change.events, *events))


def _tally(now: datetime, what: str, count: int) -> rows.Params:
    return {"minute": int(now.timestamp()) // 60, "what": what, "count": count}


class GroupCommit:
    """One group, inside one transaction: each row is looked at, and whoever lost is told apart."""

    def __init__(self, tx: Transaction, sealer: Sealer, now: datetime) -> None:
        self._tx = tx
        self._sealer = sealer
        self._now = now
        self._tallies: Counter[str] = Counter()

    async def run(self, changes: Sequence[Change]) -> list[Result]:
        """Commit *changes*; the results come in their order."""
        results: dict[int, Result] = {}
        order = sorted(range(len(changes)), key=lambda index: changes[index].before.id)
        chosen: dict[str, list[int]] = {statement: [] for statement in _STATEMENTS}
        for index in order:
            chosen[self._statement(changes[index])].append(index)
        for statement, indexes in chosen.items():
            if indexes:
                landed = await self._each(statement, [changes[i] for i in indexes])
                results.update(zip(indexes, landed, strict=True))
        await self._write_events([event for result in results.values() for event in result.events])
        await self._write_tallies()
        return [results[index] for index in range(len(changes))]

    async def _each(self, statement: str, changes: Sequence[Change]) -> list[Result]:
        landed = await self._tx.each(statement, [self._params(statement, change) for change in changes])
        results = []
        for change, row in zip(changes, landed, strict=True):
            result = await self._moved(change) if row is None else self._landed(change, change.after, row)
            if result.fate is Fate.COMMITTED:
                result = await self._settle_spares(change, result)
            results.append(result)
        return results

    def _landed(self, change: Change, after: Session, row: rows.Row, *events: Event) -> Result:
        if change.turn:
            self._tallies[change.turn.what] += 1
        return _committed(change, after, row, *events)

    async def _moved(self, change: Change) -> Result:
        """The row is not as it was when the change was decided: look again, inside the transaction."""
        row = await self._tx.row("row_now", id=change.before.id)
        if row is None:
            return Result(Fate.GONE, None)
        current, last_rotation_id, claim_id = rows.session_from(row, self._sealer), row[-2], row[-1]
        claim = change.claim
        if change.kind is Kind.TOUCH:
            return await self._touch(change, current)
        assert claim is not None
        rotated = change.kind is Kind.ROTATION
        if rotated:
            arrived = last_rotation_id == claim.claim_id and current.secrets.token == change.edit.token
        else:
            arrived = change.turn in current.ring
        if arrived:
            return Result(Fate.COMMITTED, current)  # an earlier try did arrive, though its answer did not
        held = change.before.generation == current.generation
        if not rotated:
            held = held and current.owner == claim.owner and claim_id == claim.claim_id
        if not held:
            return await self._superseded(change, current)
        merged = self._merged(change, current)
        statement = "commit_rotation" if rotated else "commit_attempt"
        again = replace(change, before=current, after=merged)
        landed = await self._tx.row(statement, **rows.commit_params(again, self._sealer, self._now))
        assert landed is not None, "the row moved inside our own transaction"
        if current.status is Status.ENDED:
            revived = event(EventKind.REVIVED, current, self._now, by="late_rotation")
            return self._landed(change, merged, landed, revived)
        return self._landed(change, merged, landed)

    def _merged(self, change: Change, current: Session) -> Session:
        """The decided state, over what others wrote into the row meanwhile: cookies, handouts, history."""
        return replace(
            change.after,
            secrets=change.edit.apply(current.secrets),
            revision=current.revision,
            spares=current.spares,
            setrefresh_due=change.after.setrefresh_due and current.setrefresh_due,
            ring=current.ring.and_then(change.turn) if change.turn else current.ring,
        )

    async def _superseded(self, change: Change, current: Session) -> Result:
        """The claim is no longer ours. A fresh token is put aside, unless the session ended by its owner's will."""
        claim = change.claim
        assert claim is not None
        freed = await self._tx.row("free_claim", id=current.id, owner=claim.owner, claim_id=claim.claim_id)
        current = replace(current, owner=None) if freed else current
        token = change.edit.token
        wiped = current.secrets.token is None
        if token is None or wiped or token == current.secrets.token:
            return Result(Fate.SUPERSEDED, current)
        if any(turn.what == "rotated" and turn.token == token.mark() for turn in current.ring):
            # An earlier try did arrive, and someone has gone on from it since: its token is spent, and of no use.
            return Result(Fate.COMMITTED, current)
        # Named after what brought it, so that one that arrives twice is kept once.
        spare_id = f"{claim.claim_id}.{token.mark()}"
        kept = await self.put_aside(spare_id, current, token, generation=change.before.generation)
        self._tallies["spare_kept"] += len(kept)
        return Result(Fate.SUPERSEDED, replace(current, spares=current.spares + len(kept)), kept)

    async def put_aside(self, spare_id: str, session: Session, token: Token, *, generation: int) -> tuple[Event, ...]:
        """
        Keep *token* as a spare of *session*'s.

        Returns:
            The event that says so, not yet written; none when it was kept already.
        """
        kept = await self._tx.row(
            "insert_spare",
            id=spare_id,
            session_id=session.id,
            sealed=rows.seal_spare(self._sealer, spare_id, token),
            issued_at=rows.micros(token.issued_at or self._now),
            now=rows.micros(self._now),
            generation=generation,
        )
        return (event(EventKind.SPARE_KEPT, session, self._now, token=token.mark()),) if kept else ()

    async def _touch(self, change: Change, current: Session) -> Result:
        if current.secrets.token is None:
            return Result(Fate.SUPERSEDED, current)
        alive_at = max(filter(None, (current.alive_at, change.after.alive_at)), default=None)
        after = replace(current, secrets=change.edit.apply(current.secrets), alive_at=alive_at)
        landed = await self._tx.row("commit_touch", **self._touch_params(replace(change, before=current, after=after)))
        assert landed is not None, "the row moved inside our own transaction"
        return self._landed(change, after, landed)

    @staticmethod
    def _statement(change: Change) -> str:
        """Which of `_STATEMENTS` carries *change*."""
        match change.kind:
            case Kind.TOUCH:
                return "commit_touch"
            case Kind.ATTEMPT:
                return "commit_attempt"
            case Kind.ROTATION:
                return "commit_rotation"
            case _:
                assert_never(change.kind)

    def _params(self, statement: str, change: Change) -> rows.Params:
        if statement == "commit_touch":
            return self._touch_params(change)
        return rows.commit_params(change, self._sealer, self._now)

    def _touch_params(self, change: Change) -> dict[str, object]:
        return {
            "id": change.before.id,
            "held_revision": change.before.revision,
            "sealed": rows.seal_secrets(self._sealer, change.before.id, change.after.secrets),
            "alive_at": rows.maybe_micros(change.after.alive_at),
            "now": rows.micros(self._now),
            "plain": change.after.secrets,
        }

    async def _settle_spares(self, change: Change, result: Result) -> Result:
        session = result.session
        assert session is not None
        disproves = change.kind is Kind.ROTATION and session.spares > 0
        if not (change.tried_spare or disproves):
            return result
        if change.tried_spare:
            await self._tx.row("delete_spare", id=change.tried_spare)
        if disproves:
            assert change.claim is not None
            # A token that came after a spare was put aside, and was taken, proves that the spare is not the live one.
            kept_before = rows.micros(change.claim.session.rotated_at)
            await self._tx.row("delete_spares_before", session_id=session.id, kept_before=kept_before)
        left = await self._tx.row("count_spares", id=session.id)
        assert left is not None
        return replace(result, session=replace(session, spares=left[0]))

    async def _write_events(self, events: Iterable[Event]) -> None:
        params = [event_params(event) for event in events]
        if params:
            await self._tx.each("insert_event", params)

    async def _write_tallies(self) -> None:
        params = [_tally(self._now, what, count) for what, count in sorted(self._tallies.items())]
        if params:
            await self._tx.each("add_tally", params)


def event_params(event: Event) -> dict[str, object]:
    """The parameters of `insert_event`."""
    return {
        "at": rows.micros(event.at),
        "kind": event.kind.value,
        "session_id": event.session_id,
        "email": event.email,
        "data": msgspec.json.encode(event.data).decode(),
    }


def event_from(row: rows.Row) -> Event:
    return Event(
        id=row[0],
        at=rows.instant(row[1]),
        kind=EventKind(row[2]),
        session_id=row[3],
        email=row[4],
        data=msgspec.json.decode(row[5]),
    )
