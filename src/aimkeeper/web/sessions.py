"""Sessions as lists, one by one, and their credentials for those who may have them."""

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.params import FromPath, FromQuery, QueryParameter

from aimkeeper.core.errors import AmbiguousSession, UnknownSession
from aimkeeper.core.session import Session, SessionKey, Status, split_key
from aimkeeper.core.token import Fingerprint
from aimkeeper.core.values import read_duration
from aimkeeper.service import Service
from aimkeeper.store.store import Store
from aimkeeper.web import shapes
from aimkeeper.web.access import Caller, Role
from aimkeeper.web.described import credentials_of, described, described_event, described_turn
from aimkeeper.web.errors import AnyRequest, Refused
from aimkeeper.web.given import GivenService
from aimkeeper.web.routes import get
from aimkeeper.web.token_update import FINGERPRINT, TOKEN
from aimkeeper.web.told import told
from aimkeeper.web.written import Written

PAGE = 100
LONGEST_ID = 200
ID = "0e1b5c2a-7d1f-4b7e-9f53-2f1c9b6f2f11"
EXAMPLE = {
    "id": ID,
    "ref": None,
    "email": "ana@example.com",
    "fingerprint": FINGERPRINT,
    "session_type": None,
    "status": "active",
    "cause": None,
    "generation": 2,
    "rotations": 0,
    "attempt": 0,
    "last_error": None,
    "created_at": "2026-01-01T12:00:00.000Z",
    "rotated_at": "2026-01-01T12:00:00.000Z",
    "due_at": "2026-01-01T12:14:00.000Z",
    "deadline_at": "2026-01-01T13:30:00.000Z",
    "ended_at": None,
    "wipe_at": None,
    "remembered": False,
    "setrefresh_count": 1,
    "setrefresh_at": "2026-01-01T12:00:00.000Z",
    "spares": 0,
    "turns": [{"at": 1767268800.0, "via": "setrefresh", "what": "rotated", "took_ms": 120}],
}
FACT = {
    "id": "17",
    "at": "2026-01-01T12:00:00.000Z",
    "kind": "logged_in",
    "session": ID,
    "email": "ana@example.com",
    "data": {"remembered": False},
}
CREDENTIALS = {
    "success": True,
    "email": "ana@example.com",
    "fingerprint": FINGERPRINT,
    "token": TOKEN,
    "cookie": "amhrdrauth=…",
    "cookies": [
        {"name": "amhrdrauth", "value": "…", "domain": "aimharder.com", "hostOnly": False, "secure": True,
         "expiresAt": None}
    ],
    "rotatedAt": "2026-01-01T12:00:00.000Z",
    "deadlineAt": "2026-01-01T13:30:00.000Z",
    "slackSeconds": 5400,
}  # fmt: skip

_encode = msgspec.json.Encoder().encode

Limit = Annotated[int, QueryParameter(ge=1, le=500)]


@get(
    "/api/sessions",
    summary="List sessions",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        answer=shapes.Sessions,
        example={"success": True, "sessions": [EXAMPLE], "next": None},
    ),
)
async def list_sessions(
    service: GivenService,
    *,
    status: FromQuery[str] = "",
    q: FromQuery[str] = "",
    after: FromQuery[str] = "",
    limit: Limit = PAGE,
    order: FromQuery[str] = "",
) -> Response[dict[str, Any]]:
    """
    A keyset page by e-mail and fingerprint; `next` is the `after` of the page that follows.

    `q`: the beginning of an e-mail, or a whole id of aimkeeper's or yours. `status`: one of the states.
    `order=deadline`: those that would die first, and no more than `limit`.
    """
    chosen = read_status(status)
    start = q.strip().lower()
    if order:
        if order != "deadline" or start or chosen or after:
            raise Refused("bad_request", "order may be deadline, and then goes with limit alone.")
        nearest = await service.store.http.board.nearest_deadline(limit)
        return Response({"success": True, "sessions": [described(session) for session in nearest], "next": None})
    if start and not after and (one := await _by_id(service.store, q.strip())):
        found = [one] if chosen in (None, one.status) else []
        return Response({"success": True, "sessions": [described(session) for session in found], "next": None})
    place = read_place(after)
    if start:
        sessions = await service.store.http.starting(start, place, limit, chosen)
    else:
        sessions = await service.store.page(place, limit, chosen)
    return Response({"success": True, **page_of(sessions, limit)})


