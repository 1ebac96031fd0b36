"""What happened, for people and for Prometheus: events become log lines and numbers. No secret passes through here."""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from aimkeeper.core.errors import AimkeeperError
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.session import Turn

if TYPE_CHECKING:
    from aimkeeper.engine.worker import Worker
    from aimkeeper.service import Service

_HIDDEN = "[hidden]"
_SECRET_NAMES = re.compile(r"token|cookie|password|secret|authorization|api_key", re.IGNORECASE)
# A second net below the first: a token's own shape, wherever it turns up.
_TOKEN_SHAPE = re.compile(r"\b\d+(?:\||%7C)\d{9,11}(?:\||%7C)[0-9a-fA-F]{8,}", re.IGNORECASE)
_BAD_NEWS = {EventKind.ENDED, EventKind.TOKEN_LOST, EventKind.HOLDER_CONFLICT, EventKind.RELOGIN_FAILED}
TROUBLE_EVERY_SECONDS = 60.0
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("aimkeeper").setLevel(level)
    # Their lines repeat whole URLs, or say again what ours have said.
    for noisy in ("uvicorn", "pyreqwest", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class Telemetry:
    """Hears of everything a service does, and turns it into lines and metrics."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._log = structlog.get_logger("aimkeeper")
        self._trouble, self._trouble_quiet_until = "", 0.0
        self.registry = CollectorRegistry()
        self._events = Counter("aimkeeper_events", "Exceptional facts, by kind.", ["kind"], registry=self.registry)
        self._exchanges = Counter(
            "aimkeeper_exchanges",
            "Answers of the upstream, by what was asked and what came.",
            ["via", "what"],
            registry=self.registry,
        )
        self._took = Histogram(
            "aimkeeper_exchange_seconds", "How long exchanges took.", ["via"], buckets=_BUCKETS, registry=self.registry
        )
        self._exposure = Histogram(
            "aimkeeper_exposure_seconds",
            "How long fresh tokens existed in memory only.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._lateness = Histogram(
            "aimkeeper_lateness_seconds",
            "How long after their due time sessions were claimed.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._sessions = Gauge("aimkeeper_sessions", "Sessions, by status.", ["status"], registry=self.registry)
        self._overdue = Gauge("aimkeeper_overdue_sessions", "Past due and not in flight.", registry=self.registry)
        self._at_risk = Gauge("aimkeeper_at_risk_sessions", "Not rotated for 29 minutes.", registry=self.registry)
        keeper = service.keeper
        keeper.hearers.events.append(self._hear_event)
        keeper.hearers.turns.append(self._hear_turn)
        keeper.hearers.lateness.append(self._lateness.observe)
        keeper.hearers.faults.append(self._hear_fault)
        keeper.committer.exposed = self._exposure.observe
        keeper.committer.trouble = self._hear_trouble

    def watch(self, worker: "Worker") -> None:
        """Hear of a worker's troubles too."""
        worker.troubled = self._hear_trouble

    async def metrics(self) -> bytes:
        """Prometheus text; e-mails and ids are in no label."""
        standing = await self._service.standing()
        for status, count in standing.by_status.items():
            self._sessions.labels(status.value).set(count)
        self._overdue.set(standing.overdue)
        self._at_risk.set(standing.at_risk)
        return generate_latest(self.registry)

    def _hear_event(self, fact: Event) -> None:
        self._events.labels(fact.kind.value).inc()
        data = {("token_mark" if name == "token" else name): value for name, value in fact.data.items()}
        write = self._log.warning if fact.kind in _BAD_NEWS else self._log.info
        write(fact.kind.value, session=fact.session_id, email=fact.email, **data)

    def _hear_turn(self, turn: Turn) -> None:
        self._exchanges.labels(turn.via, turn.what).inc()
        if turn.took_ms >= 0:
            self._took.labels(turn.via).observe(turn.took_ms / 1000)
        self._log.debug("exchange", via=turn.via, what=turn.what, took_ms=turn.took_ms, token_mark=turn.token)

    def _hear_fault(self, error: Exception) -> None:
        # Its message may hold anything: the type and the place say enough.
        self._log.error("fault", kind=type(error).__name__, where=where(error))

    def _hear_trouble(self, error: AimkeeperError) -> None:
        # It is tried again every second: said once a minute, it is read.
        now, sentence = self._service.clock.monotonic(), str(error)
        if sentence == self._trouble and now < self._trouble_quiet_until:
            return
        self._trouble, self._trouble_quiet_until = sentence, now + TROUBLE_EVERY_SECONDS
        self._log.warning(error.code, error=sentence)
