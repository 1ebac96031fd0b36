"""`/api/tokenUpdate`: a holder's exchange, and the statistics and bulk update the original feature had there."""

import asyncio
from datetime import datetime, timedelta
from math import floor
from typing import Any
from urllib.parse import parse_qs

from litestar import Response
from litestar.params import FromQuery

from aimkeeper.core.errors import HolderConflict, SessionEnded, UnknownSession, UpstreamRefused, UpstreamUnavailable
from aimkeeper.core.session import Session, Status
from aimkeeper.core.token import Fingerprint, Token, parse_fingerprint
from aimkeeper.engine.passes import PassResult
from aimkeeper.service import Service
from aimkeeper.web import shapes, shapes_fleet
from aimkeeper.web.access import Role, address_of, admit
from aimkeeper.web.bodies import parse_object
from aimkeeper.web.described import iso
from aimkeeper.web.errors import AnyRequest, answer, wait_header
from aimkeeper.web.given import GivenLimiter, GivenService
from aimkeeper.web.limits import Limiter
from aimkeeper.web.routes import get, post
from aimkeeper.web.told import told

PATH = "/api/tokenUpdate"
BULK_SECONDS = 50
# Longer than anybody waits for another process (engine/refresh.py), shorter than a browser's patience.
EXCHANGE_SECONDS = 30.0
REFUSED_RETRY_SECONDS = 60
BAD_ACTION = "Invalid action parameter. Use ?action=stats or ?action=bulk-update"
BAD_EXCHANGE = "fingerprint and token parameters are required"

TOKEN = "69232|1766907797|f3069323e00d81750c8590bb1f5f93b6"  # noqa: S105 (an example)
FINGERPRINT = "my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb"
EXCHANGED = {"success": True, "newToken": TOKEN, "updatedAt": "2026-01-01T12:00:00.000Z"}
RESULTS = {
    "success": True,
    "results": {
        "processed": 1,
        "successful": 1,
        "failed": 0,
        "loggedOut": 0,
        "skipped": 0,
        "remaining": 0,
        "errors": [],
    },
    "timestamp": "2026-01-01T12:00:00.000Z",
}
STATISTICS = {
    "success": True,
    "tokenUpdateStats": {"totalSessions": 1, "recentlyUpdated": 1, "failedUpdates": 0},
    "sessionStats": {"total": 1, "active": 1, "expired": 0},
    "standing": {"overdue": 0, "atRisk": 0, "lowestSlackSeconds": 4500},
    "timestamp": "2026-01-01T12:00:00.000Z",
}


@post(
    PATH,
    summary="Exchange a session's token",
    **told(
        answer=(shapes.Exchanged, shapes.LoggedOut, shapes_fleet.BulkUpdated),
        example=EXCHANGED,
        fails=(401, 404, 409, 429),
        body=shapes.Presented,
        given={"fingerprint": FINGERPRINT, "token": TOKEN},
        form=True,
        optional=True,
    ),
)
async def exchange(
    request: AnyRequest, service: GivenService, limiter: GivenLimiter, action: FromQuery[str] = ""
) -> Response[dict[str, Any]]:
    """
    For holders: `fingerprint` and `token` as JSON or a form. Callers at once share one rotation.

    With `?action=bulk-update` it is the bulk update, for operator and cron.
    """
    if action:
        await admit(request, (Role.OPERATOR, Role.CRON))
        return (
            Response(await bulk_update(service)) if action == "bulk-update" else answer(400, "bad_request", BAD_ACTION)
        )
    address = address_of(request)
    limiter.check_useful(address)
    found = _read(await request.body(), request.headers.get("content-type", ""))
    if found is None:
        limiter.note_useless(address)
        return answer(400, "bad_request", BAD_EXCHANGE)
    try:
        session = await _exchange(service, limiter, address, *found)
    except SessionEnded:
        # What AimHarder itself says; clients of the original feature know it.
        return Response({"logout": 1})
    except UpstreamRefused as error:
        # The session is unharmed, and whoever holds it did nothing wrong: not a 403.
        return answer(503, error.code, str(error), wait_header(REFUSED_RETRY_SECONDS))
    return Response({"success": True, "newToken": session.token.text, "updatedAt": iso(session.rotated_at)})


