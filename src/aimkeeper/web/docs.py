"""What the API looks like: `/openapi.json` for programs, `/docs` for people. All from here, nothing from a CDN."""

from typing import Any

from litestar import Request, Response, Router, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin

from aimkeeper import __version__
from aimkeeper.web.errors import AnyRequest
from aimkeeper.web.pages import SAFE, page_file


class _Docs(OpenAPIRenderPlugin):
    """Our own page over the schema: every route, with a form to try it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 (the plugin's signature)
        return page_file("docs.html").encode()


def config() -> OpenAPIConfig:
    """The description, and the page over it."""
    router = Router("/docs", route_handlers=[], include_in_schema=False, response_headers=SAFE)
    return OpenAPIConfig(
        title="aimkeeper", version=__version__, openapi_router=router, render_plugins=[_Docs(path="/")]
    )


@get("/openapi.json", include_in_schema=False)
async def openapi(request: AnyRequest) -> Response[dict[str, Any]]:
    """Describes every route for programs."""
    return Response(request.app.openapi_schema.to_schema(), media_type="application/vnd.oai.openapi+json")
