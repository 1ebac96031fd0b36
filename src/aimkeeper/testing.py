"""Shipped fakes: a clock that a test owns. The other fake, the AimHarder simulator, is `aimkeeper.simulator`."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

# How often the loop may turn before a program that waits for nothing else counts as waiting for the clock.
# The longest chain of wake-ups without I/O in aimkeeper is under ten.
_TURNS = 40


class ManualClock:
    """
    A clock that moves only when told, and jumps from one sleeper to the next.

    Args:
        start: Where the wall clock begins; aware.
        busy: Says whether anything outside the loop (a thread, a socket) is still working;
            while any does, `run_until` waits in real time instead of jumping.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self._wall = start
        self._monotonic = 1000.0
        self._boottime = 5000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0
        self.busy: list[Callable[[], bool]] = []

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def boottime(self) -> float:
        return self._boottime

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._count += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, self._count, future))
        await future

    def advance(self, seconds: float) -> None:
        """Move all three clocks on; wakes whoever slept no longer than that."""
        self._wall += timedelta(seconds=seconds)
        self._monotonic += seconds
        self._boottime += seconds
        while self._sleepers and self._sleepers[0][0] <= self._monotonic + 1e-9:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    def set_wall(self, now: datetime) -> None:
        """Somebody sets the wall clock; the others go on as if nothing had happened."""
        self._wall = now

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: wall clock and boottime move on, monotonic stands still, nobody wakes."""
        self._wall += timedelta(seconds=seconds)
        self._boottime += seconds

    async def settle(self) -> None:
        """Let everything run that does not wait for this clock."""
        turns = 0
        while turns < _TURNS:
            if any(busy() for busy in self.busy):
                turns = 0
                await asyncio.sleep(0.0005)
            else:
                turns += 1
                await asyncio.sleep(0)

    async def run(self, seconds: float) -> None:
        """Live through *seconds*, stopping at every sleeper on the way."""
        end = self._monotonic + seconds
        while True:
            await self.settle()
            upcoming = self._next_sleeper()
            if upcoming is None or upcoming > end:
                break
            self.advance(max(upcoming - self._monotonic, 0))
        self.advance(max(end - self._monotonic, 0))
        await self.settle()

    async def finish(self, work: Awaitable[T], *, at_most: float = 3600) -> T:
        """Move the clock as far as *work* needs, at most *at_most* seconds, and return what it returns."""
        task = asyncio.ensure_future(work)
        end = self._monotonic + at_most
        while True:
            await self.settle()
            if task.done():
                return task.result()
            upcoming = self._next_sleeper()
            if upcoming is None or upcoming > end:
                task.cancel()
                msg = f"the work was not done after {at_most} s on the clock"
                raise TimeoutError(msg)
            self.advance(max(upcoming - self._monotonic, 0))

    def _next_sleeper(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None


def fixed_rolls(values: Iterable[float]) -> Callable[[], float]:
    """Dice that fall as told, for code that takes a `roll` callable."""
    iterator = iter(values)
    return lambda: next(iterator)
