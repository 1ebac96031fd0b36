"""On a real socket: long addresses, large heads and slow clients are cut; whoever hangs up changes nothing."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from aimkeeper.core.session import Status
from aimkeeper.serving import bind, serving
from aimkeeper.simulator import Faults
from aimkeeper.web import wire

GET = b"GET /healthz HTTP/1.1\r\nhost: keeper.test\r\n\r\n"


@pytest.fixture
def short(monkeypatch):
    """Patience ends soon."""
    monkeypatch.setattr(wire, "REQUEST_SECONDS", 0.2)


@asynccontextmanager
async def served(house):
    with bind("127.0.0.1", 0) as listening:
        async with serving(house.service, listening, with_worker=False, stopping=asyncio.Event()) as running:
            yield int(running.url.rpartition(":")[2])


@asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer_of(reader):
    """(status, body as JSON) of the next answer; None when the connection ends without one."""
    head = (await asyncio.wait_for(reader.read(64 * 1024), 10)).decode()
    if not head:
        return None
    top, _, body = head.partition("\r\n\r\n")
    return int(top.split()[1]), json.loads(body)


async def is_closed(reader):
    try:
        return await asyncio.wait_for(reader.read(), 10) is not None
    except ConnectionResetError:
        return True


async def said(house, request):
    async with served(house) as port, connected(port) as (reader, writer):
        writer.write(request)
        return await answer_of(reader)


# ---------------------------------------------------------------- too much


@pytest.mark.parametrize(("length", "status"), [(8 * 1024, 404), (8 * 1024 + 1, 414), (200_000, 414)])
async def test_an_address_longer_than_eight_kibibytes_is_refused(house, length, status):
    path = b"/" + b"a" * (length - 1)

    answer = await said(house, b"GET " + path + b" HTTP/1.1\r\nhost: x\r\n\r\n")

    assert answer[0] == status
    assert answer[1]["code"] == ("not_found" if status == 404 else "address_too_long")


@pytest.mark.parametrize(
    "headers",
    [b"x: " + b"a" * 33_000 + b"\r\n", b"".join(b"x%d: 1\r\n" % n for n in range(101)), b"x: a\r\n" * 5000],
    ids=["one large", "too many", "the same again and again"],
)
async def test_headers_that_are_too_large_or_too_many_are_refused(house, headers):
    answer = await said(house, b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + headers + b"\r\n")

    assert answer == (
        431,
        {"success": False, "error": "the headers are too large, or too many.", "code": "head_too_large"},
    )


@pytest.mark.parametrize(
    "request_",
    [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
     b"POST /healthz HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
     b"POST /healthz HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
     b"GET /healthz HTTP/1.1\r\nx: a\0b\r\n\r\n"],
    ids=["TLS", "another version", "no colon", "two lengths", "length and chunks", "a zero byte"],
)  # fmt: skip
async def test_what_is_no_http_is_told_so_as_json(house, request_):
    answer = await said(house, request_)

    assert answer == (400, {"success": False, "error": "this is no HTTP that can be read.", "code": "bad_request"})


async def test_no_more_connections_than_a_thousand_are_kept(house, monkeypatch):
    monkeypatch.setattr(wire, "MOST_CONNECTIONS", 3)
    async with served(house) as port:
        open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for reader, writer in open_ones:
            writer.write(GET)
            assert (await answer_of(reader))[0] == 200
        async with connected(port) as (reader, writer):
            writer.write(GET)
            turned_away = await is_closed(reader)
        for _, writer in open_ones:
            writer.close()

    assert turned_away


# ---------------------------------------------------------------- too slow


@pytest.mark.parametrize(
    "begun",
    [b"G", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: "],
    ids=["a letter", "a line", "half a header"],
)
async def test_a_head_that_does_not_come_in_time_is_cut(house, short, begun):
    async with served(house) as port, connected(port) as (reader, writer):
        writer.write(begun)
        answer = await answer_of(reader)
        closed = await is_closed(reader)

    assert answer == (
        408,
        {"success": False, "error": "the request came too slowly: send it again.", "code": "too_slow"},
    )
    assert closed


async def test_a_body_that_does_not_come_in_time_is_cut_however_steadily_it_drips(house, short):
    async with served(house) as port, connected(port) as (reader, writer):
        writer.write(b"POST /api/tokenUpdate HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n")
        dripping = asyncio.create_task(drip(writer))
        answer = await answer_of(reader)
        dripping.cancel()

    assert (answer[0], answer[1]["code"]) == (408, "too_slow")


async def drip(writer):
    for _ in range(1000):
        writer.write(b"a")
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("said_first", [b"", b"\r\n"], ids=["says nothing", "says empty lines"])
async def test_whoever_connects_and_asks_nothing_is_cut(house, short, said_first):
    async with served(house) as port, connected(port) as (reader, writer):
        writer.write(said_first)

        assert await is_closed(reader)


async def test_empty_lines_between_requests_keep_no_connection_open(house, short):
    async with served(house) as port, connected(port) as (reader, writer):
        writer.write(GET)
        assert (await answer_of(reader))[0] == 200
        writer.write(b"\r\n")

        assert await is_closed(reader)


async def test_whoever_goes_on_sending_after_his_answer_is_cut(house, short):
    async with served(house) as port, connected(port) as (reader, writer):
        writer.write(b"POST /api/pause HTTP/1.1\r\nhost: x\r\ncontent-length: 50000\r\n\r\n")
        answer = await answer_of(reader)
        dripping = asyncio.create_task(drip(writer))
        closed = await is_closed(reader)
        dripping.cancel()

    assert (answer[0], closed) == (401, True)


async def test_whoever_takes_no_answer_is_cut(house, monkeypatch):
    monkeypatch.setattr(wire, "SENDING_SECONDS", 0.2)
    await house.adopt(*(f"member{number:04}@example.com" for number in range(400)))
    async with served(house) as port:
        key = (house.folder / "operator.key").read_bytes().strip()
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        # Asks for megabytes, and reads none of them.
        request = b"GET /api/sessions?limit=400 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + key + b"\r\n\r\n"
        writer.transport.pause_reading()
        writer.write(request * 40)
        for _ in range(500):
            if writer.transport.is_closing():
                break
            await asyncio.sleep(0.02)
            writer.write(b"\r\n")
        cut = writer.transport.is_closing()
        writer.transport.abort()

    assert cut


async def test_requests_one_after_the_other_on_one_connection_are_all_answered(house, short):
    async with served(house) as port, connected(port) as (reader, writer):
        for _ in range(5):
            writer.write(GET)
            assert (await answer_of(reader)) == (200, {"status": "alive"})
            await asyncio.sleep(0.06)


async def test_an_answer_that_takes_long_is_waited_for(house, short):
    session = await house.log_in()
    house.sim.faults = Faults(latency=1.0)
    body = json.dumps({"fingerprint": session.fingerprint, "token": session.token.text}).encode()
    async with served(house) as port, connected(port) as (reader, writer):
        writer.write(b"POST /api/tokenUpdate HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await asyncio.sleep(0.5)
        await house.clock.run(2)
        answer = await answer_of(reader)

    assert (answer[0], answer[1]["newToken"]) == (200, house.truth(session).token)


# ---------------------------------------------------------------- hanging up


@pytest.mark.parametrize("when", ["before the answer of the site", "with a reset"])
async def test_a_client_that_hangs_up_mid_rotation_changes_nothing_for_the_session(house, when):
    session = await house.log_in()
    house.sim.faults = Faults(latency=5.0)
    body = json.dumps({"fingerprint": session.fingerprint, "token": session.token.text}).encode()
    async with served(house) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/tokenUpdate HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        for _ in range(500):
            if house.service.upstream.in_flight:
                break
            await asyncio.sleep(0.01)
        in_flight = house.service.upstream.in_flight
        if when == "with a reset":
            writer.transport.abort()
        else:
            writer.close()
        await asyncio.sleep(0.1)
        await house.clock.run(10)

        kept = await house.service.store.get(session.id)
        again = await house.exchange(session.token.text, session.fingerprint)

    assert in_flight == 1
    assert (kept.status, kept.owner, kept.generation) == (Status.ACTIVE, None, session.generation + 1)
    assert kept.token.text == house.truth(session).token
    assert again.json()["newToken"] == kept.token.text
    assert (house.truth(session).rotations, house.truth(session).reuse) == (1, 0)


async def test_a_process_that_is_told_to_stop_finishes_what_it_is_asked_and_answers_it(house):
    session = await house.log_in()
    house.sim.faults = Faults(latency=0.5)
    body = json.dumps({"fingerprint": session.fingerprint, "token": session.token.text}).encode()
    async with served(house) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /api/tokenUpdate HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        for _ in range(500):
            if house.service.upstream.in_flight:
                break
            await asyncio.sleep(0.01)
        moving = asyncio.create_task(move(house.clock))
    answer = await answer_of(reader)
    writer.close()
    moving.cancel()

    assert (answer[0], answer[1]["newToken"]) == (200, house.truth(session).token)


async def move(clock):
    for _ in range(1000):
        clock.advance(0.1)
        await asyncio.sleep(0.01)
