"""`/api/auth/refresh`: setrefresh for one session, and how the last one stands."""

from typing import Any

from litestar import Response
from litestar.params import FromQuery

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Session, Status
from aimkeeper.engine.refresh import alive
from aimkeeper.service import Service
from aimkeeper.web import shapes
from aimkeeper.web.access import Caller, Role, address_of
from aimkeeper.web.auth import own
from aimkeeper.web.described import iso, maybe_iso
from aimkeeper.web.errors import AnyRequest, Refused
from aimkeeper.web.given import GivenAccess, GivenLimiter, GivenService
from aimkeeper.web.routes import get, post
from aimkeeper.web.sessions import find
from aimkeeper.web.token_update import TOKEN
from aimkeeper.web.told import told

REFRESHED = {"success": True, "refreshed": True, "lastRefreshDate": "2026-01-01T12:00:00.000Z"}
STATE = {
    "success": True,
    "needsRefresh": False,
    "token": TOKEN,
    "lastRefreshDate": "2026-01-01T12:00:00.000Z",
    "refreshCount": 1,
}


@post(
    "/api/auth/refresh",
    summary="Have AimHarder's setrefresh done for a session",
    **told(
        Role.MEMBER, Role.OPERATOR, answer=shapes.Refreshed, example=REFRESHED, fails=(403, 404, 409, 410, 429, 502)
    ),
)
async def refresh(
    request: AnyRequest, service: GivenService, limiter: GivenLimiter, session: FromQuery[str] = ""
) -> Response[dict[str, Any]]:
    """It spends the token and brings a new one, which is kept. The operator says which, by `?session=`."""
    caller: Caller = request.user
    found = alive(await _meant(service, caller, session))
    if not _is_young(service, found):
        limiter.admit(address_of(request))(found)
        forced = caller.role is Role.OPERATOR
        found = await service.refresher.refresh(found, forced=forced, setrefresh=True)
    assert found.setrefresh_at is not None
    return Response({"success": True, "refreshed": True, "lastRefreshDate": iso(found.setrefresh_at)})


@get(
    "/api/auth/refresh",
    summary="How a session's last setrefresh stands, and its token",
    **told(Role.MEMBER, Role.OPERATOR, answer=shapes.RefreshState, example=STATE, fails=(404, 409, 410)),
)
async def refresh_state(
    request: AnyRequest, service: GivenService, access: GivenAccess, session: FromQuery[str] = ""
) -> Response[dict[str, Any]]:
    """`needsRefresh`: it is older than TOKEN_REFRESH_THRESHOLD_MINUTES, or there was none."""
    caller: Caller = request.user
    found = await service.holders.give(await _meant(service, caller, session))
    if caller.role is Role.OPERATOR:
        await service.audit.record(EventKind.CREDENTIALS_READ, found, by="operator, refresh state")
    since = found.setrefresh_at
    needs = since is None or service.store.now() - since >= access.terms.refresh_threshold
    return Response(
        {
            "success": True,
            "needsRefresh": needs,
            "token": found.token.text,
            "lastRefreshDate": maybe_iso(since),
            "refreshCount": found.setrefresh_count,
        }
    )


async def _meant(service: Service, caller: Caller, named: str) -> Session:
    if caller.role is Role.MEMBER:
        return await own(service, caller)
    if not named:
        raise Refused("bad_request", "say which session, by ?session=: its id, or your own id of it.")
    return await find(service, named)


def _is_young(service: Service, session: Session) -> bool:
    since = session.setrefresh_at
    young = since is not None and abs(service.store.now() - since) < service.policy.young
    return young and session.status is Status.ACTIVE
