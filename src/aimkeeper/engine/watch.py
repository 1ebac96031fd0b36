"""The watch: now and then it looks how the sessions stand, and says what bodes ill. Once for the whole fleet."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.policy import AT_RISK_AFTER, MEAN_SHARE, Policy

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

# For the heartbeat, what came due this long ago and was not begun is overdue; in a busy fleet something is always due.
OVERDUE_AFTER = timedelta(minutes=1)
# Counts are kept by the whole minute.
ROUNDING = timedelta(minutes=2)

# What was seen only once may be over already: after a start, all that came due meanwhile is late for a moment.
LOOKS = 2
# The rate suffices again when there is so much to spare; just below the bound it would be told over and over.
TO_SPARE = 0.95


class Watch:
    """
    Sounds the fleet's alarms, and clears them.

    Args:
        allowed_rate: Requests that may start, per second, of the whole fleet.
    """

    def __init__(self, store: "Store", policy: Policy, allowed_rate: float) -> None:
        self._store = store
        self._policy = policy
        self._allowed_rate = allowed_rate
        self._looks: dict[EventKind, int] = {}

    async def look(self) -> list[Event]:
        """Look once; what was written by this process because of it."""
        # Not rotated for 29 minutes = a deadline earlier than (now - 29 minutes + idle timeout).
        deadline = self._store.now() - AT_RISK_AFTER + self._policy.idle_timeout
        at_risk = await self._store.alarms.count_at_risk(deadline)
        standing = await self._store.standing(deadline)
        due_rate = standing.living / (self._policy.refresh_every.total_seconds() * MEAN_SHARE)
        raised = await self._store.alarms.raised()
        rates: dict[str, object] = {"due_per_second": round(due_rate, 2), "allowed_per_second": self._allowed_rate}
        risk, low = EventKind.AT_RISK, EventKind.RATE_TOO_LOW
        facts = [
            await self._judge(risk, EventKind.SAFE_AGAIN, raised, at_risk > 0, {"count": at_risk}),
            await self._judge(low, EventKind.RATE_ENOUGH, raised, self._is_low(due_rate, low.value in raised), rates),
        ]
        return [fact for fact in facts if fact is not None]

    async def keeps_all(self) -> bool:
        """Whether rotations commit and nothing is overdue; where there is nothing to rotate, all is well."""
        now = self._store.now()
        if await self._store.count_left(now - OVERDUE_AFTER, now):
            return False
        lately = await self._store.tallies(now - self._policy.refresh_every - ROUNDING)
        if lately.get("rotated", 0):
            return True
        return await self._store.next_due() is None

    def _is_low(self, due_rate: float, was_low: bool) -> bool:  # noqa: FBT001 (one of two bounds)
        return due_rate > self._allowed_rate * (TO_SPARE if was_low else 1)

    async def _judge(
        self,
        begins: EventKind,
        ends: EventKind,
        raised: Collection[str],
        holds: bool,  # noqa: FBT001 (what it is about)
        data: Mapping[str, object],
    ) -> Event | None:
        """What is to be said now that it *holds*, or does not."""
        if holds is (begins.value in raised):
            self._looks.pop(begins, None)
            return None
        self._looks[begins] = self._looks.get(begins, 0) + 1
        if self._looks[begins] < LOOKS:
            return None
        fact = Event(kind=begins if holds else ends, at=self._store.now(), data=data)
        alarms = self._store.alarms
        is_ours = await (alarms.sound if holds else alarms.clear)(begins.value, fact)
        return fact if is_ours else None
