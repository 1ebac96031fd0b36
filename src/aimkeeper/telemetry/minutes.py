"""How long exchanges took and how late they began, counted for the charts of the page, whichever process serves it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.session import Turn
from aimkeeper.core.spread import Spread
from aimkeeper.telemetry.metrics import SPENDS

if TYPE_CHECKING:
    from aimkeeper.service import Service

# So often a process adds what it counted to the kept tallies: a chart is behind by as much.
FLUSH_SECONDS = 10.0
TOOK, LATE = "took", "late"


class Minutes:
    """The durations of one process, on their way into the store: two additions on the way of a rotation, no more."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._spreads = (Spread(TOOK), Spread(LATE))
        self.note_lateness = self._spreads[1].note

    def note_turn(self, turn: Turn) -> None:
        if turn.took_ms >= 0 and turn.via in SPENDS:
            self._spreads[0].note(turn.took_ms / 1000)

    async def flush(self) -> None:
        """
        Add what was counted to the minute that runs now.

        Raises:
            StoreUnavailable: It counts as not flushed.
        """
        taken = [spread.take() for spread in self._spreads]
        if not any(taken):
            return
        store = self._service.store
        try:
            await store.http.board.add_tallies(int(store.now().timestamp()) // 60, taken[0] | taken[1])
        except StoreUnavailable:
            for spread, counts in zip(self._spreads, taken, strict=True):
                spread.give_back(counts)
            raise

    async def run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Flush again and again, until cancelled; what the store can't take waits for the next time."""
        while True:
            await sleep(FLUSH_SECONDS)
            with suppress(StoreUnavailable):
                await self.flush()
