"""The HTTP application: one route list."""

from litestar import Litestar
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin

from aimkeeper import __version__
from aimkeeper.core.errors import AimkeeperError
from aimkeeper.engine.worker import Worker
from aimkeeper.service import Service
from aimkeeper.telemetry import Telemetry
from aimkeeper.web import errors, health, pages, sessions, token_update
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
]


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
        openapi_config=OpenAPIConfig(
            title="aimkeeper", version=__version__, path="/docs", render_plugins=[SwaggerRenderPlugin()]
        ),
        logging_config=None,
    )
    return Litestar.from_config(config)
