"""
The ladder from a logout answer to an end, as pure steps: docs/how-a-session-is-kept.md, "The ladder".

One rung a look: the session carries how far it has come, so a crash loses nothing and a restart goes on.
"""

from dataclasses import replace
from datetime import datetime
from enum import Enum

from aimkeeper.core.change import Change, Claim, Kind
from aimkeeper.core.events import EventKind
from aimkeeper.core.outcome import Life
from aimkeeper.core.policy import SECOND_TRY_AFTER, Policy, backoff, event, was_stale
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

    Nothing is asked twice: whoami and a spare's refusal are remembered in the session. Even a sure verdict waits
    those 2 s: if many die at once, the others are heard by then, and it is held back.
    """
    suspicion = session.suspicion
    if suspicion is None or not suspicion.logouts:
        return Step.SPEND
    if suspicion.life is None:
        return Step.ASK
    if now < resume_at(session):
        return Step.WAIT
    if not _surely_dead(session) and suspicion.logouts < LOGOUTS_APART:
        return Step.SPEND
    if session.spares and not suspicion.spares_tried:
        return Step.SPARE
    return Step.CONCLUDE


def reopen(session: Session, now: datetime) -> Session:
    """
    A claimed session as the ladder shall see it: what must be asked anew is forgotten.

    A verdict that was held back, or a token that was given up for lost, is tried from the start; a ladder still being
    climbed is climbed on.
    """
    is_asked_anew = session.status in (Status.SUSPECTED, Status.TOKEN_LOST)
    if session.suspicion and is_asked_anew and next_step(session, now) is Step.CONCLUDE:
        anew = replace(session.suspicion, logouts=0, life=None, spares_tried=False)
        return replace(session, suspicion=anew)
    return session


def resume_at(session: Session) -> datetime:
    """When a session told to `WAIT` may go on."""
    assert session.suspicion is not None
    return session.suspicion.run_at + SECOND_TRY_AFTER


def hold(claim: Claim, policy: Policy, now: datetime) -> Change:
    """
    The verdict is held back: the session is suspected, and tried again from the start, ever more seldom.

    For an outage or a mass death: then a logout says more about the upstream than about the session.
    """
    held = claim.session
    wait = backoff(held.attempt, held.deadline_at - now, policy)
    if held.status is Status.TOKEN_LOST:
        return put_off(claim, now + policy.refresh_every)
    after = replace(held, status=Status.SUSPECTED, due_at=now + wait)
    known = held.status is Status.SUSPECTED
    events = () if known else (event(EventKind.SUSPECTED, held, now, evidence=evidence(held)),)
    return Change(kind=Kind.ATTEMPT, before=held, after=after, claim=claim, events=events)


def put_off(claim: Claim, until: datetime) -> Change:
    """Nothing can be done before *until*; the ladder stays where it is."""
    after = replace(claim.session, due_at=until)
    return Change(kind=Kind.ATTEMPT, before=claim.session, after=after, claim=claim)


def give_back(claim: Claim) -> Change:
    """The claim was not used: the session is as it was."""
    return Change(kind=Kind.ATTEMPT, before=claim.session, after=claim.session, claim=claim)


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
        # Tried again, ever more seldom: the refusals may have been a slip of the site's.
        due_at = now + backoff(held.attempt, held.deadline_at - now, policy)
        after = replace(held, status=Status.TOKEN_LOST, due_at=due_at)
        events = () if known else (event(EventKind.TOKEN_LOST, held, now, evidence=evidence(held)),)
        return Change(kind=Kind.ATTEMPT, before=held, after=after, claim=claim, events=events)
    cause = cause_of_end(held)
    after = replace(held, status=Status.ENDED, cause=cause, ended_at=now, due_at=None, wipe_at=now + policy.wipe_after)
    expected = {"stale": True} if was_stale(held, suspicion.first_at) else {}
    ended = event(EventKind.ENDED, held, now, cause=cause.value, evidence=evidence(held), **expected)
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
