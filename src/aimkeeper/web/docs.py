"""What the API looks like: `/openapi.json` for programs, `/docs` for people. All from here, nothing from a CDN."""

from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.routes import HTTPRoute

from aimkeeper import __version__
from aimkeeper.web.access import CSRF_HEADER, MEMBER_COOKIE, PAGE_COOKIE, READING, Role
from aimkeeper.web.errors import AnyRequest
from aimkeeper.web.pages import SAFE
from aimkeeper.web.routes import get
from aimkeeper.web.shapes import Failed
from aimkeeper.web.shipped import page
from aimkeeper.web.told import FORM, JSON, Told

WHY = {
    400: ("bad_request", "The request lacks something, or makes no sense."),
    401: ("unauthorized", "No bearer or cookie that may do this, or a password that AimHarder refused."),
    403: ("forbidden", "Known, but not for this; or AimHarder refuses this machine's address."),
    404: ("unknown_session", "No such session."),
    408: ("too_slow", "The request came too slowly."),
    409: ("holder_conflict", "It is in somebody else's way."),
    410: ("session_ended", "The session has ended."),
    413: ("too_large", "The body is larger than 64 KiB."),
    414: ("address_too_long", "The address is longer than 8 KiB."),
    415: ("not_json", "The body is not said to be JSON."),
    429: ("too_many_requests", "Too often; `Retry-After` says when to come again."),
    431: ("head_too_large", "The headers are larger than 32 KiB, or more than 100."),
    500: ("fault", "A fault of aimkeeper's; its log says where."),
    502: ("protocol_changed", "AimHarder answered something this version can't read."),
    503: ("upstream_unavailable", "Not now; nothing was changed, and `Retry-After` says when to come again."),
}
ALWAYS = (400, 408, 414, 431, 500, 503)
WITH_BODY = (413, 415)
COMES_WITH_RETRY_AFTER = (429, 503)

BEARERS = {
    Role.OPERATOR: "AIMKEEPER_API_KEY, or the key in operator.key beside the database",
    Role.CRON: "CRON_SECRET",
    Role.BOT: "what `aimkeeper lend` printed for a bot on another machine",
}
COOKIES = {Role.PAGE: PAGE_COOKIE, Role.MEMBER: MEMBER_COOKIE}


class _Docs(OpenAPIRenderPlugin):
    """Our own page over the schema: every route, with a form to try it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 (the plugin's signature)
        return page("docs.html").encode()


def config() -> OpenAPIConfig:
    """The description, and the page over it."""
    router = Router("/docs", route_handlers=[], include_in_schema=False, response_headers=SAFE)
    return OpenAPIConfig(
        title="aimkeeper",
        version=__version__,
        description="Keeps AimHarder sessions alive. Every error is one sentence and a stable word.",
        openapi_router=router,
        render_plugins=[_Docs(path="/")],
        use_handler_docstrings=True,
    )


@get("/openapi.json", include_in_schema=False)
async def openapi(request: AnyRequest) -> Response[dict[str, Any]]:
    """Describes every route for programs."""
    app = request.app
    if "openapi" not in app.state:
        app.state["openapi"] = description_of(app)
    return Response(app.state["openapi"], media_type="application/vnd.oai.openapi+json")


def description_of(app: Litestar) -> dict[str, Any]:
    """The whole description: paths and parameters as the framework reads them, the rest as the routes tell it."""
    whole = app.openapi_schema.to_schema()
    described = [
        (whole["paths"][route.path_format][method.lower()], method, handler.opt["told"])
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if "told" in handler.opt
    ]
    types = {
        kind
        for _, _, about in described
        for kind in (*about.answers, *about.other.values(), about.body)
        if kind is not None
    }
    ordered = [Failed, *sorted(types, key=str)]
    schemas, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(map(str, ordered), schemas, strict=True))
    for operation, method, about in described:
        _complete(operation, method, about, by_type)
    whole["components"] = {"schemas": components, "securitySchemes": _schemes()}
    return whole


def _complete(operation: dict[str, Any], method: str, about: Told, schemas: dict[str, Any]) -> None:
    operation["security"] = list(_security(about.who, writes=method not in READING))
    if about.body is not None:
        content = {"schema": schemas[str(about.body)], "example": about.given}
        kinds = (JSON, FORM) if about.form else (JSON,)
        operation["requestBody"] = {"required": not about.optional, "content": dict.fromkeys(kinds, content)}
    kinds_of_answer = [schemas[str(kind)] for kind in about.answers]
    schema = kinds_of_answer[0] if len(kinds_of_answer) == 1 else {"oneOf": kinds_of_answer}
    good = {"schema": schema, "example": about.example}
    operation["responses"] = {
        str(about.status): {"description": "Done.", "content": {about.media: good}},
        **{str(status): _failure(status, schemas) for status in failures_of(about)},
        **{
            str(status): {"description": WHY[status][1], "content": {JSON: {"schema": schemas[str(kind)]}}}
            for status, kind in about.other.items()
        },
    }


def failures_of(about: Told) -> list[int]:
    """Every status of a failure that the route can answer with."""
    found = {*ALWAYS, *about.fails}
    if Role.ANYONE not in about.who:
        found |= {401, 403}
    if about.body is not None:
        found |= set(WITH_BODY)
    return sorted(found)


def _failure(status: int, schemas: dict[str, Any]) -> dict[str, Any]:
    code, why = WHY[status]
    example = {"success": False, "error": "one sentence that says what to do.", "code": code}
    told: dict[str, Any] = {
        "description": why,
        "content": {JSON: {"schema": schemas[str(Failed)], "example": example}},
    }
    if status in COMES_WITH_RETRY_AFTER:
        told["headers"] = {"Retry-After": {"description": "In seconds.", "schema": {"type": "integer", "minimum": 1}}}
    return told


def _security(who: Iterable[Role], *, writes: bool) -> Iterable[dict[str, list[str]]]:
    for role in who:
        if role in BEARERS:
            yield {role.value: []}
        elif role in COOKIES:
            yield {role.value: [], "csrf": []} if writes else {role.value: []}
        else:
            yield {}


def _schemes() -> dict[str, Any]:
    bearers = {role.value: {"type": "http", "scheme": "bearer", "description": what} for role, what in BEARERS.items()}
    cookies = {role.value: {"type": "apiKey", "in": "cookie", "name": name} for role, name in COOKIES.items()}
    return {**bearers, **cookies, "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER}}
