"""Health, readiness and metrics."""

from litestar import Response

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.web import shapes_fleet
from aimkeeper.web.access import Role
from aimkeeper.web.given import GivenService, GivenTelemetry, GivenWorker
from aimkeeper.web.routes import get
from aimkeeper.web.told import told

READY = {"ready": True, "store": "ok", "worker": "ok"}


@get("/healthz", summary="Is the process alive?", **told(answer=shapes_fleet.Alive, example={"status": "alive"}))
async def healthz() -> dict[str, str]:
    """200 also while store or upstream is away: a restart must not kill fresh tokens."""
    return {"status": "alive"}


@get(
    "/readyz",
    summary="Is it of use?",
    **told(answer=shapes_fleet.Ready, example=READY, other={503: shapes_fleet.Ready}),
)
async def readyz(service: GivenService, worker: GivenWorker) -> Response[dict[str, object]]:
    """The store can be written, and this process's own worker looks for work; else 503."""
    body: dict[str, object] = {"store": "ok", "worker": "none"}
    try:
        await service.store.check_writable()
    except StoreUnavailable as error:
        body["store"] = str(error)
    if worker is not None:
        body["worker"] = worker.trouble or ("ok" if worker.is_ticking else "it has not looked for work lately")
    ready = body["store"] == "ok" and body["worker"] in ("ok", "none")
    return Response({"ready": ready, **body}, status_code=200 if ready else 503)


@get(
    "/metrics",
    summary="Numbers for Prometheus",
    **told(Role.OPERATOR, Role.HERE, answer=str, example="aimkeeper_overdue_sessions 0.0\n", media="text/plain"),
)
async def metrics(telemetry: GivenTelemetry) -> Response[bytes]:
    """Prometheus text; no e-mails in labels."""
    return Response(await telemetry.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")
