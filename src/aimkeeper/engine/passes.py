"""A pass: many sessions rotated once, now, for somebody who asked (`rotate`, bulk-update)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aimkeeper.core.errors import AimkeeperError
from aimkeeper.core.session import Session, Status
from aimkeeper.engine.keeper import Keeper
from aimkeeper.engine.refresh import Refresher

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

    def count(self, before: Session, after: Session | None) -> None:
        if after is not None and after.generation > before.generation:
            self.successful += 1
        elif after is None or after.status is Status.ENDED:
            self.logged_out += 1
            cause = after.cause.value if after is not None and after.cause else "forgotten"
            self.errors.append(Failure(before.id, "session_ended", f"the session has ended ({cause})"))
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
        """Rotate all that is due by *until*, for *at_most* so long."""
        result = PassResult()
        end = self._keeper.clock.monotonic() + at_most.total_seconds()
        seen: dict[str, tuple[Session, asyncio.Task[Session | None]]] = {}
        while self._keeper.clock.monotonic() < end:
            flying = sum(not task.done() for _, task in seen.values())
            await self._keeper.pace.turn()
            claims = await self._store.claim_due(
                self._keeper.owner,
                max(min(self._concurrency - flying, self._keeper.pace.allowance() + 1), 1),
                until=until,
            )
            self._keeper.pace.take(max(len(claims) - 1, 0))
            for claim in claims:
                # One that failed and came due again replaces its earlier try.
                seen[claim.session.id] = (claim.session, self._keeper.launch(claim))
            running = [task for _, task in seen.values() if not task.done()]
            if running:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            elif not claims:
                break
        for before, task in seen.values():
            result.count(before, await task)
            progress(result)
        result.remaining = await self._store.count_due(until)
        return result

    async def rotate_these(
        self, sessions: Sequence[Session], progress: Callable[[PassResult], None] = lambda _: None
    ) -> PassResult:
        """Rotate each of *sessions* now, due or not."""
        result = PassResult()
        slots = asyncio.Semaphore(self._concurrency)

        async def one(session: Session) -> None:
            async with slots:
                try:
                    after: Session | None = await self._refresher.refresh(session, forced=True, patience=PATIENCE)
                except AimkeeperError:
                    after = await self._store.get(session.id)
                result.count(session, after)
                progress(result)

        await asyncio.gather(*(one(session) for session in sessions))
        return result
