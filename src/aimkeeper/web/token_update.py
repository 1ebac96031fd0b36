"""`/api/tokenUpdate`: a holder's exchange, and the statistics and bulk update the original feature had there."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery

from aimkeeper.core.errors import SessionEnded, UpstreamRefused, UpstreamUnavailable
from aimkeeper.core.session import Status
from aimkeeper.core.token import Token, parse_fingerprint
from aimkeeper.engine.passes import PassResult
from aimkeeper.service import Service
from aimkeeper.web.access import operator_or_cron, operator_page_or_cron
from aimkeeper.web.described import iso
from aimkeeper.web.errors import AnyRequest, answer
from aimkeeper.web.given import GivenService

MAX_BODY = 16 * 1024
BULK_SECONDS = 50
# Longer than anybody waits for another process (engine/refresh.py), shorter than a browser's patience.
EXCHANGE_SECONDS = 30.0
REFUSED_RETRY_SECONDS = 60
BAD_ACTION = "Invalid action parameter. Use ?action=stats or ?action=bulk-update"
BAD_EXCHANGE = "fingerprint and token parameters are required"


class _Exchange(msgspec.Struct):
    fingerprint: object = None
    token: object = None


_read_json = msgspec.json.Decoder(_Exchange).decode


@post("/api/tokenUpdate", status_code=200, request_max_body_size=MAX_BODY, summary="Exchange a session's token")
async def exchange(request: AnyRequest, service: GivenService, action: FromQuery[str] = "") -> Response[dict[str, Any]]:
    """For holders: `{fingerprint, token}` as JSON or a form. Callers at once share one rotation."""
    if action:
        await operator_or_cron(request, request.route_handler)
        return (
            Response(await bulk_update(service)) if action == "bulk-update" else answer(400, "bad_request", BAD_ACTION)
        )
    given = _read(await request.body(), request.headers.get("content-type", ""))
    try:
        token, fingerprint = Token.parse(given.token), parse_fingerprint(given.fingerprint)
    except ValueError:
        return answer(400, "bad_request", BAD_EXCHANGE)
    try:
        async with asyncio.timeout(EXCHANGE_SECONDS):
            session = await service.holders.exchange(token, fingerprint)
    except SessionEnded:
        # What AimHarder itself says; clients of the original feature know it.
        return Response({"logout": 1})
    except UpstreamRefused as error:
        # The session is unharmed, and whoever holds it did nothing wrong: not a 403.
        return answer(503, error.code, str(error), {"retry-after": str(REFUSED_RETRY_SECONDS)})
    except TimeoutError:
        await service.store.check_writable()  # says so, where that is what we waited for
        raise UpstreamUnavailable("no new token could be had in time: try again shortly.") from None
    return Response({"success": True, "newToken": session.token.text, "updatedAt": iso(session.rotated_at)})


@get("/api/tokenUpdate", summary="Statistics (?action=stats) or bulk update (?action=bulk-update)")
async def by_action(
    request: AnyRequest, service: GivenService, action: FromQuery[str] = ""
) -> Response[dict[str, Any]]:
    """The two things the original feature's automation asked for."""
    if action == "stats":
        await operator_page_or_cron(request, request.route_handler)
        return Response(await statistics(service))
    await operator_or_cron(request, request.route_handler)
    if action != "bulk-update":
        return answer(400, "bad_request", BAD_ACTION)
    return Response(await bulk_update(service))


@post("/api/cron/refresh-tokens", status_code=200, guards=[operator_or_cron], summary="Rotate what is due")
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
        "timestamp": iso(now),
    }


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


def _read(body: bytes, content_type: str) -> _Exchange:
    if "json" in content_type or body.lstrip()[:1] == b"{":
        try:
            return _read_json(body)
        except (msgspec.DecodeError, RecursionError):
            return _Exchange()
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=20)
    except ValueError:
        return _Exchange()
    return _Exchange(*(fields.get(name, [None])[0] for name in ("fingerprint", "token")))
