"""All sessions at once: how they stand, held verdicts, pause and resume."""

from datetime import timedelta
from typing import Any

from litestar import Response
from litestar.params import FromQuery

from aimkeeper.core.errors import ConfigError
from aimkeeper.core.fleet import Fleet
from aimkeeper.core.session import Session, Status
from aimkeeper.core.values import read_duration
from aimkeeper.service import Service
from aimkeeper.store.store import Standing
from aimkeeper.web import shapes, shapes_fleet
from aimkeeper.web.access import Caller, Role
from aimkeeper.web.acts import note
from aimkeeper.web.bodies import read_object
from aimkeeper.web.described import iso, maybe_iso
from aimkeeper.web.errors import AnyRequest, Refused
from aimkeeper.web.given import GivenRecent, GivenService
from aimkeeper.web.routes import get, post
from aimkeeper.web.sessions import EXAMPLE, PAGE, Limit, find, page_of, read_place
from aimkeeper.web.told import told

# So many verdicts in one request: each may mean a login. `remaining` says that there are more.
MOST_AT_ONCE = 200
LONGEST_PAUSE = timedelta(days=30)

AT_A_GLANCE = {
    "success": True,
    "now": "2026-01-01T12:00:00.000Z",
    "sessions": {
        "total": 2,
        "living": 1,
        "active": 1,
        "in_doubt": 0,
        "suspected": 0,
        "token_lost": 0,
        "ended": 1,
        "overdue": 0,
        "at_risk": 0,
        "failing": 0,
        "ended_today": 1,
    },
    "lowest_slack_seconds": 5400,
    "next_due_at": "2026-01-01T12:14:00.000Z",
    "upstream": {
        "state": "well",
        "since": None,
        "verdicts_held_since": None,
        "paused": False,
        "paused_until": None,
        "barred": None,
    },
    "rates": {"due": 0.0012, "allowed": 20.0, "measured": 0.0011, "enough": True},
    "workers": [
        {
            "name": "serve",
            "version": "0.1.0",
            "started_at": "2026-01-01T11:00:00.000Z",
            "last_tick_at": "2026-01-01T11:59:59.000Z",
        }
    ],
    "csrf_token": None,
}
DECIDED = {"success": True, "decided": 1, "remaining": 0}


@get(
    "/api/status",
    summary="The fleet at a glance",
    **told(Role.OPERATOR, Role.PAGE, answer=shapes_fleet.Fleet, example=AT_A_GLANCE),
)
async def status(request: AnyRequest, service: GivenService, recent: GivenRecent) -> Response[dict[str, Any]]:
    """From kept counters and short looks; `csrf_token` is what the page sends along with its writes."""
    caller: Caller = request.user
    now = service.store.now()
    standing = await recent.standing()
    capacity = await service.capacity(standing)
    fleet = await service.keeper.breaker.look()
    lowest = standing.next_deadline_at
    return Response(
        {
            "success": True,
            "now": iso(now),
            "sessions": await _counts(service, standing),
            "lowest_slack_seconds": round((lowest - now).total_seconds()) if lowest else None,
            "next_due_at": maybe_iso(standing.next_due_at),
            "upstream": _upstream(fleet, service),
            "rates": {
                "due": capacity.due_rate,
                "allowed": capacity.allowed_rate,
                "measured": capacity.measured_rate,
                "enough": capacity.is_enough,
            },
            "workers": [
                {
                    "name": worker.name,
                    "version": worker.version,
                    "started_at": iso(worker.started_at),
                    "last_tick_at": maybe_iso(worker.tick_at),
                }
                for worker in await service.store.owners.living_workers()
            ],
            "csrf_token": caller.csrf,
        }
    )


@get(
    "/api/verdicts",
    summary="Ends that are held back",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        answer=shapes.Verdicts,
        example={"success": True, "held_since": None, "sessions": [EXAMPLE], "next": None},
    ),
)
async def verdicts(service: GivenService, after: FromQuery[str] = "", limit: Limit = PAGE) -> Response[dict[str, Any]]:
    """A keyset page of the suspected sessions, and since when too many at once were told to log out."""
    fleet = await service.keeper.breaker.look(afresh=True)
    found = await service.store.page(read_place(after), limit, Status.SUSPECTED)
    return Response({"success": True, "held_since": maybe_iso(fleet.held_at), **page_of(found, limit)})


