"""
How an answer travels, or fails to: resets and truncations are real on a real socket.

`server.py` puts the socket's transport into the ASGI scope. Without one (called in-process) a broken connection is a
`ConnectionResetError` out of the application.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from aimkeeper.simulator.answers import Answer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TRANSPORT = "aimkeeper.transport"

# Closing a socket that lingers for zero seconds sends RST instead of FIN.
_NO_LINGER = struct.pack("ii", 1, 0)


async def read_body(receive: Receive) -> bytes | None:
    """The whole body; None when the caller left before it was."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return None if message["type"] == "http.disconnect" else body


async def send_answer(answer: Answer, date: str, scope: Scope, send: Send) -> bool:
    """Whether somebody was still there to hear it."""
    if has_left(scope):
        return False
    await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer, date)})
    await send({"type": "http.response.body", "body": answer.body})
    return not has_left(scope)


async def send_half(answer: Answer, date: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Promise the whole body, send half of it, close."""
    await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer, date)})
    await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
    transport = _transport(scope)
    if transport is None:
        raise ConnectionResetError("the simulator closed the connection in mid-answer")
    transport.close()
    await _until_left(receive)


async def reset(scope: Scope, receive: Receive) -> None:
    """Break the connection with RST."""
    transport = _transport(scope)
    if transport is None:
        raise ConnectionResetError("the simulator reset the connection")
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
    await _until_left(receive)


async def wait_or_left(waiting: Awaitable[None], scope: Scope, receive: Receive) -> None:
    """Wait, but no longer than the caller stays. In-process nobody can be seen leaving."""
    if _transport(scope) is None:
        await waiting
        return
    waiters = [asyncio.ensure_future(waiting), asyncio.ensure_future(_until_left(receive))]
    try:
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)


def has_left(scope: Scope) -> bool:
    transport = _transport(scope)
    return transport is not None and transport.is_closing()


def _transport(scope: Scope) -> asyncio.Transport | None:
    transport: asyncio.Transport | None = scope.get(TRANSPORT)
    return transport


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(answer: Answer, date: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"date", date.encode()),
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *((name.encode(), value.encode("latin-1")) for name, value in answer.headers),
    ]
