"""
Token and cookies as the app that made the table has them: readable, in columns of its own.

What stands there is the truth, whoever wrote it. The sealed part beside it holds what the app has no column for: the
cookies' hosts, a remembered password, what was handed out; and the token that was there before, where another program
has written one since.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import msgspec

from aimkeeper.core.change import merge_handouts
from aimkeeper.core.cookies import AUTH_COOKIE, Cookie, CookieDelta, Jar, is_name, is_value
from aimkeeper.core.session import Handout, Secrets
from aimkeeper.core.token import Token


class _Plain(msgspec.Struct):
    token: str
    cookies: Any
    host: str


# The key of `meta` under which all that is to be known of a table stands that was not made here.
ADOPTED = "adopted"

_decode = msgspec.json.Decoder(_Plain).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Adopted:
    """
    A table that aimkeeper did not make.

    Attributes:
        is_shared: Whether another program goes on using it: then token and cookies stay where it reads them.
        host: The base host of the upstream: the cookies' own, where nobody knows better.
        one_per_email: Whether the table has room for one session of an account only.
    """

    is_shared: bool
    host: str
    one_per_email: bool

    @classmethod
    def read(cls, rows: Sequence[Sequence[Any]]) -> "Adopted | None":
        """From the row of `meta`, if there is one."""
        if not rows:
            return None
        known = msgspec.json.decode(rows[0][0])
        return cls(known["mode"] == "shared", known["host"], known["one_per_email"])

    def written(self, secrets: Secrets | None) -> str | None:
        """What a commit writes into the app's columns; None to leave them as they are."""
        if secrets is None:
            return None
        if not self.is_shared or secrets.token is None:
            return _packed("", Jar(), self.host)
        return _packed(secrets.token.text, secrets.jar, self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """
    What the triggers must know of our settings; seconds.

    Attributes:
        host: The base host of the upstream.
        fingerprint: For rows that have none.
    """

    refresh_every: float
    idle_timeout: float
    host: str
    fingerprint: str | None

    def text(self) -> str:
        """As JSON. A fingerprint that is not set here stays what it was."""
        return _encode({name: value for name, value in asdict(self).items() if value is not None}).decode()


def read_plain(text: str, sealed: Secrets, since: datetime) -> Secrets:
    """
    The secrets of a row whose token stands in the app's column.

    Args:
        text: Token, cookies and base host, as JSON.
        sealed: What the sealed part holds; it may be empty, or older.
        since: When the token came.

    Raises:
        ValueError: The token is no token.
    """
    plain = _decode(text)
    token = Token.parse(plain.token)
    # Whoever else reads the table holds it too, and may come back with it.
    handouts = merge_handouts(sealed.handouts, (Handout(token.digest(), since.timestamp()),))
    cookies = tuple(_cookie(name, value, sealed.jar, plain.host) for name, value in _pairs(plain.cookies))
    # Another token is another login, and its cookies are all that there are.
    jar = (sealed.jar if token == sealed.token else Jar()).merge(CookieDelta(cookies))
    return Secrets(token, jar, sealed.password, handouts)


def _packed(token: str, jar: Jar, host: str) -> str:
    """One cookie for each name: where there are several, the one that goes to the base host."""
    chosen: dict[str, Cookie] = {}
    for cookie in jar.cookies:
        if cookie.name not in chosen or (cookie.goes_to(host) and not chosen[cookie.name].goes_to(host)):
            chosen[cookie.name] = cookie
    cookies = [{"name": cookie.name, "value": cookie.value} for cookie in chosen.values()]
    return _encode({"token": token, "cookies": cookies}).decode()


def _pairs(cookies: Any) -> list[tuple[str, str]]:
    """Names and values; what could not be sent is left out."""
    found = []
    for cookie in cookies if isinstance(cookies, list) else ():
        name, value = (cookie.get("name"), cookie.get("value")) if isinstance(cookie, dict) else (None, None)
        if isinstance(name, str) and isinstance(value, str) and is_name(name) and is_value(value):
            found.append((name, value))
    return found


def _cookie(name: str, value: str, known: Jar, host: str) -> Cookie:
    """Where a browser would hold it: as the one of that name was held, else as the site sets it."""
    same = [cookie for cookie in known.cookies if cookie.name == name]
    for cookie in same:
        if cookie.value == value:
            return cookie
    best = next((cookie for cookie in same if cookie.goes_to(host)), same[0] if same else None)
    if best is not None:
        return Cookie(name, value, best.host, best.host_only)
    return Cookie(name, value, host, host_only=name != AUTH_COOKIE)
