"""Whatever goes wrong on the way: no token, cookie, password or address of a request shows anywhere."""

import asyncio
import gc
import logging
import socket
import warnings
from datetime import timedelta

import pytest
from pyreqwest.logging import flush_logs

from aimkeeper.clock import SystemClock
from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.upstream.client import AimHarder, Transport
from aimkeeper.upstream.protocol import Site

TOKEN = Token("69232|1766731601|canarytoken")
DEVICE = Fingerprint("canarydevice")
JAR = Jar((Cookie("amhrdrauth", "canarycookie", "127.0.0.1"),))
PASSWORD = "canary password"
PAGE = b'localStorage.setItem("refreshToken", "69232|1766731601|canary");'
CANARIES = ("canary", "setrefresh", "1766731601", "tokenUpdate")

ENDS = {
    "reset": (b"", "reset"),
    "closed": (b"", "close"),
    "truncated": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<script>", "close"),
    "timed out": (b"", "hang"),
    "timed out within the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<script>", "hang"),
    "garbage": (b"garbage\r\n\r\n", "close"),
    "redirected": (b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", "keep"),
    "refused": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "keep"),
    "whole": (b'HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n{"newToken":"1|2|canarynew"}', "keep"),
    "whole page": (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: amhrdrauth=canarycookie\r\nContent-Length: 64\r\n\r\n" + PAGE,
        "keep",
    ),
}


@pytest.fixture
def overheard(caplog, capfd):
    """Everything said so far: every logger at its most talkative, what was printed, what was warned of."""
    caplog.set_level(1)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(1, name)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")

        def overheard() -> str:
            flush_logs()
            gc.collect()
            printed = capfd.readouterr()
            logged = [f"{record.getMessage()} {record.args} {record.exc_info}" for record in caplog.records]
            return "\n".join([*logged, printed.out, printed.err, *(str(warning.message) for warning in warned)])

        yield overheard


async def ask_everything(up: AimHarder) -> list[str]:
    """Every question, and how its answer shows; an exception that leaves the client fails the test that asks."""
    answers = await asyncio.gather(
        up.set_refresh(TOKEN, DEVICE, JAR),
        up.rotate(TOKEN, DEVICE, JAR),
        up.who_am_i(JAR),
        up.log_in("ana@example.com", PASSWORD, DEVICE),
        up.log_out(JAR),
    )
    return [f"{answer!r} {answer}" for answer in answers]


def shown(words: list[str]) -> list[str]:
    return [word for word in words if any(canary in word for canary in CANARIES)]


@pytest.mark.parametrize(("raw", "then"), ENDS.values(), ids=ENDS)
async def test_nothing_of_an_exchange_shows_however_it_ends(*, connect, wire, overheard, raw, then):
    up = await connect(wire.url, timeout=timedelta(seconds=0.3 if then == "hang" else 30))
    wire.plan(raw, then, times=5)

    answers = await ask_everything(up)

    assert len(wire.heard) == 5
    assert shown([*answers, repr(up), repr(up.site), overheard()]) == []


async def test_nothing_shows_of_an_exchange_that_never_began(connect, overheard):
    with socket.socket() as held_open:
        held_open.bind(("127.0.0.1", 0))
        answers = await ask_everything(await connect(f"http://127.0.0.1:{held_open.getsockname()[1]}"))
    answers += await ask_everything(await connect("http://aimharder.invalid"))
    answers += await ask_everything(await connect("http://127.0.0.1:99999"))

    assert shown([*answers, overheard()]) == []


async def test_a_client_that_is_closed_already_says_nothing_either(wire, overheard):
    transport = Transport(timeout=timedelta(seconds=5), connections=1, user_agent="a-test/1.0")
    async with AimHarder(Site.at(wire.url, wire.url), transport, SystemClock()) as up:
        pass

    answers = await ask_everything(up)

    assert wire.heard == []
    assert shown([*answers, overheard()]) == []


async def test_a_password_that_can_not_be_sent_is_not_repeated(connect, wire):
    up = await connect(wire.url)

    with pytest.raises(ConfigError) as caught:
        await up.log_in("ana@example.com", PASSWORD + "\udcff", DEVICE)

    assert shown([repr(caught.value), repr(caught.value.__context__), repr(caught.value.__cause__)]) == []
    assert (wire.heard, up.in_flight) == ([], 0)


def test_a_transport_does_not_show_the_password_of_its_proxy():
    transport = Transport(
        timeout=timedelta(seconds=5), connections=1, user_agent="a-test/1.0", proxy="http://me:canary@proxy.test:8080"
    )

    assert shown([repr(transport), str(transport)]) == []


@pytest.mark.parametrize(
    "proxy",
    [
        "http://me:canary@proxy.test:99999",
        "http://me:canary@",
        "http://me:canary@[::1",
        "ftp://me:canary@proxy.test",
        "me:canary@proxy.test:8080",
        "canary",
        "//canary",
    ],
)
def test_a_proxy_that_makes_no_sense_is_refused_at_once_and_not_repeated(proxy):
    transport = Transport(timeout=timedelta(seconds=5), connections=1, user_agent="a-test/1.0", proxy=proxy)

    with pytest.raises(ConfigError, match=r"^AIMKEEPER_UPSTREAM_PROXY must be the address of a proxy") as caught:
        AimHarder(Site.at("http://a.test", "http://a.test"), transport, SystemClock())

    assert shown([repr(caught.value)]) == []
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("user_agent", ["a\nb", "a\r\nX: y", "a\x00", "a\ud800"])
def test_a_user_agent_that_can_not_be_sent_is_refused_at_once(user_agent):
    transport = Transport(timeout=timedelta(seconds=5), connections=1, user_agent=user_agent)

    with pytest.raises(ConfigError, match=r"^AIMKEEPER_USER_AGENT holds a character that can't be sent"):
        AimHarder(Site.at("http://a.test", "http://a.test"), transport, SystemClock())
