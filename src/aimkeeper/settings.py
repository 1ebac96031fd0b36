"""Every setting: its names, unit, default and meaning. Read from the environment, `.env` and `aimkeeper.toml`."""

import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aimkeeper import __version__
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.token import parse_fingerprint

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
SHORTEST_API_KEY = 16


def read_duration(text: str) -> timedelta:
    """
    `90s`, `15m`, `1h30m`, `24h`, `7d`, `500ms`, or `0`.

    Raises:
        ValueError: It is none of these.
    """
    if text == "0":
        return timedelta(0)
    found = _DURATION.fullmatch(text.strip().lower())
    if not found or not any(found.groups()):
        raise ValueError("must be a duration like 90s, 15m or 1h30m")
    days, hours, minutes, seconds, millis = (float(part or 0) for part in found.groups())
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, milliseconds=millis)
    except OverflowError:
        raise ValueError("is too long") from None


def say_duration(duration: timedelta) -> str:
    """As `read_duration` reads it."""
    seconds = duration.total_seconds()
    if seconds != int(seconds):
        return f"{seconds:g}s"
    parts = [(int(seconds) // 3600, "h"), (int(seconds) % 3600 // 60, "m"), (int(seconds) % 60, "s")]
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0"


def _text(text: str) -> str:
    return text


def _flag(text: str) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise ValueError("must be true or false")


def _within(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"must be a number from {low:g} to {high:g}") from None
        if not math.isfinite(number) or not low <= number <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return number

    return read


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def _lasting(low: str, high: str) -> Callable[[str], timedelta]:
    def read(text: str) -> timedelta:
        duration = read_duration(text)
        if not read_duration(low) <= duration <= read_duration(high):
            raise ValueError(f"must be from {low} to {high}")
        return duration

    return read


def _minutes_or_duration(text: str) -> timedelta:
    # The name of the original feature takes plain minutes.
    if text.isdigit():
        return timedelta(minutes=_whole(1, 60)(text))
    return _lasting("1s", "60m")(text)


def _choice(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be {' or '.join(words)}")
        return text.lower()

    return read


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https address")
    return text.rstrip("/")


def _database(text: str) -> str:
    if text.startswith("sqlite:///") and len(text) > len("sqlite:///"):
        return text
    raise ValueError("must be sqlite:///path (this version keeps sessions in SQLite)")


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in text.split(",") if part.strip())
    if not keys or any(len(key) < SHORTEST_API_KEY or not key.isascii() for key in keys):
        raise ValueError(f"must be at least {SHORTEST_API_KEY} plain characters each")
    return keys


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
        "Where sessions are kept: sqlite:///path. Default: aimkeeper.db in the data folder.",
        secret=True,
    )
    data_dir: Path | None = setting(
        "AIMKEEPER_DATA_DIR", Path, None, "Folder of database and key files. Default: the platform's user data folder."
    )
    secret_keys: str | None = setting(
        "AIMKEEPER_SECRET_KEYS",
        _text,
        None,
        "Keys that seal the secrets, comma-separated: the first seals, all open. Default: a key file beside the "
        "database, made on first use.",
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
        "CRON_SECRET", _text, None, "May call bulk-update and stats, nothing else.", secret=True
    )
    aimharder_url: str = setting(
        "AIMHARDER_URL", _web_address, "https://aimharder.com", "Base of setrefresh, tokenUpdate, whoami and logout."
    )
    aimharder_login_url: str = setting(
        "AIMHARDER_LOGIN_URL",
        _web_address,
        "https://login.aimharder.com",
        "Base of the login; api/login is appended unless it is there.",
    )
    fingerprint: str | None = setting(
        "AIMHARDER_FINGERPRINT", parse_fingerprint, None, "Fingerprint for sessions that carry none."
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
    app_url: str | None = setting("APP_URL", _web_address, None, "Public address of this service, for links.")
    refresh_every: timedelta = setting(
        "AIMKEEPER_REFRESH_EVERY TOKEN_BULK_UPDATE_INTERVAL_MINUTES",
        _minutes_or_duration,
        timedelta(minutes=15),
        "A session is rotated at most this long after its last rotation.",
    )
    idle_timeout: timedelta = setting(
        "AIMKEEPER_IDLE_TIMEOUT",
        _lasting("2s", "90d"),
        timedelta(minutes=90),
        "How long AimHarder is believed to keep an untouched session: sets deadlines.",
    )
    upstream_timeout: timedelta | None = setting(
        "AIMKEEPER_UPSTREAM_TIMEOUT",
        _lasting("100ms", "2m"),
        None,
        "Of a whole exchange. Default: 10s, at most a quarter of idle timeout minus refresh interval.",
    )
    max_rate: float = setting(
        "AIMKEEPER_MAX_RATE", _within(0.1, 10_000), 20.0, "Requests started per second, of the whole fleet."
    )
    concurrency: int = setting("AIMKEEPER_CONCURRENCY", _whole(1, 2000), 32, "Requests in flight per process.")
    login_rate: float = setting(
        "AIMKEEPER_LOGIN_RATE", _within(0.01, 100), 1.0, "Logins per second, of the whole fleet."
    )
    on_session_end: str = setting(
        "AIMKEEPER_ON_SESSION_END",
        _choice("delete", "expire"),
        "delete",
        "After a confirmed end: delete = wipe the secrets, then the row; expire = wipe, keep the row.",
    )
    wipe_after: timedelta = setting(
        "AIMKEEPER_WIPE_AFTER",
        _lasting("0", "90d"),
        timedelta(hours=24),
        "How long the secrets of an ended session are kept, for second thoughts.",
    )
    heal_window: timedelta = setting(
        "AIMKEEPER_HEAL_WINDOW",
        _lasting("0", "90d"),
        timedelta(hours=24),
        "How long an older token handed to a caller still brings the present one; 0 = off.",
    )
    host: str = setting("AIMKEEPER_HOST", _text, "127.0.0.1", "Where `serve` listens.")
    port: int = setting("AIMKEEPER_PORT PORT", _whole(0, 65_535), 8000, "The port it listens on; 0 = a free one.")
    history_days: int = setting("AIMKEEPER_HISTORY_DAYS", _whole(1, 3650), 30, "How long events are kept, in days.")
    log_format: str = setting("AIMKEEPER_LOG_FORMAT", _choice("console", "json"), "console", "Shape of the logs.")
    debug: bool = setting("TOKEN_REFRESH_DEBUG", _flag, False, "Verbose logs, never a secret in them.")

    def __post_init__(self) -> None:
        if self.refresh_every >= self.idle_timeout:
            raise ConfigError(
                f"AIMKEEPER_REFRESH_EVERY ({say_duration(self.refresh_every)}) must be below AIMKEEPER_IDLE_TIMEOUT "
                f"({say_duration(self.idle_timeout)}): every session would die before its rotation."
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
    def database_path(self) -> Path:
        """The file of the embedded store."""
        if self.database_url is None:
            return self.data_folder / "aimkeeper.db"
        return Path(self.database_url.removeprefix("sqlite:///")).expanduser()


@dataclass(frozen=True)
class Loaded:
    """Settings, and where each that was set came from."""

    settings: Settings
    sources: Mapping[str, str]


def load(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Loaded:
    """
    Read the settings: the environment first, then `.env`, then `aimkeeper.toml` in *folder*.

    Raises:
        ConfigError: Names the variable and says what it must be.
    """
    folder = folder or Path.cwd()
    places = [
        ("environment", dict(os.environ if environ is None else environ)),
        (".env", _dotenv(folder / ".env")),
        ("aimkeeper.toml", _toml(folder / "aimkeeper.toml")),
    ]
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for item in fields(Settings):
        found = _find(item.metadata["names"], places, secret=item.metadata["secret"])
        if found is None:
            continue
        variable, text, place = found
        try:
            values[item.name] = item.metadata["read"](text)
        except ValueError as error:
            raise ConfigError(f"{variable} {error}.") from None
        sources[item.name] = f"{place} ({variable})"
    return Loaded(Settings(**values), sources)  # type: ignore[arg-type]  # each reader returns its field's type


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
    return str(value).lower() if isinstance(value, bool) else str(value)


def _find(names: list[str], places: list[tuple[str, dict[str, str]]], *, secret: bool) -> tuple[str, str, str] | None:
    for place, known in places:
        for name in names:
            if known.get(name, "").strip():
                return name, known[name].strip(), place
            if secret and known.get(f"{name}_FILE"):
                return f"{name}_FILE", _file(f"{name}_FILE", known[f"{name}_FILE"]), place
    return None


def _file(variable: str, path: str) -> str:
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{variable} names a file that can't be read: {path}.") from None
    if not text:
        raise ConfigError(f"{variable} names an empty file: {path}.")
    return text


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    import dotenv  # noqa: PLC0415 (only where there is such a file)

    try:
        return {name: value or "" for name, value in dotenv.dotenv_values(path).items()}
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path} can't be read.") from None


def _toml(path: Path) -> dict[str, str]:
    """Keys are the variables' names, in either case, with or without `aimkeeper_` in front."""
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}.") from None
    known = {name for item in fields(Settings) for name in item.metadata["names"]}
    known |= {f"{name}_FILE" for name in known}
    values = {}
    for key, value in table.items():
        name = key.upper() if key.upper() in known else f"AIMKEEPER_{key.upper()}"
        if name not in known or isinstance(value, dict | list):
            raise ConfigError(f"{path} holds {key!r}, which is not a setting: `aimkeeper settings` lists them.")
        values[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return values
