"""The embedded store's file: made, opened, told from others', and brought up to date."""

import os
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from aimkeeper.core.errors import ForeignDatabase, StoreUnavailable
from aimkeeper.store.queries import migrations

APPLICATION_ID = 0x41494D4B  # "AIMK": tells our files from others'
BUSY_SECONDS = 10  # how long to wait for another process's transaction
_BUSY_PAUSE = 0.02

_SETTINGS = """
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA secure_delete = ON;
PRAGMA cache_size = -65536;
PRAGMA journal_size_limit = 67108864;
"""


def connect(path: Path, *, writing: bool = False) -> sqlite3.Connection:
    if writing:
        make(path)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Before anything else: a file of somebody else's is not even switched to WAL.
        check_ours(connection, path)
        _switch_to_wal(connection)
        connection.executescript(_SETTINGS)
        connection.execute(f"PRAGMA query_only = {'OFF' if writing else 'ON'}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_look(path: Path, how: str) -> sqlite3.Connection:
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


def check_ours(connection: sqlite3.Connection, path: Path) -> None:
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


def make(path: Path) -> bool:
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


def migrate(connection: sqlite3.Connection, path: Path) -> None:
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
