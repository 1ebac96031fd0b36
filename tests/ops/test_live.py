"""A real Prometheus, with our settings, asks a served aimkeeper: targets, rules, and every question of the board."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack, closing

import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.simulator import Faults, Rules, Simulator, running

from .conftest import DEVICE, OPS, ROOT, tool
from .test_board import EXPRESSIONS, plain
from .test_rules import NAMES

pytestmark = pytest.mark.slow
PATIENCE = 60
# What has something to tell only after trouble, or over a longer time than a test takes.
MAY_BE_EMPTY = {"Events", "Messages"}


def free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str) -> dict:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> list:
        return self.ask("query", query=expression)["result"]


def until(truth, what: str):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if found := truth():
                return found
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    return pytest.fail(f"after {PATIENCE} s still not: {what}")


@pytest.fixture
async def site():
    sim = Simulator(Rules(old_token="strict"), Faults(), clock=SystemClock())
    async with running(sim) as where:
        yield sim, where.url


def start(stack: ExitStack, arguments: list, log, **more) -> subprocess.Popen:
    with log.open("wb") as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **more)

    def end() -> None:
        process.terminate()
        process.wait(PATIENCE)

    stack.callback(end)
    return process


@pytest.fixture
async def measured(tmp_path, site):
    """An aimkeeper that rotates two sessions every two seconds, and a Prometheus that asks it every second."""
    sim, upstream = site
    tool("--version")  # installs it where that is possible, else skips
    ours = re.compile(r"AIMKEEPER_|AIMHARDER_|TOKEN_|PORT$|DATABASE_URL|.*_PROXY$", re.IGNORECASE)
    environ = {name: value for name, value in os.environ.items() if not ours.match(name)} | {
        "AIMKEEPER_DATA_DIR": str(tmp_path / "data"),
        "AIMHARDER_URL": upstream,
        "AIMHARDER_LOGIN_URL": upstream,
        "AIMKEEPER_REFRESH_EVERY": "2s",
        "AIMKEEPER_IDLE_TIMEOUT": "60s",
    }
    lines = [json.dumps(sim.open_session(f"member{n}@example.com", DEVICE).record()) for n in range(2)]
    program = [sys.executable, "-m", "aimkeeper"]
    adopting = await asyncio.create_subprocess_exec(*program, "adopt", "-", env=environ, stdin=subprocess.PIPE)
    await adopting.communicate("\n".join(lines).encode())
    with ExitStack() as stack:
        port, own = free_port(), free_port()
        serving = [*program, "serve", "--port", str(port)]
        aimkeeper = start(stack, serving, tmp_path / "aimkeeper.log", env=environ)
        folder = tmp_path / "prometheus"
        folder.mkdir()
        settings = (OPS / "prometheus" / "prometheus.yml").read_text("utf-8")
        assert "127.0.0.1:8000" in settings
        settings = settings.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("15s", "1s")
        (folder / "prometheus.yml").write_text(settings, "utf-8")
        (folder / "rules.yml").write_text((OPS / "prometheus" / "rules.yml").read_text("utf-8"), "utf-8")
        start(
            stack,
            [
                ROOT / "tools" / "prometheus.sh",
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{own}",
            ],
            tmp_path / "prometheus.log",
        )
        yield Prometheus(f"http://127.0.0.1:{own}"), aimkeeper


async def test_prometheus_takes_our_settings_and_answers_every_question_of_the_board(measured):
    prometheus, _ = measured

    def look() -> None:
        until(lambda: prometheus.value('up{job="aimkeeper"} == 1'), "aimkeeper is asked for its numbers")
        # Two samples make a rate.
        rotating = 'rate(aimkeeper_exchanges_total{via="token_update",what="rotated"}[1m]) > 0'
        until(lambda: prometheus.value(rotating), "rotations are counted")
        until(lambda: prometheus.value("aimkeeper_measured_rate"), "the rates are told")
        empty = [title for title, expression in EXPRESSIONS if not prometheus.value(plain(expression))]
        assert set(empty) <= MAY_BE_EMPTY
        [sessions] = prometheus.value('aimkeeper_sessions{status="active"}')
        assert sessions["value"][1] == "2"
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert sorted(rule["name"] for rule in rules) == sorted(NAMES)
        until(
            lambda: (
                {rule["health"] for group in prometheus.ask("rules")["groups"] for rule in group["rules"]} == {"ok"}
            ),
            "every rule is judged without an error",
        )
        firing = [alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]]
        assert firing == []

    await asyncio.to_thread(look)


async def test_when_the_process_is_killed_its_last_tick_grows_old_and_nobody_answers(measured):
    prometheus, aimkeeper = measured

    def look() -> None:
        until(lambda: prometheus.value("aimkeeper_last_tick_timestamp_seconds"), "the tick is told")
        aimkeeper.kill()
        until(lambda: prometheus.value('up{job="aimkeeper"} == 0'), "nobody answers")
        until(lambda: not prometheus.value("aimkeeper_last_tick_timestamp_seconds"), "its numbers are stale")
        age = "time() - max by (job) (max_over_time(aimkeeper_last_tick_timestamp_seconds[1d]))"
        [old] = until(lambda: prometheus.value(f"{age} > 2"), "the tick that was last grows old")
        assert old["metric"] == {"job": "aimkeeper"}

    await asyncio.to_thread(look)