@get(
    PATH,
    summary="Statistics (?action=stats) or bulk update (?action=bulk-update)",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        Role.CRON,
        answer=(shapes_fleet.Stats, shapes_fleet.BulkUpdated),
        example=STATISTICS,
        fails=(429,),
    ),
)
async def by_action(
    request: AnyRequest, service: GivenService, action: FromQuery[str] = ""
) -> Response[dict[str, Any]]:
    """The two things the original feature's automation asked for. The bulk update takes a bearer, not the page."""
    if action == "stats":
        return Response(await statistics(service))
    # No cookie changes anything by a GET.
    await admit(request, (Role.OPERATOR, Role.CRON))
    if action != "bulk-update":
        return answer(400, "bad_request", BAD_ACTION)
    return Response(await bulk_update(service))


@post(
    "/api/cron/refresh-tokens",
    summary="Rotate what is due",
    **told(Role.OPERATOR, Role.CRON, answer=shapes_fleet.BulkUpdated, example=RESULTS, fails=(429,)),
)
async def refresh_tokens(service: GivenService) -> dict[str, Any]:
    """Rotates what is due within half an interval, for up to 50 s."""
    return await bulk_update(service)


async def statistics(service: Service) -> dict[str, Any]:
    standing = await service.standing()
    now = service.store.now()
    return {
        "success": True,
        "tokenUpdateStats": {
            "totalSessions": standing.living,
            "recentlyUpdated": await service.store.count_rotated_since(now - timedelta(hours=1)),
            "failedUpdates": standing.failing,
        },
        "sessionStats": {
            "total": standing.total,
            "active": standing.living,
            "expired": standing.by_status.get(Status.ENDED, 0),
        },
        "standing": {
            "overdue": standing.overdue,
            "atRisk": standing.at_risk,
            "lowestSlackSeconds": _seconds_until(standing.next_deadline_at, now),
        },
        "timestamp": iso(now),
    }


def _seconds_until(moment: datetime | None, now: datetime) -> int | None:
    return None if moment is None else floor((moment - now).total_seconds())


async def bulk_update(service: Service) -> dict[str, Any]:
    until = service.store.now() + service.policy.refresh_every / 2
    result = await service.passes.rotate_due(until=until, at_most=timedelta(seconds=BULK_SECONDS))
    return {"success": True, "results": described(result), "timestamp": iso(service.store.now())}


def described(result: PassResult) -> dict[str, Any]:
    """A pass as JSON; sessions are named by id, never by e-mail."""
    return {
        "processed": result.processed,
        "successful": result.successful,
        "failed": result.failed,
        "loggedOut": result.logged_out,
        "skipped": result.skipped,
        "remaining": result.remaining,
        "errors": [{"session": e.session, "code": e.code, "error": e.error} for e in result.errors],
    }


async def _exchange(
    service: Service, limiter: Limiter, address: str, token: Token, fingerprint: Fingerprint
) -> Session:
    try:
        async with asyncio.timeout(EXCHANGE_SECONDS):
            return await service.holders.exchange(token, fingerprint, admit=limiter.admit(address))
    except (UnknownSession, HolderConflict):
        limiter.note_useless(address)
        raise
    except TimeoutError:
        await service.store.check_writable()  # says so, where that is what we waited for
        raise UpstreamUnavailable("no new token could be had in time: try again shortly.") from None


def _read(body: bytes, content_type: str) -> tuple[Token, Fingerprint] | None:
    """Token and fingerprint, each named once; else None."""
    is_json = "json" in content_type or body.lstrip()[:1] == b"{"
    fields = parse_object(body) if is_json else _parse_form(body)
    try:
        return Token.parse((fields or {}).get("token")), parse_fingerprint((fields or {}).get("fingerprint"))
    except ValueError:
        return None


def _parse_form(body: bytes) -> dict[str, Any]:
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items() if len(values) == 1}
