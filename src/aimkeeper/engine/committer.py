"""Group commit: whatever has finished is written in one transaction; then the next group, as large as it grew."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from aimkeeper.clock import Clock
from aimkeeper.core.change import Change
from aimkeeper.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from aimkeeper.store.commits import Result
    from aimkeeper.store.store import Store

LARGEST_GROUP = 500
# While the store is away, changes are tried again this often, in seconds.
FIRST_RETRY, LAST_RETRY = 0.1, 1.0
# Who must stop waits this long for a store that is away, once the fresh tokens are in the spool; much longer if the
# spool can't be written either, for then they exist in memory only.
PATIENCE, LAST_PATIENCE = 10.0, 60.0

# The change, who waits for it, since when, and whether it waits for a store that is away.
_Waiting = tuple[Change, asyncio.Future["Result"], float, bool]
# Where a group's fresh tokens lie on the disk, (None,) when it held none; None while they are in memory only.
_Spooled = tuple[Path | None] | None


class Committer:
    """
    Writes changes in groups, in the order in which they came.

    While the store is away, the fresh tokens among them are put into the spool at once: a killed process loses none.

    Attributes:
        exposed: Told how long each change existed in memory only, in seconds.
        wrote: Told how long the store took for each group, in seconds.
        trouble: Told when the store is away.
    """

    def __init__(self, store: "Store", clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._hurried_at: float | None = None
        self.exposed: Callable[[float], None] = lambda _seconds: None
        self.wrote: Callable[[float], None] = lambda _seconds: None
        self.trouble: Callable[[StoreUnavailable], None] = lambda _error: None

    async def commit(self, change: Change, *, patient: bool = True) -> "Result":
        """
        Commit *change* along with whatever else is waiting.

        Args:
            change: What was decided.
            patient: Whether to wait for a store that is away. A change that loses nothing need not.

        Raises:
            StoreUnavailable: The store is away, and the change is not patient, or we are to stop.
        """
        landing: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, landing, self._clock.monotonic(), patient))
        if self._pump is None:
            # It runs while there is work: one row when idle, larger groups when busy. Nothing waits for a timer.
            self._pump = asyncio.get_running_loop().create_task(self._run(), name="committer")
        return await landing

    def hurry(self) -> None:
        """We are to stop: do not wait for a store that is away longer than `PATIENCE`."""
        if self._hurried_at is None:
            self._hurried_at = self._clock.monotonic()

    async def _run(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST_GROUP))]
                await self._write(group)
        finally:
            self._pump = None

    async def _write(self, group: list[_Waiting]) -> None:
        wait = FIRST_RETRY
        spooled: _Spooled = None
        while True:
            began = self._clock.monotonic()
            try:
                results = await self._store.commit([change for change, *_ in group])
            except StoreUnavailable as error:
                self.trouble(error)
                group = self._patient_of(group, error)
                if not group:
                    return
                spooled = spooled or self._spool(group)
                if self._is_out_of_patience(safe=spooled is not None):
                    _fail(group, error)
                    return
                await self._clock.sleep(wait)
                wait = min(wait * 2, LAST_RETRY)
            except Exception as error:  # noqa: BLE001 (whatever a poison row raises)
                await self._split(group, error)
                return
            else:
                break
        if spooled and spooled[0]:
            self._store.spool.remove(spooled[0])
        now = self._clock.monotonic()
        self.wrote(now - began)
        for (_, landing, since, _), result in zip(group, results, strict=True):
            self.exposed(now - since)
            if not landing.done():
                landing.set_result(result)

    def _patient_of(self, group: list[_Waiting], error: StoreUnavailable) -> list[_Waiting]:
        """Those of *group* who wait for the store; the others are told now, also those still in line."""
        in_line = list(self._waiting)
        self._waiting = deque(one for one in in_line if one[3])
        _fail([one for one in (*group, *in_line) if not one[3]], error)
        return [one for one in group if one[3]]

    def _spool(self, group: list[_Waiting]) -> _Spooled:
        try:
            return (self._store.spool.save([change for change, *_ in group]),)
        except StoreUnavailable as error:
            self.trouble(error)
            return None

    def _is_out_of_patience(self, *, safe: bool) -> bool:
        if self._hurried_at is None:
            return False
        return self._clock.monotonic() - self._hurried_at >= (PATIENCE if safe else LAST_PATIENCE)

    async def _split(self, group: list[_Waiting], error: Exception) -> None:
        """A row that can't be written must fail alone."""
        if len(group) == 1:
            _fail(group, error)
            return
        middle = len(group) // 2
        await self._write(group[:middle])
        await self._write(group[middle:])


def _fail(group: list[_Waiting], error: Exception) -> None:
    for _, landing, *_ in group:
        if not landing.done():
            landing.set_exception(error)
