"""
Sends the protocol's requests. Known in this file only: pyreqwest.

Its exceptions carry whole URLs, and a URL may carry a token. So none of them leaves this file: each failure becomes a
`NoReply`, a plain value.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self
from urllib.parse import urlsplit

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, PyreqwestError, RequestTimeoutError
from pyreqwest.http import HeaderMap
from pyreqwest.middleware.asgi import ASGITestMiddleware
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.response import Response

from aimkeeper.clock import Clock
from aimkeeper.core.cookies import Jar
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.outcome import Glimpse, LoginAnswer, NoReply, Outcome, Reason, Refused, Reply, WhoAmI
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.upstream import protocol
from aimkeeper.upstream.glimpses import glimpse
from aimkeeper.upstream.protocol import Request, Site

# More than this is not an answer of AimHarder's; reading on would only fill the memory.
MAX_BODY = 1024 * 1024

# The one cause that proves that nothing was sent: no connection was made. (Compared whole: the first cause of a chain
# holds the URL, in which anything may stand.) A release that words it otherwise errs on the safe side: in doubt.
NEVER_SENT = "client error (Connect)"

PROXIES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")

App = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """
    How requests travel.

    Attributes:
        timeout: Of one whole exchange, body included.
        connections: How many are kept open while idle.
        proxy: URL of a proxy for every request; None = what `HTTPS_PROXY` and its kin say.
        app: An ASGI application to call instead of the network, for tests.
    """

    timeout: timedelta
    connections: int
    user_agent: str
    proxy: str | None = field(repr=False, default=None)  # it may hold a password
    app: App | None = None


class AimHarder:
    """
    The upstream, as questions. One attempt each: who asks again is the engine's affair.

    Attributes:
        glimpsed: Where it is set, it is told of each exchange what may be shown to people.
    """

    def __init__(self, site: Site, transport: Transport, clock: Clock) -> None:
        """
        Raises:
            ConfigError: The proxy or the user agent makes no sense.
        """
        self.site = site
        self.in_flight = 0
        self.glimpsed: Callable[[Glimpse], None] | None = None
        self._clock = clock
        self._in_process = transport.app is not None
        self._client = _client(transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def rotate(self, token: Token, fingerprint: Fingerprint, jar: Jar) -> Outcome:
        """Exchange *token* by tokenUpdate."""
        request = protocol.token_update(self.site, token, fingerprint, self._cookies(jar))
        return protocol.read_token_update(
            await self._send(request, "token_update"), self.site, token, self._clock.now()
        )

    async def set_refresh(self, token: Token, fingerprint: Fingerprint, jar: Jar) -> Outcome:
        """Exchange *token* by setrefresh, as the site does after a login."""
        request = protocol.set_refresh(self.site, token, fingerprint, self._cookies(jar))
        return protocol.read_set_refresh(await self._send(request, "setrefresh"), self.site, token, self._clock.now())

    async def who_am_i(self, jar: Jar) -> WhoAmI:
        """Ask whose the cookies are; spends nothing."""
        request = protocol.who_am_i(self.site, self._cookies(jar))
        return protocol.read_who_am_i(await self._send(request, "whoami"), self.site, self._clock.now())

    async def log_in(self, email: str, password: str, fingerprint: Fingerprint) -> LoginAnswer:
        """Log in with a password."""
        request = protocol.log_in(self.site, email, password, fingerprint)
        return protocol.read_log_in(await self._send(request, "login"), self.site, self._clock.now())

    async def log_out(self, jar: Jar) -> Refused | None:
        """Log out upstream; None when it was taken."""
        request = protocol.log_out(self.site, self._cookies(jar))
        return protocol.read_log_out(await self._send(request, "logout"), self._clock.now())

    async def knock(self) -> None:
        """Ask both hosts for what anybody may see, without a session's cookies; `glimpsed` hears what came."""
        await self._send(protocol.who_am_i(self.site, ""), "whoami")
        await self._send(protocol.login_door(self.site), "login_door")

    def _cookies(self, jar: Jar) -> str:
        return protocol.cookie_header(jar, self.site, self._clock.now())

    async def _send(self, request: Request, via: str) -> Reply | NoReply:
        self.in_flight += 1
        began = self._clock.monotonic()
        try:
            reply = await self._exchange(request)
        finally:
            self.in_flight -= 1
        if self.glimpsed:
            took = timedelta(seconds=self._clock.monotonic() - began)
            self.glimpsed(glimpse(via, reply, self._clock.now(), took))
        return reply

    async def _exchange(self, request: Request) -> Reply | NoReply:
        try:
            builder = self._client.request(request.method, request.url).headers(request.headers)
            if request.body is not None:
                builder = builder.body_bytes(request.body)
            sending = builder.build_streamed()
        except (BuilderError, ValueError):
            return NoReply(Reason.UNREACHABLE)  # it was never whole enough to be sent
        try:
            async with sending as response:
                body = b""
                while chunk := await response.body_reader.read_chunk():
                    body += chunk
                    if len(body) > MAX_BODY:
                        return NoReply(Reason.TOO_LARGE)
                return _reply(response, protocol.host_of(request.url), body)
        except BuilderError:
            return NoReply(Reason.UNREACHABLE)
        except PyreqwestError as error:
            return NoReply(_reason(error))
        except Exception:
            # Only an application called in-process fails with its own exceptions: a broken connection, to us.
            if not self._in_process:
                raise
            return NoReply(Reason.BROKEN_OFF)


