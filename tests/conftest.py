"""A PostgreSQL of our own, and a PgBouncer before it: started once, with a fresh database for each test that asks."""

import asyncio
import contextlib
import itertools
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import asyncpg
import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.core.address import read_postgres
from aimkeeper.store.postgres import Postgres

TOOL = Path(__file__).parent.parent / "tools" / "postgres.sh"
TEMPLATE = "kept_empty"
PASSWORD = "a-password-of-nobody"
SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = 64MB
max_wal_size = 512MB
autovacuum_naptime = 5s
log_min_messages = fatal
"""
# Members of nobody must show a password; all others come from this machine, and this folder.
ACCESS = """
host  all  stranger  127.0.0.1/32  scram-sha-256
local all  all                     trust
host  all  all       127.0.0.1/32  trust
"""
POOLER = """
[databases]
* = host={folder} port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {pooler_port}
unix_socket_dir =
auth_type = any
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 8
max_client_conn = 300
server_fast_close = 1
logfile = {folder}/{mode}.log
pidfile = {folder}/{mode}.pid
"""
WITHOUT_ROOT = "nobody"
DDL = re.compile(r"\s*(CREATE|ALTER|DROP|GRANT|REVOKE)\b", re.IGNORECASE)
# Much quicker than to make another from the template.
EMPTY = """
DELETE FROM auth_sessions; DELETE FROM events; DELETE FROM tallies; DELETE FROM owners; DELETE FROM sign_ins;
DELETE FROM limits; DELETE FROM logins; DELETE FROM meta WHERE key <> 'schema'; DELETE FROM status_counts;
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
        return f"postgresql://postgres@127.0.0.1:{self.server.port}/{self.name}"

    @property
    def pooled_url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.server.pooler('transaction')}/{self.name}"

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


class Server:
    """The cluster. What is done to it from tests runs in a thread of its own, so that a test's loop may wait or not."""

    def __init__(self) -> None:
        found = subprocess.run([TOOL], capture_output=True, text=True, check=False)
        if found.returncode:
            pytest.fail(found.stderr.strip(), pytrace=False)
        self._bin, self._bouncer = found.stdout.split()
        self.folder = Path(tempfile.mkdtemp(prefix="aimkeeper-postgres-"))
        self.port = free_port()
        self._poolers: dict[str, tuple[int, subprocess.Popen]] = {}
        self._names = itertools.count(1)
        self.empty: list[Database] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        # The server refuses to run as root.
        self._user = {"user": "postgres" if known("postgres") else WITHOUT_ROOT} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(self.folder, self._user["user"])
        self._tool("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        (self.folder / "data" / "postgresql.auto.conf").write_text(
            f"{SETTINGS}port = {self.port}\nunix_socket_directories = '{self.folder}'\n"
        )
        (self.folder / "data" / "pg_hba.conf").write_text(ACCESS)
        self.start()
        for command in (
            f"CREATE DATABASE {TEMPLATE}",
            f"CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}'",
            "CREATE ROLE anon NOLOGIN",
        ):
            self.run(self.tell(command))
        self.run(self._migrate())

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def tell(self, command: str) -> None:
        connection = await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres")
        try:
            await connection.execute(command)
        finally:
            await connection.close()

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

    def start(self) -> None:
        self._tool("pg_ctl", "-w", "-s", "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        self._tool("pg_ctl", "-w", "-s", "-m", mode, "stop")

    def pooler(self, mode: str, port: int = 0) -> int:
        """The port of a PgBouncer that works in *mode*, started when first asked for."""
        if mode not in self._poolers:
            port, file = port or free_port(), self.folder / f"{mode}.ini"
            file.write_text(POOLER.format(folder=self.folder, port=self.port, pooler_port=port, mode=mode))
            (self.folder / "users").write_text('"postgres" ""\n')
            process = subprocess.Popen([self._bouncer, "-q", file], stderr=subprocess.DEVNULL, **self._user)
            self._poolers[mode] = port, process
            until(lambda: answers(port))
        return self._poolers[mode][0]

    def shut(self) -> None:
        for _, process in self._poolers.values():
            process.terminate()
            process.wait()
        self.stop("immediate")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.folder)

    def _tool(self, name: str, *arguments: str) -> None:
        command = [f"{self._bin}/{name}", "-D", str(self.folder / "data"), *arguments]
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.DEVNULL, check=False, **self._user)
        assert done.returncode == 0, f"{name} failed; see {self.folder}"

    async def _migrate(self) -> None:
        backend = Postgres(read_postgres(f"postgresql://postgres@127.0.0.1:{self.port}/{TEMPLATE}"), SystemClock())
        await backend.open()
        await backend.close()


def known(user: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(user))
    return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def until(so) -> None:
    for _ in range(1000):
        if so():
            return
        time.sleep(0.01)
    pytest.fail("it never came to be", pytrace=False)


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
