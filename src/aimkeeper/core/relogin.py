"""Logging in again with a remembered password: when it may be tried, and what its answer makes of the session."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from aimkeeper.core.change import Change, Claim, Kind, SecretsEdit
from aimkeeper.core.events import EventKind
from aimkeeper.core.outcome import LoggedIn, LoginProblem, LoginRefused, Rotated
from aimkeeper.core.policy import Exchange, Policy, event, settle_rotation
from aimkeeper.core.session import Cause, Session, Status
from aimkeeper.core.verdict import evidence

# At most so many failed tries an hour and account: AimHarder locks accounts, and nobody recorded after how many.
TRIES, TRIES_WITHIN = 2, timedelta(hours=1)
# AimHarder's lockout where it names no time, and how long to leave it alone when it could not judge the password.
LOCKOUT, UNJUDGED = timedelta(minutes=15), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class LoginBook:
    """
    What is remembered of an account's automatic logins.

    Attributes:
        failed_at: The failed tries of the last hour, oldest first.
        not_before: AimHarder's own wish, or our patience.
    """

    failed_at: tuple[datetime, ...] = ()
    not_before: datetime | None = None

    def may_try_at(self, now: datetime) -> datetime:
        """The earliest moment for the next try; *now* when it may be tried at once."""
        at = max(now, self.not_before or now)
        recent = [failed for failed in self.failed_at if failed > at - TRIES_WITHIN]
        return at if len(recent) < TRIES else max(at, recent[-TRIES] + TRIES_WITHIN)

    def after(self, refused: LoginRefused, now: datetime) -> "LoginBook":
        """The book after a refusal. A try that AimHarder could not judge does not count as failed."""
        unjudged = refused.problem is LoginProblem.UNAVAILABLE
        failed = tuple(at for at in self.failed_at if at > now - TRIES_WITHIN)
        if unjudged:
            wait = max(refused.retry_after or UNJUDGED, UNJUDGED)
        else:
            failed, wait = (*failed, now), refused.retry_after or LOCKOUT
        return LoginBook(failed[-TRIES:], now + wait)


def logged_in_again(claim: Claim, answer: LoggedIn, policy: Policy, exchange: Exchange) -> Change:
    """The session with the token of its new login; its setrefresh is due at once. Identity and history stay."""
    held = claim.session
    change = settle_rotation(claim, Rotated(answer.token, answer.cookies), policy, exchange)
    after = replace(
        change.after,
        due_at=exchange.now,
        setrefresh_due=True,
        rotations=held.rotations,
    )
    told = event(
        EventKind.LOGGED_IN,
        held,
        exchange.now,
        by="remembered password",
        token=answer.token.mark(),
        was=held.status.value,
    )
    return replace(change, after=after, events=(told,))


def login_refused(claim: Claim, refused: LoginRefused, book: LoginBook, policy: Policy, now: datetime) -> Change:
    """
    What a refusal makes of the session: an end when the password is wrong, else patience.

    A refused password is forgotten: it is never tried again.
    """
    held = claim.session
    told = event(EventKind.RELOGIN_FAILED, held, now, problem=refused.problem.value)
    if refused.problem is LoginProblem.BAD_CREDENTIALS:
        edit = SecretsEdit(password="")
        after = replace(
            held,
            secrets=edit.apply(held.secrets),
            status=Status.ENDED,
            cause=Cause.BAD_CREDENTIALS,
            ended_at=now,
            due_at=None,
            wipe_at=now + policy.wipe_after,
        )
        ended = event(EventKind.ENDED, held, now, cause=Cause.BAD_CREDENTIALS.value, evidence=evidence(held))
        return Change(kind=Kind.ATTEMPT, before=held, after=after, edit=edit, claim=claim, events=(told, ended))
    after = replace(held, due_at=book.may_try_at(now), last_error=f"relogin_{refused.problem.value}")
    # Told once for one trouble, not at each try.
    events = () if after.last_error == held.last_error else (told,)
    return Change(kind=Kind.ATTEMPT, before=held, after=after, claim=claim, events=events)


def has_hope(session: Session, policy: Policy, now: datetime) -> bool:
    """Whether logging in again is still worth trying; after as long as an ended session is kept, it is not."""
    first_at = session.suspicion.first_at if session.suspicion else now
    return session.secrets.password is not None and now - first_at < max(policy.wipe_after, TRIES_WITHIN)
