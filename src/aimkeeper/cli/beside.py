"""
Lends one session's credentials to one command, over HTTP on this machine: what `aimkeeper exec` leaves beside it.

It runs as `python -m aimkeeper.cli.beside PID`, reads `BEARER SESSION_ID` from standard input, tells its port on
standard output, and ends when the process PID has. Why it is a process of its own, and why it imports so little before
somebody asks: docs/decisions/0018.
"""

import asyncio
import hmac
import json
import math
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aimkeeper.core.errors import AimkeeperError, ConfigError, LockedOut, UpstreamUnavailable

# Where a process can't be waited for by its descriptor, it is looked at so often, in milliseconds.
LOOK_MS = 500
STOP = b"stop"
# So that a scanner of files knows one when it sees it.
BEARER_PREFIX = "aimkeeper-exec-"
USUAL_RETRY_SECONDS = 5

Answer = tuple[int, dict[str, Any], dict[str, str]]


def path_of(session_id: str) -> str:
    """Where it answers: the same path as at the service."""
    return f"/api/sessions/{session_id}/credentials"


class Lender(ThreadingHTTPServer):
    """Answers whoever has the bearer, with the credentials of that one session."""

    daemon_threads = True

    def __init__(self, session_id: str, bearer: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._session_id = session_id
        self._wanted = f"Bearer {bearer}".encode()
        # One at a time: those who come at once find what the first one rotated. Held, nothing is under way.
        self.asking = threading.Lock()

    def answer(self, target: str, authorization: str) -> Answer:
        if not hmac.compare_digest(authorization.encode(), self._wanted):
            sentence = "send AIMKEEPER_CREDENTIALS_BEARER as a bearer."
            return *_refusal(401, "unauthorized", sentence), {"www-authenticate": "Bearer"}
        parts = urlsplit(target)
        if parts.path != path_of(self._session_id):
            return *_refusal(404, "not_found", "there is nothing at this address."), {}
        from aimkeeper.cli.fetched import USUAL_SLACK, slack_of

        min_slack = parse_qs(parts.query).get("min_slack", [USUAL_SLACK])[0]
        try:
            slack_of(min_slack)
        except ConfigError as error:
            return *_refusal(400, "bad_request", str(error)), {}
        try:
            with self.asking:
                return 200, asyncio.run(self._fetch(min_slack)), {}
        except AimkeeperError as error:
            return _told(error)

    async def _fetch(self, min_slack: str) -> dict[str, Any]:
        from aimkeeper.cli.fetched import fetch
        from aimkeeper.service import open_service
        from aimkeeper.settings import load

        async with open_service(load().settings, name="exec") as service:
            _, told = await fetch(service, self._session_id, min_slack, reader="exec")
        return {"success": True, **told}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "aimkeeper", ""
    timeout = 10
    server: Lender

    def do_GET(self) -> None:
        status, content, headers = self.server.answer(self.path, self.headers.get("authorization", ""))
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "cache-control": "no-store", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its own name for it)
        """Nobody reads it, and an address may say too much."""


def wait_for_end(pid: int, descriptor: int | None, orders: int) -> None:
    """
    Wait until the process is gone, or we are told to stop.

    Args:
        pid: Of the command.
        descriptor: The process's own, where the system has such; else it is looked at now and then.
        orders: A pipe from whoever started us, who becomes the command: closed by that, and no more is heard of it.
    """
    watched = select.poll()
    watched.register(orders, select.POLLIN)
    if descriptor is not None:
        watched.register(descriptor, select.POLLIN)
    while True:
        ready = {number for number, _ in watched.poll(None if descriptor is not None else LOOK_MS)}
        if descriptor in ready or (descriptor is None and not _is_alive(pid)):
            return
        if orders in ready:
            told = os.read(orders, 64)
            if STOP in told:
                return
            if not told:
                watched.unregister(orders)


def descriptor_of(pid: int) -> int | None:
    """A descriptor that can be read once the process *pid* is gone; None where there are none."""
    if not hasattr(os, "pidfd_open"):
        return None
    with suppress(OSError):
        return os.pidfd_open(pid)
    return None


def main() -> None:
    pid = int(sys.argv[1])
    descriptor = descriptor_of(pid)
    bearer, _, session_id = sys.stdin.readline().strip().partition(" ")
    if not session_id:
        return  # there is nothing to lend
    lender = Lender(session_id, bearer)
    if os.fork():
        # The command shall find no child that it did not make.
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print(lender.server_port, flush=True)  # noqa: T201 (for whoever started us)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    threading.Thread(target=lender.serve_forever, daemon=True).start()
    try:
        wait_for_end(pid, descriptor, sys.stdin.fileno())
    finally:
        lender.asking.acquire()  # a rotation that was sent finishes and commits first


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _told(error: AimkeeperError) -> Answer:
    from aimkeeper.web.errors import status_of

    status, headers = status_of(error), {}
    if isinstance(error, UpstreamUnavailable | LockedOut):
        headers["retry-after"] = str(max(math.ceil(error.retry_after.total_seconds()), 1))
    elif error.retryable:
        headers["retry-after"] = str(USUAL_RETRY_SECONDS)
    return *_refusal(status, error.code, str(error)), headers


def _refusal(status: int, code: str, sentence: str) -> tuple[int, dict[str, Any]]:
    return status, {"success": False, "error": sentence, "code": code}


if __name__ == "__main__":
    main()
