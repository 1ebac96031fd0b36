"""What became of a session and what to do, in plain words."""

from datetime import datetime

from aimkeeper.cli.terminal import span
from aimkeeper.core.session import Cause, Session, Status

NOBODY = 'Nobody keeps it yet: run "aimkeeper serve"'

WHY = {
    Cause.SERVER_ENDED: "AimHarder ended it (a login elsewhere, a changed password or its own reasons)",
    Cause.DOUBLE_SPENT: "an answer of AimHarder's was lost, and it took the second try for a theft",
    Cause.IDLE_TIMEOUT: "it was not rotated in time",
    Cause.TOKEN_EXPIRED: "its token reached the end of its life",
    Cause.LOGGED_OUT_HERE: "it was logged out here",
    Cause.SUPERSEDED_BY_LOGIN: "a newer login took its place",
    Cause.BAD_CREDENTIALS: "the remembered password is no longer right",
    Cause.FORGOTTEN: "it was forgotten here",
    Cause.UNKNOWN: "AimHarder refused it from the start: the token was old, or used elsewhere meanwhile",
}


def what_happened(session: Session, now: datetime) -> str:
    """One or two sentences on where *session* stands."""
    match session.status:
        case Status.ACTIVE:
            if session.attempt:
                return (
                    f"Alive as far as anyone knows; the last {session.attempt} tries failed ({session.last_error}), "
                    f"the next comes {span(session.due_at, now)}."
                )
            return f"Kept alive. The next rotation comes {span(session.due_at, now)}."
        case Status.IN_DOUBT:
            return (
                f"In doubt: a request went out and no clear answer came ({session.last_error}). "
                f"It is asked again {span(session.due_at, now)}."
            )
        case Status.SUSPECTED:
            return "AimHarder says it is over, but it says so of too many at once: the verdict is held back."
        case Status.TOKEN_LOST:
            return f"Its cookies live, but AimHarder refuses its token. Log in again: {login_command(session)}"
        case Status.ENDED:
            why = WHY[session.cause] if session.cause else "nobody knows why"
            return f"Ended {span(session.ended_at, now)}: {why}. {what_to_do(session)}"


def what_to_do(session: Session) -> str:
    """The next step for somebody whose session ended."""
    if session.cause in (Cause.LOGGED_OUT_HERE, Cause.FORGOTTEN):
        return "Nothing to do."
    return f"Log in again: {login_command(session)}"


def login_command(session: Session) -> str:
    return f"aimkeeper login {session.email} --fingerprint {session.fingerprint} --remember"
