"""Lots: what many want at one time goes to the database in one trip."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Wanted = TypeVar("Wanted")
Brought = TypeVar("Brought")

MOST = 500
# So many turns of the event loop a lot waits at most for others that come in the same breath.
MOST_TURNS = 8


class Lots(Generic[Wanted, Brought]):
    """
    Carries wishes, many at a time.

    A trip to the database's thread costs far more than a row, and one that writes far more than that. So while one lot
    is under way the next one gathers; and one is sent off only when a turn of the event loop has brought nobody new.
    No timer: somebody who comes alone loses a few microseconds by it.

    Args:
        carry: Brings one thing for each that is wanted, in their order. What it raises is raised to all of them.
        name: Of the task, for people.
    """

    def __init__(self, carry: Callable[[list[Wanted]], Awaitable[Sequence[Brought]]], name: str) -> None:
        self._carry = carry
        self._name = name
        self._waiting: list[tuple[Wanted, asyncio.Future[Brought]]] = []
        self._pump: asyncio.Task[None] | None = None

    def bring(self, wanted: Wanted) -> "asyncio.Future[Brought]":
        """What was wanted, as it is from now on: nothing that is under way already serves for it."""
        loop = asyncio.get_running_loop()
        landing: asyncio.Future[Brought] = loop.create_future()
        self._waiting.append((wanted, landing))
        if self._pump is None:
            self._pump = loop.create_task(self._run(), name=self._name)
        return landing

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                lot, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._land(lot)
        finally:
            self._pump = None

    async def _gather(self) -> None:
        for _ in range(MOST_TURNS):
            before = len(self._waiting)
            await asyncio.sleep(0)
            if len(self._waiting) == before or before >= MOST:
                return

    async def _land(self, lot: "list[tuple[Wanted, asyncio.Future[Brought]]]") -> None:
        error: Exception | None = None
        brought: Sequence[Brought] = ()
        try:
            brought = await self._carry([wanted for wanted, _ in lot])
        except Exception as why:  # noqa: BLE001 (whatever it is, nobody may wait for ever)
            error = why
        for place, (_, landing) in enumerate(lot):
            if landing.done():
                continue  # whoever wanted it has gone
            if error is None:
                landing.set_result(brought[place])
            else:
                landing.set_exception(error)
