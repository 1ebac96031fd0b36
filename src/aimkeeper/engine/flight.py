"""Flights: at most one spend of a session at a time in this process. Callers may leave; a flight may not."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Work = Callable[[], Coroutine[Any, Any, T]]


async def outlived(task: "asyncio.Task[T]") -> T:
    """Wait for *task*; whoever is cancelled while waiting cancels nothing."""
    # Shielded for the session's sake: a closed browser tab must not cancel a rotation already done upstream.
    return await asyncio.shield(task)


class Flights(Generic[T]):
    """Running flights by name."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[T]] = {}
        self.landed: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._running)

    def get(self, name: str) -> "asyncio.Task[T] | None":
        """The flight under way, if there is one."""
        return self._running.get(name)

    def start(self, name: str, work: "Work[T]") -> "asyncio.Task[T]":
        """Start *work* as a task of its own; after the one under way, if there is one by that name."""
        previous = self._running.get(name)
        flight = work() if previous is None else _after(previous, work)
        task = asyncio.get_running_loop().create_task(flight, name=name)
        self._running[name] = task
        task.add_done_callback(self._land)
        return task

    async def all_landed(self) -> None:
        """Wait until nothing flies."""
        while self._running:
            await asyncio.wait(self._running.values())

    def _land(self, task: "asyncio.Task[T]") -> None:
        if self._running.get(name := task.get_name()) is task:
            del self._running[name]
        if not task.cancelled():
            task.exception()  # looked at, for the sake of flights nobody waits for; waiters get it all the same
        self.landed()


async def _after(previous: "asyncio.Task[T]", work: "Work[T]") -> T:
    # Its commit is done, or we would not hold the claim; only its last steps may still be running.
    await asyncio.wait([previous])
    return await work()
