"""The time of a database that many machines share, carried between two looks at it by a clock that nobody sets."""

from datetime import UTC, datetime

from aimkeeper.clock import Clock


class DatabaseClock:
    """
    A clock whose `now` is the database's: when a session is due must not depend on which machine asks.

    Each answer of the database that carries its time bounds how far it is ahead of our own count of seconds (the one
    that goes on in sleep). An offset is kept as long as no answer contradicts it, so that slow answers move nothing.

    Args:
        machine: Our own. Its wall clock serves until the database has been heard.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._offset: float | None = None

    def now(self) -> datetime:
        if self._offset is None:
            return self._machine.now()
        return datetime.fromtimestamp(self._machine.boottime() + self._offset, UTC)

    def monotonic(self) -> float:
        return self._machine.monotonic()

    def boottime(self) -> float:
        return self._machine.boottime()

    async def sleep(self, seconds: float) -> None:
        await self._machine.sleep(seconds)

    def heard(self, told_at: float, sent_at: float, received_at: float) -> None:
        """
        Take an answer into account.

        Args:
            told_at: What the database's clock said, in seconds since 1970.
            sent_at: When we asked, in `boottime` seconds.
            received_at: When we heard.
        """
        most, least = told_at - sent_at, told_at - received_at
        if self._offset is None or not least <= self._offset <= most:
            self._offset = (least + most) / 2
