"""Log lines, for people or as JSON. No secret passes through here, and no line is said over and over."""

import logging
import re
import sys
import traceback
from collections.abc import Hashable, MutableMapping
from typing import Any

import structlog

_HIDDEN = "[hidden]"
_SECRET_NAMES = re.compile(r"token|cookie|password|secret|authorization|api_key", re.IGNORECASE)
# A second net below the first: a token's own shape, wherever it turns up.
_TOKEN_SHAPE = re.compile(r"\b\d+(?:\||%7C)\d{9,11}(?:\||%7C)[0-9a-fA-F]{8,}", re.IGNORECASE)
# What repeats is counted by the minute.
MINUTE = 60.0
# A library that says the same thing oftener than this in a minute has been understood.
LIBRARY_LINES = 10
# So many different things are told apart at a time; then all begins anew.
_MOST_KEYS = 1000


def redact(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hides what must not be read. Marks of tokens (hashes) may stay."""
    for name, value in line.items():
        line[name] = _HIDDEN if _names_a_secret(name) else _without_tokens(value)
    return line


def _without_tokens(value: object) -> object:
    match value:
        case str():
            return _TOKEN_SHAPE.sub(_HIDDEN, value)
        case bytes():
            return _HIDDEN
        case dict():
            return {name: _without_tokens(part) for name, part in value.items()}
        case list() | tuple():
            return [_without_tokens(part) for part in value]
        case _:
            return value


def place(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: of an exception, keeps its type and where it came from. Its text may hold anything."""
    exc_info = line.pop("exc_info", None)
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        line["kind"] = type(error).__name__
        line["where"] = where(error)
        # asyncio repeats the exception, text and all, below its first line.
        line["event"] = str(line.get("event", "")).partition("\n")[0]
    return line


def where(error: BaseException, depth: int = 3) -> str:
    """The innermost places an exception passed through, as `file.py:12 < file.py:34`."""
    frames = traceback.extract_tb(error.__traceback__)[-depth:]
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames)) or "?"


def _names_a_secret(name: str) -> bool:
    return bool(_SECRET_NAMES.search(name)) and name != "token_mark"


class Quiet:
    """
    Lets what repeats be said so many times a minute.

    Args:
        most: Times a minute, of each thing.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # Of each thing: when its minute is over, how often it was said in it, and how often left out.
        self._said: dict[Hashable, tuple[float, int, int]] = {}

    def asks(self, thing: Hashable, now: float) -> int | None:
        """
        Whether *thing* may be said now.

        Args:
            thing: What repeats.
            now: Seconds, from any start.

        Returns:
            None when it must not; else how often it was left out since it was said last.
        """
        over, said, left_out = self._said.get(thing, (now, 0, 0))
        if now >= over:
            if len(self._said) >= _MOST_KEYS:
                self._said.clear()
            self._said[thing] = (now + MINUTE, 1, 0)
            return left_out
        may = said < self._most
        self._said[thing] = (over, said + may, left_out + (not may))
        return 0 if may else None


class _Calm(logging.Filter):
    """Of the libraries' lines: drops those that repeat. Ours are bounded where they are made."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet = Quiet(LIBRARY_LINES)

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict):
            return True  # ours
        said = (record.name, record.levelno, str(record.msg).partition("\n")[0])
        return self._quiet.asks(said, record.created) is not None


def set_up_logs(*, as_json: bool, level: int = logging.INFO) -> None:
    """Send aimkeeper's lines, and those of the libraries it uses, to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        place,
        redact,
    ]
    shape: Any = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, shape],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.addFilter(_Calm())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("aimkeeper").setLevel(level)
    # Their lines repeat whole URLs, or say again what ours have said.
    for noisy in ("uvicorn", "pyreqwest", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
