"""What goes over a real socket, and what comes back whole."""

import asyncio
import gzip
import json
from datetime import timedelta

import pytest

from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.outcome import (
    InDoubt,
    Life,
    LoggedIn,
    LoggedOut,
    LoginProblem,
    NoReply,
    Reason,
    Refused,
    Rotated,
)
from aimkeeper.core.token import Fingerprint
from aimkeeper.upstream import client as client_module
from aimkeeper.upstream import protocol
from aimkeeper.upstream.client import MAX_BODY

DEVICE = Fingerprint("my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb")
JAR = Jar((Cookie("amhrdrauth", "auth", "127.0.0.1"), Cookie("AWSALB", "lb", "127.0.0.1")))


@pytest.fixture
async def up(connect, wire):
    return await connect(wire.url)


async def test_a_rotation_is_one_post_over_http_1_1_with_the_cookies_and_our_name(up, wire, held, brought, body):
    wire.answer(body("token_update_rotated.json"), b"Content-Type: text/html; charset=UTF-8")

    outcome = await up.rotate(held, DEVICE, JAR)

    [heard] = wire.heard
    assert outcome == Rotated(brought)
    assert heard.line == "POST /api/tokenUpdate HTTP/1.1"
    assert heard.body == (
        b"token=69232%7C1766731601%7C03485f300f1a53a7e34143a0af9d2592&ciclo=1&fingerprint=" + DEVICE.encode()
    )
    assert heard.headers == {
        "host": f"127.0.0.1:{wire.port}",
        "user-agent": "a-test/1.0",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(heard.body)),
        "cookie": "amhrdrauth=auth; AWSALB=lb",
        "accept": "*/*",
        "accept-encoding": heard.headers["accept-encoding"],
    }


async def test_every_question_goes_to_its_place_and_its_answer_is_read(connect, two_wires, held, brought, body):
    base, login = two_wires
    up = await connect(base.url, login.url)
    for name in ("set_refresh.html", "whoami_alive.json", "whoami_nobody.json", "home.html"):
        base.answer(body(name))
    login.answer(body("login_good.json"), b"Set-Cookie: amhrdrauth=auth; Path=/; HttpOnly")

    logged_in = await up.log_in("ana@example.com", "correct horse", DEVICE)
    refreshed = await up.set_refresh(held, DEVICE, JAR)
    alive, dead = await up.who_am_i(JAR), await up.who_am_i(Jar())
    taken = await up.log_out(JAR)

    assert [heard.line.removesuffix(" HTTP/1.1") for heard in login.heard + base.heard] == [
        "POST /api/login",
        f"GET /setrefresh?token={held.text.replace('|', '%7C')}&fingerprint={DEVICE}",
        "GET /api/whoami",
        "GET /api/whoami",
        "GET /logout",
    ]
    assert isinstance(logged_in, LoggedIn)
    assert (logged_in.token, logged_in.cookies.stored[0].host) == (brought, "127.0.0.1")
    assert json.loads(login.heard[0].body)["password"] == "correct horse"
    assert refreshed == Rotated(held, fingerprint=DEVICE)
    assert (alive.life, alive.user_id, dead.life, taken) == (Life.ALIVE, 69232, Life.DEAD, None)
    assert ["cookie" in heard.headers for heard in base.heard] == [True, True, False, True]


async def test_a_logout_that_was_refused_says_why(up, wire):
    wire.answer(b"", status=403)

    assert await up.log_out(JAR) == Refused(Reason.FORBIDDEN)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(connect, two_wires, held, status):
    base, elsewhere = two_wires
    up = await connect(base.url)
    base.answer(b"", b"Location: %s/setrefresh?token=x" % elsewhere.url.encode(), status=status, times=3)

    outcomes = [await up.rotate(held, DEVICE, JAR), await up.set_refresh(held, DEVICE, JAR)]
    life = (await up.who_am_i(JAR)).life

    assert outcomes == [InDoubt(Reason.UNREADABLE)] * 2
    assert life is Life.UNCLEAR
    assert (len(base.heard), len(elsewhere.heard)) == (3, 0)


async def test_no_cookie_but_the_jars_is_ever_sent(up, wire, held):
    wire.answer(b'{"logout":1}', b"Set-Cookie: stray=1; Path=/")

    await up.rotate(held, DEVICE, JAR)
    await up.rotate(held, DEVICE, Jar())

    assert "cookie" not in wire.heard[1].headers


async def test_several_set_cookie_headers_arrive_one_by_one_and_in_order(up, wire, held, body):
    wire.answer(
        body("token_update_rotated.json"),
        b"Set-Cookie: B=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Path=/",
        b"X-Between: 1",
        b"set-cookie: A=2, and a comma",
        b"SET-COOKIE: B=3",
    )

    outcome = await up.rotate(held, DEVICE, JAR)

    assert [(cookie.name, cookie.value) for cookie in outcome.cookies.stored] == [("B", "3"), ("A", "2, and a comma")]


