"""`serve`, `worker` and `simulate` in this process: what they print from start to stop."""

import json
import logging
import os
import signal
import socket
import threading
import time
import urllib.request
from contextlib import contextmanager

import pytest
import structlog

pytestmark = pytest.mark.slow
PATIENCE = 60


@pytest.fixture(autouse=True)
def _quiet():
    yield
    logging.getLogger().handlers.clear()
    structlog.reset_defaults()


@contextmanager
def stopped(when, first=lambda: None):
    """Once *when* holds, do *first*, then ask this process to stop, as a supervisor would."""
    problems = []

    def watch():
        end = time.monotonic() + PATIENCE
        while not when() and time.monotonic() < end:
            time.sleep(0.01)
        try:
            if when():
                first()
        except Exception as error:  # noqa: BLE001 (raised again below)
            problems.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        watcher.join()
        signal.signal(signal.SIGTERM, before)
    assert problems == []


def address(terminal):
    return (terminal.data / "aimkeeper.db-served-at").read_text().strip()


def test_it_says_how_to_begin_where_the_page_is_and_that_it_stops(terminal, upstream):
    note = terminal.data / "aimkeeper.db-served-at"

    with stopped(note.exists):
        ran = terminal.run("serve", "--port", "0")

    lines = ran.err.splitlines()
    assert (ran.status, ran.out) == (0, "")
    assert lines[0] == f"Keeping 0 sessions in {terminal.data / 'aimkeeper.db'}"
    assert lines[1] == "To add one: aimkeeper login you@example.com, or aimkeeper adopt FILE.jsonl"
    assert lines[2].startswith("Open the page: http://127.0.0.1:")
    assert lines[-1] == "Stopping: sent rotations finish first."
    assert not note.exists()


def test_more_sessions_than_the_rate_allows_are_warned_of_with_the_numbers(terminal, upstream):
    grants = [upstream.grant(f"member{number}@example.com") for number in range(10)]
    terminal.run("adopt", "-", stdin="\n".join(map(json.dumps, grants)).encode())
    terminal.set(AIMKEEPER_REFRESH_EVERY="20s", AIMKEEPER_MAX_RATE="0.5")
    note = terminal.data / "aimkeeper.db-served-at"

    with stopped(note.exists):
        ran = terminal.run("serve", "--port", "0", "--no-worker")

    assert ran.err.startswith(f"Answering for 10 sessions in {terminal.data / 'aimkeeper.db'}\n")
    assert (
        "Warning: 10 sessions need 0.6 rotations a second, and AIMKEEPER_MAX_RATE allows 0.5: raise it, "
        "or lengthen AIMKEEPER_REFRESH_EVERY.\n"
    ) in ran.err


def test_the_link_bears_the_public_address_where_one_is_set(terminal, upstream):
    terminal.set(APP_URL="https://keeper.example.com/")
    note = terminal.data / "aimkeeper.db-served-at"

    with stopped(note.exists):
        ran = terminal.run("serve", "--port", "0")

    assert "Open the page: https://keeper.example.com/sign-in/" in ran.err


def test_it_answers_while_it_runs(terminal, upstream):
    note = terminal.data / "aimkeeper.db-served-at"
    told = []

    def ask():
        with urllib.request.urlopen(f"{address(terminal)}/healthz", timeout=PATIENCE) as answer:
            told.append(answer.status)

    with stopped(lambda: note.exists() and address(terminal), ask):
        terminal.run("serve", "--port", "0")

    assert told == [200]


@pytest.mark.parametrize("listen", [(), ("--listen", "127.0.0.1:0")], ids=["silent", "answering"])
def test_a_worker_keeps_without_a_page(terminal, upstream, listen):
    name = terminal.log_in()
    terminal.set(AIMKEEPER_REFRESH_EVERY="1s", AIMKEEPER_IDLE_TIMEOUT="30s", AIMKEEPER_LOG_FORMAT="json")
    terminal.run("rotate", name)
    before = upstream.truth(name).rotations

    with stopped(lambda: upstream.truth(name).rotations > before):
        ran = terminal.run("worker", "--name", "night shift", *listen)

    assert ran.status == 0
    assert "Keeping 1 session in " in ran.err
    assert ("Health and metrics: http://127.0.0.1:" in ran.err) is bool(listen)
    assert "sign-in" not in ran.err


def test_a_simulator_says_where_it_is_and_stops_when_told(terminal):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def listens():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with stopped(listens):
        ran = terminal.run("simulate", "--port", str(port))

    assert (ran.status, ran.out) == (0, "")
    assert ran.err == f"AimHarder, simulated, at http://127.0.0.1:{port} (control: /_simulator/)\n"
