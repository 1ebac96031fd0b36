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
from aimkeeper.web import docs, errors, health, pages, sessions, token_update
from aimkeeper.web.access import Access, Forbidden

HEALTH_ROUTES = [health.healthz, health.readyz, health.metrics]
ROUTES = [
    *HEALTH_ROUTES,
    token_update.exchange,
    token_update.by_action,
    token_update.refresh_tokens,
    sessions.list_sessions,
    pages.page,
    pages.sign_in,
    pages.static,
    docs.openapi,
]

# Of every answer that does not say otherwise: tokens stand in some, and none is to be kept, framed or guessed at.
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def make_app(
    service: Service, access: Access, telemetry: Telemetry, worker: Worker | None = None, *, health_only: bool = False
) -> Litestar:
    """The application over a service that is open; *worker* is the one of this process, if it runs one."""

    def provide(thing: object) -> Provide:
        return Provide(lambda: thing, sync_to_thread=False, use_cache=True)

    config = AppConfig(
        route_handlers=list(HEALTH_ROUTES if health_only else ROUTES),
        state=State({"service": service, "access": access}),
        dependencies={
            "service": provide(service),
            "access": provide(access),
            "telemetry": provide(telemetry),
            "worker": provide(worker),
        },
        exception_handlers={
            AimkeeperError: errors.on_ours,
            Forbidden: errors.on_forbidden,
            HTTPException: errors.on_http,
            Exception: errors.on_fault,
        },
        openapi_config=None if health_only else docs.config(),
        before_send=[_be_strict],
        logging_config=None,
    )
    return Litestar.from_config(config)


async def _be_strict(message: Message, _: Scope) -> None:
    if message["type"] != "http.response.start":
        return
    headers = list(message["headers"])
    said = {name.lower() for name, _ in headers}
    headers += [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in said]
    message["headers"] = headers