@post(
    "/api/verdicts/accept",
    summary="Believe AimHarder",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        answer=shapes.Decided,
        example=DECIDED,
        fails=(403, 404, 409, 429, 502),
        body=shapes.Chosen,
        given={"sessions": None},
        optional=True,
    ),
)
async def accept(request: AnyRequest, service: GivenService) -> Response[dict[str, Any]]:
    """The chosen ones end, or all that are held back, 200 at a time; a remembered password logs in again."""
    given = await read_object(request, optional=True)
    chosen = await _chosen(service, given.get("sessions"))
    await note(service, request, "accept verdicts")
    decided = await service.verdicts.accept(chosen)
    return Response({"success": True, "decided": decided, "remaining": await _held(service)})


@post(
    "/api/verdicts/retry",
    summary="Lift the hold",
    **told(Role.OPERATOR, Role.PAGE, answer=shapes.Decided, example=DECIDED),
)
async def retry(request: AnyRequest, service: GivenService) -> Response[dict[str, Any]]:
    """Every suspected session is tried from the start, before all others."""
    await note(service, request, "retry verdicts")
    decided = await service.verdicts.retry()
    return Response({"success": True, "decided": decided, "remaining": await _held(service)})


@post(
    "/api/pause",
    summary="Stop everything",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        answer=shapes.Paused,
        example={"success": True, "until": "2026-01-01T12:30:00.000Z"},
        body=shapes.Lasting,
        given={"for": "30m"},
        optional=True,
    ),
)
async def pause(request: AnyRequest, service: GivenService) -> Response[dict[str, Any]]:
    """No process sends anything any more: for so long, or until somebody resumes."""
    lasting = _lasting((await read_object(request, optional=True)).get("for"))
    until = service.store.now() + lasting if lasting else None
    await note(service, request, "pause")
    await service.keeper.breaker.pause(until)
    return Response({"success": True, "until": maybe_iso(until)})


@post(
    "/api/resume",
    summary="Let everything go on",
    **told(Role.OPERATOR, Role.PAGE, answer=shapes.Resumed, example={"success": True, "resumed": True}),
)
async def resume(request: AnyRequest, service: GivenService) -> Response[dict[str, Any]]:
    """`resumed`: whether anything was stopped."""
    await note(service, request, "resume")
    return Response({"success": True, "resumed": await service.keeper.breaker.resume()})


async def _counts(service: Service, standing: Standing) -> dict[str, int]:
    today = service.store.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "total": standing.total,
        "living": standing.living,
        **{state.value: standing.by_status.get(state, 0) for state in Status},
        "overdue": standing.overdue,
        "at_risk": standing.at_risk,
        "failing": standing.failing,
        "ended_today": await service.store.http.count_ends_since(today),
    }


def _upstream(fleet: Fleet, service: Service) -> dict[str, Any]:
    now = service.store.now()
    if fleet.outage_at is not None:
        state, since = ("returning" if fleet.recovered_at else "out"), fleet.outage_at
    else:
        state, since = ("throttled" if fleet.is_throttled(now) else "well"), None
    paused = fleet.is_paused(now)
    return {
        "state": state,
        "since": maybe_iso(since),
        "verdicts_held_since": maybe_iso(fleet.held_at),
        "paused": paused,
        "paused_until": maybe_iso(fleet.paused_until) if paused else None,
        "barred": fleet.bar,
    }


async def _held(service: Service) -> int:
    return (await service.standing()).by_status.get(Status.SUSPECTED, 0)


async def _chosen(service: Service, named: object) -> list[Session]:
    if named is None:
        return await service.store.page(None, MOST_AT_ONCE, Status.SUSPECTED)
    if not isinstance(named, list) or len(named) > MOST_AT_ONCE or not all(isinstance(one, str) for one in named):
        raise Refused("bad_request", f"sessions must be a list of at most {MOST_AT_ONCE} ids.")
    return [await find(service, one) for one in named]


def _lasting(text: object) -> timedelta | None:
    if text is None:
        return None
    try:
        lasting = read_duration(text) if isinstance(text, str) else timedelta(0)
    except ValueError as error:
        raise ConfigError(f"for {error}.") from None
    if not timedelta(0) < lasting <= LONGEST_PAUSE:
        raise Refused("bad_request", "for must be a duration like 30m, at most 30d.")
    return lasting
