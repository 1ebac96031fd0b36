"""Where a PostgreSQL database is, read from a URL. What opens it is kept out of every text made from it."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from aimkeeper.core.values import flag, whole

POSTGRES_PORT = 5432
SCHEMES = ("postgresql", "postgres")
_EXAMPLE = "postgresql://user:password@host:5432/database"
_PLACEHOLDER = "[YOUR-PASSWORD]"  # stands in the strings that Supabase offers for copying

_TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
# Other libraries' hints, which stand in strings that hosts offer for copying, and change nothing here.
_OTHERS = ("connection_limit", "pool_timeout", "connect_timeout", "supa", "workaround", "application_name")


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """
    One database.

    Attributes:
        host: A name, an address, or the folder of a socket.
        tls: `sslmode` and its files, as libpq names them; nothing of it = encrypted where the server can.
        pooled: What the URL says about a pooler in between (`pgbouncer=`); None = nothing.
    """

    host: str
    port: int
    database: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    pooled: bool | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"database {self.database} at {host}{'' if self.port == POSTGRES_PORT else f':{self.port}'}"


def is_postgres(text: str) -> bool:
    """Whether *text* speaks of PostgreSQL at all, rightly or not."""
    return text.lower().partition("://")[0].removeprefix("jdbc:").partition("+")[0] in SCHEMES


def read_postgres(text: str) -> PostgresAddress:
    """
    A database's address from `postgresql://user:password@host:port/database?sslmode=require`.

    Raises:
        ValueError: Says what it must be, and repeats nothing of it.
    """
    scheme, _, rest = text.partition("://")
    if scheme.lower() not in SCHEMES:
        raise ValueError(f"must begin with postgresql://, without jdbc: or a driver's name, as in {_EXAMPLE}")
    if _PLACEHOLDER in text:
        raise ValueError(f"still says {_PLACEHOLDER}: put the database's password there")
    head, _, query = rest.partition("?")
    authority, slash, path = head.partition("/")
    if "#" in rest or "@" in path + query:
        raise ValueError("holds a sign that must be written otherwise in a password: @ as %40, / %2F, ? %3F, # %23")
    name, at, place = authority.rpartition("@")
    user, _, password = name.partition(":")
    known = _parameters(query)
    host, port = _host_and_port(place)
    host = known.pop("host", "") or host
    if not host or "," in host:
        raise ValueError(f"must name one host, as in {_EXAMPLE}")
    if not slash or not path or "/" in path:
        raise ValueError(f"must name the database, as in {_EXAMPLE}")
    pooled = known.pop("pgbouncer", None)
    return PostgresAddress(
        host=host,
        port=port,
        database=_plain(path),
        user=_plain(user) or None,
        password=_plain(password) or None if at else None,
        tls=tuple(sorted(known.items())),
        pooled=None if pooled is None else flag(pooled),
    )


def _parameters(query: str) -> dict[str, str]:
    """What may follow the question mark: `host`, `pgbouncer`, and what concerns TLS."""
    known: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "sslmode" and value not in _TLS_MODES:
            raise ValueError(f"must say sslmode= {', '.join(_TLS_MODES[:-1])} or {_TLS_MODES[-1]}")
        if name == "pgbouncer" and value.lower() not in ("true", "false"):
            raise ValueError("must say pgbouncer=true or pgbouncer=false")
        if name in ("host", "pgbouncer", "sslmode", *_TLS_FILES):
            known[name] = value
        elif name not in _OTHERS:
            # Others would be sent to the server as parameters of the session, which no pooler keeps.
            told = name if name.isidentifier() else "something"
            raise ValueError(f"holds {told} behind its question mark, which aimkeeper does not know: remove it")
    return known


def _host_and_port(place: str) -> tuple[str, int]:
    host, port = place, ""
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    elif ":" in place:
        raise ValueError("must name one host; an IPv6 address stands in brackets, as in [::1]:5432")
    try:
        return _plain(host), whole(1, 65_535)(port) if port else POSTGRES_PORT
    except ValueError:
        raise ValueError("must have a port from 1 to 65535 behind its host, or none") from None


def _plain(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("holds %XX that is not UTF-8") from None
