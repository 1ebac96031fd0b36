"""Every setting: its names, unit, default and meaning. Read from the environment, `.env` and `aimkeeper.toml`."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from aimkeeper import __version__
from aimkeeper.core import values
from aimkeeper.core.address import PostgresAddress, is_postgres, read_postgres
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.token import Fingerprint, parse_fingerprint
from aimkeeper.core.values import read_duration, say_duration
from aimkeeper.places import dotenv, find, strangers, toml

__all__ = ["SHORTEST_API_KEY", "Loaded", "Settings", "described", "load", "read_duration", "say_duration"]

_SQLITE = "sqlite:///"
_FILE_NAME = re.compile(r"[^A-Za-z0-9._]+")
SHORTEST_API_KEY = 16
# A timeout shorter than this is no time for an exchange.
SHORTEST_TIMEOUT = timedelta(milliseconds=100)


def _text(text: str) -> str:
    return text


def _minutes_or_duration(text: str) -> timedelta:
    # The name of the original feature takes plain minutes.
    if text.isdigit():
        return timedelta(minutes=values.whole(1, 60)(text))
    return values.lasting("1s", "60m")(text)


def _path(text: str) -> Path:
    try:
        Path(text).expanduser()
    except RuntimeError:
        raise ValueError("names the home folder of somebody who has none here") from None
    return Path(text)  # as it was written: that is how people know it again


def _database(text: str) -> str:
    if is_postgres(text):
        read_postgres(text)
        return text
    scheme, path = text[: len(_SQLITE)], text[len(_SQLITE) :]
    if scheme != _SQLITE or not path or path == ":memory:":
        raise ValueError("must be sqlite:///path, or postgresql://user:password@host/database")
    _path(path)
    return text


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in text.split(",") if part.strip())
    if not keys or any(len(key) < SHORTEST_API_KEY or key != values.plain(key) for key in keys):
        raise ValueError(f"must be at least {SHORTEST_API_KEY} plain characters each")
    return keys


def _secret(text: str) -> str:
    if len(text) < SHORTEST_API_KEY or text != values.plain(text):
        raise ValueError(f"must be at least {SHORTEST_API_KEY} plain characters")
    return text


def _fingerprint(text: str) -> Fingerprint:
    try:
        return parse_fingerprint(text)
    except ValueError:
        raise ValueError("must be 1 to 200 plain characters without spaces") from None


def setting(names: str, read: Callable[[str], object], default: object, about: str, *, secret: bool = False) -> Any:
    """A field of `Settings`: its environment variables (the first is its name), reader, default and meaning."""
    about_it = {"names": names.split(), "read": read, "about": about, "secret": secret}
    return field(default=default, metadata=about_it, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set. Durations are `timedelta`, rates per second."""

    database_url: str | None = setting(
        "AIMKEEPER_DATABASE_URL DATABASE_URL",
        _database,
        None,
        "Where sessions are kept: sqlite:///path, or postgresql://user:password@host/database for any number of "
        "machines. Default: aimkeeper.db in the data folder.",
        secret=True,
    )
    data_dir: Path | None = setting(
        "AIMKEEPER_DATA_DIR", _path, None, "Folder of database and key files. Default: the platform's user data folder."
    )
    secret_keys: str | None = setting(
        "AIMKEEPER_SECRET_KEYS",
        _text,
        None,
        "Keys that seal the secrets, comma-separated: the first seals, all open. Default: a key file beside the "
        "embedded database, made on first use; with PostgreSQL they must be set.",
        secret=True,
    )
    api_keys: tuple[str, ...] = setting(
        "AIMKEEPER_API_KEY",
        _keys,
        (),
        "The operator's key for the HTTP API; several, comma-separated, while changing them. Default: operator.key "
        "beside the database, made at first start.",
        secret=True,
    )
    cron_secret: str | None = setting(
        "CRON_SECRET", values.plain, None, "May call bulk-update and stats, nothing else.", secret=True
    )
    aimharder_url: str = setting(
        "AIMHARDER_URL",
        values.web_address,
        "https://aimharder.com",
        "Base of setrefresh, tokenUpdate, whoami and logout.",
    )
    aimharder_login_url: str = setting(
        "AIMHARDER_LOGIN_URL",
        values.web_address,
        "https://login.aimharder.com",
        "Base of the login; api/login is appended unless it is there.",
    )
    fingerprint: str | None = setting(
        "AIMHARDER_FINGERPRINT", _fingerprint, None, "Fingerprint for sessions that carry none."
    )
    upstream_proxy: str | None = setting(
        "AIMKEEPER_UPSTREAM_PROXY",
        _text,
        None,
        "Proxy for requests to AimHarder, which refuses some addresses. HTTPS_PROXY is honoured too.",
        secret=True,
    )
    user_agent: str = setting(
        "AIMKEEPER_USER_AGENT", _text, f"aimkeeper/{__version__}", "What aimkeeper calls itself upstream."
    )
    app_url: str | None = setting("APP_URL", values.web_address, None, "Public address of this service, for links.")
    discord_webhook_url: str | None = setting(
        "DISCORD_WEBHOOK_URL", values.endpoint, None, "A Discord webhook that is told of bad news.", secret=True
    )
    notify_urls: tuple[str, ...] = setting(
        "AIMKEEPER_NOTIFY_URLS", values.service_addresses, (),
        "Other services that are told, as Apprise's addresses (tgram://…, mailto://…), comma-separated.",
        secret=True,
    )  # fmt: skip
    webhook_url: str | None = setting(
        "AIMKEEPER_WEBHOOK_URL", values.endpoint, None, "A program's address that is sent the news as JSON.",
        secret=True,
    )  # fmt: skip
    webhook_secret: str | None = setting(
        "AIMKEEPER_WEBHOOK_SECRET", _secret, None,
        "Signs what is sent to AIMKEEPER_WEBHOOK_URL, so that the program can tell it from anybody else's.",
        secret=True,
    )  # fmt: skip
    heartbeat_url: str | None = setting(
        "AIMKEEPER_HEARTBEAT_URL", values.endpoint, None,
        "An address that is fetched every 5 minutes while rotations commit and nothing is overdue: a watcher there "
        "misses it when aimkeeper is gone.",
        secret=True,
    )  # fmt: skip
    refresh_every: timedelta = setting(
        "AIMKEEPER_REFRESH_EVERY TOKEN_BULK_UPDATE_INTERVAL_MINUTES",
        _minutes_or_duration,
        timedelta(minutes=15),
        "A session is rotated at most this long after its last rotation.",
    )
    idle_timeout: timedelta = setting(
        "AIMKEEPER_IDLE_TIMEOUT",
        values.lasting("2s", "90d"),
        timedelta(minutes=90),
        "How long AimHarder is believed to keep an untouched session: sets deadlines.",
    )
    upstream_timeout: timedelta | None = setting(
        "AIMKEEPER_UPSTREAM_TIMEOUT",
        values.lasting("100ms", "2m"),
        None,
        "Of a whole exchange. Default: 10s, at most a quarter of idle timeout minus refresh interval.",
    )
    max_rate: float = setting(
        "AIMKEEPER_MAX_RATE", values.within(0.1, 10_000), 20.0, "Requests started per second, of the whole fleet."
    )
    concurrency: int = setting("AIMKEEPER_CONCURRENCY", values.whole(1, 2000), 32, "Requests in flight per process.")
    login_rate: float = setting(
        "AIMKEEPER_LOGIN_RATE", values.within(0.01, 100), 1.0, "Logins per second, of the whole fleet."
    )
    on_session_end: str = setting(
        "AIMKEEPER_ON_SESSION_END",
        values.choice("delete", "expire"),
        "delete",
        "After a confirmed end: delete = wipe the secrets, then the row; expire = wipe, keep the row as long as "
        "events.",
    )
    wipe_after: timedelta = setting(
        "AIMKEEPER_WIPE_AFTER",
        values.lasting("0", "90d"),
        timedelta(hours=24),
        "How long the secrets of an ended session are kept, for second thoughts.",
    )
    heal_window: timedelta = setting(
        "AIMKEEPER_HEAL_WINDOW",
        values.lasting("0", "90d"),
        timedelta(hours=24),
        "How long an older token handed to a caller still brings the present one; 0 = off.",
    )
    host: str = setting("AIMKEEPER_HOST", _text, "127.0.0.1", "Where `serve` listens.")
    port: int = setting("AIMKEEPER_PORT PORT", values.whole(0, 65_535), 8000, "The port it listens on; 0 = a free one.")
    public_login: bool = setting("AIMKEEPER_PUBLIC_LOGIN", values.flag, False, "Whether anybody may log in over HTTP.")
    public_remember: bool = setting(
        "AIMKEEPER_PUBLIC_REMEMBER", values.flag, False, "Whether anybody may have the password kept."
    )
    trusted_proxies: tuple[str, ...] = setting(
        "AIMKEEPER_TRUSTED_PROXIES", values.listed(values.network, "addresses or networks"), (),
        "Reverse proxies, as addresses or networks: their word on who asks, and whether by HTTPS, is taken.",
    )  # fmt: skip
    allowed_hosts: tuple[str, ...] = setting(
        "AIMKEEPER_ALLOWED_HOSTS", values.listed(values.host_name, "host names"), (),
        "Host names that are answered to; *.example.com names all below it. Default: any.",
    )  # fmt: skip
    cors_origins: tuple[str, ...] = setting(
        "AIMKEEPER_CORS_ORIGINS", values.listed(values.origin, "origins like https://app.example.com"), (),
        "Origins whose pages may call the routes of members and holders.",
    )  # fmt: skip
    refresh_threshold: int = setting(
        "TOKEN_REFRESH_THRESHOLD_MINUTES", values.whole(5, 120), 60,
        "Minutes after which needsRefresh of /api/auth/refresh is true.",
    )  # fmt: skip
    history_days: int = setting(
        "AIMKEEPER_HISTORY_DAYS",
        values.whole(1, 3650),
        30,
        "How long events are kept, and the rows of ended sessions where those stay, in days.",
    )
    log_format: str = setting(
        "AIMKEEPER_LOG_FORMAT", values.choice("console", "json"), "console", "Shape of the logs: console or json."
    )
    debug: bool = setting("TOKEN_REFRESH_DEBUG", values.flag, False, "Verbose logs, never a secret in them.")

    def __post_init__(self) -> None:
        if self.postgres and not self.secret_keys:
            raise ConfigError(
                "AIMKEEPER_SECRET_KEYS must be set with PostgreSQL, and be the same for every process: "
                "`aimkeeper keys new` prints one."
            )
        if self.webhook_url and not self.webhook_secret:
            raise ConfigError(
                "AIMKEEPER_WEBHOOK_SECRET must be set with AIMKEEPER_WEBHOOK_URL: `aimkeeper keys new` prints one."
            )
        if self.refresh_every >= self.idle_timeout:
            raise ConfigError(
                f"AIMKEEPER_REFRESH_EVERY ({say_duration(self.refresh_every)}) must be below AIMKEEPER_IDLE_TIMEOUT "
                f"({say_duration(self.idle_timeout)}): every session would die before its rotation."
            )
        if self.longest_timeout < SHORTEST_TIMEOUT:
            raise ConfigError(
                f"AIMKEEPER_IDLE_TIMEOUT ({say_duration(self.idle_timeout)}) is too close to AIMKEEPER_REFRESH_EVERY "
                f"({say_duration(self.refresh_every)}): no exchange would fit between them."
            )
        if self.upstream_timeout and self.upstream_timeout > self.longest_timeout:
            raise ConfigError(
                f"AIMKEEPER_UPSTREAM_TIMEOUT ({say_duration(self.upstream_timeout)}) must be at most "
                f"{say_duration(self.longest_timeout)}, a quarter of idle timeout minus refresh interval."
            )

    @property
    def longest_timeout(self) -> timedelta:
        """So short that a few tries fit between due time and deadline."""
        return (self.idle_timeout - self.refresh_every) / 4

    @property
    def timeout(self) -> timedelta:
        """Of a whole upstream exchange."""
        return self.upstream_timeout or min(timedelta(seconds=10), self.longest_timeout)

    @property
    def data_folder(self) -> Path:
        if self.data_dir:
            return self.data_dir.expanduser()
        import platformdirs  # noqa: PLC0415 (only when it is asked for: the command line starts sooner)

        return Path(platformdirs.user_data_dir("aimkeeper"))

    @property
    def postgres(self) -> PostgresAddress | None:
        """The shared store's address; None where the store is embedded."""
        return read_postgres(self.database_url) if self.database_url and is_postgres(self.database_url) else None

    @property
    def database_path(self) -> Path:
        """The file of the embedded store. A shared one's files on this machine, as the spool, are named after this."""
        if self.database_url is None:
            return self.data_folder / "aimkeeper.db"
        address = self.postgres
        if address is not None:
            # Each database has a name of its own: what was left behind for one must not get into another.
            return self.data_folder / _FILE_NAME.sub("-", f"{address.host}-{address.port}-{address.database}").strip(
                "-"
            )
        return Path(self.database_url.removeprefix(_SQLITE)).expanduser()


