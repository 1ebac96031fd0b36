"""A site to ask, answers to read, and a server that breaks as told."""

import asyncio
import socket
import struct
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings

from aimkeeper.clock import SystemClock
from aimkeeper.core.outcome import Reply
from aimkeeper.core.token import Token
from aimkeeper.upstream.client import AimHarder, Transport
from aimkeeper.upstream.protocol import Site

# The same cases at every run, and no stopwatch: a busy machine is no defect.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

BODIES = Path(__file__).parent / "bodies"
UNPLANNED = (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "keep")


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime(2025, 9, 29, 8, tzinfo=UTC)


@pytest.fixture(scope="session")
def site() -> Site:
    return Site.at("https://aimharder.com", "https://login.aimharder.com/")


@pytest.fixture(scope="session")
def held() -> Token:
    """The token that was presented."""
    return Token("69232|1766731601|03485f300f1a53a7e34143a0af9d2592")


@pytest.fixture(scope="session")
def brought() -> Token:
    """The token of the recorded answers."""
    return Token("69232|1766907797|f3069323e00d81750c8590bb1f5f93b6")


@pytest.fixture(scope="session")
def body():
    """A recorded body, by the name of its file."""
    return lambda name: (BODIES / name).read_bytes()


@pytest.fixture(scope="session")
def reply():
    """A whole answer of the base host."""

    def reply(body: bytes = b"", status: int = 200, *, host: str = "aimharder.com", cookies=(), retry_after=None):
        return Reply(status, host, body, tuple(cookies), retry_after)

    return reply


# ---------------------------------------------------------------- on the wire


@dataclass
class Heard:
    """One request as it came: every byte of it was read before anything was answered."""

    raw: bytes
    connection: int

    @property
    def line(self) -> str:
        return self.raw.partition(b"\r\n")[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        head = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1")
        pairs = (line.partition(": ") for line in head.split("\r\n")[1:])
        return {name.lower(): value for name, _, value in pairs}

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]


class Wire:
    """
    A server on a real socket: bytes in, bytes out, and then whatever was planned.

    After its bytes an answer may `keep` the connection, `close` or `reset` it, `hang` (say no more), or `drip` (say a
    byte at a time, for ever).
    """

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.connections = 0
        self._plan: deque[tuple[bytes, str]] = deque()
        self._tasks: set[asyncio.Task] = set()

    def plan(self, raw: bytes = b"", then: str = "keep", *, times: int = 1) -> None:
        """What to do with the next request, or the next few; without a plan: an empty 200."""
        self._plan.extend([(raw, then)] * times)

    def answer(self, body: bytes, *headers: bytes, status: int = 200, then: str = "keep", times: int = 1) -> None:
        """Plan a whole answer."""
        head = b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n" % (status, len(body))
        self.plan(head + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body, then, times=times)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            await self._talk(reader, writer, self.connections)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the other side left, or the test is over
        finally:
            self._tasks.discard(asyncio.current_task())
            writer.close()

    async def _talk(self, reader, writer, connection: int) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            request = Heard(head, connection)
            request.raw += await reader.readexactly(int(request.headers.get("content-length", 0)))
            self.heard.append(request)
            raw, then = self._plan.popleft() if self._plan else UNPLANNED
            writer.write(raw)
            await writer.drain()
            if then == "reset":
                # Linger 0: the kernel sends a reset instead of a farewell.
                pair = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pair)
            if then in {"close", "reset"}:
                return
            if then == "hang":
                await reader.read()
            while then == "drip":
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)


@pytest.fixture
async def wire():
    async with Wire() as wire:
        yield wire


@pytest.fixture
async def two_wires(wire):
    async with Wire() as other:
        yield wire, other


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def connect():
    """An AimHarder that asks the server at that address, or at two."""
    async with AsyncExitStack() as stack:

        async def connect(url: str, login_url: str | None = None, **transport) -> AimHarder:
            known = {"timeout": timedelta(seconds=30), "connections": 4, "user_agent": "a-test/1.0"}
            site = Site.at(url, login_url or url)
            return await stack.enter_async_context(AimHarder(site, Transport(**known | transport), SystemClock()))

        yield connect
