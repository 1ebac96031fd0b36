"""The cookie jar of one session: read one `Set-Cookie` header at a time, kept by name and host, merged as deltas."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

# A site sends a handful; the bounds keep a mad answer from filling the store.
MAX_COOKIES = 60
MAX_PER_ANSWER = 30  # less than the jar holds: merging an answer twice is merging it once
MAX_VALUE = 4096

AUTH_COOKIE = "amhrdrauth"

_MAX_AGE = re.compile(r"(-?)([0-9]+)")
_LONGEST_AGE = 10  # digits, 300 years: more would overflow a date
_DASHED_DATE = re.compile(r"(?<=[0-9])-(?=[A-Za-z])|(?<=[A-Za-z])-(?=[0-9])")


@dataclass(frozen=True, slots=True)
class Cookie:
    """
    One cookie.

    Attributes:
        host: The host that set it (`host_only`), or the domain it is meant for. Lower case, no dot in front, no port.
        expires_at: When it dies; None for a session cookie, which lives as long as our session does.
    """

    name: str
    value: str = field(repr=False)
    host: str
    host_only: bool = True
    expires_at: datetime | None = None

    def goes_to(self, host: str) -> bool:
        """Whether a request to *host* carries it."""
        return host == self.host or (not self.host_only and host.endswith("." + self.host))


@dataclass(frozen=True, slots=True)
class CookieDelta:
    """What one answer did to the jar: cookies set, and (name, host) pairs deleted."""

    stored: tuple[Cookie, ...] = ()
    deleted: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.stored or self.deleted)


NO_CHANGE = CookieDelta()


@dataclass(frozen=True, slots=True)
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
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.for_host(host, now))

    def for_host(self, host: str, now: datetime) -> tuple[Cookie, ...]:
        """The living cookies a request to *host* carries."""
        return tuple(
            cookie
            for cookie in self.cookies
            if cookie.goes_to(host) and (cookie.expires_at is None or cookie.expires_at > now)
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
    first, _, rest = header.partition(";")
    name, equals, value = first.partition("=")
    # Quotes round a value are part of it, as browsers have it: what came is what goes back.
    name, value = name.strip(), value.strip()
    if not equals or not is_name(name) or not is_value(value):
        return NO_CHANGE
    attributes = _attributes(rest)
    scope = _scope(attributes.get("domain", ""), host)
    if scope is None:
        return NO_CHANGE
    cookie_host, host_only = scope
    expires_at = _expiry(attributes, now)
    if expires_at is not None and expires_at <= now:
        return CookieDelta(deleted=((name, cookie_host),))
    return CookieDelta(stored=(Cookie(name, value, cookie_host, host_only, expires_at),))


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
        delta = read_set_cookie(header, host=host, now=now)
        for cookie in delta.stored:
            if cookie.name == AUTH_COOKIE and host not in auth_hosts:
                continue
            deleted.pop((cookie.name, cookie.host), None)
            stored[cookie.name, cookie.host] = cookie
        for pair in delta.deleted:
            if pair[0] == AUTH_COOKIE and host not in auth_hosts:
                continue
            stored.pop(pair, None)
            deleted[pair] = None
    return CookieDelta(_youngest(tuple(stored.values()), MAX_PER_ANSWER), tuple(deleted))


def rescope(delta: CookieDelta, name: str, domain: str) -> CookieDelta:
    """Make every cookie *name* of *delta* one for *domain* and the hosts below it."""
    stored = tuple(
        replace(cookie, host=domain, host_only=False) if cookie.name == name else cookie for cookie in delta.stored
    )
    return CookieDelta(stored, delta.deleted)


def _youngest(cookies: tuple[Cookie, ...], at_most: int) -> tuple[Cookie, ...]:
    """The last *at_most*; `amhrdrauth` goes last of all: no flood of others may end a session."""
    surplus = len(cookies) - at_most
    if surplus <= 0:
        return cookies
    gone = [cookie for cookie in cookies if cookie.name != AUTH_COOKIE][:surplus]
    return tuple(cookie for cookie in cookies if cookie not in gone)[-at_most:]


def _attributes(rest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in rest.split(";"):
        key, _, value = part.partition("=")
        found[key.strip().lower()] = value.strip()
    return found


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


def _expiry(attributes: dict[str, str], now: datetime) -> datetime | None:
    if age := _MAX_AGE.fullmatch(attributes.get("max-age", "")):
        minus, digits = age[1], age[2].lstrip("0")
        seconds = int(digits or 0) if len(digits) <= _LONGEST_AGE else 10**_LONGEST_AGE
        return now + timedelta(seconds=-seconds if minus else seconds)
    return _date(attributes["expires"]) if attributes.get("expires") else None


@lru_cache(maxsize=256)  # a busy second brings the same date again and again, and the mail parser is slow
def _date(text: str) -> datetime | None:
    # Sites write the date in several old ways; the mail parser reads them all, once `01-Jan-2026` has lost its dashes.
    try:
        moment = parsedate_to_datetime(_DASHED_DATE.sub(" ", text))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def is_name(name: str) -> bool:
    """Whether a cookie may be called that, and be sent."""
    return bool(name) and len(name) < 256 and name.isascii() and name.isprintable() and not set(name) & set(' ,;="')  # noqa: PLR2004


def is_value(value: str) -> bool:
    """Whether a cookie may hold that, and be sent."""
    return len(value) <= MAX_VALUE and value.isascii() and value.isprintable() and ";" not in value
