"""Hears of everything a service does, and turns it into lines and numbers."""

import asyncio
import logging
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from aimkeeper import __version__
from aimkeeper.core.errors import AimkeeperError
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.session import Turn
from aimkeeper.core.telling import Problem
from aimkeeper.telemetry.logs import Quiet, where
from aimkeeper.telemetry.metrics import Look, Numbers
from aimkeeper.telemetry.minutes import Minutes

if TYPE_CHECKING:
    from aimkeeper.engine.worker import Worker
    from aimkeeper.service import Service

_BAD_NEWS = {EventKind.ENDED, EventKind.TOKEN_LOST, EventKind.HOLDER_CONFLICT, EventKind.RELOGIN_FAILED}
# Of each kind of event, so many lines a minute: the store has them all, and the numbers count them.
EVENT_LINES = 100
# Whoever asks for numbers waits no longer for the store than this; what this process counted he gets anyhow.
LOOK_SECONDS = 5.0


class Telemetry:
    """
    The ears of a service.

    Attributes:
        registry: Every metric, for Prometheus.
        minutes: Durations, for the charts of the page.
    """

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._worker: Worker | None = None
        self._log = structlog.get_logger("aimkeeper")
        # Asked before a line of the hot path is made up: most often nobody wants it.
        self._level = logging.getLogger("aimkeeper")
        self._same_line, self._same_kind = Quiet(1), Quiet(EVENT_LINES)
        self._numbers = Numbers(__version__)
        self.registry = CollectorRegistry()
        self.registry.register(self._numbers)
        self.minutes = Minutes(service)
        keeper = service.keeper
        keeper.hearers.events.append(self._hear_event)
        keeper.hearers.turns.append(self._hear_turn)
        keeper.hearers.turns.append(self.minutes.note_turn)
        keeper.hearers.lateness += [self._numbers.lateness.note, self.minutes.note_lateness]
        keeper.hearers.faults.append(self._hear_fault)
        keeper.committer.exposed = self._numbers.exposure.note
        keeper.committer.wrote = self._numbers.commits.note
        keeper.committer.trouble = self._hear_trouble

    def watch(self, worker: "Worker") -> None:
        """Hear of a worker too: its ticks, its claims, its troubles."""
        self._worker = worker
        worker.claimed = self._numbers.claims.note
        worker.troubled = self._hear_trouble

    async def metrics(self) -> bytes:
        """Prometheus text; e-mails and ids are in no label. While the store is away: what this process knows itself."""
        self._numbers.look = await self._look()
        self._numbers.trouble = self._worker is not None and self._worker.trouble is not None
        self._numbers.ticked_at = self._ticked_at()
        self._numbers.spool_files = len(self._service.store.spool)
        return generate_latest(self.registry)

    async def _look(self) -> Look | None:
        service = self._service
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                standing = await service.standing()
                capacity = await service.capacity(standing)
                fleet, workers = await service.store.fleet.read(), await service.store.owners.living_workers()
                boxes = await service.store.outbox.everything()
        except (AimkeeperError, TimeoutError):
            return None
        now, deadline = service.store.now(), standing.next_deadline_at
        return Look(
            standing=standing,
            capacity=capacity,
            fleet=fleet,
            slack=None if deadline is None else (deadline - now).total_seconds(),
            throttled=fleet.is_throttled(now),
            paused=fleet.is_paused(now),
            workers=len(workers),
            # One that nobody tells was taken from the settings.
            untold_channels=sum(box.problem is not None and box.owner is not None for box in boxes),
        )

    def _ticked_at(self) -> float | None:
        if self._worker is None or self._worker.ticked_at is None:
            return None
        clock = self._service.clock
        return clock.now().timestamp() - (clock.monotonic() - self._worker.ticked_at)

    def _hear_event(self, fact: Event) -> None:
        self._numbers.note_event(fact.kind)
        left_out = self._same_kind.asks(fact.kind, self._service.clock.monotonic())
        if left_out is None:
            return
        data = {("token_mark" if name == "token" else name): value for name, value in fact.data.items()}
        write = self._log.warning if fact.kind in _BAD_NEWS else self._log.info
        write(fact.kind.value, session=fact.session_id, email=fact.email, **data, **_told(left_out))

    def hear_told(self, channel: str, problem: Problem | None) -> None:
        """Somebody elsewhere was told, or could not be."""
        self._numbers.note_told(channel, problem)
        if problem is not None:
            left_out = self._same_line.asks((channel, problem), self._service.clock.monotonic())
            if left_out is not None:
                self._log.warning("not_told", channel=channel, problem=problem.value, **_told(left_out))

    def _hear_turn(self, turn: Turn) -> None:
        self._numbers.note_turn(turn)
        if self._level.isEnabledFor(logging.DEBUG):
            self._log.debug("exchange", via=turn.via, what=turn.what, took_ms=turn.took_ms, token_mark=turn.token)

    def _hear_fault(self, error: Exception) -> None:
        # Its message may hold anything: the type and the place say enough.
        kind, place = type(error).__name__, where(error)
        left_out = self._same_line.asks((kind, place), self._service.clock.monotonic())
        if left_out is not None:
            self._log.error("fault", kind=kind, where=place, **_told(left_out))

    def _hear_trouble(self, error: AimkeeperError) -> None:
        # It is tried again every second: said once a minute, it is read.
        sentence = str(error)
        left_out = self._same_line.asks((error.code, sentence), self._service.clock.monotonic())
        if left_out is not None:
            self._log.warning(error.code, error=sentence, **_told(left_out))


def _told(left_out: int) -> dict[str, int]:
    """How many lines like this one were left out before it, where any were."""
    return {"left_out": left_out} if left_out else {}
