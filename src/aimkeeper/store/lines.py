"""Connections to PostgreSQL: dialled when needed, kept while they are good, few at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import asyncpg

from aimkeeper.clock import Clock
from aimkeeper.core.address import PostgresAddress
from aimkeeper.core.errors import ConfigError, StoreUnavailable
from aimkeeper.store.queries import Statement
from aimkeeper.store.refusals import told
from aimkeeper.store.rows import Row
from aimkeeper.store.waiting import done

T = TypeVar("T")

# The statements by name, as they are to be put to this database.
Statements = Callable[[], Mapping[str, Statement]]

DIAL_SECONDS = 5.0
# Longer than the server's own limit: it comes into play when the server, or the network, is gone.
CALL_SECONDS = 15.0
# After a failed dial nobody tries again for so long; the pause doubles up to the last one.
FIRST_PAUSE, LAST_PAUSE = 0.1, 1.0

# Microseconds from 1970, where ours count from, to 2000, where PostgreSQL's do.
_FROM_1970_TO_2000 = 946_684_800_000_000
_UUID_BYTES = 16
_NO_ID = bytes(_UUID_BYTES)


class Line:
    """
    One connection.

    Attributes:
        direct: Whether the server itself is at the other end. Behind a pooler nothing may be left in the session: the
            next statement may run in another one.
        is_fresh: Whether nobody has used it before.
    """

    def __init__(self, connection: Any, statements: Statements, counted: Callable[[int], None]) -> None:
        self._connection = connection
        self._statements = statements
        self._counted = counted
        self._prepared: dict[str, Any] = {}
        self.direct = False
        self.is_fresh = True

    @property
    def is_open(self) -> bool:
        return not self._connection.is_closed()

    @property
    def is_idle(self) -> bool:
        """Whether it is good for the next one."""
        return self.is_open and not self._connection.is_in_transaction()

    @property
    def told_process(self) -> int:
        """The server's process, as it named itself when we connected; a pooler makes one up."""
        return int(self._connection.get_server_pid())

    async def fetch(self, name: str, values: Sequence[Any], timeout: float | None = None) -> list[Row]:  # noqa: ASYNC109
        """Every row of one named statement."""
        timeout = timeout or CALL_SECONDS
        text = self._statements()[name].text
        if not self.direct:
            return await self._call(self._connection.fetch(text, *values, timeout=timeout))
        prepared = self._prepared.get(name)
        if prepared is None:
            prepare = self._connection.prepare(text, name=f"aimkeeper_{name}", timeout=timeout)
            prepared = self._prepared[name] = await self._call(prepare)
        return await self._call(prepared.fetch(*values, timeout=timeout))

    async def run(self, commands: str, timeout: float | None = None) -> str:  # noqa: ASYNC109
        """Commands without parameters, in one trip; the tag of the last one's answer."""
        return await self._call(self._connection.execute(commands, timeout=timeout or CALL_SECONDS))

    def hang_up(self) -> None:
        self._connection.terminate()

    async def say_goodbye(self) -> None:
        await self._call(self._connection.close(timeout=DIAL_SECONDS))

    async def _call(self, call: Awaitable[T]) -> T:
        self._counted(1)
        try:
            return await done(asyncio.ensure_future(call))
        except TimeoutError:
            self.hang_up()  # what it was doing may still go on
            raise
        finally:
            self._counted(-1)


