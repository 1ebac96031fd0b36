"""An operator's word on ends: held ones accepted or tried again, declared ones undone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aimkeeper.core.errors import ConfigError, SessionEnded
from aimkeeper.core.session import Session, Status
from aimkeeper.engine.flight import outlived
from aimkeeper.engine.keeper import Keeper

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

PAGE = 500
# A worker may be trying a suspected session just now; how often, and how long apart in seconds, to look again.
LOOKS, LOOK_EVERY = 50, 0.1


class Verdicts:
    """What was held back by a mass death or an outage, and the way back from an end."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._store: Store = keeper.store

    async def held(self) -> list[Session]:
        """Every suspected session, by e-mail and fingerprint."""
        found: list[Session] = []
        while True:
            page = await self._store.page(found[-1].key if found else None, PAGE, Status.SUSPECTED)
            found += page
            if len(page) < PAGE:
                return found

    async def accept(self, sessions: Sequence[Session] | None = None) -> int:
        """
        Believe AimHarder: *sessions*, or all that are suspected, end; those with a remembered password log in again.

        Returns:
            How many were decided.
        """
        chosen = await self.held() if sessions is None else sessions
        decided = 0
        for session in chosen:
            decided += await self._accept(session)
        if not await self._store.page(None, 1, Status.SUSPECTED):
            await self._keeper.breaker.release()
        return decided

    async def retry(self) -> int:
        """Lift the hold: every suspected session is tried from the start, before all others; how many."""
        held = len(await self.held())
        await self._keeper.breaker.release()
        await self._store.fleet.retry_suspected()
        return held

    async def revive(self, session: Session) -> Session:
        """
        Undo an end that was not its owner's, before the wipe.

        Raises:
            ConfigError: It has not ended.
            SessionEnded: It can't be undone: its owner ended it, or its secrets are wiped.
        """
        if session.status is not Status.ENDED:
            raise ConfigError(f"{session.key} has not ended: there is nothing to undo.")
        revived = await self._store.revive(session.id)
        if revived is None:
            cause = session.cause.value if session.cause else None
            raise SessionEnded(f"{session.key} can't be revived ({cause}): log in again.", cause=cause)
        return revived

    async def _accept(self, session: Session) -> bool:
        for _ in range(LOOKS):
            current = await self._store.get(session.id)
            if current is None or current.status is not Status.SUSPECTED:
                return False
            claim = await self._store.claim_one(self._keeper.owner, session.id)
            if claim is not None:
                after = await outlived(self._keeper.launch(claim, accepted=True))
                if after is None or after.status is not Status.SUSPECTED:
                    return True
            await self._keeper.clock.sleep(LOOK_EVERY)
        return False
