"""A long-running process: the worker, the HTTP API, and how both stop."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from aimkeeper.core.errors import ConfigError
from aimkeeper.engine.worker import Worker
from aimkeeper.service import Service
from aimkeeper.settings import Settings
from aimkeeper.store.seal import new_key, write_private
from aimkeeper.telemetry import Telemetry
from aimkeeper.web.access import LINK_LIFE, Access, new_link_code
from aimkeeper.web.app import make_app

# How long answers under way may take once we are told to stop: a refresh that waits for another process takes longest.
GRACE_SECONDS = 25


class Server(uvicorn.Server):
    """Uvicorn, without its own handling of signals: the worker must stop along with it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, slots=True)
class Serving:
    """
    A service that answers.

    Attributes:
        url: Its own address.
        stopping: Set it to stop in good order.
    """

    service: Service
    url: str
    stopping: asyncio.Event
    worker: Worker | None


def bind(host: str, port: int) -> socket.socket:
    """
    A listening socket.

    Raises:
        ConfigError: The port is in use, or not ours to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except (OSError, OverflowError) as error:
        listening.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise ConfigError(f"port {port} is in use: choose another with --port or AIMKEEPER_PORT.") from None
        raise ConfigError(f"can't listen on {host}, port {port}: {getattr(error, 'strerror', error)}.") from None
    return listening


def operator_keys(settings: Settings) -> tuple[str, ...]:
    """The operator's keys: those set, else the one in `operator.key`, made at first start."""
    if settings.api_keys:
        return settings.api_keys
    path = operator_key_file(settings)
    write_private(path, new_key() + "\n")
    return (path.read_text("ascii").strip(),)


def operator_key_file(settings: Settings) -> Path:
    return settings.database_path.parent / "operator.key"


async def sign_in_link(service: Service, base: str) -> str:
    """A fresh one-time link to the page."""
    code, hashed = new_link_code()
    await service.store.issue_sign_in(hashed, service.store.now() + LINK_LIFE)
    return f"{base}/sign-in/{code}"


@contextlib.asynccontextmanager
async def serving(
    service: Service,
    listening: socket.socket | None,
    *,
    with_worker: bool,
    name: str = "worker",
    health_only: bool = False,
) -> AsyncIterator[Serving]:
    """
    Run the worker and answer on *listening* until the block is left; then stop both in good order.

    Args:
        service: Open; it stays open until we are done.
        listening: A socket that listens; None = no HTTP.
        with_worker: Whether sessions are rotated here.
        name: For people, on the register of owners.
        health_only: Health, readiness and metrics only.
    """
    telemetry = Telemetry(service)
    worker = service.worker(name) if with_worker else None
    if worker:
        telemetry.watch(worker)
    tasks: list[asyncio.Task[None]] = []
    server: Server | None = None
    url = ""
    if listening is not None:
        access = Access(operator_keys(service.settings), service.settings.cron_secret)
        app = make_app(service, access, telemetry, worker, health_only=health_only)
        host, port = listening.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )  # fmt: skip
        server = Server(config)
        tasks.append(asyncio.create_task(server.serve(sockets=[listening]), name="http"))
    if worker:
        tasks.append(asyncio.create_task(worker.run(), name="worker"))
    try:
        yield Serving(service, url, asyncio.Event(), worker)
    finally:
        if server:
            server.should_exit = True
        if worker:
            worker.stop()
        await asyncio.gather(*tasks)


async def until_told(stopping: asyncio.Event) -> None:
    """Wait for SIGTERM, SIGINT or *stopping*."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await stopping.wait()
