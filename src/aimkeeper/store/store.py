"""The store's verbs. What is asked of it here is one transaction each; the SQL is in `sql/`, the bytes in `rows.py`."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from aimkeeper.clock import Clock
from aimkeeper.core.change import Change, Claim, merge_handouts
from aimkeeper.core.errors import AlreadyKept, KeyProblem
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.policy import Policy, event
from aimkeeper.core.session import Cause, Handout, Secrets, Session, SessionKey, Status
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.store import leaving, rows
from aimkeeper.store.alarms import Alarms
from aimkeeper.store.arrivals import Arrivals
from aimkeeper.store.backend import Backend, Collision, Transaction
from aimkeeper.store.claims import Claims
from aimkeeper.store.commits import GroupCommit, Result, commit, event_from, event_params
from aimkeeper.store.fleet import FleetState
from aimkeeper.store.http import ForHttp
from aimkeeper.store.keyring import Keyring, Sealers
from aimkeeper.store.logins import Logins
from aimkeeper.store.outbox import Outbox
from aimkeeper.store.owners import Owners
from aimkeeper.store.plain import Rules
from aimkeeper.store.rekey import Rekeying
from aimkeeper.store.replay import replay
from aimkeeper.store.seal import Sealer
from aimkeeper.store.sign_ins import SignIns
from aimkeeper.store.spool import Spool
from aimkeeper.store.standing import Standing, number, read_standing
from aimkeeper.store.whole import Whole

__all__ = ["Standing", "Store"]


class Store:
    """
    Sessions, spares, events.

    Args:
        sealers: Makes the sealer once it is known whether the store already holds sealed values.
        owners: The register, with what proves on this backend that an owner lives.
        clock: Its `now` is the store's time.
        spool_folder: Of this machine, for tokens that outlive an unreachable store.
    """

    def __init__(self, backend: Backend, sealers: Sealers, owners: Owners, clock: Clock, *, spool_folder: Path) -> None:
        self._backend = backend
        self._clock = clock
        self._claims = Claims(backend, lambda: self._sealer, clock)
        self.owners = owners
        self.keys = Keyring(backend, sealers, owners)
        self.fleet = FleetState(backend, clock)
        self.whole = Whole(backend, self.fleet, clock)
        self.logins = Logins(backend)
        self.outbox = Outbox(backend, clock)
        self.alarms = Alarms(backend, clock)
        self.arrivals = Arrivals(backend, clock, lambda: self._sealer)
        self.sign_ins = SignIns(backend, clock)
        self.http = ForHttp(backend, clock, lambda: self._sealer)
        self.spool = Spool(spool_folder, lambda: self._sealer)

    def __str__(self) -> str:
        return str(self._backend)

    @property
    def _sealer(self) -> Sealer:
        return self.keys.sealer

    async def open(self) -> None:
        """
        Open the database and prove that its secrets can be opened.

        Raises:
            ForeignDatabase: It is not ours.
            KeyProblem: The key is wrong or lost.
            StoreUnavailable: It can't be reached or written.
        """
        await self._backend.open()
        try:
            await self.keys.open()
        except BaseException:
            await self._backend.close()
            raise

    async def close(self) -> None:
        await self.owners.close()
        await self._backend.close()

    async def go_by(self, rules: Rules) -> None:
        """Have the triggers of a table that another program made go by our settings."""
        if self._backend.is_adopted:
            async with self._backend.transaction() as tx:
                await tx.row("set_rules", rules=rules.text())

    async def schema(self) -> tuple[int, int]:
        """The database's schema and the newest one known, without changing anything."""
        return await self._backend.schema()

    async def bar(self) -> str | None:
        """What keeps this database, of the newest schema, from spending its tokens; looked at without entering it."""
        await self._backend.open()
        try:
            fleet = await self.fleet.read()
            if fleet.bar is None and await self.owners.is_strange():
                fleet = replace(fleet, copied_at=self.now())
            return fleet.bar
        finally:
            await self._backend.close()

    def now(self) -> datetime:
        """The store's time: on one machine, the machine's; on a shared database, the database's."""
        return self._clock.now()

    # ------------------------------------------------------------ claims

    async def claim_due(
        self,
        owner: str,
        limit: int,
        *,
        until: datetime,
        begun: datetime | None = None,
        backlog_eta: datetime | None = None,
    ) -> list[Claim]:
        """
        Take up to *limit* sessions whose time has come: those in doubt first, then the longest due.

        Args:
            owner: Who claims.
            limit: At most so many.
            until: Due by then.
            begun: When a pass began that takes each session once: what was tried since is left out. None = just now.
            backlog_eta: In a backlog, the earliest moment an answer could come: the earliest deadline after it goes
                first, and those that can't be reached in time only when no other is left.
        """
        return await self._claims.due(owner, limit, until=until, begun=begun, backlog_eta=backlog_eta)

    async def claim_one(self, owner: str, session_id: str) -> Claim | None:
        """Take one session now, due or not; None when somebody holds it, or it has ended, or is gone."""
        return await self._claims.one(owner, session_id)

    async def free(self, claim: Claim) -> None:
        """Give an unsent claim back."""
        await self._claims.free(claim)

    async def next_due(self) -> datetime | None:
        """When the next session is due that nobody holds."""
        async with self._backend.reading() as tx:
            return rows.maybe_instant(await number(tx, "next_due"))

    # ------------------------------------------------------------ commits

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Commit a group; each loser is told apart, and no fresh token is dropped."""
        return await commit(self._backend, changes, self._sealer, self.now())

    async def put(self, session: Session, fact: Event, *, replacing: bool) -> Session:
        """
        Store a session just logged in or adopted: a new row, or one more generation of a known one.

        The token it replaces becomes a spare.

        Raises:
            AlreadyKept: The pair is known, alive, and *replacing* is false; or its `ref` is another session's.
        """
        try:
            return await self._put(session, fact, replacing=replacing)
        except Collision:
            # Another process stored the same pair, or the same `ref`, at this very moment: now it is to be seen.
            return await self._put(session, fact, replacing=replacing)

    async def _put(self, session: Session, fact: Event, *, replacing: bool) -> Session:
        async with self._backend.transaction() as tx:
            for other in await tx.rows("sessions_by_ref", ref=session.ref, limit=1) if session.ref else ():
                key = SessionKey(other[1], Fingerprint(other[2]))
                if key != session.key:
                    raise AlreadyKept(f"ref {session.ref!r} belongs to {key} already: give this session another.")
            row = await tx.row("lock_by_pair", email=session.email, fingerprint=session.fingerprint)
            if row is None and self._backend.one_per_email:
                # Another device's login takes its place, as in the app whose table this is.
                for other in await tx.rows("sessions_by_email", email=session.email, limit=1):
                    row = await tx.row("lock_by_id", id=other[0])
            if row is None:
                await tx.row("insert_session", **rows.new_params(session, self._sealer, self.now()))
                await self._write(tx, fact)
                return session
            known = self._readable(row)
            if not replacing and known.status is not Status.ENDED:
                raise AlreadyKept(f"{known.key} is kept already: use --replace to put this token in its place.")
            same_device = known.fingerprint == session.fingerprint
            if known.secrets.token and known.secrets.token != session.token and same_device:
                group = GroupCommit(tx, self._sealer, self.now())
                aside = await group.put_aside(_new_id(), known, known.secrets.token, generation=known.generation)
                await self._write(tx, *aside)
            handouts = merge_handouts(known.secrets.handouts, session.secrets.handouts)
            again = replace(session, id=known.id, secrets=replace(session.secrets, handouts=handouts))
            await tx.row("replace_session", **rows.new_params(again, self._sealer, self.now()))
            await self._write(tx, replace(fact, session_id=known.id))
            return await self._by_id(tx, known.id) or again

    async def end(self, session_id: str, cause: Cause, wipe_at: datetime) -> Session | None:
        """End a session by its owner's will: final. Secrets and tickets go at once; its tokens stay known by hash."""
        async with self._backend.transaction() as tx:
            row = await tx.row("lock_by_id", id=session_id)
            if row is None:
                return None
            session = self._readable(row)
            handouts = session.secrets.handouts
            if session.secrets.token:
                last = Handout(session.secrets.token.digest(), self.now().timestamp())
                handouts = merge_handouts(handouts, (last,))
            sealed = rows.seal_secrets(self._sealer, session_id, Secrets(token=None, handouts=handouts))
            now = rows.micros(self.now())
            wipe = rows.micros(wipe_at)
            await tx.row("end_by_owner", id=session_id, sealed=sealed, cause=cause.value, now=now, wipe_at=wipe)
            await tx.row("delete_spares_of", session_id=session_id)
            await tx.row("delete_every_ticket_of", session_id=session_id)
            if session.cause is not cause:
                await self._write(tx, event(EventKind.ENDED, session, self.now(), cause=cause.value))
            return await self._by_id(tx, session_id)

    async def forget(self, session_id: str) -> bool:
        """
        Erase every trace of a session: row, spares and events.

        Raises:
            ConfigError: Another program's table says that the row must stay.
        """
        async with self._backend.transaction() as tx:
            return await leaving.forget(tx, session_id)

    async def revive(self, session_id: str) -> Session | None:
        """Undo an end that was not its owner's; None when there is nothing left to undo."""
        async with self._backend.transaction() as tx:
            session = await self._by_id(tx, session_id, "lock_by_id")
            # An owner's own end took the token with it.
            if session is None or session.status is not Status.ENDED or session.secrets.token is None:
                return None
            await tx.row("revive", id=session_id, now=rows.micros(self.now()))
            session = await self._by_id(tx, session_id)
            assert session is not None
            await self._write(tx, event(EventKind.REVIVED, session, self.now(), by="hand"))
            return session

    async def wipe(self, *, keep_rows: bool, limit: int = 500) -> list[Event]:
        """Wipe the secrets of those whose time for second thoughts is over, and their rows unless *keep_rows*."""
        async with self._backend.transaction() as tx:
            facts = await leaving.wipe(tx, self.now(), keep_rows=keep_rows, limit=limit)
            await self._write(tx, *facts)
        return facts

    async def record(self, fact: Event) -> None:
        """Write an event that changes no session."""
        async with self._backend.transaction() as tx:
            await self._write(tx, fact)

    def rekeying(self, key_file: Path | None) -> Rekeying:
        """What changes the key that seals; *key_file* where the keys do not come from a setting."""
        return Rekeying(self._backend, self.keys, self.owners, self._clock, key_file)

    async def replay_spool(self, policy: Policy, new_id: Callable[[], str]) -> int:
        """Commit the fresh tokens that were left in the spool; how many."""
        return await replay(self, policy, new_id)

    async def prune(self, *, before: datetime, limit: int = 500) -> None:
        """Drop the events of before *before*, and up to *limit* rows of sessions that ended so long ago."""
        async with self._backend.transaction() as tx:
            await tx.row("prune_events", before=rows.micros(before))
            await leaving.prune(tx, before, limit=limit)
            await tx.row("prune_tallies", minute=int(before.timestamp()) // 60)
            await tx.row("prune_sign_ins", now=rows.micros(self.now()))
            for statement in self._backend.upkeep:
                await tx.row(statement, **rows.upkeep_params(self.now()))

    # ------------------------------------------------------------ questions

    async def get(self, session_id: str) -> Session | None:
        async with self._backend.reading() as tx:
            return await self._by_id(tx, session_id)

    async def by_pair(self, key: SessionKey) -> Session | None:
        async with self._backend.reading() as tx:
            row = await tx.row("session_by_pair", email=key.email, fingerprint=key.fingerprint)
        return rows.session_from(row, self._sealer) if row else None

    async def by_email(self, email: str, limit: int = 20) -> list[Session]:
        return await self._many("sessions_by_email", email=email, limit=limit)

    async def by_ref(self, ref: str, limit: int = 20) -> list[Session]:
        return await self._many("sessions_by_ref", ref=ref, limit=limit)

    async def by_account(self, token: Token, fingerprint: Fingerprint) -> list[Session]:
        """The sessions *token* may belong to, by the user id in it; whether it does is not yet said."""
        return await self._many("sessions_by_account", account_key=token.account_key, fingerprint=fingerprint)

    async def page(self, after: SessionKey | None, limit: int, status: Status | None = None) -> list[Session]:
        """Up to *limit* sessions after *after*, by e-mail and fingerprint; one that can't be opened bars no list."""
        place = {"after_email": after.email if after else "", "after_fingerprint": after.fingerprint if after else ""}
        async with self._backend.reading() as tx:
            if status is None:
                found = await tx.rows("sessions_page", limit=limit, **place)
            else:
                found = await tx.rows("sessions_page_by_status", status=status.value, limit=limit, **place)
        return [self._readable(row) for row in found]

    async def spare(self, session_id: str) -> tuple[str, Token] | None:
        """The youngest token put aside for a session, with its id."""
        async with self._backend.reading() as tx:
            row = await tx.row("youngest_spare", session_id=session_id)
        return (row[0], rows.open_spare(self._sealer, row[0], row[1])) if row else None

    async def events_of(self, session_id: str, limit: int = 100, before: int | None = None) -> list[Event]:
        """A session's events, the latest first."""
        async with self._backend.reading() as tx:
            found = await tx.rows("events_of", session_id=session_id, before=before or 2**62, limit=limit)
        return [event_from(row) for row in found]

    async def ends_since(self, since: datetime, limit: int = 100) -> list[Event]:
        """What ended lately, the latest first."""
        async with self._backend.reading() as tx:
            return [event_from(row) for row in await tx.rows("ends_since", since=rows.micros(since), limit=limit)]

    async def standing(self, at_risk_deadline: datetime) -> Standing:
        """
        How the sessions stand.

        Args:
            at_risk_deadline: Those with an earlier deadline count as at risk.
        """
        async with self._backend.reading() as tx:
            return await read_standing(tx, self.now(), at_risk_deadline)

    async def count_left(self, until: datetime, begun: datetime) -> int:
        """How many a pass that began at *begun* would still take: due by *until*, held by nobody, not tried since."""
        async with self._backend.reading() as tx:
            return await number(tx, "count_left", now=rows.micros(until), begun=rows.micros(begun)) or 0

    async def count_held_by_others(self, owner: str, until: datetime) -> int:
        """How many that are due by *until* other processes hold."""
        async with self._backend.reading() as tx:
            return await number(tx, "count_held_by_others", owner=owner, now=rows.micros(until)) or 0

    async def count_rotated_since(self, since: datetime) -> int:
        """How many living sessions were rotated since."""
        async with self._backend.reading() as tx:
            return await number(tx, "count_rotated_since", since=rows.micros(since)) or 0

    async def tallies(self, since: datetime) -> dict[str, int]:
        """What the exchanges brought since, by word (`rotated`, `logged_out`, a `Reason`); whole minutes."""
        async with self._backend.reading() as tx:
            return {
                str(row[0]): int(row[1]) for row in await tx.rows("tallies_since", minute=int(since.timestamp()) // 60)
            }

    # ------------------------------------------------------------ the parts

    async def check_writable(self) -> None:
        """
        Write something small.

        Raises:
            StoreUnavailable: It can't be.
        """
        async with self._backend.transaction() as tx:
            await tx.row("set_meta", key="last_write_check", value=str(rows.micros(self.now())))

    async def _many(self, statement: str, **params: object) -> list[Session]:
        async with self._backend.reading() as tx:
            return [rows.session_from(row, self._sealer) for row in await tx.rows(statement, **params)]

    async def _by_id(self, tx: Transaction, session_id: str, statement: str = "session_by_id") -> Session | None:
        row = await tx.row(statement, id=session_id)
        return rows.session_from(row, self._sealer) if row else None

    def _readable(self, row: rows.Row) -> Session:
        """The session of *row*; without secrets where they can't be opened."""
        try:
            return rows.session_from(row, self._sealer)
        except KeyProblem:
            return rows.session_without_secrets(row)

    @staticmethod
    async def _write(tx: Transaction, *facts: Event) -> None:
        await tx.each("insert_event", [event_params(fact) for fact in facts])


def _new_id() -> str:
    return secrets.token_hex(16)
