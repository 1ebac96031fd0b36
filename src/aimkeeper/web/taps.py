"""Taps: how often one caller may make this process work, counted in its memory."""

from aimkeeper.clock import Clock

# More names than this, and those who were quiet long enough are forgotten.
MOST_NAMES = 50_000


class Tap:
    """
    So many at once for each name, filled up again within *seconds*.

    Args:
        most: How many at once.
        seconds: How long until an empty one is full.
    """

    def __init__(self, clock: Clock, most: int, seconds: float) -> None:
        self._clock = clock
        self._most = most
        self._rate = most / seconds
        self._levels: dict[str, tuple[float, float]] = {}
        self._tidy_at = MOST_NAMES

    def wait(self, name: str) -> float:
        """Seconds until *name* may draw one; 0 = now."""
        return max(1.0 - self._level(name), 0.0) / self._rate

    def draw(self, name: str) -> None:
        """Draw one; what is drawn beyond the bottom is owed."""
        if len(self._levels) >= self._tidy_at:
            self._levels = {known: at for known, at in self._levels.items() if self._level(known) < self._most}
            # However many there are, each is looked at seldom.
            self._tidy_at = max(MOST_NAMES, 2 * len(self._levels))
        self._levels[name] = (self._level(name) - 1.0, self._clock.monotonic())

    def _level(self, name: str) -> float:
        level, at = self._levels.get(name, (float(self._most), 0.0))
        return min(level + (self._clock.monotonic() - at) * self._rate, float(self._most))
