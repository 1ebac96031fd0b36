"""
The simulator on a real socket, in the running loop.

Uvicorn's protocol without uvicorn's server: no signal handlers, no access log, and stopping takes no time, because a
simulated site owes nobody a graceful farewell. Ctrl-C cancels the main task, and so stops it like any other end.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from aimkeeper.simulator.app import Simulator
from aimkeeper.simulator.wire import TRANSPORT, Receive, Scope, Send

BACKLOG = 2048
# Seconds an idle connection stays open: longer than any client's pool keeps it, so that no reset comes unplanned.
KEEP_ALIVE = 600


@dataclass(frozen=True, slots=True)
class Running:
    """Where it listens; `url` has no slash at the end."""

    url: str
    port: int
    sim: Simulator


class _Protocol(HttpToolsProtocol):
    """Lets the application reach the transport, so that it can break the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]  # a key of our own


@contextlib.asynccontextmanager
async def running(sim: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Running]:
    """
    Serve *sim* while the block runs; port 0 takes a free one.

    Raises:
        OSError: The address can't be listened on.
    """
    stopping = False

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await sim(scope, receive, send)
        except asyncio.CancelledError:
            # Cancelled by the end of the block, below: uvicorn would log it as the application's failure.
            if not stopping:
                raise

    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE,
    )
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Protocol(config=config, server_state=state, app_state={}), host, port, backlog=BACKLOG
    )
    try:
        name = server.sockets[0].getsockname()
        shown = f"[{name[0]}]" if server.sockets[0].family == socket.AF_INET6 else name[0]
        yield Running(f"http://{shown}:{name[1]}", name[1], sim)
    finally:
        stopping = True
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def serve(
    sim: Simulator, host: str = "127.0.0.1", port: int = 0, *, on_ready: Callable[[Running], object] | None = None
) -> None:
    """Serve until cancelled; *on_ready* is called once with where it listens."""
    async with running(sim, host=host, port=port) as where:
        if on_ready:
            on_ready(where)
        await asyncio.get_running_loop().create_future()
