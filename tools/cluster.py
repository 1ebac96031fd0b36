"""A private PostgreSQL, and PgBouncers before it, for tests, trials and benches: a temporary folder, a free port."""

import asyncio
import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import asyncpg

TOOL = Path(__file__).parent / "postgres.sh"
SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = 64MB
max_wal_size = 512MB
autovacuum_naptime = 5s
log_min_messages = fatal
deadlock_timeout = 2s
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
; By default it refuses everybody for 15 s once the server could not be reached: half a life of a trial's sessions.
server_login_retry = 1
logfile = {folder}/{mode}.log
pidfile = {folder}/{mode}.pid
"""
WITHOUT_ROOT = "nobody"


class Cluster:
    """
    The server and its poolers; `start` it first, `shut` it last.

    Args:
        settings: Further lines of its configuration, of the form `name = value`.
        access: Lines of `pg_hba.conf`; by default everybody of this machine is let in.

    Raises:
        OSError: PostgreSQL is missing here, or would not do what it was told.
    """

    def __init__(
        self, settings: str = "", access: str = "local all all trust\nhost all all 127.0.0.1/32 trust\n"
    ) -> None:
        found = subprocess.run([TOOL], capture_output=True, text=True, check=False)
        if found.returncode:
            raise OSError(found.stderr.strip())
        self._bin, self._bouncer = found.stdout.split()
        self.folder = Path(tempfile.mkdtemp(prefix="aimkeeper-postgres-"))
        self.port = free_port()
        self._poolers: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}
        # The server refuses to run as root.
        self._user = {"user": "postgres" if _known("postgres") else WITHOUT_ROOT} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(self.folder, self._user["user"])
        self._tool("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        (self.folder / "data" / "postgresql.auto.conf").write_text(
            f"{SETTINGS}{settings}\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n"
        )
        (self.folder / "data" / "pg_hba.conf").write_text(access)

    def url(self, database: str = "postgres", *, port: int = 0) -> str:
        """Where *database* is; with *port*, behind that pooler."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def program(self, name: str) -> str:
        """Where one of PostgreSQL's own programs is, `pg_dump` for instance."""
        return f"{self._bin}/{name}"

    async def tell(self, command: str) -> None:
        """Run one statement in the database `postgres`."""
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(command)
        finally:
            await connection.close()

    def start(self) -> None:
        self._tool("pg_ctl", "-w", "-s", "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        self._tool("pg_ctl", "-w", "-s", "-m", mode, "stop")

    def pooler(self, mode: str = "transaction", port: int = 0) -> int:
        """The port of a PgBouncer that works in *mode*, started when first asked for."""
        if mode not in self._poolers:
            port, file = port or free_port(), self.folder / f"{mode}.ini"
            file.write_text(POOLER.format(folder=self.folder, port=self.port, pooler_port=port, mode=mode))
            (self.folder / "users").write_text('"postgres" ""\n')
            process = subprocess.Popen([self._bouncer, "-q", file], stderr=subprocess.DEVNULL, **self._user)
            self._poolers[mode] = port, process
            _wait_for(port)
        return self._poolers[mode][0]

    def shut(self) -> None:
        """Stop everything, and leave nothing behind."""
        for _, process in self._poolers.values():
            process.terminate()
            process.wait()
        with contextlib.suppress(OSError):
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def _tool(self, name: str, *arguments: str) -> None:
        command = [self.program(name), "-D", str(self.folder / "data"), *arguments]
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.DEVNULL, check=False, **self._user)
        if done.returncode:
            raise OSError(f"{name} failed; see {self.folder}")


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _known(user: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(user))
    return False


def _wait_for(port: int) -> None:
    for _ in range(1000):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise OSError("PgBouncer does not answer")


async def fresh(cluster: Cluster, name: str) -> str:
    """Make an empty database; where it is."""
    await cluster.tell(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    return cluster.url(name)


if __name__ == "__main__":
    # One to play with, until ctrl-C.
    cluster = Cluster()
    cluster.start()
    print(asyncio.run(fresh(cluster, "aimkeeper")), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
    cluster.shut()
