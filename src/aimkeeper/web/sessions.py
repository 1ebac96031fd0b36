"""Sessions as lists, without secrets."""

from typing import Any

from litestar import Response, get
from litestar.params import Parameter

from aimkeeper.core.session import Session, SessionKey, Status
from aimkeeper.core.token import Fingerprint
from aimkeeper.service import Service
from aimkeeper.web.access import operator_or_page
from aimkeeper.web.errors import answer
from aimkeeper.web.token_update import iso

PAGE = 100


@get("/api/sessions", guards=[operator_or_page], summary="List sessions")
async def list_sessions(
    service: Service,
    status: str = "",
    after: str = "",
    limit: int = Parameter(default=PAGE, ge=1, le=500),
) -> Response[dict[str, Any]]:
    """A keyset page by e-mail and fingerprint; `next` is the `after` of the page that follows."""
    if status and status not in list(Status):
        return answer(400, "bad_request", f"status must be one of {', '.join(Status)}.")
    email, _, fingerprint = after.partition("#")
    place = SessionKey(email, Fingerprint(fingerprint)) if after else None
    sessions = await service.store.page(place, limit, Status(status) if status else None)
    following = str(sessions[-1].key) if len(sessions) == limit else None
    return Response({"success": True, "sessions": [described(session) for session in sessions], "next": following})


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
