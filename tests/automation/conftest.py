"""What automation meets: a served aimkeeper over a simulated AimHarder, and a Discord that keeps what it was told."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from random import Random

import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.simulator import Faults, Rules, Simulator, running

from .runner import Run, Runner

PATIENCE = 30
DEVICE = "f" * 50
OPERATOR = "the operator's own key 4711"
# Everything that a shell, a header, a URL, curl's own settings or JSON might trip over; CRON_SECRET is plain ASCII.
ODD = r"""cr0n "$(touch pwned)" `id` '\n' \\ %0A {a,b} [1] ::error::x #é"""
CRON = ODD.replace("é", "&;|<>~!*?")
NOT_OURS = re.compile(r"AIMKEEPER_|AIMHARDER_|TOKEN_|DATABASE_URL|PORT$|APP_URL|CRON_SECRET|.*_PROXY$", re.IGNORECASE)


class Site(threading.Thread):
    """A simulated AimHarder on a socket, in a thread of its own."""

    def __init__(self) -> None:
        super().__init__(name="simulated site")
        self.sim = Simulator(Rules(old_token="strict"), Faults(), clock=SystemClock(), rng=Random(1))
        self.url = ""
        self.numbers = count(1)
        self._ready = threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        async with running(self.sim) as where:
            self.url = where.url
            self._ready.set()
            await self._stopping.wait()

    def __enter__(self):
        self.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self.join(PATIENCE)


class Keeper:
    """`aimkeeper serve --no-worker` in a process of its own: what is rotated, automation rotated."""

    def __init__(self, folder: Path, site: Site, **settings: str) -> None:
        self.site = site
        self.folder = folder
        environ = {name: value for name, value in os.environ.items() if not NOT_OURS.match(name)}
        self._environ = environ | {
            "AIMKEEPER_DATA_DIR": str(folder / "data"),
            "AIMHARDER_URL": site.url,
            "AIMHARDER_LOGIN_URL": site.url,
            "AIMKEEPER_MAX_RATE": "1000",
            "AIMKEEPER_API_KEY": OPERATOR,
            "CRON_SECRET": CRON,
            **settings,
        }
        self._process: subprocess.Popen | None = None
        self.url = ""
        self.emails: list[str] = []

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def start(self) -> None:
        log = self.folder / "served.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "aimkeeper", "serve", "--no-worker", "--port", "0"],
                cwd=self.folder, env=self._environ, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"Open the page: (http://[^/]+)/", log.read_text("utf-8"))):
            assert self._process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < end, log.read_text("utf-8")
            time.sleep(0.02)
        self.url = found[1]

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            assert self._process.wait(PATIENCE) == 0
        self._process = None

    def run(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "aimkeeper", *arguments],
            cwd=self.folder, env=self._environ, input=stdin, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def adopt(self, number: int) -> list[str]:
        """Take over *number* more sessions, all of them due; their e-mails."""
        # The site is shared: nobody was a member of it before.
        emails = [f"member{next(self.site.numbers)}@example.com" for _ in range(number)]
        lines = [json.dumps(self.site.sim.open_session(email, DEVICE).record()) for email in emails]
        self.run("adopt", "-", stdin="\n".join(lines))
        self.emails += emails
        return emails

    def rotations(self) -> list[int]:
        """How often each session really was rotated."""
        return [self.site.sim.truth(email, DEVICE).rotations for email in self.emails]


@dataclass(frozen=True)
class Told:
    """One request to a receiver."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A real server that keeps what it was told and answers as it is asked to."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.status, self.answer, self.headers = 204, b"", {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                receiver.told.append(Told(self.command, self.path, dict(self.headers), body))
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)

            do_GET = do_POST = handle_any  # noqa: N815 (the library's names)

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()


class Repository:
    """A repository of somebody's with the workflow in it; whatever a run shows holds none of its secrets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.secrets: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.github: dict[str, str] = {}
        self._runs = 0

    def run(self) -> Run:
        self._runs += 1
        ran = Runner(self._folder / f"run-{self._runs}", **self.github).run(self.secrets, self.variables)
        for name, secret in self.secrets.items():
            for line in secret.split("\n"):
                shown = [where for where, text in (("log", ran.log), ("summary", ran.summary)) if line in text]
                assert not line.strip() or not shown, f"{name} is shown in {shown}: {ran.log}"
        assert not [path for path in ran.files if "pwned" in path]
        return ran


@pytest.fixture(scope="module")
def site():
    with Site() as served:
        yield served


@pytest.fixture
def keeper(tmp_path, site):
    with Keeper(tmp_path / "keeper", site) as served:
        yield served
    site.sim.faults = Faults()


@pytest.fixture
def discord():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def repository(tmp_path, discord) -> Repository:
    there = Repository(tmp_path / "runner")
    there.secrets = {"CRON_SECRET": CRON, "DISCORD_WEBHOOK_URL": f"{discord.url}/api/webhooks/1/w3bh00k-s3cret"}
    return there