async def test_a_header_that_is_not_text_is_left_out_alone_and_does_not_cost_the_token(up, wire, held, brought, body):
    wire.answer(
        body("token_update_rotated.json"),
        b"Set-Cookie: A=1",
        b"Set-Cookie: bad=\xff\xfe",
        b"X-Name: \xc3\xb1",
        b"Set-Cookie: C=3",
    )

    outcome = await up.rotate(held, DEVICE, JAR)

    assert outcome.token == brought
    assert [cookie.name for cookie in outcome.cookies.stored] == ["A", "C"]


async def test_retry_after_reaches_whoever_asked(up, wire, held):
    wire.answer(b"", b"Retry-After: 60", status=429, times=2)

    outcome = await up.rotate(held, DEVICE, JAR)
    login = await up.log_in("ana@example.com", "wrong", DEVICE)

    assert outcome == Refused(Reason.RATE_LIMITED, timedelta(minutes=1))
    assert (login.problem, login.retry_after) == (LoginProblem.LOCKED_OUT, timedelta(minutes=1))


WHOLE = b'{"logout":1}'


@pytest.mark.parametrize(
    ("raw", "then"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n" + WHOLE, "close"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + WHOLE, "close"),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"log\r\n7\r\nout":1}\r\n0\r\n\r\n', "keep"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s"
            % (len(gzip.compress(WHOLE, mtime=0)), gzip.compress(WHOLE, mtime=0)),
            "keep",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + WHOLE, "keep"),
        (b"HTTP/1.1 200 \xd1\r\nContent-Length: 12\r\nContent-Type: image/png\r\n\r\n" + WHOLE, "keep"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n" + WHOLE, "close"),
    ],
    ids=["until the end", "HTTP/1.0", "in chunks", "compressed", "after a 100", "odd phrase and type", "a last answer"],
)
async def test_a_whole_answer_is_read_however_it_comes(up, wire, held, raw, then):
    wire.plan(raw, then)

    assert await up.rotate(held, DEVICE, JAR) == LoggedOut()


async def test_an_answer_may_be_as_large_as_one_mebibyte(up, wire, held, body):
    whole = body("token_update_rotated.json")
    wire.answer(whole + b" " * (MAX_BODY - len(whole)))

    assert isinstance(await up.rotate(held, DEVICE, JAR), Rotated)


async def test_one_connection_serves_one_question_after_the_other(up, wire, held):
    for _ in range(5):
        await up.rotate(held, DEVICE, JAR)

    assert ([heard.connection for heard in wire.heard], wire.connections) == ([1] * 5, 1)


async def test_questions_at_once_are_counted_while_they_are_in_flight(up, wire, held):
    wire.answer(WHOLE, times=3)
    tasks = [asyncio.ensure_future(up.rotate(held, DEVICE, JAR)) for _ in range(3)]
    await asyncio.sleep(0)
    at_once = up.in_flight

    outcomes = await asyncio.gather(*tasks)

    assert (at_once, up.in_flight, outcomes) == (3, 0, [LoggedOut()] * 3)


async def test_whoever_stops_waiting_is_told_so_and_no_longer_counted(up, wire, held):
    wire.plan(then="hang")
    task = asyncio.ensure_future(up.rotate(held, DEVICE, JAR))
    while not wire.heard:
        await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert up.in_flight == 0


async def test_a_mistake_of_our_own_is_not_taken_for_a_broken_connection(up, wire, monkeypatch):
    def mistaken(*_):
        raise RuntimeError("ours")

    monkeypatch.setattr(client_module, "_reply", mistaken)

    with pytest.raises(RuntimeError, match="ours"):
        await up.who_am_i(Jar())

    assert up.in_flight == 0


async def test_an_application_called_in_process_that_fails_is_a_broken_connection(connect, held):
    async def app(scope, receive, send):
        raise RuntimeError("the site's own")

    up = await connect("http://aimharder.test", app=app)

    assert await up.rotate(held, DEVICE, JAR) == InDoubt(Reason.BROKEN_OFF)


@pytest.mark.parametrize(
    "request_",
    [
        protocol.Request("GET", "http://127.0.0.1:99999/"),
        protocol.Request("GET", "http://"),
        protocol.Request("GET", "nonsense"),
        protocol.Request("GET", "ftp://127.0.0.1/"),
        protocol.Request("NO SUCH", "http://127.0.0.1/"),
        protocol.Request("GET", "http://127.0.0.1/", (("cookie", "a\r\nX: y"),)),
        protocol.Request("GET", "http://127.0.0.1/", (("bad name", "x"),)),
    ],
    ids=[
        "no such port",
        "no host",
        "no address",
        "no such scheme",
        "no method",
        "a line break in a header",
        "a space in a name",
    ],
)
async def test_a_request_that_can_not_be_written_was_certainly_never_sent(up, request_):
    assert await up._send(request_, "whoami") == NoReply(Reason.UNREACHABLE)
