"""On a real socket: what breaks there breaks for real."""

import asyncio
import socket
import time

import pytest
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError

from aimkeeper.clock import SystemClock
from aimkeeper.simulator import Faults, Rules, Simulator, running, serve

PATIENCE = 5


@pytest.fixture
def sim():
    return Simulator(Rules(old_token="strict"), clock=SystemClock())


class Wire:
    """One connection, seen byte by byte."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    def ask(self, token, fingerprint):
        body = f"token={token.replace('|', '%7C')}&ciclo=1&fingerprint={fingerprint}"
        head = f"POST /api/tokenUpdate HTTP/1.1\r\nHost: aimharder.com\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write((head + body).encode())

    async def hear(self):
        """Until the other side closes; raises when it resets."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE)


async def until(truth):
    """Let the other side of the socket get there."""
    async with asyncio.timeout(PATIENCE):
        while not truth():
            await asyncio.sleep(0)


@pytest.mark.parametrize(("fault", "works"), [("reset_before", False), ("reset_after", True)])
async def test_a_reset_is_a_reset_on_the_wire(*, sim, grant, email, fingerprint, fault, works):
    sim.next(fault)
    async with running(sim) as at, Wire(at.port) as wire:
        wire.ask(grant.token, fingerprint)
        with pytest.raises(ConnectionResetError):
            await wire.hear()

    truth = sim.truth(email, fingerprint)
    assert ((truth.token != grant.token), truth.replies_lost, truth.in_flight) == (works, works, 0)


async def test_a_truncated_answer_promises_more_than_it_brings(sim, grant, email, fingerprint):
    sim.next("truncated")
    async with running(sim) as at, Wire(at.port) as wire:
        wire.ask(grant.token, fingerprint)
        head, _, body = (await wire.hear()).partition(b"\r\n\r\n")

    live = sim.truth(email, fingerprint).token
    whole = f'{{"newToken":"{live}"}}'.encode()
    assert f"content-length: {len(whole)}".encode() in head
    assert body == whole[: len(whole) // 2]
    assert live != grant.token


async def test_a_hang_ends_when_the_caller_leaves(sim, grant, email, fingerprint):
    sim.faults = Faults(hang=1, hang_works=True, hang_for=3600)
    async with running(sim) as at:
        async with Wire(at.port) as wire:
            wire.ask(grant.token, fingerprint)
            await until(lambda: sim.waiting == 1)
        await until(lambda: sim.in_flight == 0)

    assert (sim.truth(email, fingerprint).replies_lost, sim.waiting) == (1, 0)


async def test_an_answer_nobody_waited_for_is_counted_as_lost(sim, grant, email, fingerprint):
    sim.faults = Faults(latency=0.2)
    async with running(sim) as at:
        async with Wire(at.port) as wire:
            wire.ask(grant.token, fingerprint)
            await until(lambda: sim.waiting == 1)
        await until(lambda: sim.in_flight == 0)

    truth = sim.truth(email, fingerprint)
    assert (truth.rotations, truth.replies_lost) == (1, 1)


async def update(client, at, token, fingerprint):
    form = {"token": token, "ciclo": "1", "fingerprint": fingerprint}
    return await client.post(at.url + "/api/tokenUpdate").form(form).build().send()


async def test_an_ordinary_client_rotates_over_one_kept_connection(sim, grant, email, fingerprint, caplog):
    async with running(sim) as at, ClientBuilder().build() as client:
        token = grant.token
        for _ in range(5):
            response = await update(client, at, token, fingerprint)
            token = (await response.json())["newToken"]
        assert (await client.get(at.url + "/nowhere").build().send()).status == 404
        sim.next("reset_after")
        with pytest.raises(PyreqwestError):
            await update(client, at, "spent by nobody", fingerprint)

    truth = sim.truth(email, fingerprint)
    assert (truth.rotations, truth.token == token, truth.reuse) == (5, True, 0)
    assert caplog.records == []


async def test_it_stops_at_once_with_requests_in_hand_and_without_a_word(sim, grant, fingerprint, caplog):
    sim.faults = Faults(latency=3600)
    async with running(sim) as at:
        wires = [Wire(at.port) for _ in range(3)]
        for wire in wires:
            await wire.__aenter__()
            wire.ask(grant.token, fingerprint)
        await until(lambda: sim.waiting == 3)
        began = time.monotonic()

    assert time.monotonic() - began < 1
    assert (sim.in_flight, sim.waiting, caplog.records) == (0, 0, [])
    for wire in wires:
        await wire.__aexit__()


async def test_serve_says_where_it_listens_and_ends_when_cancelled(sim):
    ready = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(serve(sim, on_ready=ready.set_result))
    where = await asyncio.wait_for(ready, PATIENCE)
    assert where.url == f"http://127.0.0.1:{where.port}"
    with pytest.raises(OSError, match="address already in use"):
        await serve(sim, port=where.port)

    serving.cancel()  # what ctrl-C does to the main task
    with pytest.raises(asyncio.CancelledError):
        await serving

    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", where.port)) != 0


async def test_lifespan_is_answered_when_another_server_asks_for_it(sim):
    asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    told = []

    async def receive():
        return asked.pop(0)

    async def send(message):
        told.append(message["type"])

    await sim({"type": "lifespan"}, receive, send)

    assert told == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ValueError, match="HTTP only"):
        await sim({"type": "websocket"}, receive, send)


async def test_a_body_may_come_in_parts_and_a_caller_may_leave_in_the_midst(sim, grant, email, fingerprint):
    scope = {"type": "http", "method": "POST", "path": "/api/tokenUpdate", "query_string": b"", "headers": []}
    form = f"token={grant.token}&fingerprint={fingerprint}".encode()
    parts = [{"type": "http.request", "body": form[:9], "more_body": True}]
    told = []

    async def receive():
        return parts.pop(0)

    async def send(message):
        told.append(message)

    parts.append({"type": "http.disconnect"})
    await sim(scope, receive, send)
    assert (told, sim.totals.requests) == ([], {})

    parts += [
        {"type": "http.request", "body": form[:9], "more_body": True},
        {"type": "http.request", "body": form[9:]},
    ]
    await sim(scope, receive, send)
    assert told[1]["body"].decode() == f'{{"newToken":"{sim.truth(email, fingerprint).token}"}}'
