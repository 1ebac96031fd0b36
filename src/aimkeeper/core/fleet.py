"""
What holds for all sessions at once: an outage, a mass death, an upstream that asks for less, a pause.

One state for the whole fleet, kept in the store; the arithmetic that changes it is here, pure.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from itertools import takewhile
from typing import NamedTuple

from aimkeeper.core.outcome import InDoubt, LoggedOut, Outcome, Reason, Refused, Rotated

# An outage: so many of the last attempts, over so many sessions, failed through no fault of theirs.
OUTAGE_ATTEMPTS, OUTAGE_SESSIONS, OUTAGE_SHARE = 50, 5, 0.8
# While the upstream comes back, fewer are enough to see that it went again.
RELAPSE_ATTEMPTS, RELAPSE_SESSIONS = 10, 3

# A mass death: logouts from so many sessions, and over so large a share of the attempts.
MASS_SESSIONS, MASS_SHARE, MASS_WINDOW = 10, 0.2, timedelta(minutes=1)
# It is over when the share is back under this for so long, or in a slow fleet over the last attempts.
MASS_OVER_SHARE, MASS_OVER_ATTEMPTS, MASS_OVER_FOR = 0.05, 10, timedelta(seconds=10)

# Everybody waits when so large a share of the last answers says "too many" or "overloaded".
THROTTLE_SHARE = 0.5
THROTTLED_FOR, LONGEST_THROTTLE = timedelta(seconds=5), timedelta(minutes=1)

# In an outage one probe at a time goes out: the gap doubles from the first to the longest.
FIRST_PROBE, LONGEST_PROBE = timedelta(seconds=0.5), timedelta(seconds=15)
# Then the rate doubles each second, from a sixteenth of what is allowed to all of it.
RAMP_START, RAMP_DOUBLES_EVERY = 1 / 16, timedelta(seconds=1)
# Where sessions live shorter than this, probes and ramp are quicker in proportion: the scarce time is theirs.
UNHURRIED_IDLE = timedelta(minutes=90)


class Answer(Enum):
    """What an attempt says about the upstream, not about the session."""

    GOOD = "good"
    LOGOUT = "logout"
    FAILED = "failed"  # it could not, or its answer could not be read
    TOO_MANY = "too_many"  # 429: it works, and wants fewer
    OVERLOADED = "overloaded"  # 503: it failed, and wants fewer


_FAILURES = frozenset((Answer.FAILED, Answer.OVERLOADED))
_WANTS_FEWER = frozenset((Answer.TOO_MANY, Answer.OVERLOADED))


class Attempt(NamedTuple):
    """One answered, or unanswered, presentation of a token."""

    at: datetime
    session_id: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """
    The one state.

    Attributes:
        revision: Compare-and-swap guard: only one process makes each change.
        outage_at: Since when the upstream fails nearly everybody; None while it answers.
        recovered_at: When a probe came through: since then the rate rises; None before and after.
        probe_at: When the next probe may start.
        probe_gap: How long to wait after it.
        held_at: Since when verdicts are held back, for too many came at once; None when they are not.
        throttled_until: Until when everybody waits because the upstream asked for it.
        paused_at: When an operator stopped everything; None when nobody did.
        paused_until: Until when; None with `paused_at` set = until somebody resumes.
        copied_at: Since when this store is known to be a restored or copied one, whose tokens may be spent elsewhere.
        moved_to: Which store keeps its sessions now; None = this one.
    """

    revision: int = 0
    outage_at: datetime | None = None
    recovered_at: datetime | None = None
    probe_at: datetime | None = None
    probe_gap: timedelta = FIRST_PROBE
    held_at: datetime | None = None
    throttled_until: datetime | None = None
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    copied_at: datetime | None = None
    moved_to: str | None = None

    def is_paused(self, now: datetime) -> bool:
        """Whether nothing is to be sent: an operator wants it so, or this store may not spend what it holds."""
        return self.bar is not None or self.is_stopped(now)

    def is_stopped(self, now: datetime) -> bool:
        """Whether an operator wants nothing to be sent."""
        return self.paused_at is not None and (self.paused_until is None or now < self.paused_until)

    @property
    def bar(self) -> str | None:
        """What keeps this store from spending its tokens, and what to do, as one sentence; None = nothing does."""
        if self.moved_to is not None:
            return f"the sessions of this database moved to the {self.moved_to}: set AIMKEEPER_DATABASE_URL to that."
        if self.copied_at is not None:
            return (
                "this database was restored or copied, and its tokens may be spent elsewhere: `aimkeeper db take-over` "
                "says that it is the one from now on."
            )
        return None

    def is_throttled(self, now: datetime) -> bool:
        """Whether the upstream asked everybody to wait."""
        return self.throttled_until is not None and now < self.throttled_until

    @property
    def is_out(self) -> bool:
        """Whether the upstream fails nearly everybody: only probes go out."""
        return self.outage_at is not None and self.recovered_at is None

    @property
    def freezes_verdicts(self) -> bool:
        """Whether no end may be declared now."""
        return self.held_at is not None or self.outage_at is not None

    def share_of_rate(self, now: datetime, idle_timeout: timedelta) -> float:
        """How much of the allowed rate may be used, 0 to 1: less while the upstream comes back."""
        if self.recovered_at is None:
            return 1.0
        doublings = max((now - self.recovered_at) / (RAMP_DOUBLES_EVERY * haste(idle_timeout)), 0.0)
        return min(RAMP_START * 2 ** min(doublings, 10.0), 1.0)


def classify(outcome: Outcome) -> Answer:
    """What *outcome* says about the upstream."""
    match outcome:
        case Rotated():
            return Answer.GOOD
        case LoggedOut():
            return Answer.LOGOUT
        case Refused(Reason.RATE_LIMITED):
            return Answer.TOO_MANY
        case InDoubt(Reason.OVERLOADED):
            return Answer.OVERLOADED
        case _:
            return Answer.FAILED


@dataclass(slots=True)
class Window:
    """
    The latest attempts of one process: the last `OUTAGE_ATTEMPTS`, and those of the last minute.

    Each process judges by its own; as every process sees a fair sample of the sessions, any of them may speak for all.
    """

    recent: deque[Attempt] = field(default_factory=lambda: deque(maxlen=OUTAGE_ATTEMPTS))
    minute: deque[Attempt] = field(default_factory=deque)
    _logouts: int = 0

    def add(self, attempt: Attempt) -> None:
        self.recent.append(attempt)
        self.minute.append(attempt)
        self._logouts += attempt.answer is Answer.LOGOUT
        while attempt.at - self.minute[0].at > MASS_WINDOW:
            self._logouts -= self.minute.popleft().answer is Answer.LOGOUT

    def clear(self) -> None:
        """Forget all, because what they said has been acted on."""
        self.recent.clear()
        self.minute.clear()
        self._logouts = 0

    def shows_outage(self, *, again: bool = False) -> bool:
        """Whether the upstream fails nearly everybody; *again*: it was just coming back."""
        attempts, sessions = (RELAPSE_ATTEMPTS, RELAPSE_SESSIONS) if again else (OUTAGE_ATTEMPTS, OUTAGE_SESSIONS)
        failed = [attempt for attempt in self.recent if attempt.answer in _FAILURES]
        return (
            len(self.recent) >= attempts
            and len(failed) >= OUTAGE_SHARE * len(self.recent)
            and len({attempt.session_id for attempt in failed}) >= sessions
        )

    def shows_overload(self) -> bool:
        """Whether half of the last answers want fewer requests."""
        wanting = sum(attempt.answer in _WANTS_FEWER for attempt in self.recent)
        return len(self.recent) >= OUTAGE_ATTEMPTS and wanting >= THROTTLE_SHARE * len(self.recent)

    def shows_mass_death(self) -> bool:
        """
        Whether too many are told to log out at once.

        Over the last minute, as a slow fleet needs; and over the last attempts alone, for in a busy fleet the first
        bad seconds drown in the minute before them.
        """
        return bool(self._logouts) and (_is_mass(self.recent) or _is_mass(self.minute))

    def shows_recovery(self) -> bool:
        """Whether hardly anybody is told to log out any more."""
        latest = list(takewhile(self._is_recent, reversed(self.minute)))
        attempts = latest if len(latest) > len(self.recent) else self.recent
        logouts = sum(attempt.answer is Answer.LOGOUT for attempt in attempts)
        good = sum(attempt.answer is Answer.GOOD for attempt in attempts)
        return good >= MASS_OVER_ATTEMPTS and logouts < MASS_OVER_SHARE * len(attempts)

    def _is_recent(self, attempt: Attempt) -> bool:
        return self.minute[-1].at - attempt.at <= MASS_OVER_FOR


def throttle_until(now: datetime, asked: timedelta | None) -> datetime:
    """How long everybody waits: as long as was asked, within reason."""
    return now + min(asked or THROTTLED_FOR, LONGEST_THROTTLE)


def haste(idle_timeout: timedelta) -> float:
    """How much of the usual time probes and ramp may take, above 0 to 1."""
    return min(idle_timeout / UNHURRIED_IDLE, 1.0)


def probe_gap(gap: timedelta, idle_timeout: timedelta) -> timedelta:
    """*gap*, but no longer than recovery may go unnoticed where sessions live so short."""
    return min(gap, LONGEST_PROBE * haste(idle_timeout))


def _is_mass(attempts: Sequence[Attempt]) -> bool:
    told = [attempt.session_id for attempt in attempts if attempt.answer is Answer.LOGOUT]
    return len(told) > MASS_SHARE * len(attempts) and len(set(told)) >= MASS_SESSIONS
