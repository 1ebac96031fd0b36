"""How many rows come at once: whoever is new is stored along with others, by one statement and one commit."""

from collections.abc import Callable, Sequence

from aimkeeper.clock import Clock
from aimkeeper.core.events import Event
from aimkeeper.core.session import Session
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend, Collision
from aimkeeper.store.commits import event_params
from aimkeeper.store.seal import Sealer


class Arrivals:
    """
    Stores many sessions that are probably new.

    Args:
        sealer: Asked for when needed: the keys are known only once the store is open.
        clock: Of the store.
    """

    def __init__(self, backend: Backend, clock: Clock, sealer: Callable[[], Sealer]) -> None:
        self._backend = backend
        self._clock = clock
        self._sealer = sealer

    async def put_new(self, arrivals: Sequence[tuple[Session, Event]]) -> list[bool]:
        """
        Store, in one transaction, each of *arrivals* whose pair and `ref` nobody has, along with its event.

        Returns:
            Which were stored, in their order. All others are for `Store.put`, which can tell what stands against them.
        """
        if self._backend.is_adopted:
            return [False] * len(arrivals)  # where e-mails are written in more than one way, each must be looked for
        now, sealer = self._clock.now(), self._sealer()
        # In one order everywhere, so that two who store the same ones do not wait for one another in a circle.
        order = sorted(
            range(len(arrivals)), key=lambda place: (arrivals[place][0].email, arrivals[place][0].fingerprint)
        )
        many = [rows.new_params(arrivals[place][0], sealer, now) for place in order]
        try:
            async with self._backend.transaction() as tx:
                brought = await tx.each("insert_new_session", many)
                new = {place for place, row in zip(order, brought, strict=True) if row is not None}
                facts = [fact for place, (_, fact) in enumerate(arrivals) if place in new]
                await tx.each("insert_event", [event_params(fact) for fact in facts])
        except Collision:
            return [False] * len(arrivals)
        return [place in new for place in range(len(arrivals))]
