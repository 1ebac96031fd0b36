"""
An upstream with a latency: it answers each request after so many milliseconds, however many are under way.

    python -m bench.slow PORT MILLISECONDS CORE

nginx can't wait without another program behind it. This one reads and answers with as little as goes, so that its own
cost (some 15 microseconds a request) is the same small part for everybody who asks it.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvloop

from bench.upstream import ANSWER, COOKIES, wait_for
from tools.cluster import free_port

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_LINES = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(ANSWER)}"]
_WHOLE = "\r\n".join([*_LINES, *(f"Set-Cookie: {cookie}" for cookie in COOKIES), "", ANSWER]).encode()


@contextmanager
def slow_upstream(milliseconds: int, core: int = 1) -> Iterator[str]:
    """Run it until the block is left; its address."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.slow", str(port), str(milliseconds), str(core)])
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait(20)


class _Wire(asyncio.Protocol):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own kind

    def data_received(self, data: bytes) -> None:
        self._read += data
        while True:
            head, ended, rest = self._read.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = int(length[1]) if length else 0
            if not ended or len(rest) < body:
                return
            self._read = rest[body:]
            if self._seconds:
                asyncio.get_running_loop().call_later(self._seconds, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_WHOLE)


async def main(port: int, seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Wire(seconds), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[3])})
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]) / 1000))
