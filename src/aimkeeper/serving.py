"""A long-running process: the worker, the HTTP API, and how both stop."""

import asyncio
import contextlib
import errno
import gc
import math
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import uvicorn

from aimkeeper.core.errors import ConfigError, StoreUnavailable
from aimkeeper.engine.worker import TICK_SECONDS, Worker
from aimkeeper.notify.by_apprise import check
from aimkeeper.notify.courier import Courier
from aimkeeper.notify.heartbeat import Heartbeat, beat_every
from aimkeeper.notify.post import Post
from aimkeeper.service import Service, channels_of
from aimkeeper.settings import SHORTEST_API_KEY, Settings
from aimkeeper.store.seal import new_key, write_private
from aimkeeper.telemetry import Telemetry
from aimkeeper.web.access import LINK_LIFE, Access, new_link_code
from aimkeeper.web.app import make_app
from aimkeeper.web.terms import Terms
from aimkeeper.web.wire import RESTING_SECONDS, Wire

# Once we are told to stop, answers under way may take as long as an exchange that is sent, and this for its commit.
COMMIT_SECONDS = 2
# Python's own number is 700.
OBJECTS_BETWEEN_LOOKS = 70_000


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
        url: Its own address; empty without HTTP.
    """

    service: Service
    url: str
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
    except (OSError, OverflowError, UnicodeError) as error:
        listening.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise ConfigError(f"port {port} is in use: choose another with --port or AIMKEEPER_PORT.") from None
        why = getattr(error, "strerror", None) or "no such address"
        raise ConfigError(f"can't listen on {host}, port {port}: {why}.") from None
    return listening


def address_of(host: str, port: int) -> str:
    """The address by which somebody on this machine reaches what listens on *host*."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (it is looked up, not listened on)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def operator_keys(settings: Settings) -> tuple[str, ...]:
    """
    The operator's keys: those set, else the one in `operator.key` beside the embedded database, made at first start.

    Raises:
        ConfigError: The file holds no key; one that is too short would open the page to everybody.
        StoreUnavailable: It can't be made.
    """
    if settings.api_keys:
        return settings.api_keys
    if settings.postgres:
        # Nothing is made beside a database that other machines share: its routes say what to set.
        return ()
    path = settings.database_path.parent / "operator.key"
    write_private(path, new_key() + "\n")
    try:
        key = path.read_text("ascii").strip()
    except UnicodeDecodeError:
        key = ""
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.") from None
    if len(key) < SHORTEST_API_KEY:
        raise ConfigError(f"{path} holds no key: delete it and start again, and a new one is made.")
    return (key,)


def terms_of(settings: Settings) -> Terms:
    """On what terms the HTTP API is open."""
    return Terms(
        public_login=settings.public_login,
        public_remember=settings.public_remember,
        refresh_threshold=timedelta(minutes=settings.refresh_threshold),
        trusted_proxies=settings.trusted_proxies,
        allowed_hosts=settings.allowed_hosts,
        cors_origins=settings.cors_origins,
    )


async def sign_in_link(service: Service, base: str) -> str:
    """A fresh one-time link to the page."""
    code, hashed = new_link_code()
    await service.store.sign_ins.issue(hashed, service.store.now() + LINK_LIFE)
    return f"{base}/sign-in/{code}"


def served_at(settings: Settings) -> str:
    """Where the page is: the public address, else where `serve` said it listens, else where it would."""
    if settings.app_url:
        return settings.app_url
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if told := _url_file(settings).read_text("ascii").strip():
            return told
    return address_of(settings.host, settings.port)


def told_to_stop() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set from now on, instead of ending the process where it stands."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


