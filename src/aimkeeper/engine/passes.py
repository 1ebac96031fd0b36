"""A pass: many sessions rotated once, now, for somebody who asked (`rotate`, bulk-update)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeGuard

from aimkeeper.core.change import Claim
from aimkeeper.core.errors import AimkeeperError, Paused
from aimkeeper.core.session import Session, Status
from aimkeeper.engine.keeper import Keeper
from aimkeeper.engine.refresh import LAST_LOOK, Refresher

if TYPE_CHECKING:
    from aimkeeper.store.store import Store


# A pass waits this long for one session that another process holds or whose first try failed, in seconds.
PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one session was not rotated: its id, a stable code and a sentence."""

    session: str
    code: str
    error: str


@dataclass(slots=True)
class PassResult:
    """
    What a pass did.

    Attributes:
        skipped: Held by another process, which rotates them itself.
        remaining: Still due when the time was up.
    """

    successful: int = 0
    failed: int = 0
    logged_out: int = 0
    skipped: int = 0
    remaining: int = 0
    errors: list[Failure] = field(default_factory=list)

    @property
    def processed(self) -> int:
        return self.successful + self.failed + self.logged_out

    def count(self, before: Session, after: Session | None, error: AimkeeperError | None = None) -> None:
        if after is not None and after.generation > before.generation:
            self.successful += 1
        elif after is None or after.status is Status.ENDED:
            self.logged_out += 1
            cause = after.cause.value if after is not None and after.cause else "forgotten"
            self.errors.append(Failure(before.id, "session_ended", f"the session has ended ({cause})"))
        elif isinstance(error, Paused):
            self.failed += 1
            self.errors.append(Failure(before.id, error.code, str(error).rstrip(".")))
        else:
            self.failed += 1
            code = after.last_error or "unclear"
            self.errors.append(Failure(before.id, code, f"no new token ({code}); it is tried again by itself"))


class Passes:
    """
    Runs passes with the keeper's pace and flights.

    Args:
        concurrency: Flights at a time.
    """

    def __init__(self, keeper: Keeper, refresher: Refresher, *, concurrency: int) -> None:
        self._keeper = keeper
        self._store: Store = keeper.store
        self._refresher = refresher
        self._concurrency = concurrency

    async def rotate_due(
        self, *, until: datetime, at_most: timedelta, progress: Callable[[PassResult], None] = lambda _: None
    ) -> PassResult:
        """
        Rotate all that is due by *until*, for *at_most* so long, or until the upstream is seen to be away.

        Raises:
            Paused, UpstreamUnavailable: Nothing may be sent now.
        """
        await self._keeper.breaker.check_open()
        # Where no worker runs, nobody else does it: what a dead process held would be skipped for ever.
        await self._keeper.bury()
        begun = self._store.now()
        result = PassResult(skipped=await self._store.count_held_by_others(self._keeper.owner, until))
        end = self._keeper.clock.monotonic() + at_most.total_seconds()
        flying: dict[asyncio.Task[Session | None], Session] = {}
        unsettled: dict[str, tuple[Session, Session]] = {}  # by id: each as it was and as it stands

        async def land(when: str) -> None:
            landed, _ = await asyncio.wait(flying, return_when=when)
            for task in landed:
                before, after = flying.pop(task), task.result()
                unsettled.pop(before.id, None)
                if _is_unclear(after) or _was_given_back(after, before):
                    unsettled[before.id] = before, after
                else:
                    result.count(before, after)
                    progress(result)

        while self._keeper.clock.monotonic() < end and await self._is_open():
            claims = await self._claim(len(flying), until=until, begun=begun)
            flying.update((self._keeper.launch(claim), claim.session) for claim in claims)
            if not flying:
                break
            await land(asyncio.FIRST_COMPLETED)
        if flying:
            await land(asyncio.ALL_COMPLETED)
        for before, after in unsettled.values():
            result.count(before, await self._decided(after, end))
            progress(result)
        result.remaining = await self._store.count_left(until, begun)
        return result

    async def _claim(self, flying: int, *, until: datetime, begun: datetime) -> list[Claim]:
        """As many as there is room for, waiting for a turn for at least one."""
        room = self._concurrency - flying
        if room <= 0:
            return []
        await self._keeper.pace.turn()
        room = max(min(room, self._keeper.pace.allowance() + 1), 1)
        if self._keeper.draining:
            return []
        claims = await self._store.claim_due(self._keeper.owner, room, until=until, begun=begun)
        self._keeper.pace.take(max(len(claims) - 1, 0))
        return claims

    async def _decided(self, session: Session | None, end: float) -> Session | None:
        """*session*, once the ladder that a logout answer began is climbed, if there is time for it."""
        while _is_unclear(session):
            wait = (session.due_at - self._store.now()).total_seconds() if session.due_at else 0.0
            if self._keeper.draining or self._keeper.clock.monotonic() + wait > end:
                break
            await self._keeper.clock.sleep(max(wait, LAST_LOOK))
            claim = await self._store.claim_one(self._keeper.owner, session.id)
            session = await self._keeper.launch(claim) if claim else await self._store.get(session.id)
        return session

    async def _is_open(self) -> bool:
        fleet, now = await self._keeper.breaker.look(), self._store.now()
        return not (self._keeper.draining or fleet.is_paused(now) or fleet.is_throttled(now) or fleet.is_out)

    async def rotate_these(
        self, sessions: Sequence[Session], progress: Callable[[PassResult], None] = lambda _: None
    ) -> PassResult:
        """Rotate each of *sessions* now, due or not."""
        result = PassResult()
        slots = asyncio.Semaphore(self._concurrency)

        async def one(session: Session) -> None:
            async with slots:
                told = None
                try:
                    after: Session | None = await self._refresher.refresh(session, forced=True, patience=PATIENCE)
                except AimkeeperError as error:
                    after, told = await self._store.get(session.id), error
                result.count(session, after, told)
                progress(result)

        await asyncio.gather(*(one(session) for session in sessions))
        return result


def _is_unclear(session: Session | None) -> TypeGuard[Session]:
    """Whether a logout answer was given that is not believed yet."""
    return session is not None and session.suspicion is not None and session.status is Status.IN_DOUBT


def _was_given_back(session: Session | None, before: Session) -> TypeGuard[Session]:
    """Whether nothing was sent: it may be taken once more by the same pass, and counts once."""
    return session is not None and session.due_at == before.due_at and session.status is not Status.ENDED
