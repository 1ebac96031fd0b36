"""Group commit: whatever has finished is written in one transaction; then the next group, as large as it grew."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from aimkeeper.clock import Clock
from aimkeeper.core.change import Change
from aimkeeper.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from aimkeeper.store.commits import Result
    from aimkeeper.store.store import Store

LARGEST_GROUP = 500
# While the store is away, changes wait in memory and are tried again this often, in seconds.
FIRST_RETRY, LAST_RETRY = 0.1, 1.0

_Waiting = tuple[Change, asyncio.Future["Result"], float]


class Committer:
    """
    Writes changes in groups, in the order in which they came.

    Attributes:
        exposed: Told how long each change existed in memory only, in seconds.
        trouble: Told when the store is away.
    """

    def __init__(self, store: "Store", clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._pump: asyncio.Task[None] | None = None
        self.exposed: Callable[[float], None] = lambda _seconds: None
        self.trouble: Callable[[StoreUnavailable], None] = lambda _error: None

    async def commit(self, change: Change) -> "Result":
        """Commit *change* along with whatever else is waiting."""
        landing: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, landing, self._clock.monotonic()))
        if self._pump is None:
            # It runs while there is work: one row when idle, larger groups when busy. Nothing waits for a timer.
            self._pump = asyncio.get_running_loop().create_task(self._run(), name="committer")
        return await landing

    async def _run(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST_GROUP))]
                await self._write(group)
        finally:
            self._pump = None

    async def _write(self, group: list[_Waiting]) -> None:
        wait = FIRST_RETRY
        while True:
            try:
                results = await self._store.commit([change for change, _, _ in group])
            except StoreUnavailable as error:
                self.trouble(error)
                await self._clock.sleep(wait)
                wait = min(wait * 2, LAST_RETRY)
            except Exception as error:  # noqa: BLE001 (whatever a poison row raises)
                await self._split(group, error)
                return
            else:
                break
        now = self._clock.monotonic()
        for (_, landing, since), result in zip(group, results, strict=True):
            self.exposed(now - since)
            if not landing.done():
                landing.set_result(result)

    async def _split(self, group: list[_Waiting], error: Exception) -> None:
        """A row that can't be written must fail alone."""
        if len(group) == 1:
            group[0][1].set_exception(error)
            return
        middle = len(group) // 2
        await self._write(group[:middle])
        await self._write(group[middle:])
