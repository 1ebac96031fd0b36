"""What the HTTP API alone asks of the store: who may act for a session, counted tries, the feed, lists to search in."""

from collections.abc import Callable
from datetime import datetime

from aimkeeper.clock import Clock
from aimkeeper.core.errors import KeyProblem
from aimkeeper.core.session import Session, SessionKey, Status
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend
from aimkeeper.store.board import Board
from aimkeeper.store.feed import Feed
from aimkeeper.store.limits import Limits
from aimkeeper.store.seal import Sealer
from aimkeeper.store.standing import number
from aimkeeper.store.tickets import Tickets
from aimkeeper.store.trips import Trips

# Sorts after everything that begins alike.
_BEYOND = "\U0010ffff"


class ForHttp:
    """
    The store's side of the HTTP API.

    Attributes:
        members: Cookies of members' browsers.
        bots: Bearers lent to bots on other machines.
        limits: Counted tries.
        feed: Events in order.
        board: What the page shows beside lists.
    """

    def __init__(self, backend: Backend, clock: Clock, sealer: Callable[[], Sealer]) -> None:
        self._backend = backend
        self._sealer = sealer
        self._by_id = Trips(backend, "each_session", "id")
        self.members = Tickets(backend, clock, "member")
        self.bots = Tickets(backend, clock, "bot", prefix="aimkeeper-bot-")
        self.limits = Limits(backend, clock)
        self.feed = Feed(backend)
        self.board = Board(backend, sealer)

    async def get(self, session_id: str) -> Session | None:
        """The session with that id. Many who ask at once share a trip."""
        row = await self._by_id.row(session_id)
        return rows.session_from(row, self._sealer()) if row else None

    async def of_account(self, account_key: str, limit: int) -> list[Session]:
        """The sessions of the account with that AimHarder user id."""
        return await self._many("sessions_of_account", account_key=account_key, limit=limit)

    async def count_ends_since(self, since: datetime) -> int:
        """How many sessions ended since."""
        async with self._backend.reading() as tx:
            return await number(tx, "count_ends_since", since=rows.micros(since)) or 0

    async def starting(self, start: str, after: SessionKey | None, limit: int, status: Status | None) -> list[Session]:
        """A keyset page of the sessions whose e-mail begins with *start*, in lower case."""
        # No fingerprint is empty, so this comes just before the first of them.
        email, fingerprint = max((start, ""), (after.email, str(after.fingerprint)) if after else ("", ""))
        between = {"after_email": email, "after_fingerprint": fingerprint, "beyond": start + _BEYOND, "limit": limit}
        if status is None:
            return await self._many("sessions_page_starting", **between)
        return await self._many("sessions_page_starting_by_status", status=status.value, **between)

    async def _many(self, statement: str, **params: object) -> list[Session]:
        async with self._backend.reading() as tx:
            return [self._readable(row) for row in await tx.rows(statement, **params)]

    def _readable(self, row: rows.Row) -> Session:
        try:
            return rows.session_from(row, self._sealer())
        except KeyProblem:
            return rows.session_without_secrets(row)
