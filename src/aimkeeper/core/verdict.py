"""
The ladder from a logout answer to an end (SPEC 5.5), as pure steps.

One rung a look: the session carries how far it has come, so a crash loses nothing and a restart goes on.
"""

from dataclasses import replace
from datetime import datetime
from enum import Enum

from aimkeeper.core.change import Change, Claim, Kind
from aimkeeper.core.events import EventKind
from aimkeeper.core.outcome import Life
from aimkeeper.core.policy import SECOND_TRY_AFTER, Policy, event
from aimkeeper.core.session import Cause, Session, Status

LOGOUTS_APART = 2


class Step(Enum):
    """What to do with a claimed session next."""

    SPEND = "spend"  # present the token (by setrefresh where that is owed)
    ASK = "ask"  # ask whoami whether the cookies live
    WAIT = "wait"  # the second try comes later
    SPARE = "spare"  # present the youngest token put aside
    CONCLUDE = "conclude"  # nothing is left to try


def next_step(session: Session, now: datetime) -> Step:
    """
    The next rung: token, whoami, token again after 2 s, spares, verdict.

    Nothing is asked twice: whoami and a spare's refusal are remembered in the session.
    """
    suspicion = session.suspicion
    if suspicion is None:
        return Step.SPEND
    if suspicion.life is None:
        return Step.ASK
    if not _surely_dead(session) and suspicion.logouts < LOGOUTS_APART:
        return Step.WAIT if now < suspicion.last_at + SECOND_TRY_AFTER else Step.SPEND
    if session.spares and not suspicion.spares_tried:
        return Step.SPARE
    return Step.CONCLUDE


def reopen(session: Session) -> Session:
    """
    A claimed session as the ladder shall see it: what must be asked anew is forgotten.

    A lost token is not presented again, but its cookies are asked after; a held verdict is tried from the start.
    """
    if session.status is Status.TOKEN_LOST and session.suspicion:
        return replace(session, suspicion=replace(session.suspicion, life=None))
    if session.status is Status.SUSPECTED:
        return replace(session, suspicion=None)
    return session


def resume_at(session: Session) -> datetime:
    """When a session told to `WAIT` may go on."""
    assert session.suspicion is not None
    return session.suspicion.last_at + SECOND_TRY_AFTER


def conclude(claim: Claim, policy: Policy, now: datetime) -> Change:
    """
    The verdict: `token_lost` when whoami still knows the cookies, else the end, with its cause and the evidence.

    The end keeps token and generation until the wipe, so a late rotation or `revive` can undo it.
    """
    held = claim.session
    suspicion = held.suspicion
    assert suspicion is not None
    known = held.status is Status.TOKEN_LOST
    if suspicion.life is Life.ALIVE or (known and suspicion.life is Life.UNCLEAR):
        after = replace(held, status=Status.TOKEN_LOST, due_at=now + policy.refresh_every)
        events = () if known else (event(EventKind.TOKEN_LOST, held, now, evidence=evidence(held)),)
        return Change(kind=Kind.ATTEMPT, before=held, after=after, claim=claim, events=events)
    cause = cause_of_end(held)
    after = replace(held, status=Status.ENDED, cause=cause, ended_at=now, due_at=None, wipe_at=now + policy.wipe_after)
    ended = event(EventKind.ENDED, held, now, cause=cause.value, evidence=evidence(held))
    return Change(kind=Kind.ATTEMPT, before=held, after=after, claim=claim, events=(ended,))


def cause_of_end(session: Session) -> Cause:
    """The likeliest cause, from what is known of the session, at its first logout answer."""
    suspicion = session.suspicion
    assert suspicion is not None
    expires_at = session.token.expires_at
    if expires_at is not None and expires_at <= suspicion.first_at:
        return Cause.TOKEN_EXPIRED
    if session.doubt_at is not None:
        # An earlier request may have spent the token without us hearing: presenting it again was the second time.
        return Cause.DOUBLE_SPENT
    if suspicion.first_at > session.deadline_at:
        return Cause.IDLE_TIMEOUT
    # Nobody knows what was done to a token before it was brought here.
    return Cause.SERVER_ENDED if session.settled_in else Cause.UNKNOWN


def evidence(session: Session) -> list[dict[str, object]]:
    """The exchanges since the last rotation, oldest first: what was presented (by hash) and what came."""
    turns = [turn for turn in session.ring if turn.generation == session.generation]
    return [{"at": turn.at, "via": turn.via, "what": turn.what, "token": turn.token} for turn in turns]


def _surely_dead(session: Session) -> bool:
    assert session.suspicion is not None
    # "Dead" counts for a proof only where whoami was once seen to recognise these cookies.
    return session.suspicion.life is Life.DEAD and session.alive_at is not None
