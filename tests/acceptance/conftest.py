"""Real processes, a real socket, the simulator's truth: the program as somebody outside sees it."""

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.simulator import Rules, Running, Simulator, running

PATIENCE = 60
EMAIL, PASSWORD = "ana@example.com", "correct horse"
NOT_OURS = re.compile(
    r"AIMKEEPER_|AIMHARDER_|TOKEN_|DATABASE_URL|PORT$|APP_URL|CRON_SECRET|DEMO_|.*_PROXY$", re.IGNORECASE
)


async def until(truth: Callable[[], object], what: str) -> None:
    """Look again and again until *truth* holds."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not truth():
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"after {PATIENCE} s still not: {what}")


@dataclass
class Ran:
    status: int
    out: str
    err: str

    def json(self):
        return json.loads(self.out)


@dataclass
class Program:
    """One process of aimkeeper's, and what it has printed so far."""

    process: asyncio.subprocess.Process
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    readers: list[asyncio.Task] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def says(self, pattern: str) -> re.Match:
        """Wait for a line of standard error or output that matches."""
        found: list[re.Match] = []

        def look():
            assert self.process.returncode is None or not self.readers or not all(r.done() for r in self.readers), (
                f"it ended ({self.process.returncode}): {self.text()}"
            )
            found.extend(match for line in [*self.err, *self.out] if (match := re.search(pattern, line)))
            return found

        await until(look, f"{pattern!r} in {self.text()!r}")
        return found[0]

    async def ends(self) -> int:
        async with asyncio.timeout(PATIENCE):
            status = await self.process.wait()
            await asyncio.gather(*self.readers)
        return status

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await self.ends()

    def text(self) -> str:
        return "\n".join([*self.err, *self.out])


class Machine:
    """A machine with one data folder, on which any number of processes run."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.environ = {name: value for name, value in os.environ.items() if not NOT_OURS.match(name)}
        self.environ |= {"AIMKEEPER_DATA_DIR": str(self.data), "AIMKEEPER_MAX_RATE": "1000", "PYTHONWARNINGS": "error"}
        self._folder = folder
        self._programs: list[Program] = []

    def set(self, **variables: str) -> None:
        self.environ |= variables

    async def start(self, *arguments: str, stdin: bytes = b"", **variables: str) -> Program:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "aimkeeper", *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=self._folder, env=self.environ | variables,
        )  # fmt: skip
        program = Program(process)
        self._programs.append(program)
        program.readers = [
            asyncio.create_task(self._read(process.stdout, program.out)),
            asyncio.create_task(self._read(process.stderr, program.err)),
        ]
        process.stdin.write(stdin)
        process.stdin.close()
        return program

    async def run(self, *arguments: str, stdin: bytes = b"", **variables: str) -> Ran:
        program = await self.start(*arguments, stdin=stdin, **variables)
        status = await program.ends()
        return Ran(status, "\n".join(program.out), "\n".join(program.err))

    async def serve(self, *more: str, **variables: str) -> tuple[Program, str]:
        """A process that serves on a free port, and its address."""
        program = await self.start("serve", "--port", "0", *more, **variables)
        return program, (await program.says(r"Open the page: (http://127\.0\.0\.1:\d+)/"))[1]

    async def log_in(self, email: str = EMAIL, *more: str) -> str:
        ran = await self.run("login", email, "--password-stdin", *more, stdin=PASSWORD.encode() + b"\n")
        assert ran.status == 0, ran.err
        return ran.out.splitlines()[0].removeprefix("Logged in: ")

    async def held(self, name: str) -> dict:
        """The credentials as they are stored, whatever their slack."""
        ran = await self.run("credentials", name, "--format", "json", "--min-slack", "0")
        assert ran.status == 0, ran.err
        return ran.json()

    def claims(self) -> list:
        """Sessions that a process holds, and processes on the register: nobody's when all went in good order."""
        with closing(sqlite3.connect(self.data / "aimkeeper.db")) as database:
            held = database.execute("SELECT id FROM auth_sessions WHERE owner IS NOT NULL").fetchall()
            return held + database.execute("SELECT id FROM owners").fetchall()

    async def close(self) -> None:
        for program in self._programs:
            if program.process.returncode is None:
                program.process.kill()
            await program.ends()
            program.process._transport.close()

    @staticmethod
    async def _read(stream: asyncio.StreamReader, lines: list[str]) -> None:
        while line := await stream.readline():
            lines.append(line.decode().rstrip("\n"))


class Site:
    """The upstream, seen through its truth."""

    def __init__(self, sim: Simulator, where: Running) -> None:
        self.sim, self.url = sim, where.url

    def truth(self, name: str):
        email, _, fingerprint = name.partition("#")
        return self.sim.truth(email, fingerprint)

    def truths(self):
        return self.sim.truths()

    def grants(self, count: int, prefix: str = "member") -> bytes:
        """Sessions opened behind our back, as lines to adopt."""
        records = [self.sim.open_session(f"{prefix}{n:03}@example.com", "f" * 50).record() for n in range(count)]
        return "\n".join(map(json.dumps, records)).encode()


@pytest.fixture
async def stack():
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def site(stack) -> Site:
    sim = Simulator(Rules(idle_life=60, old_token="strict"), clock=SystemClock())
    sim.add_account(EMAIL, PASSWORD)
    return Site(sim, await stack.enter_async_context(running(sim)))


@pytest.fixture
async def machine(tmp_path, site):
    """A machine whose aimkeeper believes in short lives: rotated every second, dead after a minute."""
    here = Machine(tmp_path)
    here.set(AIMHARDER_URL=site.url, AIMHARDER_LOGIN_URL=site.url)
    here.set(AIMKEEPER_REFRESH_EVERY="1s", AIMKEEPER_IDLE_TIMEOUT="60s")
    yield here
    await here.close()


@pytest.fixture
async def http():
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        yield client
