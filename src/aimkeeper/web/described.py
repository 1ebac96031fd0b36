"""Sessions, credentials and facts as JSON, for the API and the command line alike."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from aimkeeper.core.events import Event
from aimkeeper.core.session import Session, Turn

if TYPE_CHECKING:
    from aimkeeper.upstream.protocol import Site


_encode = msgspec.json.Encoder().encode
_QUOTED = len('"2026-01-01T12:00:00.123456Z"')


def iso(moment: datetime) -> str:
    """ISO 8601 with milliseconds and Z, as JavaScript writes it; *moment* is UTC."""
    # Three times as quick as `isoformat`, and most answers hold a handful. A whole second comes without its fraction.
    text = _encode(moment)
    return f"{text[1:24].decode()}Z" if len(text) == _QUOTED else f"{text[1:20].decode()}.000Z"


def maybe_iso(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None


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
        "due_at": maybe_iso(session.due_at),
        "deadline_at": iso(session.deadline_at),
        "ended_at": maybe_iso(session.ended_at),
        "wipe_at": maybe_iso(session.wipe_at),
        "remembered": session.secrets.password is not None,
        "setrefresh_count": session.setrefresh_count,
        "setrefresh_at": maybe_iso(session.setrefresh_at),
        "spares": session.spares,
        "turns": [described_turn(turn) for turn in session.ring],
    }


def described_turn(turn: Turn) -> dict[str, Any]:
    """One exchange of a session's ring."""
    return {"at": turn.at, "via": turn.via, "what": turn.what, "took_ms": turn.took_ms}


def described_event(fact: Event) -> dict[str, Any]:
    """A fact; it names tokens by hash at most."""
    return {
        "at": iso(fact.at),
        "kind": fact.kind.value,
        "session": fact.session_id,
        "email": fact.email,
        "data": dict(fact.data),
    }


def credentials_of(session: Session, site: "Site", now: datetime) -> dict[str, Any]:
    """Everything that opens a session, in the words of `aimkeeper credentials --format json`."""
    secure = site.base_url.startswith("https:")
    return {
        "email": session.email,
        "fingerprint": session.fingerprint,
        "token": session.token.text,
        "cookie": session.jar.header(site.base_host, now),
        "cookies": [
            {
                "name": cookie.name,
                "value": cookie.value,
                "domain": cookie.host,
                "hostOnly": cookie.host_only,
                "secure": secure,
                "expiresAt": maybe_iso(cookie.expires_at),
            }
            for cookie in session.jar.cookies
        ],
        "rotatedAt": iso(session.rotated_at),
        "deadlineAt": iso(session.deadline_at),
        "slackSeconds": round((session.deadline_at - now).total_seconds()),
    }
