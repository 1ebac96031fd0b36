"""The cookie jar of one session: read one `Set-Cookie` header at a time, kept by name and host, merged as deltas."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

from aimkeeper.core.frozen import value

# A site sends a handful; the bounds keep a mad answer from filling the store.
MAX_COOKIES = 60
MAX_PER_ANSWER = 30  # less than the jar holds: merging an answer twice is merging it once
MAX_VALUE = 4096

AUTH_COOKIE = "amhrdrauth"

# Printable ASCII without space, comma, semicolon, equals sign and double quote.
_NAME = re.compile(r"[!#-+\--:<>-~]{1,255}")
_MAX_AGE = re.compile(r"(-?)([0-9]+)")
_LONGEST_AGE = 10  # digits, 300 years: more would overflow a date
_LONG = 512  # characters of attributes: longer ones are not worth remembering
_DASHED_DATE = re.compile(r"(?<=[0-9])-(?=[A-Za-z])|(?<=[A-Za-z])-(?=[0-9])")


class Cookie(NamedTuple):
    """
    One cookie; a tuple, for each rotation packs and unpacks a handful.

    Attributes:
        host: The host that set it (`host_only`), or the domain it is meant for. Lower case, no dot in front, no port.
        expires_at: When it dies; None for a session cookie, which lives as long as our session does.
    """

    name: str
    value: str
    host: str
    host_only: bool = True
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Cookie({self.name!r} for {self.host!r})"

    def goes_to(self, host: str) -> bool:
        """Whether a request to *host* carries it."""
        return host == self.host or (not self.host_only and host.endswith("." + self.host))


@value(frozen=True, slots=True)
class CookieDelta:
    """What one answer did to the jar: cookies set, and (name, host) pairs deleted."""

    stored: tuple[Cookie, ...] = ()
    deleted: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.stored or self.deleted)


NO_CHANGE = CookieDelta()


@value(frozen=True, slots=True)
class Jar:
    """Cookies in the order in which their names first came, at most one for each (name, host)."""

    cookies: tuple[Cookie, ...] = ()

    def merge(self, delta: CookieDelta) -> "Jar":
        """The jar after *delta*: a changed cookie keeps its place, a new one goes last."""
        if not delta:
            return self
        kept = {(cookie.name, cookie.host): cookie for cookie in self.cookies}
        for pair in delta.deleted:
            kept.pop(pair, None)
        for cookie in delta.stored:
            kept[cookie.name, cookie.host] = cookie
        return Jar(_youngest(tuple(kept.values()), MAX_COOKIES))

    def header(self, host: str, now: datetime) -> str:
        """The `Cookie` header for a request to *host*; empty when there is nothing to send."""
        return "; ".join([f"{cookie.name}={cookie.value}" for cookie in self.for_host(host, now)])

    def for_host(self, host: str, now: datetime) -> tuple[Cookie, ...]:
        """The living cookies a request to *host* carries."""
        return tuple(
            [
                cookie
                for cookie in self.cookies
                if (cookie.host == host or cookie.goes_to(host))
                and (cookie.expires_at is None or cookie.expires_at > now)
            ]
        )

    def get(self, name: str) -> Cookie | None:
        """The first cookie of that name, whatever its host."""
        return next((cookie for cookie in self.cookies if cookie.name == name), None)


def read_set_cookie(header: str, *, host: str, now: datetime) -> CookieDelta:
    """
    Read one `Set-Cookie` header. Rubbish, and cookies for foreign hosts, change nothing.

    Args:
        header: One header's value. Never several joined by commas: the `Expires` date holds one.
        host: The host that answered, lower case, without a port.
        now: For `Max-Age`; aware.
    """
    cookie, dies = _read(header, host, now) or (None, True)
    if cookie is None:
        return NO_CHANGE
    return CookieDelta(deleted=((cookie.name, cookie.host),)) if dies else CookieDelta(stored=(cookie,))


def read_set_cookies(headers: Iterable[str], *, host: str, now: datetime, auth_hosts: frozenset[str]) -> CookieDelta:
    """
    Read all `Set-Cookie` headers of one answer, the later of two for one name winning; `MAX_PER_ANSWER` are kept.

    Args:
        headers: The headers' values, in order.
        host: The host that answered.
        now: See `read_set_cookie`.
        auth_hosts: Hosts whose `amhrdrauth` is believed; a box's own is ignored.
    """
    stored: dict[tuple[str, str], Cookie] = {}
    deleted: dict[tuple[str, str], None] = {}
    for header in headers:
        cookie, dies = _read(header, host, now) or (None, True)
        if cookie is None or (cookie.name == AUTH_COOKIE and host not in auth_hosts):
            continue
        pair = cookie.name, cookie.host
        if dies:
            stored.pop(pair, None)
            deleted[pair] = None
        else:
            deleted.pop(pair, None)
            stored[pair] = cookie
    return CookieDelta(_youngest(tuple(stored.values()), MAX_PER_ANSWER), tuple(deleted))


def rescope(delta: CookieDelta, name: str, domain: str) -> CookieDelta:
    """Make every cookie *name* of *delta* one for *domain* and the hosts below it."""
    stored = tuple(
        cookie._replace(host=domain, host_only=False) if cookie.name == name else cookie for cookie in delta.stored
    )
    return CookieDelta(stored, delta.deleted)


def _youngest(cookies: tuple[Cookie, ...], at_most: int) -> tuple[Cookie, ...]:
    """The last *at_most*; `amhrdrauth` goes last of all: no flood of others may end a session."""
    surplus = len(cookies) - at_most
    if surplus <= 0:
        return cookies
    gone = [cookie for cookie in cookies if cookie.name != AUTH_COOKIE][:surplus]
    return tuple(cookie for cookie in cookies if cookie not in gone)[-at_most:]


def _read(header: str, host: str, now: datetime) -> tuple[Cookie, bool] | None:
    """The cookie of one header, and whether it is dead already; None for rubbish and foreign hosts."""
    first, _, rest = header.partition(";")
    name, equals, value = first.partition("=")
    # Quotes round a value are part of it, as browsers have it: what came is what goes back.
    name, value = name.strip(), value.strip()
    if not equals or not is_name(name) or not is_value(value):
        return None
    domain, age, expires_at = (_attributes if len(rest) < _LONG else _attributes.__wrapped__)(rest)
    scope = _scope(domain, host)
    if scope is None:
        return None
    if age is not None:
        expires_at = now + age
    return Cookie(name, value, *scope, expires_at), expires_at is not None and expires_at <= now


@lru_cache(maxsize=256)  # a busy second brings the same ones again and again, and the mail parser is slow
def _attributes(rest: str) -> tuple[str, timedelta | None, datetime | None]:
    """Domain, `Max-Age` and `Expires` of what follows a cookie's value."""
    found: dict[str, str] = {}
    for part in rest.split(";"):
        key, _, value = part.partition("=")
        found[key.strip().lower()] = value.strip()
    return found.get("domain", ""), _age(found.get("max-age", "")), _date(found.get("expires", ""))