@dataclass(frozen=True)
class Loaded:
    """
    Settings, and where each that was set came from.

    Attributes:
        strangers: A sentence for each variable that looks like a setting and is none.
    """

    settings: Settings
    sources: Mapping[str, str]
    strangers: tuple[str, ...] = ()


def load(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Loaded:
    """
    Read the settings: the environment first, then `.env`, then `aimkeeper.toml` in *folder*.

    Raises:
        ConfigError: Names the variable and says what it must be.
    """
    folder = folder or Path.cwd()
    known = [name for item in fields(Settings) for name in item.metadata["names"]]
    places = [
        ("environment", dict(os.environ if environ is None else environ)),
        (".env", dotenv(folder / ".env")),
        ("aimkeeper.toml", toml(folder / "aimkeeper.toml", known)),
    ]
    chosen: dict[str, object] = {}
    sources: dict[str, str] = {}
    for item in fields(Settings):
        found = find(item.metadata["names"], places, secret=item.metadata["secret"])
        if found is None:
            continue
        variable, text, place = found
        try:
            chosen[item.name] = item.metadata["read"](_usable(text))
        except ValueError as error:
            raise ConfigError(f"{variable} {error}.") from None
        sources[item.name] = f"{place} ({variable})"
    return Loaded(Settings(**chosen), sources, tuple(strangers(known, places)))  # type: ignore[arg-type]  # each reader returns its field's type


def described(loaded: Loaded) -> list[dict[str, str]]:
    """Every setting for people: name, value (secrets hidden), source, meaning."""
    return [
        {
            "name": item.metadata["names"][0],
            "value": _shown(getattr(loaded.settings, item.name), secret=item.metadata["secret"]),
            "source": loaded.sources.get(item.name, "default"),
            "about": item.metadata["about"],
        }
        for item in fields(Settings)
    ]


def _shown(value: object, *, secret: bool) -> str:
    if value is None or value == ():
        return "-"
    if secret:
        return "(hidden)"
    if isinstance(value, timedelta):
        return say_duration(value)
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _usable(text: str) -> str:
    # Bytes that are no UTF-8 arrive as lone surrogates, which neither a database nor a request can hold.
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("is not UTF-8 text")
    return text
