"""Sessions and moments as JSON, for the API and the command line alike; without secrets."""

from datetime import datetime
from typing import Any

from aimkeeper.core.session import Session


def iso(moment: datetime) -> str:
    """ISO 8601 with milliseconds and Z, as JavaScript writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def described(session: Session) -> dict[str, Any]:
    """A session as JSON, without secrets."""
    return {
        "id": session.id,
        "ref": session.ref,
        "email": session.email,
        "fingerprint": session.fingerprint,
        "session_type": session.session_type,
        "status": session.status.value,
        "cause": session.cause.value if session.cause else None,
        "generation": session.generation,
        "rotations": session.rotations,
        "attempt": session.attempt,
        "last_error": session.last_error,
        "created_at": iso(session.created_at),
        "rotated_at": iso(session.rotated_at),
        "due_at": iso(session.due_at) if session.due_at else None,
        "deadline_at": iso(session.deadline_at),
        "ended_at": iso(session.ended_at) if session.ended_at else None,
        "wipe_at": iso(session.wipe_at) if session.wipe_at else None,
        "remembered": session.secrets.password is not None,
        "setrefresh_count": session.setrefresh_count,
        "setrefresh_at": iso(session.setrefresh_at) if session.setrefresh_at else None,
        "spares": session.spares,
        "turns": [
            {"at": turn.at, "via": turn.via, "what": turn.what, "took_ms": turn.took_ms} for turn in session.ring
        ],
    }
