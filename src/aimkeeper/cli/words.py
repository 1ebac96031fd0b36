"""What became of a session and what to do, in plain words."""

from datetime import datetime
from typing import TYPE_CHECKING

from aimkeeper.cli.terminal import span
from aimkeeper.core.causes import BY_ITS_OWNER, WHY
from aimkeeper.core.session import Cause, Session, Status

if TYPE_CHECKING:
    from aimkeeper.service import Service

NOBODY = 'Nobody keeps it yet: run "aimkeeper serve"'
NOBODY_YET = 'nobody yet: run "aimkeeper serve"'


async def who_keeps(service: "Service") -> str:
    """Who rotates the sessions of this store now."""
    workers = await service.store.owners.living_workers()
    return f"Kept by {', '.join(f'{w.name} (pid {w.pid})' for w in workers)}." if workers else NOBODY


def what_happened(session: Session, now: datetime, *, is_kept: bool = True) -> str:
    """
    One or two sentences on where *session* stands.

    Args:
        session: As the store holds it.
        now: For "in 12 min".
        is_kept: Whether a worker lives that will do what comes next.
    """
    match session.status:
        case Status.ACTIVE:
            return _alive(session, now, is_kept=is_kept)
        case Status.IN_DOUBT:
            again = f"It is asked again {span(session.due_at, now)}." if is_kept else f"{NOBODY}."
            return f"In doubt: a request went out and no clear answer came ({session.last_error}). {again}"
        case Status.SUSPECTED:
            return (
                "AimHarder says it is over, but it says so of too many at once, or fails nearly everybody: the verdict "
                f"is held back. It is tried again {span(session.due_at, now)}; `aimkeeper verdicts` decides sooner."
            )
        case Status.TOKEN_LOST:
            return f"Its cookies live, but AimHarder refuses its token. Log in again: {login_command(session)}"
        case Status.ENDED:
            undo = ""
            if session.wipe_at is not None and session.secrets.token is not None:
                undo = f" (`aimkeeper revive` undoes it until its secrets are wiped, {span(session.wipe_at, now)}.)"
            return f"Ended {span(session.ended_at, now)}: {why(session.cause)}. {what_to_do(session)}{undo}"


def _alive(session: Session, now: datetime, *, is_kept: bool) -> str:
    if session.deadline_at <= now:
        ago = span(session.deadline_at, now)
        return f"Not rotated in time: its deadline passed {ago}, and AimHarder may have forgotten it." + (
            "" if is_kept else f" {NOBODY}."
        )
    if session.attempt:
        failed = "the last try" if session.attempt == 1 else f"the last {session.attempt} tries"
        following = f", the next comes {span(session.due_at, now)}." if is_kept else f". {NOBODY}."
        return f"Alive as far as anyone knows; {failed} failed ({session.last_error}){following}"
    if not is_kept:
        return f"Alive until {session.deadline_at:%Y-%m-%d %H:%M} UTC ({span(session.deadline_at, now)}). {NOBODY}."
    return f"Kept alive. The next rotation comes {span(session.due_at, now)}."


def why(cause: Cause | None) -> str:
    """Why a session ended, as half a sentence."""
    return WHY[cause] if cause else "nobody knows why"


def what_to_do(session: Session) -> str:
    """The next step for somebody whose session ended."""
    if session.cause in BY_ITS_OWNER:
        return "Nothing to do."
    return f"Log in again: {login_command(session)}"


def login_command(session: Session) -> str:
    remember = " --remember" if session.secrets.password else ""
    return f"aimkeeper login {session.email} --fingerprint {session.fingerprint}{remember}"
