"""
Texts read as values: durations, numbers, choices, addresses.

Each reader takes any text, and raises a `ValueError` that says what it must be, without repeating it.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")
_ADDRESS = re.compile(r"[a-z][a-z0-9+]*://\S", re.IGNORECASE)
_BETWEEN_ADDRESSES = re.compile(r"[\s,]+(?=[a-z][a-z0-9+]*://)", re.IGNORECASE)
LONGEST_NUMBER = 20  # digits; Python itself refuses to read numbers of thousands
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def read_duration(text: str) -> timedelta:
    """
    `90s`, `15m`, `1h30m`, `24h`, `7d`, `500ms`, or `0`.

    Raises:
        ValueError: It is none of these.
    """
    text = text.strip().lower()
    if text == "0":
        return timedelta(0)
    found = _DURATION.fullmatch(text)
    if not found or not any(found.groups()):
        raise ValueError("must be a duration like 90s, 15m or 1h30m")
    days, hours, minutes, seconds, millis = (float(part or 0) for part in found.groups())
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=millis)
    except OverflowError:
        raise ValueError("is too long") from None


def say_duration(duration: timedelta) -> str:
    """As `read_duration` reads it; *duration* is not negative."""
    minutes, seconds = divmod(duration, timedelta(minutes=1))
    spent = f"{seconds.seconds}.{seconds.microseconds:06}".rstrip("0").rstrip(".")
    parts = [(str(minutes // 60), "h"), (str(minutes % 60), "m"), (spent, "s")]
    return "".join(f"{count}{unit}" for count, unit in parts if count != "0") or "0"


def flag(text: str) -> bool:
    """`true`, `yes`, `on` or `1`, or their contraries, in either case."""
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise ValueError("must be true or false")


def within(low: float, high: float) -> Callable[[str], float]:
    """Reads a plain decimal number from *low* to *high*, both included."""

    def read(text: str) -> float:
        if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return float(text)

    return read


def whole(low: int, high: int) -> Callable[[str], int]:
    """Reads a whole number from *low* to *high*, both included."""

    def read(text: str) -> int:
        digits = text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER
        if not digits or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def lasting(low: str, high: str) -> Callable[[str], timedelta]:
    """Reads a duration from *low* to *high*, both included."""

    def read(text: str) -> timedelta:
        duration = read_duration(text)
        if not read_duration(low) <= duration <= read_duration(high):
            raise ValueError(f"must be from {low} to {high}")
        return duration

    return read


def choice(*words: str) -> Callable[[str], str]:
    """Reads one of *words*, in either case."""

    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return text.lower()

    return read


def web_address(text: str) -> str:
    """The base of addresses on a web server; no slash at its end."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    # More than a base would stand in the midst of what is appended to it, and a password would be shown.
    if not good or set(text) & set("@?#\\ ") or not text.isprintable():
        raise ValueError("must be an http or https address, without a password in it")
    return text.rstrip("/")


def endpoint(text: str) -> str:
    """A whole address on a web server, which may hold a secret in its path or query."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good or set(text) & set("#\\ ") or not text.isprintable() or not text.isascii():
        raise ValueError("must be an http or https address")
    return text


def service_addresses(text: str) -> tuple[str, ...]:
    """Addresses of services, like `tgram://…`, parted by commas or white space; a comma may stand within one."""
    found = tuple(part for part in _BETWEEN_ADDRESSES.split(text.strip(" ,\t\r\n")) if part)
    if not found or not all(_ADDRESS.match(part) and part.isprintable() for part in found):
        raise ValueError("must be addresses like tgram://bottoken/ChatID, parted by commas")
    return found


def is_here(address: str) -> bool:
    """Whether *address*, of a web server, is one of this machine's own: no other machine reaches it."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def plain(text: str) -> str:
    """A text that a header can carry, and that every client spells alike."""
    if not text.isascii() or not text.isprintable():
        raise ValueError("must be plain characters: letters, digits and signs of ASCII")
    return text


def listed(read: Callable[[str], str], what: str) -> Callable[[str], tuple[str, ...]]:
    """Reads a comma-separated list, each part by *read*; *what* says what they must be."""

    def read_all(text: str) -> tuple[str, ...]:
        try:
            found = tuple(read(part.strip()) for part in text.split(",") if part.strip())
        except ValueError:
            found = ()
        if not found:
            raise ValueError(f"must be {what}, comma-separated")
        return found

    return read_all


def network(text: str) -> str:
    """An address, or a network of them."""
    return str(ip_network(text, strict=False))


def host_name(text: str) -> str:
    """The name of a host, in small letters and without a port; `*.example.com` for all below it."""
    name = text.lower().rstrip(".")
    if not _HOST.fullmatch(name):
        raise ValueError("not a host name")
    return name.strip("[]")


def origin(text: str) -> str:
    """Where a page comes from: scheme, host and port, and nothing more."""
    address = web_address(text.lower())
    if urlsplit(address).path:
        raise ValueError("not an origin")
    return address
