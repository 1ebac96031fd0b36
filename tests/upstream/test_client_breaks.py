"""Exchanges that break on a real socket: one attempt each, and "never sent" only where no connection was made."""

import asyncio
import gzip
import socket
from datetime import timedelta

import pytest

from aimkeeper.core.cookies import Jar
from aimkeeper.core.outcome import InDoubt, Life, LoginProblem, LoginRefused, Reason, Refused, WhoAmI
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.upstream.client import MAX_BODY

DEVICE = Fingerprint("f" * 50)
SHORT = timedelta(seconds=0.3)
OK = b"HTTP/1.1 200 OK\r\n"
TOKEN = b'{"newToken":"69232|1766907797|f306'

BREAKS = {
    "reset after reading": (b"", "reset", Reason.BROKEN_OFF),
    "closed without an answer": (b"", "close", Reason.BROKEN_OFF),
    "closed within the head": (b"HTTP/1.1 200 OK\r\nContent-Le", "close", Reason.BROKEN_OFF),
    "reset within the head": (b"HTTP/1.1 200 OK\r\nContent-Le", "reset", Reason.BROKEN_OFF),
    "closed within the body": (OK + b"Content-Length: 66\r\n\r\n" + TOKEN, "close", Reason.BROKEN_OFF),
    "reset within the body": (OK + b"Content-Length: 66\r\n\r\n" + TOKEN, "reset", Reason.BROKEN_OFF),
    "closed within a chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + TOKEN, "close", Reason.BROKEN_OFF),
    "closed before the last chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "close", Reason.BROKEN_OFF),
    "no HTTP at all": (b"hello there\r\n\r\n", "close", Reason.BROKEN_OFF),
    "HTTP/2 where 1.1 was asked": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "close", Reason.BROKEN_OFF),
    "a chunk that is none": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", "close", Reason.BROKEN_OFF),
    "compressed rubbish": (OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "keep", Reason.BROKEN_OFF),
    "a length that is none": (OK + b"Content-Length: many\r\n\r\n", "close", Reason.BROKEN_OFF),
    "more than a mebibyte": (
        OK + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1) + b"x" * (MAX_BODY + 1),
        "keep",
        Reason.TOO_LARGE,
    ),
    "more than a mebibyte, in chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"x" * MAX_BODY + b"\r\n1\r\nx\r\n0\r\n\r\n",
        "keep",
        Reason.TOO_LARGE,
    ),
    "more than a mebibyte, once unpacked": (
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 20 * MAX_BODY),
        "close",
        Reason.TOO_LARGE,
    ),
}


@pytest.mark.parametrize(("raw", "then", "reason"), BREAKS.values(), ids=BREAKS)
async def test_a_broken_exchange_is_in_doubt_and_was_tried_once(*, connect, wire, held, raw, then, reason):
    up = await connect(wire.url)
    wire.plan(raw, then, times=2)

    outcomes = [await up.rotate(held, DEVICE, Jar()), await up.set_refresh(held, DEVICE, Jar())]
    await up.who_am_i(Jar())  # and whatever would have come late came before this

    assert outcomes == [InDoubt(reason)] * 2
    assert [heard.line.split()[1].partition("?")[0] for heard in wire.heard] == [
        "/api/tokenUpdate",
        "/setrefresh",
        "/api/whoami",
    ]


@pytest.mark.parametrize(
    ("raw", "then"),
    [
        (b"", "hang"),
        (b"HTTP/1.1 200 OK\r\nContent-", "hang"),
        (OK + b"Content-Length: 66\r\n\r\n", "hang"),
        (OK + b"Content-Length: 66\r\n\r\n" + TOKEN, "hang"),
        (OK + b"Content-Length: 100000\r\n\r\n", "drip"),
        (OK + b"\r\n", "drip"),
    ],
    ids=["no answer", "half a head", "no body", "half a body", "a body by drops", "a body by drops without an end"],
)
async def test_the_time_allowed_covers_the_whole_exchange_body_included(*, connect, wire, held, raw, then):
    up = await connect(wire.url, timeout=SHORT)
    wire.plan(raw, then)

    assert await up.rotate(held, DEVICE, Jar()) == InDoubt(Reason.TIMED_OUT)

    await up.who_am_i(Jar())
    assert len(wire.heard) == 2


