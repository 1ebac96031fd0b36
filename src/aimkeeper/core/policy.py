"""The rulebook: when to rotate, how long to wait, and what a session becomes after each answer. Pure arithmetic."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from aimkeeper.core.change import NO_EDIT, Change, Claim, Kind, SecretsEdit
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.frozen import altered, value
from aimkeeper.core.outcome import InDoubt, Life, LoggedOut, Outcome, Reason, Refused, Rotated, WhoAmI
from aimkeeper.core.session import Session, Status, Suspicion, Turn
from aimkeeper.core.token import parse_fingerprint

# The site's own page renews every 29 minutes: docs/upstream.md, "tokenUpdate".
AT_RISK_AFTER = timedelta(minutes=29)

# due_at lies between this share of the interval and all of it, so that logins of one moment drift apart.
EARLIEST_SHARE = 0.8
# So a session is rotated on average after this share of it.
MEAN_SHARE = (1 + EARLIEST_SHARE) / 2
# The first rotation of an adopted session may come earlier: a fleet adopted at once must spread over the interval.
EARLIEST_SHARE_AT_FIRST = 0.1

FIRST_BACKOFF = timedelta(seconds=0.5)
SECOND_TRY_AFTER = timedelta(seconds=2)

# Sites that forgive a second use of an old token do so for 5 to 60 s (docs/upstream.md, "Lifetimes and reuse").
DOUBT_LASTS = timedelta(seconds=60)

# A remembered setrefresh is given up after this many tries; the site was seen to work without it.
SETREFRESH_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    The durations the rules are made of.

    Attributes:
        refresh_every: The longest a session may go without a rotation.
        idle_timeout: How long the upstream is believed to keep an untouched session.
        upstream_timeout: The longest one exchange may take.
        wipe_after: How long the secrets of an ended session are kept.
        heal_window: How long an older token handed out still brings the present one; zero = off.
    """

    refresh_every: timedelta
    idle_timeout: timedelta
    upstream_timeout: timedelta
    wipe_after: timedelta = timedelta(hours=24)
    heal_window: timedelta = timedelta(hours=24)

    @property
    def young(self) -> timedelta:
        """A rotation younger than this is answered without a new one: a fifteenth of the interval."""
        return self.refresh_every / 15


@value(frozen=True, slots=True)
class Exchange:
    """
    One question put to the upstream, and when its answer was settled.

    Attributes:
        via: See `Turn.via`.
        now: When the answer was read; aware.
        took: How long it took.
        jitter: Uniform in [0, 1), drawn once.
    """

    via: str
    now: datetime
    took: timedelta
    jitter: float


def next_due(
    rotated_at: datetime, refresh_every: timedelta, jitter: float, earliest: float = EARLIEST_SHARE
) -> datetime:
    """
    The moment to rotate next: 80 % to 100 % of the refresh interval away.

    Args:
        rotated_at: When the upstream last accepted a rotation; aware, UTC.
        refresh_every: The longest a session may go without one.
        jitter: Uniform in [0, 1); spreads sessions that logged in together. Drawn once: the result is stored.
        earliest: The smallest share of the interval, 0 to 1.

    Raises:
        ValueError: *rotated_at* is naive, or *jitter* is outside [0, 1).

    Source: the site renews every 29 minutes; docs/upstream.md, "Idle timeout".
    """
    if rotated_at.tzinfo is None:
        raise ValueError("rotated_at must be aware")
    if not 0 <= jitter < 1:
        raise ValueError("jitter must be in [0, 1)")
    return rotated_at + refresh_every * (earliest + (1 - earliest) * jitter)


def was_stale(session: Session, now: datetime) -> bool:
    """
    Whether *session* was past its deadline before it was first rotated here: adopted too late, most likely.

    Its logout was to be expected, and says nothing about the upstream or the fleet.
    """
    return not session.settled_in and session.deadline_at <= now


def backoff(attempt: int, slack: timedelta, policy: Policy) -> timedelta:
    """
    How long to wait after a failure: doubling from half a second, but never more than an eighth of the slack.

    Args:
        attempt: Failures since the last rotation, this one included; from 1.
        slack: Deadline minus now. When it is gone the wait grows to the refresh interval: the idle timeout is a belief.
        policy: For the refresh interval.
    """
    doubled = FIRST_BACKOFF * (1 << min(max(attempt, 1) - 1, 30))
    if slack > timedelta(0):
        return max(min(doubled, slack / 8), FIRST_BACKOFF)
    return min(doubled, policy.refresh_every)


