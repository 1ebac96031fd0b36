"""The breaker: watches what the upstream answers, and keeps the one state that holds for the whole fleet."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aimkeeper.clock import Clock
from aimkeeper.core.errors import ConfigError, Paused, UpstreamUnavailable
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.fleet import (
    FIRST_PROBE,
    Answer,
    Attempt,
    Fleet,
    Window,
    classify,
    probe_gap,
    throttle_until,
)
from aimkeeper.core.outcome import InDoubt, Outcome, Refused
from aimkeeper.core.policy import Policy
from aimkeeper.engine.pace import Pace

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

# The state is read this often; before a verdict it is read afresh.
LOOK_EVERY_SECONDS = 1.0
# A throttle that follows another within this time is the same trouble: it is told once.
SAME_TROUBLE = timedelta(minutes=10)
# Ends declared this long before a mass death was recognised belong to it.
RECALL = timedelta(minutes=1)

Step = tuple[Fleet, Event | None]


class Breaker:
    """
    One process's hand on the fleet's state.

    Attributes:
        fleet: As last read.
        noticed: Called when something was heard that may change it; wakes the worker.
        hear: Told of each event this process wrote.
    """

    def __init__(self, store: "Store", clock: Clock, policy: Policy, pace: Pace) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._pace = pace
        self._window = Window()
        self._look_at = clock.monotonic()
        self._asked: timedelta | None = None
        self.fleet = Fleet()
        self.noticed: Callable[[], None] = lambda: None
        self.hear: Callable[[Event], None] = lambda _fact: None

    def note(self, session_id: str, outcome: Outcome, now: datetime) -> None:
        """Take an attempt into account."""
        answer = classify(outcome)
        self._window.add(Attempt(now, session_id, answer))
        if answer in (Answer.TOO_MANY, Answer.OVERLOADED):
            assert isinstance(outcome, Refused | InDoubt)
            self._asked = outcome.retry_after
            self._pace.slow_down()
        elif answer in (Answer.GOOD, Answer.LOGOUT):
            self._pace.speed_up()
        # Good news can wait for the next look, unless an outage ends with it.
        is_news = answer is not Answer.GOOD or self.fleet.is_out
        if is_news and self._judge(now):
            self._look_at = self._clock.monotonic()
            self.noticed()

    async def look(self, *, afresh: bool = False) -> Fleet:
        """The fleet's state: read, changed where what was heard here calls for it, and obeyed by the pace."""
        if afresh or self._clock.monotonic() >= self._look_at:
            self._look_at = self._clock.monotonic() + LOOK_EVERY_SECONDS
            self._take(await self._store.fleet.read())
            step = self._judge(self._store.now())
            while step:
                await self._change(*step)
                step = self._judge(self._store.now())
        self._pace.limit(self.fleet.share_of_rate(self._store.now(), self._policy.idle_timeout))
        return self.fleet

    async def check_open(self, *, asked_by_operator: bool = False) -> None:
        """
        For callers: refuse what must not be sent now. An operator's own request is sent whatever AimHarder's state.

        Raises:
            Paused: An operator stopped everything.
            UpstreamUnavailable: An outage, or the upstream asked everybody to wait.
        """
        fleet, now = await self.look(), self._store.now()
        if fleet.bar:
            raise Paused(fleet.bar, retry_after=timedelta(minutes=1))
        if fleet.is_stopped(now):
            until = fleet.paused_until
            raise Paused(retry_after=until - now if until else timedelta(minutes=1))
        if asked_by_operator:
            return
        if fleet.is_throttled(now):
            assert fleet.throttled_until is not None
            raise UpstreamUnavailable(
                "AimHarder asked everybody to wait: try again shortly.", retry_after=fleet.throttled_until - now
            )
        if fleet.is_out:
            raise UpstreamUnavailable(
                "AimHarder answers nobody at present; sessions are kept as they are and tried again by themselves.",
                retry_after=max(fleet.probe_gap, timedelta(seconds=5)),
            )

    async def take_probe(self) -> bool:
        """In an outage: whether this process may send one request now; `probe_landed` is owed afterwards."""
        now = self._store.now()
        if self.fleet.probe_at is not None and now < self.fleet.probe_at:
            return False
        # Nobody else probes meanwhile; should this process die, somebody does in a while.
        return await self._change(replace(self.fleet, probe_at=now + self._policy.upstream_timeout * 2), None)

    async def probe_landed(self) -> None:
        """The probe has its answer; the next may go in a while, longer each time."""
        fleet = await self.look(afresh=True)
        if fleet.is_out:
            at = self._store.now() + probe_gap(fleet.probe_gap, self._policy.idle_timeout)
            longer = probe_gap(fleet.probe_gap * 2, self._policy.idle_timeout)
            await self._change(replace(fleet, probe_at=at, probe_gap=longer), None)

    async def pause(self, until: datetime | None) -> None:
        """Stop everything, until *until* or until `resume`."""
        await self.look(afresh=True)
        now = self._store.now()
        fact = _fact(EventKind.PAUSED, now, until=until.isoformat() if until else None)
        await self._change(replace(self.fleet, paused_at=now, paused_until=until), fact)

    async def resume(self) -> bool:
        """
        Go on; whether anything was stopped.

        Raises:
            ConfigError: It is not an operator's word that keeps this store from going on.
        """
        await self.look(afresh=True)
        if self.fleet.bar:
            raise ConfigError(self.fleet.bar)
        if self.fleet.paused_at is None:
            return False
        return await self._change(*_resumed(self.fleet, self._store.now(), by="operator"))

    async def release(self) -> None:
        """An operator decided the held verdicts."""
        await self.look(afresh=True)
        if self.fleet.held_at is not None:
            fact = _fact(EventKind.VERDICTS_RELEASED, self._store.now(), by="operator")
            await self._change(replace(self.fleet, held_at=None), fact)

    # ------------------------------------------------------------ the parts

    def _judge(self, now: datetime) -> Step | None:
        """The next change that what was heard here calls for; None = all is as it should be."""
        fleet = self.fleet
        if fleet.paused_at is not None and not fleet.is_stopped(now):
            return _resumed(fleet, now, by="time")
        return self._judge_outage(fleet, now) or self._judge_throttle(fleet, now) or self._judge_verdicts(fleet, now)

    def _judge_outage(self, fleet: Fleet, now: datetime) -> Step | None:
        down = replace(fleet, recovered_at=None, probe_at=now + FIRST_PROBE, probe_gap=FIRST_PROBE)
        if fleet.outage_at is None:
            if not self._window.shows_outage():
                return None
            return replace(down, outage_at=now), _fact(EventKind.OUTAGE_BEGAN, now, attempts=len(self._window.recent))
        if fleet.recovered_at is None:
            answered = any(a.answer in (Answer.GOOD, Answer.LOGOUT, Answer.TOO_MANY) for a in self._window.recent)
            return (replace(fleet, recovered_at=now), None) if answered else None
        if self._window.shows_outage(again=True):
            return down, None
        if fleet.share_of_rate(now, self._policy.idle_timeout) < 1.0:
            return None
        lasted = round((now - fleet.outage_at).total_seconds())
        over = replace(fleet, outage_at=None, recovered_at=None, probe_at=None)
        return over, _fact(EventKind.OUTAGE_ENDED, now, lasted_seconds=lasted)

    def _judge_throttle(self, fleet: Fleet, now: datetime) -> Step | None:
        if fleet.is_out or fleet.is_throttled(now) or not self._window.shows_overload():
            return None
        until = throttle_until(now, self._asked)
        is_new = fleet.throttled_until is None or now - fleet.throttled_until > SAME_TROUBLE
        fact = _fact(EventKind.THROTTLED, now, until=until.isoformat()) if is_new else None
        return replace(fleet, throttled_until=until), fact

    def _judge_verdicts(self, fleet: Fleet, now: datetime) -> Step | None:
        if fleet.held_at is None:
            if not self._window.shows_mass_death():
                return None
            return replace(fleet, held_at=now), _fact(EventKind.VERDICTS_HELD, now)
        if fleet.outage_at is None and self._window.shows_recovery():
            return replace(fleet, held_at=None), _fact(EventKind.VERDICTS_RELEASED, now, by="recovery")
        return None

    async def _change(self, fleet: Fleet, fact: Event | None) -> bool:
        """Write the new state, unless another process was quicker; whether it was us."""
        before = self.fleet
        won = await self._store.fleet.change(fleet, fact)
        if won:
            if fact:
                self.hear(fact)
            if fleet.held_at and not before.held_at:
                await self._store.fleet.recall_ends(self._store.now() - RECALL)
            if fleet.recovered_at and not before.recovered_at:
                await self._store.fleet.retry_failing()
            if before.freezes_verdicts and not fleet.freezes_verdicts:
                await self._store.fleet.retry_suspected()
        self._take(await self._store.fleet.read())
        return won

    def _take(self, fleet: Fleet) -> None:
        moods = [(f.outage_at, f.recovered_at, f.throttled_until, f.held_at) for f in (self.fleet, fleet)]
        if moods[0] != moods[1]:
            # What was heard before has been acted on, here or elsewhere.
            self._window.clear()
        self.fleet = fleet


def _fact(kind: EventKind, now: datetime, **data: object) -> Event:
    return Event(kind=kind, at=now, data={name: value for name, value in data.items() if value is not None})


def _resumed(fleet: Fleet, now: datetime, *, by: str) -> Step:
    return replace(fleet, paused_at=None, paused_until=None), _fact(EventKind.RESUMED, now, by=by)
