"""A caller's refresh: join the flight, or claim this session, or wait for whoever holds it. Never a second spend."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aimkeeper.core.change import Claim
from aimkeeper.core.errors import (
    ConfigError,
    RateLimited,
    SessionEnded,
    UnknownSession,
    UpstreamRefused,
    UpstreamUnavailable,
)
from aimkeeper.core.events import EventKind
from aimkeeper.core.outcome import Reason
from aimkeeper.core.session import Handout, Session, Status
from aimkeeper.engine.audit import Audit
from aimkeeper.engine.flight import outlived
from aimkeeper.engine.keeper import Keeper

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

# How a session held by another process is watched, in seconds.
FIRST_LOOK, LAST_LOOK, PATIENCE = 0.05, 0.25, 25.0


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a caller asks for: something newer than he saw."""

    seen: Session
    setrefresh: bool

    def is_met_by(self, current: Session) -> bool:
        if self.setrefresh:
            return current.setrefresh_count > self.seen.setrefresh_count
        return current.generation > self.seen.generation

    def owed(self, claim: Claim) -> Claim:
        """The claim to fly with. A setrefresh is owed from then on, as after a login, and obeys the same rules."""
        if not self.setrefresh:
            return claim
        return replace(claim, session=replace(claim.session, setrefresh_due=True))

    def was_given_up(self, current: Session) -> bool:
        """Whether setrefresh failed too often; plain rotations keep the session all the same."""
        return self.setrefresh and not current.setrefresh_due


class Refresher:
    """Gets one session rotated for somebody who asks."""

    def __init__(self, keeper: Keeper, audit: Audit) -> None:
        self._keeper = keeper
        self._audit = audit
        self._store: Store = keeper.store
        self._clock = keeper.clock

    async def refresh(
        self, session: Session, *, forced: bool = False, patience: float = PATIENCE, setrefresh: bool = False
    ) -> Session:
        """
        A rotation newer than *session*, made or shared.

        Args:
            session: As the caller last saw it.
            forced: Whether to ask at once though a try has just failed.
            patience: How long to wait for others, or for the next try, in seconds.
            setrefresh: Whether it must be one by setrefresh.

        Raises:
            SessionEnded: It is over.
            UpstreamUnavailable, UpstreamRefused: Not now.
            UnknownSession: It was forgotten meanwhile.
        """
        wish = _Wish(session, setrefresh)
        give_up_at, look, tried = self._clock.monotonic() + patience, FIRST_LOOK, False
        while True:
            flight = self._keeper.flights.get(session.id)
            if flight is not None:
                await outlived(flight)
            current = alive(await self._store.get(session.id))
            if wish.is_met_by(current):
                return current
            left = give_up_at - self._clock.monotonic()
            pause = self._pause(current)
            if current.owner is None and (forced or pause <= 0) and not (tried and wish.was_given_up(current)):
                await self._keeper.breaker.check_open(asked_by_operator=forced)
                forced = False
                claim = await self._claim(session.id)
                if claim is not None and wish.is_met_by(claim.session):
                    # Somebody's rotation landed while we waited for our turn.
                    await self._store.free(claim)
                    return claim.session
                if claim is not None:
                    tried = True
                    self._keeper.launch(wish.owed(claim))
                    continue
            hopeless = tried and (current.last_error == Reason.FORBIDDEN or wish.was_given_up(current))
            if current.owner is None and (pause > left or hopeless):
                raise not_now(current, self._store.now())
            if left <= 0:
                raise UpstreamUnavailable("another process holds this session and has not finished: try again shortly.")
            await self._clock.sleep(max(look, min(pause, left)))
            look = min(look * 2, LAST_LOOK)

    async def _claim(self, session_id: str) -> Claim | None:
        await self._keeper.pace.turn()
        if self._keeper.draining:
            raise UpstreamUnavailable("aimkeeper is stopping: try again shortly.")
        return await self._store.claim_one(self._keeper.owner, session_id)

    def _pause(self, session: Session) -> float:
        """Seconds until a session whose last try failed shall be tried again; 0 for all others."""
        if not session.attempt or session.due_at is None:
            return 0.0
        return max((session.due_at - self._store.now()).total_seconds(), 0.0)

    async def credentials(self, session: Session, *, min_slack: timedelta, reader: str) -> Session:
        """
        *session* with at least *min_slack* before its deadline, recorded as handed out to *reader*.

        Raises:
            ConfigError: No rotation could give so much slack.
            SessionEnded, UpstreamUnavailable, UnknownSession: As `refresh`.
        """
        if min_slack > self._keeper.policy.idle_timeout:
            most = round(self._keeper.policy.idle_timeout.total_seconds())
            raise ConfigError(f"a fresh rotation gives {most} s of slack: more can't be asked for.")
        session = alive(session)
        now = self._store.now()
        if session.deadline_at - now < min_slack or session.status is not Status.ACTIVE:
            session = await self.refresh(session)
            now = self._store.now()
        session = await self._keeper.hand_out(session, Handout(session.token.digest(), now.timestamp()))
        await self._audit.record(EventKind.CREDENTIALS_READ, session, generation=session.generation, by=reader)
        return session


def alive(session: Session | None) -> Session:
    """
    *session*, if it can still be used.

    Raises:
        UnknownSession, SessionEnded
    """
    if session is None:
        raise UnknownSession("that session is not kept here: `aimkeeper sessions` lists those that are.")
    if session.status is Status.ENDED:
        cause = session.cause.value if session.cause else None
        raise SessionEnded(f"the session has ended ({cause}): log in again.", cause=cause)
    return session


def not_now(session: Session, now: datetime) -> UpstreamUnavailable | UpstreamRefused:
    """Why there is no newer rotation, and when to ask again."""
    if session.last_error == Reason.FORBIDDEN:
        return UpstreamRefused()
    wait = max((session.due_at - now) if session.due_at else timedelta(0), timedelta(seconds=1))
    if session.status is Status.TOKEN_LOST:
        sentence = "AimHarder refuses this session's token though its cookies live: log in again."
    else:
        why = session.last_error or session.setrefresh_error or "unclear"
        sentence = f"AimHarder gave no new token ({why}); it is tried again by itself."
    if session.last_error == Reason.RATE_LIMITED:
        return RateLimited(sentence, retry_after=wait)
    return UpstreamUnavailable(sentence, retry_after=wait)
