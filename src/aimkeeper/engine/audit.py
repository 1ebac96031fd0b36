"""The record of who did what: written before it is answered, many at a time when many come at once."""

import asyncio
from typing import TYPE_CHECKING

from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.session import Session
from aimkeeper.engine.keeper import Keeper

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

LARGEST_GROUP = 500

_Waiting = tuple[Event, "asyncio.Future[None]"]


class Audit:
    """Writes facts that change no session."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._store: Store = keeper.store
        self._waiting: list[_Waiting] = []
        self._pump: asyncio.Task[None] | None = None

    async def record(self, kind: EventKind, session: Session | None = None, **data: object) -> None:
        """
        Write a fact, and tell those who hear of facts.

        Raises:
            StoreUnavailable: It can't be written, and what it would tell of must not happen.
        """
        session_id, email = (session.id, session.email) if session else (None, None)
        fact = Event(kind=kind, at=self._store.now(), session_id=session_id, email=email, data=data)
        landing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((fact, landing))
        if self._pump is None:
            # While one transaction is written, the next ones gather: a reader's price is a share of a write.
            self._pump = asyncio.get_running_loop().create_task(self._run(), name="audit")
        await landing
        self._keeper.hearers.tell(fact)

    async def _run(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
                await self._write(group)
        finally:
            self._pump = None

    async def _write(self, group: list[_Waiting]) -> None:
        error: Exception | None = None
        try:
            await self._store.http.feed.append([fact for fact, _ in group])
        except Exception as why:  # noqa: BLE001 (whatever it is, nobody may wait for ever)
            error = why
        for _, landing in group:
            if landing.done():
                continue  # whoever waited has gone
            if error is None:
                landing.set_result(None)
            else:
                landing.set_exception(error)
