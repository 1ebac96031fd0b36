"""Who may do what: one guard a role. Guards are coroutines: plain functions would each be sent to a thread."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

PAGE_COOKIE = "aimkeeper_page"
PAGE_LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(minutes=10)

Connection = ASGIConnection[Any, Any, Any, Any]


class Forbidden(Exception):
    """The caller may not; `code` and `status` say how to tell it."""

    def __init__(self, message: str, *, code: str = "unauthorized", status: int = 401) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Access:
    """
    Checks bearers and the page's cookie.

    Args:
        operator_keys: Any of them is the operator's.
        cron_secret: May call bulk-update and stats.
    """

    def __init__(self, operator_keys: Sequence[str], cron_secret: str | None) -> None:
        self._operator_keys = tuple(operator_keys)
        self._cron_secret = cron_secret

    def is_operator(self, connection: Connection) -> bool:
        return any(_same(_bearer(connection), key) for key in self._operator_keys)

    def is_cron(self, connection: Connection) -> bool:
        return self._cron_secret is not None and _same(_bearer(connection), self._cron_secret)

    def is_page(self, connection: Connection, now: datetime) -> bool:
        until, _, signature = connection.cookies.get(PAGE_COOKIE, "").partition(".")
        if not until.isdigit() or len(until) > 12 or int(until) < now.timestamp():  # noqa: PLR2004 (digits of a year 33658)
            return False
        return any(_same(signature, _sign(key, until)) for key in self._operator_keys)

    def page_cookie(self, now: datetime, *, secure: bool) -> Cookie:
        """What a browser gets for a good sign-in link: it opens the page, and no secret."""
        until = str(int((now + PAGE_LIFE).timestamp()))
        return Cookie(
            key=PAGE_COOKIE,
            value=f"{until}.{_sign(self._operator_keys[0], until)}",
            max_age=int(PAGE_LIFE.total_seconds()),
            httponly=True,
            secure=secure,
            samesite="lax",
            path="/",
        )


def new_link_code() -> tuple[str, str]:
    """A one-time code, and the hash under which the store knows it."""
    code = secrets.token_urlsafe(24)
    return code, hash_link_code(code)


def hash_link_code(code: str) -> str:
    return hashlib.sha256(b"aimkeeper sign-in\0" + code.encode()).hexdigest()


async def operator_page_or_cron(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard: reads of numbers."""
    access: Access = connection.app.state.access
    if not (access.is_operator(connection) or access.is_cron(connection) or _page(connection)):
        raise Forbidden("send the operator's key or the cron secret as a bearer.")


async def operator_or_cron(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard: work by bearer only."""
    access: Access = connection.app.state.access
    if not (access.is_operator(connection) or access.is_cron(connection)):
        raise Forbidden("send the operator's key or the cron secret as a bearer.")


async def operator_or_page(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard: lists without secrets."""
    access: Access = connection.app.state.access
    if not (access.is_operator(connection) or _page(connection)):
        raise Forbidden("sign in with a link from `aimkeeper open`, or send the operator's key as a bearer.")


async def operator_or_loopback(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard: metrics."""
    access: Access = connection.app.state.access
    if not _is_here(connection) and not access.is_operator(connection):
        raise Forbidden("send the operator's key as a bearer.")


def _is_here(connection: Connection) -> bool:
    """Whether the caller sits at this machine. (Who came by a proxy on it, uvicorn knows by his own address.)"""
    try:
        address = ip_address(connection.client.host if connection.client else "")
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _page(connection: Connection) -> bool:
    access: Access = connection.app.state.access
    return access.is_page(connection, connection.app.state.service.store.now())


def _bearer(connection: Connection) -> str:
    kind, _, value = connection.headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def _same(given: str, wanted: str) -> bool:
    return bool(given) and hmac.compare_digest(given.encode(), wanted.encode())


def _sign(key: str, until: str) -> str:
    return hmac.new(key.encode(), b"aimkeeper page\0" + until.encode(), "sha256").hexdigest()
