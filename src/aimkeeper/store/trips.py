"""Shared trips: whoever asks for one row while others are being fetched gets it with the next lot, all in one trip."""

import asyncio

from aimkeeper.store.backend import Backend
from aimkeeper.store.rows import Row

MOST = 500

_Waiting = tuple[str, "asyncio.Future[Row | None]"]


class Trips:
    """
    Fetches rows by one key each.

    A trip to the database's thread costs far more than a row: alone nobody waits for others, in a crowd they share.

    Args:
        statement: Which brings the row.
        parameter: The name of its one parameter.
    """

    def __init__(self, backend: Backend, statement: str, parameter: str) -> None:
        self._backend = backend
        self._statement = statement
        self._parameter = parameter
        self._waiting: list[_Waiting] = []
        self._pump: asyncio.Task[None] | None = None

    async def row(self, key: str) -> Row | None:
        """
        The row of *key*, as it is from now on; None without one.

        Raises:
            StoreUnavailable: It can't be read now.
        """
        landing: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, landing))
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._run(), name="trips")
        return await landing

    async def _run(self) -> None:
        try:
            while self._waiting:
                lot, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._fetch(lot)
        finally:
            self._pump = None

    async def _fetch(self, lot: list[_Waiting]) -> None:
        keys = list(dict.fromkeys(key for key, _ in lot))
        found: dict[str, Row | None] = {}
        failed: Exception | None = None
        try:
            async with self._backend.reading() as tx:
                rows = await tx.each(self._statement, [{self._parameter: key} for key in keys])
            found = dict(zip(keys, rows, strict=True))
        except Exception as error:  # noqa: BLE001 (whatever it is, nobody may wait for ever)
            failed = error
        for key, landing in lot:
            if landing.done():
                continue  # whoever asked has gone
            if failed is None:
                landing.set_result(found[key])
            else:
                landing.set_exception(failed)
