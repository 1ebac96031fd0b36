"""How the sessions stand, for pages that ask again and again."""

from aimkeeper.service import Service
from aimkeeper.store.standing import Standing

# While thousands are overdue, to count them takes a while. All pages together may spend this share of the time on it,
# and what is cheap is always looked at afresh.
SHARE = 0.05
CHEAP_SECONDS = 0.02


class Recent:
    """
    Remembers how the sessions stood, for a while that is as long as it was dear to find out.

    Args:
        service: Whose sessions.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: Standing | None = None
        self._good_until = 0.0

    async def standing(self) -> Standing:
        """How they stand, or stood a moment ago."""
        clock = self._service.clock
        began = clock.monotonic()
        if self._known is not None and began < self._good_until:
            return self._known
        self._known = await self._service.standing()
        took = clock.monotonic() - began
        self._good_until = began + (took / SHARE if took > CHEAP_SECONDS else 0.0)
        return self._known
