"""Health, readiness and metrics."""

from litestar import MediaType, Response, get

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.web.access import operator_or_loopback
from aimkeeper.web.given import GivenService, GivenTelemetry, GivenWorker


@get("/healthz", summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """200 also while store or upstream is away: a restart must not kill fresh tokens."""
    return {"status": "alive"}


@get("/readyz", summary="Is it of use?")
async def readyz(service: GivenService, worker: GivenWorker) -> Response[dict[str, object]]:
    """The store can be written, and this process's own worker looks for work."""
    body: dict[str, object] = {"store": "ok", "worker": "none"}
    try:
        await service.store.check_writable()
    except StoreUnavailable as error:
        body["store"] = str(error)
    if worker is not None:
        body["worker"] = worker.trouble or ("ok" if worker.is_ticking else "it has not looked for work lately")
    ready = body["store"] == "ok" and body["worker"] in ("ok", "none")
    return Response({"ready": ready, **body}, status_code=200 if ready else 503)


@get("/metrics", guards=[operator_or_loopback], media_type=MediaType.TEXT, summary="Numbers for Prometheus")
async def metrics(telemetry: GivenTelemetry) -> Response[bytes]:
    """Prometheus text; no e-mails in labels."""
    return Response(await telemetry.metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")
