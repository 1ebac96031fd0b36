"""Pace: how many requests may start per second."""

from aimkeeper.clock import Clock

# Unused allowance is kept for this long: enough to claim several sessions at a time, too little for a herd.
BURST_SECONDS = 0.25
# An upstream that wants fewer requests gets a tenth less each time it says so. Each answer it gives willingly wins a
# two-hundredth back, each second a hundredth: so a rate settles at which about one answer in twenty still says so.
SLOWER_BY, FASTER_PER_ANSWER, FASTER_PER_SECOND, SLOWEST = 0.1, 0.005, 0.01, 0.05


class Pace:
    """
    A bucket that fills at a fixed rate.

    Args:
        rate: Starts per second, of the whole fleet.
        late: By how much of a gap whoever comes late for his turn has not lost any of it, 0 to 1. Two starts may then
            come closer to each other by as much; the rate stays what it is.
    """

    def __init__(self, clock: Clock, rate: float, *, late: float = 0.0) -> None:
        self._clock = clock
        self._fleet_rate = rate
        self._late = late
        self._share = 1
        self._limit = 1.0
        self._slowed = 1.0
        self._level = self._depth
        self._filled_at = clock.monotonic()

    @property
    def fleet_rate(self) -> float:
        """What the whole fleet may start per second."""
        return self._fleet_rate

    @property
    def rate(self) -> float:
        """This process's part, per second."""
        return self._fleet_rate / self._share * self._limit * self._slowed

    @property
    def _depth(self) -> float:
        return max(self.rate * BURST_SECONDS, 1.0 + self._late)

    def share_among(self, processes: int) -> None:
        """Say how many processes draw on the fleet's rate, this one included."""
        self._fill()
        self._share = max(processes, 1)

    def limit(self, share: float) -> None:
        """Use only this *share* of the rate, above 0 to 1: the upstream is coming back."""
        if share != self._limit:
            self._fill()
            self._limit = share
            self._level = min(self._level, self._depth)

    def slow_down(self) -> None:
        """The upstream wants fewer requests: a tenth less, and back up by and by."""
        self._fill()
        self._slowed = max(self._slowed * (1 - SLOWER_BY), SLOWEST)

    def speed_up(self) -> None:
        """The upstream answered willingly."""
        self._slowed = min(self._slowed + FASTER_PER_ANSWER, 1.0)

    def allowance(self) -> int:
        """How many may start now; 0 when in debt."""
        self._fill()
        return max(int(self._level + 1e-9), 0)

    def take(self, starts: int = 1) -> None:
        """Use some up. What can't wait may go into debt: the next ones wait longer."""
        self._fill()
        self._level -= starts

    def wait(self) -> float:
        """Seconds until one may start."""
        self._fill()
        return max(1.0 - self._level, 0.0) / self.rate

    async def turn(self) -> None:
        """Wait for a turn and take it."""
        # Taken first, so that those who wait stand in line.
        self.take()
        if self._level < 0:
            await self._clock.sleep(-self._level / self.rate)

    def _fill(self) -> None:
        now = self._clock.monotonic()
        passed, self._filled_at = now - self._filled_at, now
        self._level = min(self._level + passed * self.rate, self._depth)
        self._slowed = min(self._slowed + passed * FASTER_PER_SECOND, 1.0)
