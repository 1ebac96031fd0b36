"""A PostgreSQL of our own, and a PgBouncer before it: started once, with a fresh database for each test that asks."""

import asyncio
import contextlib
import itertools
import re
import signal
import subprocess
import threading
from pathlib import Path

import asyncpg
import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.core.address import read_postgres
from aimkeeper.store.lines import Line
from aimkeeper.store.postgres import Postgres
from tools.cluster import Cluster

# A shell that starts the tests in the background lets all their children ignore ctrl-C: here it is what is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TEMPLATE = "kept_empty"
PASSWORD = "a-password-of-nobody"
# Members of nobody must show a password; all others come from this machine, and this folder.
ACCESS = """
host  all  stranger  127.0.0.1/32  scram-sha-256
local all  all                     trust
host  all  all       127.0.0.1/32  trust
"""
DDL = re.compile(r"\s*(CREATE|ALTER|DROP|GRANT|REVOKE)\b", re.IGNORECASE)
# Much quicker than to make another from the template.
EMPTY = """
DELETE FROM auth_sessions; DELETE FROM events; DELETE FROM tallies; DELETE FROM owners; DELETE FROM sign_ins;
DELETE FROM limits; DELETE FROM logins; DELETE FROM meta WHERE key <> 'schema'; DELETE FROM status_counts;
DELETE FROM outbox; DELETE FROM alarms; DELETE FROM claims;
DELETE FROM fleet; INSERT INTO fleet (one) VALUES (1);
"""


class Database:
    """One fresh database, and how to look into it behind everybody's back."""

    def __init__(self, server: "Server", name: str) -> None:
        self.server = server
        self.name = name
        self.is_ours = True
        self._connection = None

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    @property
    def pooled_url(self) -> str:
        return self.server.url(self.name, port=self.server.pooler())

    def ask(self, sql: str, *values: object) -> list[tuple]:
        """What the tables hold; `?` and `x'00'` as SQLite writes them."""
        numbers = itertools.count(1)
        self.is_ours &= not DDL.match(sql)
        text = re.sub(r"\?", lambda _: f"${next(numbers)}", re.sub(r"x'([0-9a-f]*)'", r"'\\x\1'::bytea", sql))
        return [tuple(row) for row in self.server.run(self._ask(text, values))]

    def script(self, text: str) -> None:
        """Many statements."""
        self.is_ours &= not DDL.match(text)
        self.server.run(self._script(text))

    def on_disk(self) -> bytes:
        """Everything its tables have on the disk."""
        self.script("CHECKPOINT")
        [(oid,)] = self.ask("SELECT oid::bigint FROM pg_database WHERE datname = current_database()")
        files = (self.server.folder / "data" / "base" / str(oid)).iterdir()
        return b"".join(file.read_bytes() for file in files if file.name.partition(".")[0].isdigit())

    @contextlib.asynccontextmanager
    async def blocking(self, sql: str):
        """A transaction of somebody else's that has run *sql*; what is yielded lets it go."""
        connection = await asyncpg.connect(
            self.url, statement_cache_size=0, server_settings={"search_path": "public, aimkeeper"}
        )
        try:
            held = Held(connection)
            # In a circle it is the other who is broken off.
            await connection.execute("SET deadlock_timeout = '1min'")
            await connection.execute("BEGIN")
            await connection.execute(sql)
            yield held
        finally:
            await connection.close()

    async def waiting(self, count: int) -> None:
        """Until so many statements wait for somebody's lock."""
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        waiting += " AND wait_event_type = 'Lock'"
        for _ in range(2000):
            if self.ask(waiting) >= [(count,)]:
                return
            await asyncio.sleep(0.005)
        pytest.fail(f"there were never {count} that waited", pytrace=False)

    def dumped(self, file: Path) -> Path:
        """A dump of it, made as docs/how-to/back-up.md says."""
        subprocess.run(
            [self.server.program("pg_dump"), "--format=custom", f"--file={file}", self.url], check=True, timeout=60
        )
        return file

    def restored(self, file: Path, *options: str) -> None:
        """Put a dump back, as docs/how-to/back-up.md says."""
        self.is_ours = False
        command = [self.server.program("pg_restore"), "--no-owner", *options, f"--dbname={self.url}", file]
        subprocess.run(command, check=True, timeout=60)

    def give_back(self) -> None:
        """Empty it for the next test; where more was changed than rows, it is thrown away."""
        if self.is_ours:
            self.script(EMPTY)
            self.server.empty.append(self)
            return
        if self._connection is not None:
            self.server.run(self._connection.close())
        self.server.run(self.server.tell(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)"))

    async def _ask(self, text, values):
        return await (await self._connected()).fetch(text, *values)

    async def _script(self, text):
        await (await self._connected()).execute(text)

    async def _connected(self):
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self.url, statement_cache_size=0, server_settings={"search_path": "public, aimkeeper"}
            )
        return self._connection


class Held:
    """A transaction that stands in others' way until it is let go."""

    def __init__(self, connection) -> None:
        self._connection = connection

    async def also(self, sql: str) -> None:
        await self._connection.execute(sql)

    async def __call__(self) -> None:
        await self._connection.execute("COMMIT")


class Server(Cluster):
    """The cluster. What is done to it from tests runs in a thread of its own, so that a test's loop may wait or not."""

    def __init__(self) -> None:
        try:
            super().__init__(access=ACCESS)
        except OSError as error:
            pytest.fail(str(error), pytrace=False)
        self._names = itertools.count(1)
        self.empty: list[Database] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.start()
        for command in (
            f"CREATE DATABASE {TEMPLATE}",
            f"CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'",
            "CREATE ROLE anon NOLOGIN",
            "CREATE ROLE app LOGIN BYPASSRLS",
        ):
            self.run(self.tell(command))
        self.run(self._migrate())

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def fresh(self, template: str = TEMPLATE, *, never_used: bool = False) -> Database:
        """
        A database that holds our empty tables; or nothing, from `template0`.

        Args:
            template: What it is copied from.
            never_used: On its disk too there is nothing yet. Rows that others deleted stay there a while.
        """
        if template == TEMPLATE and self.empty and not never_used:
            return self.empty.pop()
        database = Database(self, f"test_{next(self._names)}")
        self.run(self.tell(f"CREATE DATABASE {database.name} TEMPLATE {template} ENCODING 'UTF8'"))
        return database

    def shut(self) -> None:
        super().shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _migrate(self) -> None:
        backend = Postgres(read_postgres(self.url(TEMPLATE)), SystemClock())
        await backend.open()
        await backend.close()


def pytest_collection_modifyitems(items):
    """Files that wait for processes first: begun last, they would keep one worker busy long after the others."""
    waiting = {item.path for item in items if item.get_closest_marker("slow") or "browser" in item.path.parts}
    items.sort(key=lambda item: item.path not in waiting)


@pytest.fixture(scope="session")
def postgres():
    """The server; started when the first test asks for it."""
    server = Server()
    yield server
    server.shut()


@pytest.fixture
def database(postgres):
    """A fresh database of ours, empty."""
    fresh = postgres.fresh()
    yield fresh
    fresh.give_back()


@pytest.fixture
def trips(monkeypatch):
    """What goes over the wire, by name, in its order."""
    told = []
    true_fetch, true_run = Line.fetch, Line.run

    async def fetch(self, name, *arguments):
        told.append(name)
        return await true_fetch(self, name, *arguments)

    async def run(self, commands, *arguments):
        told.append(commands.split()[0])
        return await true_run(self, commands, *arguments)

    monkeypatch.setattr(Line, "fetch", fetch)
    monkeypatch.setattr(Line, "run", run)
    return told
