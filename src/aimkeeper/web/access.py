"""Who may do what: one check a role, one guard a route. Everything that opens a door is compared here."""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler

from aimkeeper.web.errors import Refused
from aimkeeper.web.terms import Terms

PAGE_COOKIE, MEMBER_COOKIE = "aimkeeper_page", "aimkeeper_member"
PAGE_LIFE, MEMBER_LIFE = timedelta(hours=12), timedelta(days=90)
LINK_LIFE = timedelta(minutes=10)
CSRF_HEADER = "x-csrf-token"
READING = frozenset(("GET", "HEAD", "OPTIONS"))

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]


class Role(StrEnum):
    """In what capacity somebody asks."""

    OPERATOR = "operator"  # the key, as a bearer
    PAGE = "page"  # the operator's browser, by cookie: lists and buttons, no secret
    CRON = "cron"  # CRON_SECRET, as a bearer
    MEMBER = "member"  # a member's browser, by cookie: one session
    BOT = "bot"  # a bot on another machine, by the bearer it was lent: one session's credentials
    HERE = "loopback"  # somebody on this machine
    ANYONE = "anyone"


# What a caller lacks, as he is told. Bearers are named together.
_COOKIES = {Role.PAGE: "sign in with a link from `aimkeeper open`", Role.MEMBER: "log in"}
_BEARERS = {
    Role.OPERATOR: "the operator's key",
    Role.CRON: "the cron secret",
    Role.BOT: "what `aimkeeper lend` printed",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who asks, once he was let in.

    Attributes:
        session_id: The one session he may ask about; None unless member or bot.
        csrf: What his page must send along with a write; None without a cookie.
    """

    role: Role
    session_id: str | None = None
    csrf: str | None = None


class Access:
    """
    Checks bearers and cookies.

    Args:
        operator_keys: Any of them is the operator's; none = its routes are closed.
        cron_secret: May call bulk-update and stats.
        terms: Whether anybody may log in.
    """

    def __init__(self, operator_keys: Sequence[str], cron_secret: str | None, terms: Terms | None = None) -> None:
        self._operator_keys = tuple(operator_keys)
        self._cron_secret = cron_secret
        self.terms = terms or Terms()
        self._by_bearer = {Role.OPERATOR: self._operator, Role.CRON: self._cron, Role.BOT: self._bot}
        self._by_cookie = {Role.PAGE: self._page, Role.MEMBER: self._member}

    async def caller(self, connection: Connection, roles: Sequence[Role]) -> Caller | None:
        """
        Who asks, if it is one of *roles*. Whoever sends a bearer is judged by that alone, whatever cookies come along.

        Raises:
            Refused: He is known by a cookie only, and wants to write without his page's token.
        """
        bearer = _bearer(connection)
        checks = self._by_bearer if bearer else self._by_cookie
        for role in roles:
            found = await checks[role](connection, bearer) if role in checks else None
            if found is None:
                continue
            if _sends_its_token(connection, found):
                return found
            if Role.ANYONE not in roles:
                raise Refused("csrf", "a page must send its own token along with a write, as X-CSRF-Token: reload it.")
        if Role.HERE in roles and is_here(connection):
            return Caller(Role.HERE)
        return Caller(Role.ANYONE) if Role.ANYONE in roles and not bearer else None

    def is_key(self, text: str) -> bool:
        """Whether *text* is the operator's key."""
        return any(_same(text, key) for key in self._operator_keys)

    def check_open(self, roles: Sequence[Role]) -> None:
        """
        Say so where a route can open to nobody.

        Raises:
            Refused: It is the operator's, and there is no key.
        """
        if Role.OPERATOR in roles and not self._operator_keys:
            raise Refused(
                "no_operator_key",
                "this is the operator's, and no key is set: set AIMKEEPER_API_KEY (16 characters or more) and restart.",
            )

    def page_cookie(self, now: datetime, *, secure: bool) -> Cookie:
        """What a browser gets for a good sign-in link, or the key: it opens the page, and no secret."""
        until = str(int((now + PAGE_LIFE).timestamp()))
        # Strict: no other site's link or form ever carries it.
        return _cookie(PAGE_COOKIE, f"{until}.{_sign(self._operator_keys[0], until)}", PAGE_LIFE, secure, "strict")

    async def _operator(self, _: Connection, bearer: str) -> Caller | None:
        return Caller(Role.OPERATOR) if self.is_key(bearer) else None

    async def _cron(self, _: Connection, bearer: str) -> Caller | None:
        good = self._cron_secret is not None and _same(bearer, self._cron_secret)
        return Caller(Role.CRON) if good else None

    async def _bot(self, connection: Connection, bearer: str) -> Caller | None:
        session_id = await connection.app.state.service.store.http.bots.session_of(bearer)
        return Caller(Role.BOT, session_id) if session_id else None

    async def _page(self, connection: Connection, _: str) -> Caller | None:
        value = connection.cookies.get(PAGE_COOKIE, "")
        until, _dot, signature = value.partition(".")
        now = connection.app.state.service.store.now().timestamp()
        if not (until.isascii() and until.isdigit()) or len(until) > 12 or int(until) < now:  # noqa: PLR2004 (digits of a year 33658)
            return None
        good = any(_same(signature, _sign(key, until)) for key in self._operator_keys)
        return Caller(Role.PAGE, csrf=csrf_of(value)) if good else None

    async def _member(self, connection: Connection, _: str) -> Caller | None:
        value = connection.cookies.get(MEMBER_COOKIE, "")
        session_id = value and await connection.app.state.service.store.http.members.session_of(value)
        return Caller(Role.MEMBER, session_id, csrf_of(value)) if session_id else None


def let_in(*roles: Role) -> Guard:
    """A guard: only *roles* pass, and the handler finds who it is as `request.user`."""

    async def guard(connection: Connection, _: BaseRouteHandler) -> None:
        connection.scope["user"] = await admit(connection, roles)

    return guard


async def admit(connection: Connection, roles: Sequence[Role]) -> Caller:
    """
    Who asks.

    Raises:
        Refused: It is none of *roles*.
    """
    access: Access = connection.app.state.access
    caller = await access.caller(connection, roles)
    if caller is None:
        access.check_open(roles)
        ways = [how for role, how in _COOKIES.items() if role in roles]
        bearers = " or ".join(what for role, what in _BEARERS.items() if role in roles)
        ways += [f"send {bearers} as a bearer"] if bearers else []
        raise Refused("unauthorized", f"{', or '.join(ways)}.")
    return caller


async def whoever_may_log_in(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard: the operator always, anybody where it was opened to all."""
    access: Access = connection.app.state.access
    caller = await access.caller(connection, (Role.OPERATOR, Role.PAGE, Role.ANYONE))
    if caller is None:
        raise Refused("unauthorized", "that is not the operator's key: leave the bearer away, or send the right one.")
    if caller.role is Role.ANYONE and not access.terms.public_login:
        raise Refused(
            "login_closed",
            "logging in over HTTP is closed here: set AIMKEEPER_PUBLIC_LOGIN, or send the operator's key as a bearer.",
        )
    connection.scope["user"] = caller


def csrf_of(cookie: str) -> str:
    """What the page of whoever holds *cookie* sends along with its writes; no other site's page can know it."""
    return hmac.new(cookie.encode(), b"aimkeeper csrf", "sha256").hexdigest()


def member_cookie(value: str, *, secure: bool) -> Cookie:
    """What a member's browser gets: 256 random bits, of which the store knows the hash."""
    # Lax: an app that renders on its server sees it when the member follows a link to it (docs/decisions/0014).
    return _cookie(MEMBER_COOKIE, value, MEMBER_LIFE, secure, "lax")


def gone(name: str, *, secure: bool) -> Cookie:
    """Has a browser forget a cookie."""
    return _cookie(name, "", timedelta(0), secure, "strict" if name == PAGE_COOKIE else "lax")


def is_secure(connection: Connection) -> bool:
    """Whether the browser came by HTTPS."""
    return bool(connection.scope["scheme"] == "https")


def is_here(connection: Connection) -> bool:
    """Whether the caller sits at this machine, and did not come by a proxy on it."""
    if any(name in connection.headers for name in ("x-forwarded-for", "forwarded", "x-real-ip")):
        return False
    try:
        address = ip_address(connection.client.host if connection.client else "")
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def address_of(connection: Connection) -> str:
    """Whose tries are counted together: an address, or the network of 64 bits that one household has of IPv6."""
    host = connection.client.host if connection.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return str(ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def new_link_code() -> tuple[str, str]:
    """A one-time code, and the hash under which the store knows it."""
    code = secrets.token_urlsafe(24)
    return code, hash_link_code(code)


def hash_link_code(code: str) -> str:
    return hashlib.sha256(b"aimkeeper sign-in\0" + code.encode()).hexdigest()


def _sends_its_token(connection: Connection, caller: Caller) -> bool:
    """Whether a write by cookie comes from a page that could read its own token; all else needs none."""
    if caller.csrf is None or connection.scope.get("method") in READING:
        return True
    return _same(connection.headers.get(CSRF_HEADER, ""), caller.csrf)


def _bearer(connection: Connection) -> str:
    # Looked for in the headers as they came: of most requests nobody asks for another one.
    header = next((value for name, value in connection.scope["headers"] if name == b"authorization"), b"")
    kind, _, value = header.decode("latin-1").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def _same(given: str, wanted: str) -> bool:
    return bool(given) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())


def _sign(key: str, until: str) -> str:
    return hmac.new(key.encode(), b"aimkeeper page\0" + until.encode(), "sha256").hexdigest()


def _cookie(name: str, value: str, life: timedelta, secure: bool, samesite: Any) -> Cookie:  # noqa: FBT001 (one of many)
    return Cookie(
        key=name,
        value=value,
        max_age=int(life.total_seconds()),
        httponly=True,
        secure=secure,
        samesite=samesite,
        path="/",
    )
