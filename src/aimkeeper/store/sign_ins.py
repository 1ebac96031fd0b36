"""One-time sign-in links, by hash."""

from datetime import datetime

from aimkeeper.clock import Clock
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend


class SignIns:
    """Links that open the page once."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock

    async def issue(self, hashed: str, expires_at: datetime) -> None:
        async with self._backend.transaction() as tx:
            await tx.row("insert_sign_in", hash=hashed, expires_at=rows.micros(expires_at))

    async def use(self, hashed: str) -> bool:
        """Whether the link was good; it is used up now."""
        async with self._backend.transaction() as tx:
            return await tx.row("use_sign_in", hash=hashed, now=rows.micros(self._clock.now())) is not None
