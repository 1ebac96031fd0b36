"""The command line, run in this process against a simulator on a real socket; with what it printed and its status."""

import asyncio
import io
import json
import os
import sqlite3
import sys
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from aimkeeper.cli import main
from aimkeeper.clock import SystemClock
from aimkeeper.simulator import Faults, Rules, Simulator, running

EMAIL, PASSWORD = "ana@example.com", "correct horse"
PREFIXES = ("AIMKEEPER_", "AIMHARDER_", "TOKEN_")
NAMES = ("DATABASE_URL", "PORT", "APP_URL", "CRON_SECRET", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "DEMO_SECONDS")


@dataclass(frozen=True)
class Ran:
    """One run of the program."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of an error; anything else is a failure of the test."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert self.out == ""
        return lines[0]


class Terminal:
    """Where a member types. Its settings are environment variables."""

    def __init__(self, folder: Path, monkeypatch, capsys) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        for name in list(os.environ):
            if name.startswith(PREFIXES) or name.upper() in NAMES:
                monkeypatch.delenv(name)
        monkeypatch.chdir(folder)
        self.set(AIMKEEPER_DATA_DIR=str(self.data))

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)

    def run(self, *arguments: str, stdin: bytes | None = b"") -> Ran:
        """Type one command; `stdin=None` closes standard input."""
        given = None if stdin is None else io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
        self._monkeypatch.setattr(sys, "stdin", given)
        self._monkeypatch.setattr(sys, "argv", ["aimkeeper", *arguments])
        self._capsys.readouterr()
        status = main._run()
        told = self._capsys.readouterr()
        return Ran(status, told.out, told.err)

    def examined(self, *arguments: str) -> tuple[int, dict[str, list[tuple[str, str]]], dict[str, str | None]]:
        """What `doctor` says: its status, (level, sentence) by what was looked at, what AimHarder shows."""
        ran = self.run("doctor", "--json", *arguments)
        assert ran.err == ""
        told = json.loads(ran.out)
        found: dict[str, list[tuple[str, str]]] = {}
        for each in told["findings"]:
            found.setdefault(each["about"], []).append((each["level"], each["told"]))
        return ran.status, found, told["shown"]

    def tell(self, sql: str) -> list[tuple]:
        """Write into the embedded database behind everybody's back."""
        with closing(sqlite3.connect(self.data / "aimkeeper.db")) as database, database:
            return database.execute(sql).fetchall()

    def log_in_output(self) -> str:
        return self.run("login", EMAIL, "--password-stdin", stdin=f"{PASSWORD}\n".encode()).out

    def log_in(self, email: str = EMAIL, password: str = PASSWORD, *more: str) -> str:
        """Log in for sure; the session's full name."""
        ran = self.run("login", email, "--password-stdin", *more, stdin=f"{password}\n".encode())
        assert ran.status == 0, ran.err
        return ran.out.splitlines()[0].removeprefix("Logged in: ")


class Upstream:
    """A simulator on a socket, in a thread of its own."""

    def __init__(self) -> None:
        self.sim = Simulator(Rules(old_token="strict"), Faults(), clock=SystemClock())
        self.sim.add_account(EMAIL, PASSWORD)
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with running(self.sim) as where:
            self.url = where.url
            self._ready.set()
            await self._stopping.wait()

    def truth(self, name: str):
        email, _, fingerprint = name.partition("#")
        return self.sim.truth(email, fingerprint)

    def grant(self, email: str, fingerprint: str = "f" * 50):
        return self.sim.open_session(email, fingerprint).record()


@pytest.fixture
def terminal(tmp_path, monkeypatch, capsys) -> Terminal:
    return Terminal(tmp_path, monkeypatch, capsys)


@pytest.fixture
def upstream(terminal):
    with Upstream() as site:
        terminal.set(AIMHARDER_URL=site.url, AIMHARDER_LOGIN_URL=site.url)
        yield site
