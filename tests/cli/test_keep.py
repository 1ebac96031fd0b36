"""`status` and `open`: who keeps, how it stands, where the page is. `serve` and `worker` are in tests/acceptance."""

import asyncio
import json
import re
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from aimkeeper.cli.terminal import settings, span
from aimkeeper.service import open_service

F = "f" * 50


@contextmanager
def kept(terminal, name="serve"):
    """Somebody keeps the sessions: an owner enrolled as a worker, as a process that serves is."""
    ready, done = threading.Event(), threading.Event()

    async def keep():
        async with open_service(settings(), role="worker", name=name):
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(keep()))
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join(10)


def test_an_empty_house_is_well_and_says_how_to_begin(terminal):
    ran = terminal.run("status")

    lines = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    assert (ran.status, ran.err) == (0, "")
    assert lines["Store"] == str(terminal.data / "aimkeeper.db")
    assert lines["Sessions"] == "none yet: aimkeeper login you@example.com"
    assert lines["Kept"] == 'by    nobody yet: run "aimkeeper serve"'
    assert lines["Ended"] == "0 this week"


def test_sessions_that_nobody_keeps_are_not_well(terminal, upstream):
    terminal.log_in()

    ran = terminal.run("status")
    told = json.loads(terminal.run("status", "--json").out)

    assert ran.status == 1
    assert "Sessions   1 active" in ran.out
    assert (told["well"], told["kept_by"], told["sessions"]) == (False, [], {"active": 1})


def test_sessions_that_somebody_keeps_are_well(terminal, upstream):
    name = terminal.log_in()

    with kept(terminal):
        ran = terminal.run("status")
        shown = terminal.run("show", name).out
        again = terminal.log_in_output()

    assert ran.status == 0
    assert re.search(r"Kept by    serve \(pid \d+, last tick not yet\)", ran.out)
    assert "Kept alive. The next rotation comes in 1" in shown
    assert re.search(r"kept by +serve \(pid \d+\)\n", shown)
    assert re.search(r"Kept by serve \(pid \d+\)\.", again)


@pytest.mark.slow
def test_what_ended_this_week_is_told_with_its_cause(terminal, upstream):
    terminal.log_in("ana@example.com", "correct horse", "--fingerprint", F)
    upstream.sim.kill("ana@example.com", F)
    terminal.run("rotate", "ana@example.com")

    ran = terminal.run("status")

    assert "Ended      1 this week" in ran.out
    assert re.search(r"ana@example\.com \d+ s ago: AimHarder ended it", ran.out)


def test_the_page_opens_where_somebody_serves(terminal):
    terminal.run("status")
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        url = f"http://127.0.0.1:{somebody.getsockname()[1]}"
        (terminal.data / "aimkeeper.db-served-at").write_text(url)

        ran = terminal.run("open")

    assert (ran.status, ran.err) == (0, "")
    assert re.fullmatch(rf"{re.escape(url)}/sign-in/[\w-]{{32}}\n", ran.out)


def test_where_nobody_serves_the_link_comes_with_how_to_serve(terminal):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    terminal.set(AIMKEEPER_PORT=str(port))

    ran = terminal.run("open")

    assert ran.status == 0
    assert ran.out.startswith(f"http://127.0.0.1:{port}/sign-in/")
    assert ran.err == (
        f'Nobody answers at http://127.0.0.1:{port} yet: run "aimkeeper serve". The link is good for ten minutes.\n'
    )


def test_every_link_is_another_one(terminal):
    assert len({terminal.run("open").out for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7200, "2 h ago"),
        (172800, "2 days ago"),
        (-30, "in 30 s"),
    ],
)
def test_times_are_told_in_words(seconds, words):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert span(now - timedelta(seconds=seconds), now) == words