def doubt_wait(doubt_at: datetime, now: datetime) -> timedelta | None:
    """How long to wait before the next try in doubt: 0.5, 1, 2, 2 … s; None when it has lasted too long to hurry."""
    lasted = now - doubt_at
    if lasted >= DOUBT_LASTS:
        return None
    if lasted < FIRST_BACKOFF:
        return FIRST_BACKOFF
    return timedelta(seconds=1) if lasted < timedelta(seconds=1.5) else timedelta(seconds=2)


def settle(claim: Claim, outcome: Outcome, policy: Policy, exchange: Exchange) -> Change:
    """
    What the claimed session becomes after a spend of its present token.

    The change says nothing yet about the steps that follow a logout: `verdict.py` does.
    """
    held = claim.session
    match outcome:
        case Rotated():
            return settle_rotation(claim, outcome, policy, exchange)
        case LoggedOut():
            return _settle_logout(claim, exchange)
        case InDoubt(reason):
            return _settle_doubt(claim, reason, policy, exchange)
        case Refused(reason, retry_after):
            wait = _wait(held, held.attempt + 1, policy, exchange.now)
            slack = held.deadline_at - exchange.now
            if retry_after is not None:
                # Obeyed, but not unto death: half the slack leaves time for one more try.
                wait = max(wait, min(retry_after, slack / 2) if slack > timedelta(0) else retry_after)
            after = replace(_failed(held, reason, exchange), due_at=exchange.now + wait)
            given_up = held.setrefresh_due and not after.setrefresh_due
            events = (event(EventKind.SETREFRESH_FAILED, held, exchange.now, reason=reason.value),) if given_up else ()
            return _attempt(claim, after, _turn(held, reason.value, exchange), NO_EDIT, events)
        case _:
            assert_never(outcome)


def settle_rotation(
    claim: Claim, rotated: Rotated, policy: Policy, exchange: Exchange, spare: str | None = None
) -> Change:
    """The session with its new token; *spare* names the token put aside that brought it, if one did."""
    held, now = claim.session, exchange.now
    edit = SecretsEdit(token=rotated.token, cookies=rotated.cookies)
    turn = Turn(now.timestamp(), "rotated", exchange.via, held.generation, _ms(exchange.took), rotated.token.mark())
    by_setrefresh = exchange.via == "setrefresh"
    after = altered(
        held,
        secrets=edit.apply(held.secrets),
        fingerprint=parse_fingerprint(rotated.fingerprint) if rotated.fingerprint else held.fingerprint,
        status=Status.ACTIVE,
        cause=None,
        ended_at=None,
        wipe_at=None,
        generation=held.generation + 1,
        rotated_at=now,
        due_at=next_due(
            now, policy.refresh_every, exchange.jitter, EARLIEST_SHARE if held.settled_in else EARLIEST_SHARE_AT_FIRST
        ),
        deadline_at=now + policy.idle_timeout,
        attempt=0,
        last_error=None,
        doubt_at=None,
        suspicion=None,
        settled_in=True,
        setrefresh_due=held.setrefresh_due and not by_setrefresh,
        setrefresh_at=now if by_setrefresh else held.setrefresh_at,
        setrefresh_count=held.setrefresh_count + by_setrefresh,
        setrefresh_error=None if by_setrefresh else held.setrefresh_error,
        rotations=held.rotations + (not by_setrefresh),
        ring=held.ring.and_then(turn),
    )
    events: tuple[Event, ...] = ()
    if held.status is not Status.ACTIVE or held.suspicion:
        kind = EventKind.SPARE_USED if spare else EventKind.HEALED
        events = (
            event(kind, held, now, was=held.status.value, after_attempts=held.attempt, token=rotated.token.mark()),
        )
    return Change(
        kind=Kind.ROTATION,
        before=held,
        after=after,
        edit=edit,
        claim=claim,
        turn=turn,
        events=events,
        tried_spare=spare,
    )


def settle_spare_refused(claim: Claim, spare: str, exchange: Exchange) -> Change:
    """A token put aside was refused: it is struck off, and the next one is tried."""
    held = claim.session
    turn = _turn(held, "logged_out", exchange)
    after = replace(held, spares=max(held.spares - 1, 0), ring=held.ring.and_then(turn))
    return replace(_attempt(claim, after, turn), tried_spare=spare, release=False)


def believed(answer: WhoAmI, session: Session) -> WhoAmI:
    """*answer*, unless it names another account's member: a mixed-up answer says nothing about this session."""
    account = session.account_key
    if answer.user_id is None or not account.isdigit() or int(account) == answer.user_id:
        return answer
    return WhoAmI(Life.UNCLEAR, reason=Reason.STRANGE_TOKEN)