class Lines:
    """
    At most so many connections to one database.

    Args:
        statements: What may be asked.
        greet: Called with each new connection before anybody uses it.
        counted: Told of each call that begins (1) and ends (-1).

    Attributes:
        is_proven: Whether the settings were good once. What looks wrong in them later is trouble that passes.
    """

    def __init__(
        self,
        address: PostgresAddress,
        clock: Clock,
        *,
        most: int,
        statements: Statements,
        greet: Callable[[Line], Awaitable[None]],
        counted: Callable[[int], None],
    ) -> None:
        self._address = address
        self._clock = clock
        self._statements = statements
        self._greet = greet
        self._counted = counted
        self._room = asyncio.Semaphore(most)
        self._idle: list[Line] = []
        self._failures = 0
        self._pause = 0.0
        self._refused_until = 0.0
        self._refusal = ""
        self.is_proven = False

    @asynccontextmanager
    async def line(self, *, fresh: bool = False) -> AsyncIterator[Line]:
        """
        A connection for as long as the block lasts.

        Args:
            fresh: One that was not used before: the others may have been cut without our hearing.
        """
        async with self._room:
            line = await self._dial() if fresh else self._kept() or await self._dial()
            try:
                yield line
            finally:
                line.is_fresh = False
                if line.is_idle:
                    self._idle.append(line)
                else:
                    line.hang_up()

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for line in idle:
            try:
                with told(self._address):
                    await line.say_goodbye()
            except StoreUnavailable:
                line.hang_up()

    def _kept(self) -> Line | None:
        while self._idle:
            line = self._idle.pop()  # the one used last: the others are spared, and closed by the server in time
            if line.is_idle:
                return line
            line.hang_up()
        return None

    async def _dial(self) -> Line:
        if self._clock.monotonic() < self._refused_until:
            raise StoreUnavailable(self._refusal)
        failures = self._failures
        try:
            with told(self._address):
                line = await self._greeted()
        except (StoreUnavailable, ConfigError) as error:
            if failures == self._failures:  # those who dialled along with us have counted it already
                self._failures += 1
                self._pause = min(max(self._pause * 2, FIRST_PAUSE), LAST_PAUSE)
            self._refused_until, self._refusal = self._clock.monotonic() + self._pause, str(error)
            if isinstance(error, ConfigError) and self.is_proven:
                raise StoreUnavailable(str(error)) from None
            raise
        self._pause = 0.0
        return line

    async def _greeted(self) -> Line:
        try:
            return await self._greeted_once()
        except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
            # A pooler had a session left that the server has ended meanwhile; it has none of those now.
            return await self._greeted_once()

    async def _greeted_once(self) -> Line:
        line = Line(await _connect(self._address), self._statements, self._counted)
        try:
            await self._greet(line)
        except BaseException:
            line.hang_up()
            raise
        return line


async def _connect(address: PostgresAddress) -> Any:
    _look_for_files(address)
    connection = await asyncpg.connect(
        f"postgresql://?{urlencode(address.tls)}",
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        database=address.database,
        timeout=DIAL_SECONDS,
        # Behind a pooler a statement prepared in one session may be asked for in another. Where there is none, `Line`
        # prepares by name.
        statement_cache_size=0,
    )
    # Instants as whole microseconds since 1970, ids as text: as the embedded store has them. Where an app's own column
    # does not say of what zone they are, they are in UTC: so that app writes them.
    for kind in ("timestamptz", "timestamp"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=_packed_instant, decoder=_instant, format="tuple"
        )
    await connection.set_type_codec("uuid", schema="pg_catalog", encoder=_packed_id, decoder=_id, format="binary")
    return connection


def _look_for_files(address: PostgresAddress) -> None:
    for name, file in address.tls:
        if name != "sslmode" and not Path(file).is_file():
            raise ConfigError(f"AIMKEEPER_DATABASE_URL names a file as {name} that is not there.")


def _packed_instant(micros: int) -> tuple[int]:
    return (micros - _FROM_1970_TO_2000,)


def _instant(packed: tuple[int]) -> int:
    return packed[0] + _FROM_1970_TO_2000


def _packed_id(text: str) -> bytes:
    """The bytes of an id; of a text that is none, those that no row bears."""
    try:
        packed = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return _NO_ID
    return packed if len(packed) == _UUID_BYTES else _NO_ID


def _id(packed: bytes) -> str:
    text = packed.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
