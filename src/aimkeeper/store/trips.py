"""Shared trips: whoever asks for one row while others ask too gets it along with theirs."""

import asyncio
from collections.abc import Callable

from aimkeeper.store.backend import Backend
from aimkeeper.store.lots import Lots
from aimkeeper.store.rows import Params, Row


class Trips:
    """
    Fetches rows by one key each.

    Args:
        statement: Which brings the row.
        parameter: The name of its key.
        more: Its other parameters, at the time of the trip.
    """

    def __init__(
        self, backend: Backend, statement: str, parameter: str, more: Callable[[], Params] = dict[str, object]
    ) -> None:
        self._backend = backend
        self._statement = statement
        self._parameter = parameter
        self._more = more
        self._lots: Lots[str, Row | None] = Lots(self._fetch, statement)

    def row(self, key: str) -> "asyncio.Future[Row | None]":
        """
        The row of *key*, as it is from now on; None without one.

        Raises:
            StoreUnavailable: It can't be read now.
        """
        return self._lots.bring(key)

    async def _fetch(self, keys: list[str]) -> list[Row | None]:
        different, more = list(dict.fromkeys(keys)), self._more()
        async with self._backend.reading() as tx:
            rows = await tx.each(self._statement, [{self._parameter: key, **more} for key in different])
        found = dict(zip(different, rows, strict=True))
        return [found[key] for key in keys]
