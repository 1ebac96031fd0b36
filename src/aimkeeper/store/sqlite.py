"""The embedded store's engine: one writing connection in one thread, one reading connection in another."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from aimkeeper.core.errors import ConfigError, ForeignDatabase, StoreUnavailable
from aimkeeper.store.backend import Moved
from aimkeeper.store.home import HOME, NOWHERE, FileHome, Home
from aimkeeper.store.queries import load, migrations, numbered
from aimkeeper.store.rows import Params, Row
from aimkeeper.store.waiting import done

T = TypeVar("T")

APPLICATION_ID = 0x41494D4B  # "AIMK": tells our files from others'
BUSY_SECONDS = 10  # how long to wait for another process's transaction
_BUSY_PAUSE = 0.02

# In which order sessions are taken, while there is room.
_CLAIMS = {
    "claim_steady": ("claim_in_doubt", "claim_due"),
    "claim_backlog": ("claim_in_doubt", "claim_living", "claim_hopeless"),
    "claim_one": ("claim_one",),
}

_SETTINGS = """
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA secure_delete = ON;
PRAGMA cache_size = -65536;
PRAGMA journal_size_limit = 67108864;
"""


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

    async def all_of(self, name: str, many: Sequence[Params]) -> None:
        statement = numbered("sqlite")[name]
        values = [statement.values(one) for one in many]
        if await self._run(lambda: self._connection.executemany(statement.text, values).rowcount) != len(many):
            raise Moved

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
            self._writer = await self._call(self._writing, lambda: _connect(self.path, writing=True))
            await self._call(self._writing, lambda: _migrate(self._connection(), self.path))
            self._reader = await self._call(self._reading, lambda: _connect(self.path))
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
            with closing(_connect_to_look(self.path, "mode=ro&immutable=1" if at_rest else "mode=ro")) as connection:
                _check_ours(connection, self.path)
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

    async def record(self, name: str, many: Sequence[Params]) -> None:
        def write() -> None:
            # All of it in one go, for to change threads costs as much as some ten rows.
            connection.rollback()
            with _whole(connection, "BEGIN IMMEDIATE"):
                for one in many:
                    connection.execute(_text(name), one)

        async with self._write_lock:
            connection = self._connection()
            await self._call(self._writing, write)

    async def claim(self, name: str, /, **params: Any) -> list[Row]:
        taken: list[Row] = []
        async with self.transaction() as tx:
            for statement in _CLAIMS[name]:
                room = params.get("limit", 1) - len(taken)
                # The hopeless wait until no living one is due.
                if room > 0 and not (statement == "claim_hopeless" and taken):
                    taken += await tx.rows(statement, **{**params, "limit": room})
        return taken

    async def backup(self, target: Path) -> None:
        """
        Copy the whole database, while it is in use, into a new file that only its owner may read.

        Raises:
            ConfigError: *target* is there already.
            StoreUnavailable: It can't be made or written.
        """

        def copy() -> None:
            if not _make(target):
                raise ConfigError(f"{target} is there already: choose another name for the copy.")
            try:
                # A connection of its own reads one moment's state, so that no commit waits for the copy.
                with (
                    closing(_connect_to_look(self.path, "mode=ro")) as source,
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


def _connect(path: Path, *, writing: bool = False) -> sqlite3.Connection:
    if writing:
        _make(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Before anything else: a file of somebody else's is not even switched to WAL.
        _check_ours(connection, path)
        _switch_to_wal(connection)
        connection.executescript(_SETTINGS)
        connection.execute(f"PRAGMA query_only = {'OFF' if writing else 'ON'}")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_look(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, timeout=BUSY_SECONDS)


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # SQLite waits for others everywhere but here: processes that open a new file at once would turn one another away.
    for _ in range(int(BUSY_SECONDS / _BUSY_PAUSE)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_BUSY_PAUSE)
        else:
            return
    raise sqlite3.OperationalError("database is locked")


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    # One moment's state: another process may be making the tables right now.
    connection.execute("BEGIN")
    try:
        _judge(connection, path)
    finally:
        connection.rollback()


def _judge(connection: sqlite3.Connection, path: Path) -> None:
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


def _make(path: Path) -> bool:
    """Make an empty file (0600) where there is none; False where there is one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            # One that exists is not touched: to close it here would drop the locks of our own open connections to it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return False
    except OSError as error:
        raise StoreUnavailable(f"the database {path} can't be opened or made: {error.strerror}.") from None
    return True


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def schema_version(connection: sqlite3.Connection) -> int:
    """The number of the last migration applied; 0 for an empty file."""
    return _pragma(connection, "user_version")


def newest_schema() -> int:
    """The number of the last migration this version knows."""
    return migrations("sqlite")[-1][0]


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if schema_version(connection) == newest_schema():
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _judge(connection, path)  # again: another process may have been at it while we waited
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
    return [*statements, current] if current.strip() else statements
