"""What a program hands to its HTTP library: `KeptAuth` to httpx, `RequestsAuth` to requests."""

from collections.abc import AsyncGenerator, Generator, MutableMapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx

from aimkeeper.client.credentials import Credentials
from aimkeeper.client.sources import LocalStore, Served
from aimkeeper.client.wallet import Wallet
from aimkeeper.clock import SystemClock
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.values import read_duration
from aimkeeper.settings import Settings
from aimkeeper.upstream.protocol import is_logout

# What may be sent twice. A second booking is not for us to make.
SAFE_METHODS = frozenset({"GET", "HEAD"})
# No answer that only says "logout" is longer; what is goes on streaming, unread.
LONGEST_LOGOUT = 256
OK = 200


class _Kept:
    """
    What both have in common.

    Args:
        who: E-mail, `email#fingerprint` or id.
        url: The service's address, or None for the store on this machine.
        key: The operator's key, for *url*.
        min_slack: Ask for new credentials when less than this is left before the session's deadline, like `1m`.
        settings: Of the store on this machine; None = as the command line reads them.

    Raises:
        ConfigError: One of them makes no sense.
    """

    def __init__(
        self,
        who: str,
        url: str | None = None,
        key: str | None = None,
        min_slack: str = "1m",
        *,
        settings: Settings | None = None,
    ) -> None:
        try:
            slack = read_duration(min_slack)
        except ValueError as error:
            raise ConfigError(f"min_slack {error}.") from None
        source = LocalStore(who, settings) if url is None else Served(who, url, key)
        self._wallet = Wallet(source, slack, SystemClock())

    def credentials(self) -> Credentials:
        """
        Token, fingerprint and cookies, with at least `min_slack` left. May wait for a rotation.

        Raises:
            SessionEnded: It is over: log in again.
            UnknownSession, AmbiguousSession: No session, or several, answer to that name.
            UpstreamUnavailable: AimHarder can't be asked now; `retry_after` says when to try again.
            StoreUnavailable: aimkeeper's store, or the service at *url*, can't be reached.
            AimkeeperError: Any other reason; its text says what to do.
        """
        return self._wallet.get()


class KeptAuth(_Kept, httpx.Auth):
    """
    Signs the requests of an `httpx.Client` or `httpx.AsyncClient` with the cookies of a kept session.

    Each host gets the cookies that belong to it, others nothing. When AimHarder answers `{"logout":1}`, a GET or HEAD
    is sent once more with new credentials; any other answer is yours as it is, and the next request has new ones.
    One object serves any number of clients, threads and tasks.
    """

    async def acredentials(self) -> Credentials:
        """`credentials`, without holding up the event loop."""
        if at_hand := self._wallet.at_hand():
            return at_hand
        from anyio import to_thread  # noqa: PLC0415 (httpx brings it; only asynchronous programs need it)

        return await to_thread.run_sync(self._wallet.get, abandon_on_cancel=True)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        said = request.headers.get("cookie", "")
        used = self.credentials()
        is_signed = _sign(request.headers, str(request.url), said, used)
        response = yield request
        if not is_signed or not _may_be_logout(response.status_code, response.headers):
            return
        if not is_logout(response.read()):
            return
        self._wallet.refuse(used.generation)
        if request.method not in SAFE_METHODS:
            return
        fresh = self.credentials()
        if fresh.generation > used.generation:
            _sign(request.headers, str(request.url), said, fresh)
            yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        said = request.headers.get("cookie", "")
        used = await self.acredentials()
        is_signed = _sign(request.headers, str(request.url), said, used)
        response = yield request
        if not is_signed or not _may_be_logout(response.status_code, response.headers):
            return
        if not is_logout(await response.aread()):
            return
        self._wallet.refuse(used.generation)
        if request.method not in SAFE_METHODS:
            return
        fresh = await self.acredentials()
        if fresh.generation > used.generation:
            _sign(request.headers, str(request.url), said, fresh)
            yield request


class RequestsAuth(_Kept):
    """`KeptAuth` for a `requests.Session` (its attribute `auth`), or for one request (`auth=`)."""

    def __call__(self, request: Any) -> Any:
        """Sign a `PreparedRequest`, and hear its answer."""
        said = request.headers.get("Cookie", "")
        used = self.credentials()
        if _sign(request.headers, request.url, said, used):
            request.register_hook("response", partial(self._hear, said, used))
        return request

    def _hear(self, said: str, used: Credentials, response: Any, **how: Any) -> Any:
        if not _may_be_logout(response.status_code, response.headers) or not is_logout(response.content):
            return response
        self._wallet.refuse(used.generation)
        if response.request.method not in SAFE_METHODS:
            return response
        fresh = self.credentials()
        if fresh.generation == used.generation:
            return response
        again = response.request.copy()
        _sign(again.headers, again.url, said, fresh)
        response.close()
        answer = response.connection.send(again, **how)
        answer.history.append(response)
        answer.request = again
        return answer


def _sign(headers: MutableMapping[str, str], url: str, said: str, credentials: Credentials) -> bool:
    """
    Add what belongs to the host of *url*; whether anything does.

    Args:
        headers: Of the request.
        url: Of the request.
        said: The `Cookie` header it had before; where both name a cookie, ours is the living one.
        credentials: Whose cookies.
    """
    parts = urlsplit(url)
    ours = credentials.cookies_for(parts.hostname or "")
    if not ours or (credentials.over_tls_only and parts.scheme != "https"):
        return False
    theirs = (part.strip().partition("=") for part in said.split(";") if "=" in part)
    cookies = {name: value for name, _, value in theirs} | ours
    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return True


def _may_be_logout(status: int, headers: MutableMapping[str, str]) -> bool:
    """Whether the body is worth reading for it: a short one, or one of that kind whose length nobody told."""
    length = headers.get("content-length", "")
    if length.isdigit():
        return status == OK and int(length) <= LONGEST_LOGOUT
    return status == OK and headers.get("content-type", "").startswith(("application/json", "text/html"))
