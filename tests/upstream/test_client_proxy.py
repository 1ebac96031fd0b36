"""By way of a proxy, for AimHarder refuses some addresses."""

import asyncio
import re
import socket
from base64 import b64encode
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from aimkeeper.core.cookies import Jar
from aimkeeper.core.outcome import InDoubt, LoggedOut, Reason, Refused
from aimkeeper.core.token import Fingerprint

DEVICE = Fingerprint("f" * 50)


class Proxy:
    """Passes each request on, by its absolute address, over a connection of its own."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head, body = await message(reader)
            self.heads.append(head.decode())
            target = head.split(b" ")[1]
            address = urlsplit(target.decode())
            onward_reader, onward = await asyncio.open_connection(address.hostname, address.port)
            try:
                onward.write(head.replace(target, address.path.encode(), 1) + body)
                writer.write(b"".join(await message(onward_reader)))
            finally:
                onward.close()
        except asyncio.IncompleteReadError:
            pass  # the site hung up, or nobody asked
        finally:
            writer.close()


async def message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return head, await reader.readexactly(int(length[1]) if length else 0)


@asynccontextmanager
async def proxying():
    proxy = Proxy()
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy


@pytest.fixture
async def proxy():
    async with proxying() as proxy:
        yield proxy


async def test_every_request_goes_by_way_of_the_proxy_that_is_given(connect, wire, proxy, held):
    wire.answer(b'{"logout":1}', times=2)
    up = await connect(wire.url, proxy=f"http://me:a%20secret@127.0.0.1:{proxy.port}")

    outcomes = [await up.rotate(held, DEVICE, Jar()) for _ in range(2)]

    assert outcomes == [LoggedOut()] * 2
    assert [heard.line for heard in wire.heard] == ["POST /api/tokenUpdate HTTP/1.1"] * 2
    assert [head.split("\r\n")[0] for head in proxy.heads] == [f"POST {wire.url}/api/tokenUpdate HTTP/1.1"] * 2
    assert f"Basic {b64encode(b'me:a secret').decode()}".lower() in proxy.heads[0].lower()


async def test_a_proxy_of_the_environment_is_used_when_none_is_given(connect, wire, proxy, held, monkeypatch):
    wire.answer(b'{"logout":1}')
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    up = await connect(wire.url)

    assert await up.rotate(held, DEVICE, Jar()) == LoggedOut()
    assert (len(proxy.heads), len(wire.heard)) == (1, 1)


async def test_the_given_proxy_goes_before_that_of_the_environment(connect, wire, proxy, held, monkeypatch):
    wire.answer(b'{"logout":1}')
    async with proxying() as other:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{other.port}")
        up = await connect(wire.url, proxy=f"http://127.0.0.1:{proxy.port}")

        await up.rotate(held, DEVICE, Jar())

    assert (len(proxy.heads), len(other.heads)) == (1, 0)


async def test_a_proxy_that_is_not_there_proves_that_nothing_was_sent(connect, wire, held):
    with socket.socket() as held_open:
        held_open.bind(("127.0.0.1", 0))
        up = await connect(wire.url, proxy=f"http://127.0.0.1:{held_open.getsockname()[1]}")

        outcome = await up.rotate(held, DEVICE, Jar())

    assert (outcome, wire.heard) == (Refused(Reason.UNREACHABLE), [])


async def test_a_proxy_that_breaks_off_leaves_us_in_doubt_for_it_may_have_passed_the_request_on(
    connect, wire, proxy, held
):
    wire.plan(then="close")
    up = await connect(wire.url, proxy=f"http://127.0.0.1:{proxy.port}")

    outcome = await up.rotate(held, DEVICE, Jar())

    assert (outcome, len(wire.heard)) == (InDoubt(Reason.BROKEN_OFF), 1)


@pytest.mark.parametrize("scheme", ["socks5h", "SOCKS5H"])
async def test_a_socks_proxy_is_spoken_to_in_its_own_language(connect, held, scheme):
    greetings = []

    async def listen(reader, writer):
        greetings.append(await reader.readexactly(1))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        up = await connect("http://aimharder.test", proxy=f"{scheme}://127.0.0.1:{port}")

        outcome = await up.rotate(held, DEVICE, Jar())

    assert (outcome, greetings) == (Refused(Reason.UNREACHABLE), [b"\x05"])