def _client(transport: Transport) -> Client:
    if not transport.user_agent.isprintable():
        raise ConfigError("AIMKEEPER_USER_AGENT holds a character that can't be sent.")
    builder = (
        ClientBuilder()
        .follow_redirects(enable=False)
        .http1_only()
        .timeout(transport.timeout)
        .pool_max_idle_per_host(transport.connections)
        .user_agent(transport.user_agent)
        .referer(enable=False)
    )
    if transport.proxy:
        builder = builder.proxy(_proxy(transport.proxy))
    if transport.app:
        builder = builder.with_middleware(ASGITestMiddleware(transport.app))
    return builder.build()


def _proxy(url: str) -> ProxyBuilder:
    # The library's own complaint may repeat the URL, and with it a password.
    with suppress(ValueError):
        if urlsplit(url).scheme.lower() in PROXIES:
            return ProxyBuilder.all(url)
    raise ConfigError("AIMKEEPER_UPSTREAM_PROXY must be the address of a proxy, like http://user:password@host:8080.")


def _reply(response: Response, host: str, body: bytes) -> Reply:
    status, one = response.status, response.get_header
    try:
        cookies = tuple(response.get_header_all("set-cookie"))
        return Reply(status, host, body, cookies, one("retry-after"), one("date"), one("content-type"))
    except ValueError:
        found = _readable(response.headers)
    cookies = tuple(value for name, value in found if name == "set-cookie")
    first = dict(reversed(found))
    return Reply(status, host, body, cookies, first.get("retry-after"), first.get("date"), first.get("content-type"))


def _readable(headers: HeaderMap) -> list[tuple[str, str]]:
    """
    Every header that is plain text, names in lower case, in order.

    One that is not raises; it is left out, alone: it must not cost us the token that stands in the body.
    """
    found: list[tuple[str, str]] = []
    pairs = iter(headers.items())
    for _ in range(len(headers)):
        with suppress(ValueError):
            found.append(next(pairs))
    return found


def _reason(error: PyreqwestError) -> Reason:
    details = getattr(error, "details", None) or {}
    causes = [cause.get("message") for cause in details.get("causes") or ()]
    if NEVER_SENT in causes:
        return Reason.UNREACHABLE
    return Reason.TIMED_OUT if isinstance(error, RequestTimeoutError) else Reason.BROKEN_OFF
