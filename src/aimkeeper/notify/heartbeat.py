"""
The heartbeat: an address that is fetched while sessions are kept, for a watcher who misses it when they are not.

Nobody can tell of his own death. So this one says nothing when something is wrong: it falls silent.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from aimkeeper.clock import Clock
from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.telling import WAITS, Problem
from aimkeeper.notify.post import Post

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

NAME = "heartbeat"
LONGEST_EVERY = timedelta(minutes=5)
# It looks this often in each interval, so that no beat is late by more than a twentieth.
LOOKS = 20
TRIES = 3


def beat_every(refresh_every: timedelta) -> timedelta:
    """How often the address is fetched: every 5 minutes, oftener where sessions are rotated oftener."""
    return min(LONGEST_EVERY, refresh_every / 3)


class Heartbeat:
    """
    Fetches the address, one process of all at a time.

    Args:
        every: How often.
        is_well: Whether sessions are kept, as far as this process can see.

    Attributes:
        beating: How many beats are on their way; a clock that is moved by hand may wait for them.
        told: Told of each try, with what was the matter.
        fault: Told of an error nobody foresaw.
    """

    def __init__(
        self,
        store: "Store",
        clock: Clock,
        fetch: tuple[Post, str],
        *,
        every: timedelta,
        is_well: Callable[[], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._post, self._url = fetch
        self._every = every
        self._is_well = is_well
        self.beating = 0
        self.told: Callable[[str, Problem | None], None] = lambda _channel, _problem: None
        self.fault: Callable[[Exception], None] = lambda _error: None

    async def run(self) -> None:
        """Beat until cancelled."""
        is_known = False
        while True:
            try:
                if not is_known:
                    await self._store.outbox.enter(NAME)
                    is_known = True
                await self._look()
            except StoreUnavailable:
                pass  # then nothing is kept
            except Exception as error:  # noqa: BLE001 (whatever it is, sessions must be kept)
                self.fault(error)
            await self._clock.sleep((self._every / LOOKS).total_seconds())

    async def _look(self) -> None:
        if not await self._is_well() or not await self._store.outbox.beat(NAME, self._store.now() - self._every):
            return
        for attempt in range(TRIES):
            self.beating += 1
            try:
                told = await self._post.get(self._url)
            finally:
                self.beating -= 1
            self.told(NAME, told.problem)
            if told.problem is None:
                return
            await self._clock.sleep(WAITS[attempt].total_seconds())
            if not await self._is_well():
                return
