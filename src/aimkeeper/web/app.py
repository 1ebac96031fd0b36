"""The HTTP application: one route list."""

from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import Message, Scope

from aimkeeper.core.errors import AimkeeperError
from aimkeeper.engine.worker import Worker
from aimkeeper.service import Service
from aimkeeper.telemetry import Telemetry
from aimkeeper.web import acts, auth, docs, errors, feed, fleet, health, pages, refresh, series, sessions, token_update
from aimkeeper.web.access import Access
from aimkeeper.web.bodies import MAX_BODY
from aimkeeper.web.door import Door
from aimkeeper.web.limits import Limiter
from aimkeeper.web.recent import Recent

HEALTH_ROUTES = [health.healthz, health.readyz, health.metrics]
ROUTES = [
    *HEALTH_ROUTES,
    token_update.exchange,
    token_update.by_action,
    token_update.refresh_tokens,
    auth.log_in,
    auth.claim,
    auth.session_of_member,
    auth.log_out,
    auth.delete_session,
    refresh.refresh,
    refresh.refresh_state,
    sessions.list_sessions,
    sessions.one_session,
    sessions.rotations,
    sessions.credentials,
    acts.adopt,
    acts.rotate,
    acts.check,
    acts.end,
    acts.revive,
    acts.lend,
    acts.revoke,
    fleet.status,
    series.series,
    fleet.verdicts,
    fleet.accept,
    fleet.retry,
    fleet.pause,
    fleet.resume,
    feed.events,
    pages.page,
    pages.session_page,
    pages.sign_in,
    pages.sign_in_by_key,
    pages.sign_out,
    pages.static,
    docs.openapi,
]
# Pages of other sites may call these at most, and only where their origin was named.
FOR_OTHER_ORIGINS = (token_update.PATH, "/api/auth/")

# Of every answer that does not say otherwise: tokens stand in some, and none is to be kept, framed or guessed at.
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# A year, for this host alone: what else is below its name is not ours to decide.
HSTS = (b"strict-transport-security", b"max-age=31536000")
_STRICT = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


def make_app(
    service: Service, access: Access, telemetry: Telemetry, worker: Worker | None = None, *, health_only: bool = False
) -> Litestar:
    """The application over a service that is open; *worker* is the one of this process, if it runs one."""

    def provide(thing: object) -> Provide:
        return Provide(lambda: thing, sync_to_thread=False, use_cache=True)

    config = AppConfig(
        route_handlers=list(HEALTH_ROUTES if health_only else ROUTES),
        state=State({"service": service, "access": access, "streams": feed.Streams()}),
        dependencies={
            "service": provide(service),
            "access": provide(access),
            "limiter": provide(Limiter(service.store.http.limits, service.clock)),
            "telemetry": provide(telemetry),
            "worker": provide(worker),
            "recent": provide(Recent(service)),
        },
        exception_handlers={
            AimkeeperError: errors.on_ours,
            errors.Refused: errors.on_refused,
            HTTPException: errors.on_http,
            Exception: errors.on_fault,
        },
        openapi_config=None if health_only else docs.config(),
        before_send=[_be_strict],
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )
    app = Litestar.from_config(config)
    app.asgi_handler = Door(app.asgi_handler, access.terms, FOR_OTHER_ORIGINS)
    return app


async def _be_strict(message: Message, scope: Scope) -> None:
    if message["type"] != "http.response.start":
        return
    headers = list(message["headers"])
    said = {name.lower() for name, _ in headers}
    headers += [header for header in _STRICT if header[0] not in said]
    if scope["scheme"] == "https":
        headers.append(HSTS)
    message["headers"] = headers
