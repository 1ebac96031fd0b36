"""The store's verbs. What is asked of it here is one transaction each; the SQL is in `sql/`, the bytes in `rows.py`."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aimkeeper.clock import Clock
from aimkeeper.core.change import Change, Claim, merge_handouts
from aimkeeper.core.errors import AlreadyKept, KeyProblem
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.policy import event
from aimkeeper.core.session import Cause, Handout, Secrets, Session, SessionKey, Status
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.store import rows
from aimkeeper.store.commits import GroupCommit, Result, event_from, event_params
from aimkeeper.store.owners import Owners
from aimkeeper.store.ownership import FileLocks
from aimkeeper.store.seal import Sealer
from aimkeeper.store.sqlite import Sqlite, Transaction

# A row whose secrets do not open is looked at again this much later; it must not hold up the others.
UNREADABLE_FOR = timedelta(minutes=5)
_SEAL_CHECK = "seal_check"

Sealers = Callable[[bool], Sealer]


@dataclass(frozen=True, slots=True)
class Standing:
    """
    How the sessions stand, from kept counters and short index scans.

    Attributes:
        by_status: How many there are of each.
        failing: Living ones whose last attempt failed.
        at_risk: Not rotated for `AT_RISK_AFTER`.
        overdue: Past due, and nobody holds them.
        next_due_at, next_deadline_at: None when nothing is to be done.
    """

    by_status: dict[Status, int]
    failing: int
    at_risk: int
    overdue: int
    next_due_at: datetime | None
    next_deadline_at: datetime | None

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    @property
    def living(self) -> int:
        return self.total - self.by_status.get(Status.ENDED, 0)


class Store:
    """
    Sessions, spares, events.

    Args:
        sealers: Makes the sealer once it is known whether the store already holds sealed values.
    """

    def __init__(self, backend: Sqlite, sealers: Sealers, locks: FileLocks, clock: Clock) -> None:
        self._backend = backend
        self._sealers = sealers
        self._clock = clock
        self._claims = 0
        self.owners = Owners(backend, locks, clock, _new_owner)

    def __str__(self) -> str:
        return str(self._backend)

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
            async with self._backend.transaction() as tx:
                row = await tx.row("get_meta", key=_SEAL_CHECK)
                self._sealer = self._sealers(row is not None)
                if row is None:
                    sealed = self._sealer.seal("meta", _SEAL_CHECK, b"aimkeeper").hex()
                    await tx.row("set_meta", key=_SEAL_CHECK, value=sealed)
                else:
                    self._sealer.open("meta", _SEAL_CHECK, bytes.fromhex(row[0]))
        except BaseException:
            await self._backend.close()
            raise

    async def close(self) -> None:
        await self._backend.close()

    async def schema(self) -> tuple[int, int]:
        """The database's schema and the newest one known, without changing anything."""
        return await self._backend.schema()

    def now(self) -> datetime:
        """The store's time: on one machine, the machine's."""
        return self._clock.now()

    # ------------------------------------------------------------ claims

    async def claim_due(
        self, owner: str, limit: int, *, until: datetime, backlog_eta: datetime | None = None
    ) -> list[Claim]:
        """
        Take up to *limit* sessions whose time has come: those in doubt first, then the longest due.

        Args:
            owner: Who claims.
            limit: At most so many.
            until: Due by then.
            backlog_eta: In a backlog, the earliest moment an answer could come: the earliest deadline after it goes
                first, and those that can't be reached in time only when no other is left.
        """
        taken: list[Claim] = []
        orders = ["claim_in_doubt", *(["claim_living", "claim_hopeless"] if backlog_eta else ["claim_due"])]
        async with self._backend.transaction() as tx:
            for order in orders:
                # The hopeless wait until no living one is due.
                if len(taken) < limit and not (order == "claim_hopeless" and taken):
                    limits = {"limit": limit - len(taken), "now": rows.micros(until)}
                    if order in ("claim_living", "claim_hopeless"):
                        limits["eta"] = rows.micros(backlog_eta or until)
                    taken += await self._claim(tx, order, owner, **limits)
        return taken

    async def claim_one(self, owner: str, session_id: str) -> Claim | None:
        """Take one session now, due or not; None when somebody holds it, or it has ended, or is gone."""
        async with self._backend.transaction() as tx:
            return next(iter(await self._claim(tx, "claim_one", owner, id=session_id)), None)

    async def free(self, claim: Claim) -> None:
        """Give an unsent claim back."""
        async with self._backend.transaction() as tx:
            await tx.row("free_claim", id=claim.session.id, owner=claim.owner, claim_id=claim.claim_id)

    async def _claim(self, tx: Transaction, order: str, owner: str, **limits: object) -> list[Claim]:
        self._claims += 1
        claim_id, taken_at = f"{owner}.{self._claims}", self._clock.boottime()
        found = await tx.rows(order, owner=owner, claim_id=claim_id, claimed_at=int(taken_at * 1e6), **limits)
        claims = []
        for row in found:
            try:
                claims.append(Claim(rows.session_from(row, self._sealer), owner, claim_id, taken_at))
            except KeyProblem:
                await tx.row("put_off_unreadable", id=row[0], due_at=rows.micros(self.now() + UNREADABLE_FOR))
        return claims

    async def next_due(self) -> datetime | None:
        """When the next session is due that nobody holds."""
        async with self._backend.reading() as tx:
            row = await tx.row("next_due")
        return rows.instant(row[0]) if row and row[0] is not None else None

    # ------------------------------------------------------------ commits

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Commit a group in one transaction; each loser is told apart, and no fresh token is dropped."""
        async with self._backend.transaction() as tx:
            return await GroupCommit(tx, self._sealer, self.now(), _new_id).run(changes)

    async def put(self, session: Session, fact: Event, *, replacing: bool) -> Session:
        """
        Store a session just logged in or adopted: a new row, or one more generation of a known one.

        The token it replaces becomes a spare.

        Raises:
            AlreadyKept: The pair is known, alive, and *replacing* is false.
        """
        async with self._backend.transaction() as tx:
            row = await tx.row("session_by_pair", email=session.email, fingerprint=session.fingerprint)
            if row is None:
                await tx.row("insert_session", **rows.new_params(session, self._sealer, self.now()))
                await self._write(tx, fact)
                return session
            known = rows.session_from(row, self._sealer)
            if not replacing and known.status is not Status.ENDED:
                raise AlreadyKept(f"{known.key} is kept already: use --replace to put this token in its place.")
            if known.secrets.token and known.secrets.token != session.token:
                group = GroupCommit(tx, self._sealer, self.now(), _new_id)
                await self._write(tx, await group.put_aside(known, known.secrets.token))
            handouts = merge_handouts(known.secrets.handouts, session.secrets.handouts)
            again = replace(session, id=known.id, secrets=replace(session.secrets, handouts=handouts))
            await tx.row("replace_session", **rows.new_params(again, self._sealer, self.now()))
            await self._write(tx, replace(fact, session_id=known.id))
            return await self._by_id(tx, known.id) or again

    async def end(self, session_id: str, cause: Cause, wipe_at: datetime) -> Session | None:
        """End a session by its owner's will: final. Its secrets go at once; what was handed out stays known by hash."""
        async with self._backend.transaction() as tx:
            session = await self._by_id(tx, session_id)
            if session is None:
                return None
            handouts = session.secrets.handouts
            if session.secrets.token:
                last = Handout(session.secrets.token.digest(), self.now().timestamp())
                handouts = merge_handouts(handouts, (last,))
            sealed = rows.seal_secrets(self._sealer, session_id, Secrets(token=None, handouts=handouts))
            now = rows.micros(self.now())
            wipe = rows.micros(wipe_at)
            await tx.row("end_by_owner", id=session_id, sealed=sealed, cause=cause.value, now=now, wipe_at=wipe)
            await tx.row("delete_spares_of", session_id=session_id)
            if session.status is not Status.ENDED:
                await self._write(tx, event(EventKind.ENDED, session, self.now(), cause=cause.value))
            return await self._by_id(tx, session_id)

    async def forget(self, session_id: str) -> bool:
        """Erase every trace of a session: row, spares and events."""
        async with self._backend.transaction() as tx:
            session = await self._by_id(tx, session_id)
            await tx.row("delete_row", id=session_id)
            await tx.row("delete_events_of", id=session_id)
        return session is not None

    async def revive(self, session_id: str) -> Session | None:
        """Undo an end that was not its owner's; None when there is nothing left to undo."""
        async with self._backend.transaction() as tx:
            if await tx.row("revive", id=session_id, now=rows.micros(self.now())) is None:
                return None
            session = await self._by_id(tx, session_id)
            assert session is not None
            await self._write(tx, event(EventKind.REVIVED, session, self.now(), by="hand"))
            return session

    async def wipe(self, *, keep_rows: bool, limit: int = 500) -> list[Event]:
        """Wipe the secrets of those whose time for second thoughts is over, and their rows unless *keep_rows*."""
        async with self._backend.transaction() as tx:
            facts = []
            for session_id, email, generation in await tx.rows("wipe_ready", now=rows.micros(self.now()), limit=limit):
                await tx.row("delete_spares_of", session_id=session_id)
                await tx.row("wipe_row" if keep_rows else "delete_row", id=session_id)
                data = {"generation": generation, "row_kept": keep_rows}
                facts.append(Event(kind=EventKind.WIPED, at=self.now(), session_id=session_id, email=email, data=data))
            await self._write(tx, *facts)
        return facts

    async def record(self, fact: Event) -> None:
        """Write an event that changes no session."""
        async with self._backend.transaction() as tx:
            await self._write(tx, fact)

    async def prune(self, *, events_before: datetime) -> None:
        """Drop what is too old to be asked for."""
        async with self._backend.transaction() as tx:
            await tx.row("prune_events", before=rows.micros(events_before))
            await tx.row("prune_tallies", minute=int(events_before.timestamp()) // 60)
            await tx.row("prune_sign_ins", now=rows.micros(self.now()))

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
        """Up to *limit* sessions after *after*, by e-mail and fingerprint."""
        place = {"after_email": after.email if after else "", "after_fingerprint": after.fingerprint if after else ""}
        if status is None:
            return await self._many("sessions_page", limit=limit, **place)
        return await self._many("sessions_page_by_status", status=status.value, limit=limit, **place)

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
            counts = await tx.rows("status_counts")
            failing = await tx.row("count_failing")
            at_risk = await tx.row("count_unrotated_since", deadline=rows.micros(at_risk_deadline))
            overdue = await tx.row("count_overdue", now=rows.micros(self.now()))
            due, deadline = await tx.row("next_due"), await tx.row("lowest_deadline")
        return Standing(
            {Status(status): count for status, count in counts},
            failing[0] if failing else 0,
            at_risk[0] if at_risk else 0,
            overdue[0] if overdue else 0,
            rows.instant(due[0]) if due and due[0] is not None else None,
            rows.instant(deadline[0]) if deadline and deadline[0] is not None else None,
        )

    async def count_due(self, until: datetime) -> int:
        """How many nobody holds and are due by *until*."""
        async with self._backend.reading() as tx:
            row = await tx.row("count_overdue", now=rows.micros(until))
        return int(row[0]) if row else 0

    async def count_rotated_since(self, since: datetime) -> int:
        """How many living sessions were rotated since."""
        async with self._backend.reading() as tx:
            row = await tx.row("count_rotated_since", since=rows.micros(since))
        return int(row[0]) if row else 0

    async def tallies(self, since: datetime) -> dict[str, int]:
        """What the exchanges brought since, by word (`rotated`, `logged_out`, a `Reason`); whole minutes."""
        async with self._backend.reading() as tx:
            return {
                str(row[0]): int(row[1]) for row in await tx.rows("tallies_since", minute=int(since.timestamp()) // 60)
            }

    # ------------------------------------------------------------ one-time links

    async def issue_sign_in(self, hashed: str, expires_at: datetime) -> None:
        async with self._backend.transaction() as tx:
            await tx.row("insert_sign_in", hash=hashed, expires_at=rows.micros(expires_at))

    async def use_sign_in(self, hashed: str) -> bool:
        """Whether the link was good; it is used up now."""
        async with self._backend.transaction() as tx:
            return await tx.row("use_sign_in", hash=hashed, now=rows.micros(self.now())) is not None

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

    async def _by_id(self, tx: Transaction, session_id: str) -> Session | None:
        row = await tx.row("session_by_id", id=session_id)
        return rows.session_from(row, self._sealer) if row else None

    @staticmethod
    async def _write(tx: Transaction, *facts: Event) -> None:
        await tx.each("insert_event", [event_params(fact) for fact in facts])


def _new_id() -> str:
    return secrets.token_hex(16)


def _new_owner() -> str:
    return secrets.token_hex(6)