def settle_whoami(claim: Claim, answer: WhoAmI, exchange: Exchange) -> Change:
    """What the session becomes once whoami has spoken: its cookies, and the ladder's next rung."""
    held, now = claim.session, exchange.now
    edit = SecretsEdit(cookies=answer.cookies)
    turn = Turn(now.timestamp(), answer.life.value, "whoami", held.generation, _ms(exchange.took), held.token.mark())
    after = replace(
        held,
        secrets=edit.apply(held.secrets),
        alive_at=now if answer.life is Life.ALIVE else held.alive_at,
        suspicion=replace(held.suspicion, life=answer.life) if held.suspicion else None,
        ring=held.ring.and_then(turn),
    )
    return _attempt(claim, after, turn, edit)


def event(kind: EventKind, session: Session, now: datetime, **data: object) -> Event:
    """A fact about *session*."""
    return Event(
        kind=kind, at=now, session_id=session.id, email=session.email, data={"generation": session.generation, **data}
    )


def _settle_logout(claim: Claim, exchange: Exchange) -> Change:
    held, now = claim.session, exchange.now
    turn = _turn(held, "logged_out", exchange)
    known = held.suspicion
    if known is None:
        suspicion = Suspicion(first_at=now, run_at=now)
    else:
        suspicion = replace(known, logouts=known.logouts + 1, run_at=known.run_at if known.logouts else now)
    # Cookies of a logout answer are not believed: the site deletes them with it, and whoami still needs ours.
    after = replace(
        held,
        status=Status.IN_DOUBT if held.status is Status.ACTIVE else held.status,
        suspicion=suspicion,
        attempt=held.attempt + 1,
        last_error="logged_out",
        due_at=now,
        ring=held.ring.and_then(turn),
    )
    # One that is suspected, or whose token is known to be lost, is asked after again and again: told once.
    old_news = known or held.status in (Status.SUSPECTED, Status.TOKEN_LOST)
    events = () if old_news else (event(EventKind.SUSPICION, held, now, token=held.token.mark(), via=exchange.via),)
    return _attempt(claim, after, turn, NO_EDIT, events)


def _settle_doubt(claim: Claim, reason: Reason, policy: Policy, exchange: Exchange) -> Change:
    held, now = claim.session, exchange.now
    doubted = replace(
        _failed(held, reason, exchange),
        status=Status.IN_DOUBT if held.status is Status.ACTIVE else held.status,
        doubt_at=held.doubt_at or now,
    )
    after = replace(doubted, due_at=now + _wait(doubted, doubted.attempt, policy, now))
    events: tuple[Event, ...] = ()
    if held.doubt_at is None:
        events = (event(EventKind.IN_DOUBT, held, now, reason=reason.value, via=exchange.via, token=held.token.mark()),)
    if held.setrefresh_due and not after.setrefresh_due:
        events = (*events, event(EventKind.SETREFRESH_FAILED, held, now, reason=reason.value))
    return _attempt(claim, after, _turn(held, reason.value, exchange), NO_EDIT, events)


def _failed(held: Session, reason: Reason, exchange: Exchange) -> Session:
    by_setrefresh = exchange.via == "setrefresh"
    return replace(
        held,
        attempt=held.attempt + 1,
        last_error=reason.value,
        setrefresh_error=reason.value if by_setrefresh else held.setrefresh_error,
        # Given up after a few tries: the login stands, and plain rotations keep it.
        setrefresh_due=held.setrefresh_due and not (by_setrefresh and held.attempt + 1 >= SETREFRESH_TRIES),
        ring=held.ring.and_then(_turn(held, reason.value, exchange)),
    )


def _wait(session: Session, attempt: int, policy: Policy, now: datetime) -> timedelta:
    hurried = doubt_wait(session.doubt_at, now) if session.doubt_at else None
    return hurried or backoff(attempt, session.deadline_at - now, policy)


def _attempt(
    claim: Claim, after: Session, turn: Turn, edit: SecretsEdit = NO_EDIT, events: tuple[Event, ...] = ()
) -> Change:
    return Change(
        kind=Kind.ATTEMPT, before=claim.session, after=after, edit=edit, claim=claim, turn=turn, events=events
    )


def _turn(held: Session, what: str, exchange: Exchange) -> Turn:
    return Turn(exchange.now.timestamp(), what, exchange.via, held.generation, _ms(exchange.took), held.token.mark())


def _ms(took: timedelta) -> int:
    return round(took.total_seconds() * 1000)
