"""Durations counted by size, as words of the kept tallies; and what they say of half, 95 % and 99 % of them."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

# Upper bounds in seconds, each about half as long again as the one before: a percentile is right to that much.
BOUNDS = (
    0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0,
    15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0,
)  # fmt: skip
# Whatever is longer counts as so long.
LONGEST = BOUNDS[-1]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """What half, 95 % and 99 % of the durations stay below, in seconds."""

    p50: float
    p95: float
    p99: float


class Spread:
    """
    Durations of one kind.

    Args:
        kind: One word; with a bound behind it, it is the word of a tally.
    """

    def __init__(self, kind: str) -> None:
        self._words = tuple(f"{kind} {bound:g}" for bound in BOUNDS)
        self._counts = [0] * len(BOUNDS)

    def note(self, seconds: float) -> None:
        """Count one."""
        self._counts[min(bisect_left(BOUNDS, seconds), len(BOUNDS) - 1)] += 1

    def take(self) -> dict[str, int]:
        """What was counted since this was last asked, by word."""
        counts, self._counts = self._counts, [0] * len(BOUNDS)
        return {word: count for word, count in zip(self._words, counts, strict=True) if count}

    def give_back(self, taken: Mapping[str, int]) -> None:
        """Count what was taken again: it came to nothing."""
        for place, word in enumerate(self._words):
            self._counts[place] += taken.get(word, 0)

    def percentiles(self, tallies: Mapping[str, int]) -> Percentiles | None:
        """What *tallies* say of this kind, between the bounds by proportion; None when they say nothing."""
        counts = [tallies.get(word, 0) for word in self._words]
        if not sum(counts):
            return None
        return Percentiles(*(_quantile(counts, share) for share in (0.5, 0.95, 0.99)))


def _quantile(counts: list[int], share: float) -> float:
    wanted = share * sum(counts)
    lower = 0.0
    for bound, count in zip(BOUNDS, counts, strict=True):
        if count and wanted <= count:
            return round(lower + (bound - lower) * wanted / count, 4)
        wanted -= count
        lower = bound
    return LONGEST
