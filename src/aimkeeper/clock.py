"""The only reader of the time. Everything else is handed a `Clock`, so a test owns it."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is, in the three senses that matter, and how to wait."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC. People and other machines may set it."""

    def monotonic(self) -> float:
        """Seconds that never go back and stand still while the machine sleeps."""

    def boottime(self) -> float:
        """Seconds that never go back and go on counting while the machine sleeps."""

    async def sleep(self, seconds: float) -> None:
        """Wait *seconds* of monotonic time; zero or less yields once."""


_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        # Only Linux has a separate clock for it; elsewhere sleep is noticed by the wall clock alone.
        return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))