@get(
    "/api/sessions/{session_id:str}",
    summary="One session",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        answer=shapes.OneSession,
        example={"success": True, "session": EXAMPLE},
        fails=(404, 409),
    ),
)
async def one_session(service: GivenService, session_id: FromPath[str]) -> Response[dict[str, Any]]:
    """By aimkeeper's id or yours."""
    return Response({"success": True, "session": described(await find(service, session_id))})


@get(
    "/api/sessions/{session_id:str}/rotations",
    summary="What a session went through",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        answer=shapes.Rotations,
        example={"success": True, "rotations": EXAMPLE["turns"], "events": [FACT], "next": None},
        fails=(404, 409),
    ),
)
async def rotations(
    service: GivenService, session_id: FromPath[str], before: FromQuery[str] = "", limit: Limit = PAGE
) -> Response[dict[str, Any]]:
    """The last 16 exchanges, the latest last; and a page of its events, the latest first."""
    session = await find(service, session_id)
    if before and not (before.isascii() and before.isdigit() and len(before) < 19):  # noqa: PLR2004 (64 bits)
        raise Refused("bad_request", "before must be the `next` of the page before.")
    facts = await service.store.events_of(session.id, limit, int(before) if before else None)
    return Response(
        {
            "success": True,
            "rotations": [described_turn(turn) for turn in session.ring],
            "events": [{"id": str(fact.id), **described_event(fact)} for fact in facts],
            "next": str(facts[-1].id) if len(facts) == limit else None,
        }
    )


@get(
    "/api/sessions/{session_id:str}/credentials",
    summary="A session's live token and cookies",
    **told(
        Role.OPERATOR,
        Role.BOT,
        answer=shapes.Credentials,
        example=CREDENTIALS,
        fails=(403, 404, 409, 410, 429, 502),
    ),
)
async def credentials(request: AnyRequest, session_id: FromPath[str], min_slack: FromQuery[str] = "") -> Written:
    """Rotated first when there is less time left than `min_slack`, like `90s` or `10m`. Each reading is an event."""
    # Asked for more often than anything else: nothing is injected, and the answer is written as it goes out.
    caller: Caller = request.user
    service: Service = request.app.state.service
    session = await _for_caller(service, caller, session_id)
    by = "bot" if caller.role is Role.BOT else "operator"
    session = await service.refresher.credentials(session, min_slack=_slack(min_slack), reader=f"HTTP, {by}")
    now = service.store.now()
    return Written(_encode({"success": True, **credentials_of(session, service.upstream.site, now)}))


async def find(service: Service, named: str) -> Session:
    """
    The session with that id, of aimkeeper's or the platform's own. Never by e-mail: that opens nothing.

    Raises:
        UnknownSession, AmbiguousSession
    """
    session = await _by_id(service.store, named)
    if session is None:
        raise UnknownSession("no session has that id: `GET /api/sessions` lists those that are kept.")
    return session


def read_status(text: str) -> Status | None:
    """
    The state that a list is asked for.

    Raises:
        Refused: There is no such state.
    """
    if text and text not in list(Status):
        raise Refused("bad_request", f"status must be one of {', '.join(Status)}.")
    return Status(text) if text else None


def read_place(after: str) -> SessionKey | None:
    """Where a page begins."""
    email, fingerprint = split_key(after)
    return SessionKey(email, Fingerprint(fingerprint)) if after else None


def page_of(sessions: list[Session], limit: int) -> dict[str, Any]:
    """A page, and where the next one begins."""
    following = str(sessions[-1].key) if len(sessions) == limit else None
    return {"sessions": [described(session) for session in sessions], "next": following}


async def _by_id(store: Store, named: str) -> Session | None:
    if not 0 < len(named) <= LONGEST_ID or not named.isprintable():
        return None
    found = await store.http.get(named.lower())
    if found is not None:
        return found
    several = await store.by_ref(named)
    if len(several) > 1:
        keys = tuple(str(session.key) for session in several)
        raise AmbiguousSession(f"{len(several)} sessions have that id: use aimkeeper's own.", candidates=keys)
    return several[0] if several else None


async def _for_caller(service: Service, caller: Caller, named: str) -> Session:
    if caller.role is not Role.BOT:
        return await find(service, named)
    own = await service.store.http.get(caller.session_id or "")
    # Whether there is another of that name is none of its business.
    if own is None or named not in (own.id, own.ref):
        raise Refused("forbidden", "this bearer is good for its own session only.")
    return own


def _slack(text: str) -> timedelta:
    if not text:
        return timedelta(0)
    try:
        return read_duration(text)
    except ValueError as error:
        raise Refused("bad_request", f"min_slack {error}.") from None
