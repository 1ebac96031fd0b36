"""Bots on other machines: each is lent one session's credentials, by a bearer of its own (docs/decisions/0032)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Session
from aimkeeper.core.values import lasting
from aimkeeper.engine.audit import Audit
from aimkeeper.engine.refresh import alive

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

USUAL_LIFETIME = "30d"
read_lifetime = lasting("1m", "365d")


@dataclass(frozen=True, slots=True)
class Lent:
    """
    What a bot is given.

    Attributes:
        bearer: Shown once: the store knows its hash.
        until: When it opens nothing any more, unless it is revoked before.
    """

    bearer: str = field(repr=False)
    until: datetime


class Bots:
    """Lends a session to bots, and ends that."""

    def __init__(self, store: "Store", audit: Audit) -> None:
        self._store = store
        self._audit = audit

    async def lend(self, session: Session, lifetime: timedelta, *, by: str) -> Lent:
        """
        A bearer that opens *session*'s credentials, and nothing else. A session has twenty; one more ends the oldest.

        Args:
            session: One that lives.
            lifetime: As `read_lifetime` reads it.
            by: Where it was asked for, for the record.

        Raises:
            SessionEnded: It is over.
            StoreUnavailable: It can't be recorded.
        """
        session = alive(session)
        until = self._store.now() + lifetime
        # First the record, then what it tells of: a bearer nobody knows of would be worse than an event too many.
        await self._audit.record(EventKind.BEARER_ISSUED, session, by=by, until=until.isoformat())
        return Lent(await self._store.http.bots.issue(session.id, lifetime), until)

    async def revoke(self, session: Session, *, by: str) -> int:
        """End every bearer of *session*, whatever became of it; how many there were."""
        count = await self._store.http.bots.revoke_all(session.id)
        await self._audit.record(EventKind.BEARERS_REVOKED, session, by=by, count=count)
        return count
