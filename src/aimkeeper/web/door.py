"""The door: what every request passes before any route. Who really asks, for which host, from which site's page."""

import json
from ipaddress import ip_address, ip_network
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from aimkeeper.web.errors import CODES
from aimkeeper.web.terms import Terms

# A probe names the machine by whatever name it has.
FOR_ANY_HOST = ("/healthz", "/readyz", "/metrics")
PREFLIGHT_SECONDS = 600


class Door:
    """
    Wraps the application.

    Args:
        terms: Whose word is taken, who is answered.
        for_other_origins: The beginnings of addresses that pages of named origins may call.
    """

    def __init__(self, app: ASGIApp, terms: Terms, for_other_origins: tuple[str, ...]) -> None:
        self._app = app
        self._for_other_origins = for_other_origins
        self._proxies = [ip_network(text, strict=False) for text in terms.trusted_proxies]
        self._hosts = terms.allowed_hosts
        self._origins = frozenset(terms.cors_origins)
        self._is_plain = not (self._proxies or self._hosts or self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_plain or scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        await self._http(scope, receive, send)

    async def _http(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            # Some proxies add a line of their own instead of a word to the caller's.
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        self._take_the_proxy_s_word(scope, headers)
        if not self._is_for_us(scope["path"], headers.get("host", "")):
            await _refuse(send, "bad_host", "this host is none of AIMKEEPER_ALLOWED_HOSTS: add it there.")
            return
        origin = headers.get("origin", "")
        if origin in self._origins and scope["path"].startswith(self._for_other_origins):
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                await _answer_preflight(send, origin)
                return
            send = _telling(send, _cors(origin))
        await self._app(scope, receive, send)

    def _take_the_proxy_s_word(self, scope: HTTPScope, headers: dict[str, str]) -> None:
        """From the nearest hop outwards: the first address that is no proxy of ours is the one who asks."""
        client = scope["client"]
        if client is None or not self._is_proxy(client[0]):
            return
        if (scheme := headers.get("x-forwarded-proto", "").rpartition(",")[2].strip()) in ("http", "https"):
            scope["scheme"] = scheme
        for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
            host = hop.strip()
            if not _is_address(host):
                return
            scope["client"] = (host, 0)
            if not self._is_proxy(host):
                return

    def _is_proxy(self, host: str) -> bool:
        return _is_address(host) and any(ip_address(host) in network for network in self._proxies)

    def _is_for_us(self, path: str, host: str) -> bool:
        if not self._hosts or path in FOR_ANY_HOST:
            return True
        name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        name = name.lower().rstrip(".")
        return any(
            name == allowed or (allowed.startswith("*.") and name.endswith(allowed[1:])) for allowed in self._hosts
        )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _cors(origin: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"retry-after"),
        (b"vary", b"origin"),
    ]


def _telling(send: Send, more: list[tuple[bytes, bytes]]) -> Send:
    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return tell


async def _answer_preflight(send: Send, origin: str) -> None:
    headers = [
        *_cors(origin),
        (b"access-control-allow-methods", b"GET, POST, DELETE"),
        (b"access-control-allow-headers", b"content-type, x-csrf-token"),
        (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
    ]
    await _send(send, 204, headers, b"")


async def _refuse(send: Send, code: str, sentence: str) -> None:
    body = json.dumps({"success": False, "error": sentence, "code": code}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await _send(send, CODES[code], headers, body)


async def _send(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
