"""The record of who did what: written before it is answered, many at a time when many come at once."""

from typing import TYPE_CHECKING

from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.session import Session
from aimkeeper.engine.keeper import Keeper

if TYPE_CHECKING:
    from aimkeeper.store.store import Store


class Audit:
    """Writes facts that change no session."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._store: Store = keeper.store

    async def record(self, kind: EventKind, session: Session | None = None, **data: object) -> None:
        """
        Write a fact, and tell those who hear of facts.

        Raises:
            StoreUnavailable: It can't be written, and what it would tell of must not happen.
        """
        session_id, email = (session.id, session.email) if session else (None, None)
        fact = Event(kind=kind, at=self._store.now(), session_id=session_id, email=email, data=data)
        await self._store.http.feed.record(fact)
        self._keeper.hearers.tell(fact)