@contextlib.asynccontextmanager
async def serving(
    service: Service,
    listening: socket.socket | None,
    *,
    with_worker: bool,
    stopping: asyncio.Event,
    name: str = "worker",
    health_only: bool = False,
) -> AsyncIterator[Serving]:
    """
    Run the worker and answer on *listening* until the block is left; then stop both in good order.

    Args:
        service: Open; it stays open until we are done.
        listening: A socket that listens; None = no HTTP.
        with_worker: Whether sessions are rotated here.
        stopping: Set when one of the two ends by itself, which neither should.
        name: For people, on the register of owners.
        health_only: Health, readiness and metrics only.

    Raises:
        ConfigError: Apprise can't use one of its addresses.
        Exception: What ended one of the two, if anything did.
    """
    telemetry = Telemetry(service)
    worker = service.worker(name) if with_worker else None
    tasks: list[asyncio.Task[None]] = []
    server: Server | None = None
    url = ""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_telling(service, worker, telemetry))
        if worker is None:
            await stack.enter_async_context(_keeping_up(service))
        if listening is not None:
            access = Access(operator_keys(service.settings), service.settings.cron_secret, terms_of(service.settings))
            app = make_app(service, access, telemetry, worker, health_only=health_only)
            url = address_of(*listening.getsockname()[:2])
            config = uvicorn.Config(
                app, http=Wire, ws="none", log_config=None, access_log=False, server_header=False, lifespan="off",
                # Whose word on the caller is taken is decided at our own door.
                proxy_headers=False, timeout_keep_alive=RESTING_SECONDS,
                timeout_graceful_shutdown=math.ceil(service.policy.upstream_timeout.total_seconds()) + COMMIT_SECONDS,
            )  # fmt: skip
            server = Server(config)
            tasks.append(asyncio.create_task(server.serve(sockets=[listening]), name="http"))
            if not health_only:
                stack.enter_context(_announced(service.settings, url))
        if worker:
            telemetry.watch(worker)
            tasks.append(asyncio.create_task(worker.run(), name="worker"))
        for task in tasks:
            task.add_done_callback(lambda _: stopping.set())
        counting = asyncio.create_task(telemetry.minutes.run(service.clock.sleep), name="minutes")
        try:
            yield Serving(service, url, worker)
        finally:
            # No more claims, whether or not a worker runs here: callers make some too.
            service.keeper.drain()
            if server:
                server.should_exit = True
            if worker:
                worker.stop()
            if tasks:
                await asyncio.wait(tasks)
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
            with contextlib.suppress(StoreUnavailable):  # numbers, which nobody waits for
                await telemetry.minutes.flush()
    for task in tasks:
        task.result()


@contextlib.asynccontextmanager
async def _keeping_up(service: Service) -> AsyncIterator[None]:
    """What a worker does by itself, while the block lasts: go over to another key; commit what lies in the spool."""

    async def go_on() -> None:
        while True:
            await service.clock.sleep(TICK_SECONDS)
            with contextlib.suppress(StoreUnavailable):
                await service.store.keys.mind()
                # Who answers rotates for its callers too, and may have been killed while the store was away.
                await service.store.replay_spool(service.policy, service.keeper.new_id)

    keeping_up = asyncio.create_task(go_on(), name="keeping up")
    try:
        yield
    finally:
        keeping_up.cancel()
        await asyncio.gather(keeping_up, return_exceptions=True)


@contextlib.asynccontextmanager
async def _telling(service: Service, worker: Worker | None, telemetry: Telemetry) -> AsyncIterator[None]:
    """Tell those who are to be told, while the block lasts; that all is well, only where a worker runs."""
    chosen, keeper = service.settings, service.keeper
    await check(chosen.notify_urls)
    async with Post(chosen.user_agent) as post:
        channels = channels_of(chosen, post, service.clock)
        courier = Courier(service.store, service.clock, channels, owner=lambda: keeper.owner, link=chosen.app_url or "")
        courier.fault, courier.bury, courier.told = keeper.hearers.tell_fault, keeper.bury, telemetry.hear_told
        keeper.hearers.events.append(courier.hear)
        running = asyncio.create_task(courier.run(), name="courier")
        heart: asyncio.Task[None] | None = None
        if chosen.heartbeat_url and worker:
            heartbeat = Heartbeat(
                service.store,
                service.clock,
                (post, chosen.heartbeat_url),
                every=beat_every(chosen.refresh_every),
                is_well=worker.is_well,
            )
            heartbeat.fault, heartbeat.told = keeper.hearers.tell_fault, telemetry.hear_told
            heart = asyncio.create_task(heartbeat.run(), name="heartbeat")
        try:
            yield
        finally:
            keeper.hearers.events.remove(courier.hear)
            courier.stop()
            if heart:
                heart.cancel()
            await asyncio.wait([running, *([heart] if heart else [])])


def rarely_look_for_circles() -> None:
    """
    Tell Python's collector to leave what is there alone, and to look for circles of garbage a hundred times less often.

    A rotation makes some hundred objects and leaves no circle behind; to look for one every 700 objects took a sixth of
    a busy worker's time. For processes that keep sessions for good, once everything is loaded.
    """
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_LOOKS)


@contextlib.contextmanager
def _announced(settings: Settings, url: str) -> Iterator[None]:
    """Leave a note of where we listen, for `aimkeeper open`."""
    note = _url_file(settings)
    with contextlib.suppress(OSError):  # a convenience, no more
        note.write_text(url + "\n", "ascii")
    try:
        yield
    finally:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if note.read_text("ascii").strip() == url:
                note.unlink()


def _url_file(settings: Settings) -> Path:
    return settings.database_path.parent / f"{settings.database_path.name}-served-at"