async def test_every_question_says_that_it_broke_off(connect, wire, held):
    up = await connect(wire.url)
    wire.plan(then="close", times=3)

    assert await up.who_am_i(Jar()) == WhoAmI(Life.UNCLEAR, reason=Reason.BROKEN_OFF)
    assert await up.log_in("ana@example.com", "x", DEVICE) == LoginRefused(LoginProblem.UNAVAILABLE, Reason.BROKEN_OFF)
    assert await up.log_out(Jar()) == Refused(Reason.BROKEN_OFF)
    assert len(wire.heard) == 3


@pytest.fixture
def closed_port():
    """A port that nobody listens on."""
    with socket.socket() as held_open:
        held_open.bind(("127.0.0.1", 0))
        yield held_open.getsockname()[1]


async def test_a_refused_connection_proves_that_nothing_was_sent(connect, closed_port, held):
    up = await connect(f"http://127.0.0.1:{closed_port}")

    assert await up.rotate(held, DEVICE, Jar()) == Refused(Reason.UNREACHABLE)
    assert await up.set_refresh(held, DEVICE, Jar()) == Refused(Reason.UNREACHABLE)
    assert await up.who_am_i(Jar()) == WhoAmI(Life.UNCLEAR, reason=Reason.UNREACHABLE)
    assert await up.log_in("a@b", "x", DEVICE) == LoginRefused(LoginProblem.UNAVAILABLE, Reason.UNREACHABLE)
    assert await up.log_out(Jar()) == Refused(Reason.UNREACHABLE)


async def test_a_name_that_is_nowhere_proves_that_nothing_was_sent(connect, held):
    up = await connect("http://aimharder.invalid")

    assert await up.rotate(held, DEVICE, Jar()) == Refused(Reason.UNREACHABLE)


@pytest.fixture
async def no_tls():
    """A port that answers TLS in plain words, and the first TLS record of each who tried."""
    greetings = []

    async def speaks_no_tls(reader, writer):
        head = await reader.readexactly(5)
        greetings.append(await reader.readexactly(int.from_bytes(head[3:])))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(speaks_no_tls, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], greetings


async def test_a_connection_without_the_tls_that_was_asked_for_proves_that_nothing_was_sent(connect, no_tls, held):
    port, greetings = no_tls
    up = await connect(f"https://127.0.0.1:{port}")

    outcome = await up.set_refresh(held, DEVICE, Jar())

    assert outcome == Refused(Reason.UNREACHABLE)
    assert len(greetings) == 1
    assert b"setrefresh" not in greetings[0]


async def test_tls_is_greeted_with_http_1_1_and_nothing_newer(connect, no_tls):
    port, greetings = no_tls

    await (await connect(f"https://127.0.0.1:{port}")).who_am_i(Jar())

    # The list of protocols in the greeting: each with its length in front.
    assert b"\x08http/1.1" in greetings[0]
    assert b"\x02h2" not in greetings[0]


async def test_an_address_that_says_never_sent_proves_nothing(connect, wire, held):
    up = await connect(wire.url + "/client error (Connect)")
    wire.plan(then="reset")

    assert await up.rotate(held, DEVICE, Jar()) == InDoubt(Reason.BROKEN_OFF)


async def test_a_request_on_a_kept_connection_that_is_read_and_dropped_is_not_sent_again(connect, wire, held):
    for then in ("close", "reset"):
        up = await connect(wire.url)
        wire.heard.clear()
        wire.plan(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        wire.plan(then=then)
        await up.who_am_i(Jar())

        outcome = await up.rotate(held, DEVICE, Jar())
        await up.who_am_i(Jar())

        assert outcome == InDoubt(Reason.BROKEN_OFF)
        assert [heard.line.split()[1] for heard in wire.heard] == ["/api/whoami", "/api/tokenUpdate", "/api/whoami"]
        assert wire.heard[0].connection == wire.heard[1].connection != wire.heard[2].connection


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_connection_closed_while_idle_costs_no_request_and_sends_none_twice(connect, wire, then):
    up = await connect(wire.url)
    rounds = 30
    wire.plan(OK + b"Content-Length: 12\r\n\r\n" + b'{"logout":1}', then, times=rounds)

    outcomes = []
    for number in range(rounds):
        outcomes.append(await up.rotate(Token(f"1|{number}|x"), DEVICE, Jar()))
        for _ in range(number % 4):  # so that the farewell arrives now before, now after the next request begins
            await asyncio.sleep(0)

    seen = [heard.body.split(b"%7C")[1] for heard in wire.heard]
    for number, outcome in enumerate(outcomes):
        times = seen.count(b"%d" % number)
        assert times <= 1
        assert times == 1 or isinstance(outcome, InDoubt) or outcome == Refused(Reason.UNREACHABLE)
        assert times == 0 or outcome != Refused(Reason.UNREACHABLE)
