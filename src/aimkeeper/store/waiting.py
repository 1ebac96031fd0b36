"""Calls that can't be broken off half-way."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def done(running: "asyncio.Future[T]") -> T:
    """
    What *running* brings. Whoever is cancelled meanwhile waits for it all the same, and is cancelled then.

    A statement can't be called back. To go on without it would leave a transaction open, into which the next one's
    statements would run.
    """
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not running.cancelled():
            running.exception()  # looked at, though nobody is left to tell it to
        raise cancelled
    return running.result()
