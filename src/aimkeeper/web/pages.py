"""The page, and the link that opens it."""

from importlib import resources
from typing import Any

from litestar import MediaType, Response, get
from litestar.response import Redirect

from aimkeeper.service import Service
from aimkeeper.web.access import Access, hash_link_code
from aimkeeper.web.errors import AnyRequest

_SAFE = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


@get("/", include_in_schema=False)
async def page(request: AnyRequest, service: Service, access: Access) -> Response[str]:
    """The sessions, live; a way in for those who are not."""
    signed_in = access.is_page(request, service.store.now())
    name = "sessions.html" if signed_in else "sign_in.html"
    return Response(_file(name), media_type=MediaType.HTML, status_code=200 if signed_in else 401, headers=_SAFE)


@get("/sign-in/{code:str}", include_in_schema=False)
async def sign_in(request: AnyRequest, service: Service, access: Access, code: str) -> Response[Any]:
    """Good once, for ten minutes."""
    if not await service.store.use_sign_in(hash_link_code(code)):
        return Response(_file("sign_in.html"), media_type=MediaType.HTML, status_code=401, headers=_SAFE)
    cookie = access.page_cookie(service.store.now(), secure=request.url.scheme == "https")
    return Redirect("/", status_code=303, headers=_SAFE, cookies=[cookie])


@get("/static/{name:str}", include_in_schema=False)
async def static(name: str) -> Response[str]:
    """The page's own script and style."""
    kinds = {"sessions.js": "text/javascript", "page.css": "text/css"}
    if name not in kinds:
        return Response("", status_code=404, media_type=MediaType.TEXT)
    return Response(_file(name, "static"), media_type=kinds[name], headers={"x-content-type-options": "nosniff"})


def _file(name: str, folder: str = "templates") -> str:
    return resources.files("aimkeeper.web").joinpath(folder, name).read_text("utf-8")
