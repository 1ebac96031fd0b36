"""A caller's refresh: join the flight, or claim this session, or wait for whoever holds it. Never a second spend."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

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
from aimkeeper.core.policy import event
from aimkeeper.core.session import Handout, Session, Status
from aimkeeper.engine.flight import outlived
from aimkeeper.engine.keeper import Keeper

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

# How a session held by another process is watched, in seconds.
FIRST_LOOK, LAST_LOOK, PATIENCE = 0.05, 0.25, 25.0


class Refresher:
    """Gets one session rotated for somebody who asks."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._store: Store = keeper.store
        self._clock = keeper.clock

    async def refresh(self, session: Session, *, forced: bool = False, patience: float = PATIENCE) -> Session:
        """
        A rotation newer than *session*, made or shared.

        Args:
            session: As the caller last saw it.
            forced: Whether to ask at once though a try has just failed.
            patience: How long to wait for others, or for the next try, in seconds.

        Raises:
            SessionEnded: It is over.
            UpstreamUnavailable, UpstreamRefused: Not now.
            UnknownSession: It was forgotten meanwhile.
        """
        give_up_at, look, tried = self._clock.monotonic() + patience, FIRST_LOOK, False
        while True:
            flight = self._keeper.flights.get(session.id)
            if flight is not None:
                await outlived(flight)
            current = alive(await self._store.get(session.id))
            if current.generation > session.generation:
                return current
            left = give_up_at - self._clock.monotonic()
            pause = self._pause(current)
            if current.owner is None and (forced or pause <= 0):
                await self._keeper.breaker.check_open(asked_by_operator=forced)
                forced = False
                await self._keeper.pace.turn()
                if self._keeper.draining:
                    raise UpstreamUnavailable("aimkeeper is stopping: try again shortly.")
                claim = await self._store.claim_one(self._keeper.owner, session.id)
                if claim is not None and claim.session.generation > session.generation:
                    # Somebody's rotation landed while we waited for our turn.
                    await self._store.free(claim)
                    return claim.session
                if claim is not None:
                    tried = True
                    self._keeper.launch(claim)
                    continue
            hopeless = tried and current.last_error == Reason.FORBIDDEN
            if current.owner is None and (pause > left or hopeless):
                raise not_now(current, self._store.now())
            if left <= 0:
                raise UpstreamUnavailable("another process holds this session and has not finished: try again shortly.")
            await self._clock.sleep(max(look, min(pause, left)))
            look = min(look * 2, LAST_LOOK)

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
        fact = event(EventKind.CREDENTIALS_READ, session, now, by=reader)
        await self._store.record(fact)
        self._keeper.hearers.tell(fact)
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
        sentence = f"AimHarder gave no new token ({session.last_error or 'unclear'}); it is tried again by itself."
    if session.last_error == Reason.RATE_LIMITED:
        return RateLimited(sentence, retry_after=wait)
    return UpstreamUnavailable(sentence, retry_after=wait)