def _scope(domain: str, host: str) -> tuple[str, bool] | None:
    """(host, host_only) as a browser would see it, None when the cookie must be ignored."""
    domain = domain.lower().lstrip(".")
    if not domain:
        return host, True
    if domain == host:
        return host, not _may_share(host)
    # A bare top-level domain would hand the cookie to half the internet.
    if _may_share(domain) and host.endswith("." + domain):
        return domain, False
    return None


def _may_share(domain: str) -> bool:
    """Whether *domain* can have hosts below it: neither an address nor a single word."""
    return "." in domain and not domain.replace(".", "").isdigit() and ":" not in domain


def _age(text: str) -> timedelta | None:
    age = _MAX_AGE.fullmatch(text)
    if age is None:
        return None
    minus, digits = age[1], age[2].lstrip("0")
    seconds = int(digits or 0) if len(digits) <= _LONGEST_AGE else 10**_LONGEST_AGE
    return timedelta(seconds=-seconds if minus else seconds)


def _date(text: str) -> datetime | None:
    # Sites write the date in several old ways; the mail parser reads them all, once `01-Jan-2026` has lost its dashes.
    try:
        moment = parsedate_to_datetime(_DASHED_DATE.sub(" ", text)) if text else None
        if moment is None:
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def is_name(name: str) -> bool:
    """Whether a cookie may be called that, and be sent."""
    return _NAME.fullmatch(name) is not None


def is_value(value: str) -> bool:
    """Whether a cookie may hold that, and be sent."""
    return len(value) <= MAX_VALUE and value.isascii() and value.isprintable() and ";" not in value
