"""The embedded store's engine: one writing connection in one thread, one reading connection in another."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from aimkeeper.core.errors import ForeignDatabase, StoreUnavailable
from aimkeeper.store.queries import load, migrations
from aimkeeper.store.rows import Params, Row

T = TypeVar("T")

APPLICATION_ID = 0x41494D4B  # "AIMK": tells our files from others'
BUSY_SECONDS = 10  # how long to wait for another process's transaction

_SETTINGS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA cache_size = -65536;
PRAGMA journal_size_limit = 67108864;
"""


class Transaction:
    """Named statements inside one transaction. Every one of them may raise `StoreUnavailable`."""

    def __init__(self, connection: sqlite3.Connection, call: Callable[[Callable[[], Any]], Any], *, begin: str) -> None:
        self._connection = connection
        self._call = call
        self._begin = begin

    async def rows(self, name: str, /, **params: Any) -> list[Row]:
        """Every row of one statement."""
        return await self._run(lambda: self._connection.execute(_text(name), params).fetchall())

    async def row(self, name: str, /, **params: Any) -> Row | None:
        """The first row of one statement, None without one."""
        return await self._run(lambda: self._connection.execute(_text(name), params).fetchone())

    async def each(self, name: str, many: Sequence[Params]) -> list[Row | None]:
        """The first row of the statement for each set of parameters, in their order: one trip for all."""
        return await self._run(lambda: [self._connection.execute(_text(name), one).fetchone() for one in many])

    async def _run(self, statement: Callable[[], T]) -> T:
        def begun() -> T:
            if self._begin and not self._connection.in_transaction:
                self._connection.execute(self._begin)
            return statement()

        return await self._call(begun)  # type: ignore[no-any-return]  # `call` is generic, its type is not


class Sqlite:
    """
    One SQLite file.

    Args:
        path: Of the file; made when missing.
        inline: Run statements in the caller's thread, for tests under a manual clock.
    """

    dialect = "sqlite"

    def __init__(self, path: Path, *, inline: bool = False) -> None:
        self.path = path
        self.pending = 0
        self._write_lock = asyncio.Lock()
        self._read_lock = asyncio.Lock()
        self._writing: ThreadPoolExecutor | None = None if inline else ThreadPoolExecutor(1, "aimkeeper-store")
        self._reading: ThreadPoolExecutor | None = None if inline else ThreadPoolExecutor(1, "aimkeeper-reads")
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    def __str__(self) -> str:
        return str(self.path)

    async def open(self, *, migrate: bool = True) -> None:
        """
        Connect, and bring the schema up to date.

        Raises:
            ForeignDatabase: The file is something else.
            StoreUnavailable: It can't be opened or made.
        """
        self._writer = await self._call(self._writing, lambda: _connect(self.path))
        if migrate:
            await self._call(self._writing, lambda: _migrate(self._connection()))
        self._reader = await self._call(self._reading, lambda: _connect(self.path, reading=True))

    async def schema(self) -> tuple[int, int]:
        """The file's schema (0 when it is not there yet) and the newest one known, without changing anything."""

        def look() -> int:
            if not self.path.exists():
                return 0
            connection = sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True, timeout=BUSY_SECONDS)
            try:
                _check_ours(connection, self.path)
                return schema_version(connection)
            finally:
                connection.close()

        return await self._call(self._reading, look), newest_schema()

    async def close(self) -> None:
        for connection, executor in ((self._reader, self._reading), (self._writer, self._writing)):
            if connection is not None:
                await self._call(executor, connection.close)
            if executor is not None:
                executor.shutdown()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A writing transaction: committed at the end, rolled back on any error."""
        async with self._write_lock:
            connection = self._connection()
            yield_to = Transaction(connection, lambda work: self._call(self._writing, work), begin="BEGIN IMMEDIATE")
            try:
                yield yield_to
            except BaseException:
                await self._call(self._writing, connection.rollback)
                raise
            try:
                await self._call(self._writing, connection.commit)
            except StoreUnavailable:
                await self._call(self._writing, connection.rollback)
                raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Statements that only read; they never wait for a writer."""
        assert self._reader is not None
        async with self._read_lock:
            yield Transaction(self._reader, lambda work: self._call(self._reading, work), begin="")

    async def backup(self, target: Path) -> None:
        """Copy the whole database, while it is in use, into a new file."""

        def copy() -> None:
            with sqlite3.connect(target) as connection:
                self._connection().backup(connection)
            connection.close()

        await self._call(self._writing, copy)

    def _connection(self) -> sqlite3.Connection:
        assert self._writer is not None, "the store is not open"
        return self._writer

    async def _call(self, executor: ThreadPoolExecutor | None, work: Callable[[], T]) -> T:
        try:
            if executor is None:
                return work()
            self.pending += 1
            try:
                return await asyncio.get_running_loop().run_in_executor(executor, work)
            finally:
                self.pending -= 1
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"the database {self.path} can't be used now: {error}.") from None
        except sqlite3.DatabaseError as error:
            # Its subclasses are mistakes of ours, or a row that breaks a rule; itself, it speaks of the file.
            if type(error) is not sqlite3.DatabaseError:
                raise
            raise ForeignDatabase(f"{self.path} is not a database of aimkeeper's ({error}).") from None


def _text(name: str) -> str:
    return load("sqlite")[name]


def _connect(path: Path, *, reading: bool = False) -> sqlite3.Connection:
    if not reading:
        _make(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Before anything else: a file of somebody else's is not even switched to WAL.
        _check_ours(connection, path)
        connection.executescript(_SETTINGS)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    made_by, version, known = _pragma(connection, "application_id"), schema_version(connection), newest_schema()
    if made_by not in (0, APPLICATION_ID):
        raise ForeignDatabase(f"{path} is a database of another program's: choose another AIMKEEPER_DATABASE_URL.")
    if made_by == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise ForeignDatabase(
            f"{path} holds tables that aimkeeper did not make: choose another AIMKEEPER_DATABASE_URL."
        )
    if version > known:
        raise ForeignDatabase(
            f"{path} was made by a newer aimkeeper (schema {version}, this one knows {known}): upgrade aimkeeper."
        )


def _make(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"the database {path} can't be opened or made: {error.strerror}.") from None


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def schema_version(connection: sqlite3.Connection) -> int:
    """The number of the last migration applied; 0 for an empty file."""
    return _pragma(connection, "user_version")


def newest_schema() -> int:
    """The number of the last migration this version knows."""
    return migrations("sqlite")[-1][0]


def _migrate(connection: sqlite3.Connection) -> None:
    if schema_version(connection) == newest_schema():
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = schema_version(connection)
        for number, _name, text in migrations("sqlite"):
            if number > version:
                for statement in _statements(text):
                    connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {newest_schema()}")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _statements(script: str) -> list[str]:
    """The single statements of *script*; `executescript` would commit between them."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
