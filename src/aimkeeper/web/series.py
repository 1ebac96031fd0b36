"""What the charts of the page show: counts and durations by the minute, and how much time the sessions have left."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Response
from litestar.params import QueryParameter

from aimkeeper.core.outcome import Reason
from aimkeeper.core.policy import AT_RISK_AFTER
from aimkeeper.core.spread import Percentiles, Spread
from aimkeeper.service import Service
from aimkeeper.store.board import SAMPLE
from aimkeeper.store.standing import Standing
from aimkeeper.telemetry.minutes import LATE, TOOK
from aimkeeper.web import shapes_fleet
from aimkeeper.web.access import Role
from aimkeeper.web.described import iso
from aimkeeper.web.given import GivenRecent, GivenService
from aimkeeper.web.routes import get
from aimkeeper.web.told import told

# A day at most, in slots of so many minutes that a chart has fewer than a hundred.
LONGEST = 24 * 60
STEPS = (1, 5, 15)
MOST_SLOTS = 96
# The time an idle session has is cut into so many parts.
PARTS = 18

Minutes = Annotated[int, QueryParameter(ge=1, le=LONGEST)]
DURATIONS = {"p50": 0.08, "p95": 0.2, "p99": 0.4}
EXAMPLE = {
    "success": True,
    "now": "2026-01-01T12:00:30.000Z",
    "step_seconds": 60,
    "slots": [
        {
            "at": "2026-01-01T12:00:00.000Z",
            "rotated": 12,
            "failed": 1,
            "logged_out": 0,
            "took": DURATIONS,
            "late": None,
        }
    ],
    "slack": {
        "part_seconds": 300.0,
        "past": 0,
        "parts": [0] * 16 + [2, 10],
        "at_risk_below": 3660.0,
        "sampled": 12,
        "living": 12,
    },
}


@get(
    "/api/series",
    summary="What the charts show",
    **told(Role.OPERATOR, Role.PAGE, answer=shapes_fleet.Series, example=EXAMPLE),
)
async def series(service: GivenService, recent: GivenRecent, minutes: Minutes = 60) -> Response[dict[str, Any]]:
    """
    Exchanges by the minute, over the last so many, and the slack of living sessions.

    Of more than a thousand sessions the slack is that of a thousand drawn by chance: `sampled` of `living`.
    """
    step = next(step for step in STEPS if minutes / step <= MOST_SLOTS)
    now = service.store.now()
    last = int(now.timestamp()) // 60 // step
    first = last - -(-minutes // step) + 1
    slots: dict[int, dict[str, int]] = defaultdict(dict)
    for slot, what, count in await service.store.http.board.tallies(first, step):
        slots[slot][what] = count
    return Response(
        {
            "success": True,
            "now": iso(now),
            "step_seconds": step * 60,
            "slots": [_slot(slot, step, slots.get(slot, {})) for slot in range(first, last + 1)],
            "slack": await _slack(service, await recent.standing(), now),
        }
    )


def _slot(slot: int, step: int, tallies: dict[str, int]) -> dict[str, Any]:
    return {
        "at": iso(datetime.fromtimestamp(slot * step * 60, UTC)),
        "rotated": tallies.get("rotated", 0),
        "failed": sum(tallies.get(reason, 0) for reason in Reason),
        "logged_out": tallies.get("logged_out", 0),
        "took": _told(Spread(TOOK).percentiles(tallies)),
        "late": _told(Spread(LATE).percentiles(tallies)),
    }


def _told(found: Percentiles | None) -> dict[str, float] | None:
    return {"p50": found.p50, "p95": found.p95, "p99": found.p99} if found else None


async def _slack(service: Service, standing: Standing, now: datetime) -> dict[str, Any]:
    # The rows of ended sessions lie among the others: a run of rows is to hold enough that live.
    start = service.keeper.new_id() if standing.total > SAMPLE else None
    deadlines = await service.store.http.board.sample_deadlines(start)
    idle = service.policy.idle_timeout.total_seconds()
    part = idle / PARTS
    parts, past = [0] * PARTS, 0
    for deadline in deadlines:
        left = (deadline - now).total_seconds()
        if left < 0:
            past += 1
        else:
            parts[min(int(left / part), PARTS - 1)] += 1
    return {
        "part_seconds": part,
        "past": past,
        "parts": parts,
        "at_risk_below": max(idle - AT_RISK_AFTER.total_seconds(), 0.0),
        "sampled": len(deadlines),
        "living": standing.living,
    }
