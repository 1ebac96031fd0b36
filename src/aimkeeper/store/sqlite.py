"""The embedded store's engine: one writing connection in one thread, one reading connection in another."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from aimkeeper.core.errors import ConfigError, ForeignDatabase, StoreUnavailable
from aimkeeper.store.backend import Moved
from aimkeeper.store.embedded import check_ours, connect, connect_to_look, make, migrate, newest_schema, schema_version
from aimkeeper.store.home import HOME, NOWHERE, FileHome, Home
from aimkeeper.store.queries import load, numbered
from aimkeeper.store.rows import Params, Row
from aimkeeper.store.waiting import done

T = TypeVar("T")

# In which order sessions are taken, while there is room.
_CLAIMS = {
    "claim_steady": ("claim_in_doubt", "claim_due"),
    "claim_backlog": ("claim_in_doubt", "claim_living", "claim_hopeless"),
    "claim_one": ("claim_one",),
}


class _Asked:
    """Named statements on one connection."""

    def __init__(self, connection: sqlite3.Connection, call: Callable[[Callable[[], Any]], Any], *, begin: str) -> None:
        self._connection = connection
        self._call = call
        self._begin = begin
        self._begun = False

    async def rows(self, name: str, /, **params: Any) -> list[Row]:
        return await self._run(lambda: self._connection.execute(_text(name), params).fetchall())

    async def row(self, name: str, /, **params: Any) -> Row | None:
        return await self._run(lambda: self._connection.execute(_text(name), params).fetchone())

    async def each(self, name: str, many: Sequence[Params]) -> list[Row | None]:
        def ask() -> list[Row | None]:
            # Alone, each reading statement would take its locks, and look for what others wrote, anew.
            with nullcontext() if self._begin else _whole(self._connection, "BEGIN"):
                return [self._connection.execute(_text(name), one).fetchone() for one in many]

        return await self._run(ask)

    async def _run(self, statement: Callable[[], T]) -> T:
        def begun() -> T:
            if self._begin:
                self._make_sure_it_has_begun()
            return statement()

        return await self._call(begun)  # type: ignore[no-any-return]  # `call` is generic, its type is not

    def _make_sure_it_has_begun(self) -> None:
        if not self._begun:
            # What a rollback that failed has left behind must not be carried on, let alone committed.
            self._connection.rollback()
            self._connection.execute(self._begin)
            self._begun = True
        elif not self._connection.in_transaction:
            # SQLite itself rolls back after some errors: what follows must not be committed without what went before.
            raise sqlite3.OperationalError("the transaction was broken off")


class Sqlite:
    """
    One SQLite file.

    Args:
        path: Of the file; made when missing.
        inline: Run statements in the caller's thread, for tests under a manual clock.

    Attributes:
        pending: How many calls are under way in threads; a clock that is moved by hand may wait for them.
    """

    dialect = "sqlite"
    upkeep: tuple[str, ...] = ()
    is_adopted = one_per_email = False

    def __init__(self, path: Path, *, inline: bool = False) -> None:
        self.path = path
        self.home: Home = FileHome(path)
        self.pending = 0
        self._inline = inline
        self._write_lock = asyncio.Lock()
        self._read_lock = asyncio.Lock()
        self._writing: ThreadPoolExecutor | None = None if inline else ThreadPoolExecutor(1, "aimkeeper-store")
        self._reading: ThreadPoolExecutor | None = None if inline else ThreadPoolExecutor(1, "aimkeeper-reads")
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    def __str__(self) -> str:
        return str(self.path)

    async def open(self) -> None:
        """
        Connect, and bring the schema up to date.

        Raises:
            ForeignDatabase: The file is something else.
            StoreUnavailable: It can't be opened or made.
        """
        try:
            self._writer = await self._call(self._writing, lambda: connect(self.path, writing=True))
            await self._call(self._writing, lambda: migrate(self._connection(), self.path))
            self._reader = await self._call(self._reading, lambda: connect(self.path))
        except BaseException:
            await self.close()
            raise

    async def schema(self) -> tuple[int, int]:
        """The file's schema (0 when it is not there yet) and the newest one known, without changing anything."""

        def look() -> int:
            try:
                there = self.path.exists()
            except OSError as error:
                raise StoreUnavailable(f"the database {self.path} can't be looked at: {error.strerror}.") from None
            if not there:
                return 0
            # Without a log beside it nobody is at it. SQLite would make one to look, and leave it behind.
            at_rest = not self.path.with_name(f"{self.path.name}-wal").exists()
            with closing(connect_to_look(self.path, "mode=ro&immutable=1" if at_rest else "mode=ro")) as connection:
                check_ours(connection, self.path)
                return schema_version(connection)

        return await self._call(self._reading, look), newest_schema()

    async def close(self) -> None:
        """Let go of the file, once what is under way is done."""
        async with self._write_lock, self._read_lock:
            reader, writer, self._reader, self._writer = self._reader, self._writer, None, None
            for connection, executor in ((reader, self._reading), (writer, self._writing)):
                try:
                    if connection is not None:
                        await self._call(executor, connection.close)
                finally:
                    if executor is not None:
                        executor.shutdown()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_Asked]:
        """
        A writing transaction: committed at the end, rolled back on any error.

        Whoever is cancelled inside it waits for the statement that runs, and for the rollback; one who is cancelled
        while it is being committed has committed.
        """
        async with self._write_lock:
            connection = self._connection()
            try:
                yield _Asked(connection, lambda work: self._call(self._writing, work), begin="BEGIN IMMEDIATE")
                await self._call(self._writing, connection.commit)
            except BaseException:
                # Where even this fails, the next transaction does it before it begins.
                with suppress(StoreUnavailable):
                    await self._call(self._writing, connection.rollback)
                raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[_Asked]:
        """Statements that only read; they never wait for a writer."""
        async with self._read_lock:
            assert self._reader is not None, "the store is not open"
            yield _Asked(self._reader, lambda work: self._call(self._reading, work), begin="")

    async def record(self, many: Sequence[Params]) -> None:
        # One statement: with each of many, this thread would lose the interpreter to the others.
        written = msgspec.json.encode(many).decode()
        await self._at_once(lambda connection: connection.execute(_text("insert_events"), {"many": written}))

    async def claim(self, name: str, /, **params: Any) -> list[Row]:
        def take(connection: sqlite3.Connection) -> list[Row]:
            taken: list[Row] = []
            for statement in _CLAIMS[name]:
                room = params.get("limit", 1) - len(taken)
                # The hopeless wait until no living one is due.
                if room > 0 and not (statement == "claim_hopeless" and taken):
                    taken += connection.execute(_text(statement), {**params, "limit": room}).fetchall()
            return taken

        return await self._at_once(take)

    async def change_all(self, name: str, many: Sequence[Params], tally: Params) -> None:
        statement = numbered("sqlite")[name]
        values = [statement.values(one) for one in many]

        def write(connection: sqlite3.Connection) -> None:
            if connection.executemany(statement.text, values).rowcount != len(values):
                raise Moved
            connection.execute(_text("add_tally"), tally)

        await self._at_once(write)

    async def backup(self, target: Path) -> None:
        """
        Copy the whole database, while it is in use, into a new file that only its owner may read.

        Raises:
            ConfigError: *target* is there already.
            StoreUnavailable: It can't be made or written.
        """

        def copy() -> None:
            if not make(target):
                raise ConfigError(f"{target} is there already: choose another name for the copy.")
            try:
                # A connection of its own reads one moment's state, so that no commit waits for the copy.
                with (
                    closing(connect_to_look(self.path, "mode=ro")) as source,
                    closing(sqlite3.connect(target)) as copied,
                ):
                    source.backup(copied)
                    # Whatever starts on it must find out that it is a copy.
                    copied.execute(_text("set_meta"), {"key": HOME, "value": NOWHERE})
                    copied.commit()
            except BaseException:
                target.unlink(missing_ok=True)
                raise

        executor = None if self._inline else ThreadPoolExecutor(1, "aimkeeper-backup")
        try:
            await self._call(executor, copy)
        finally:
            if executor is not None:
                executor.shutdown()

    async def _at_once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """A whole transaction in one go, for to change threads costs as much as some ten rows."""

        def whole() -> T:
            # What a rollback that failed has left behind must not be carried on, let alone committed.
            connection.rollback()
            with _whole(connection, "BEGIN IMMEDIATE"):
                return work(connection)

        async with self._write_lock:
            connection = self._connection()
            return await self._call(self._writing, whole)

    def _connection(self) -> sqlite3.Connection:
        assert self._writer is not None, "the store is not open"
        return self._writer

    async def _call(self, executor: ThreadPoolExecutor | None, work: Callable[[], T]) -> T:
        try:
            if executor is None:
                return work()
            self.pending += 1
            try:
                return await done(asyncio.get_running_loop().run_in_executor(executor, work))
            finally:
                self.pending -= 1
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"the database {self.path} can't be used now: {error}.") from None
        except sqlite3.DatabaseError as error:
            # Its subclasses are mistakes of ours, or a row that breaks a rule; itself, it speaks of the file.
            if type(error) is not sqlite3.DatabaseError:
                raise
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise ForeignDatabase(f"{self.path} is not a database of aimkeeper's ({error}).") from None
            raise StoreUnavailable(f"the database {self.path} is damaged ({error}): restore a backup of it.") from None


@contextmanager
def _whole(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _text(name: str) -> str:
    return load("sqlite")[name]
