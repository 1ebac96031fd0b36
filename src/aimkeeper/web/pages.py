"""The page, and the link that opens it."""

from importlib import resources
from typing import Any

from litestar import MediaType, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from aimkeeper.web.access import hash_link_code
from aimkeeper.web.errors import AnyRequest
from aimkeeper.web.given import GivenAccess, GivenService

# What a page of ours may load: its own script and style, nothing else. The other headers: `app.py`.
SAFE = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}


@get("/", include_in_schema=False)
async def page(request: AnyRequest, service: GivenService, access: GivenAccess) -> Response[str]:
    """The sessions, live; a way in for those who are not."""
    signed_in = access.is_page(request, service.store.now())
    name = "sessions.html" if signed_in else "sign_in.html"
    return Response(page_file(name), media_type=MediaType.HTML, status_code=200 if signed_in else 401, headers=SAFE)


@get("/sign-in/{code:str}", include_in_schema=False)
async def sign_in(
    request: AnyRequest, service: GivenService, access: GivenAccess, code: FromPath[str]
) -> Response[Any]:
    """Good once, for ten minutes."""
    if not await service.store.sign_ins.use(hash_link_code(code)):
        return Response(page_file("sign_in.html"), media_type=MediaType.HTML, status_code=401, headers=SAFE)
    cookie = access.page_cookie(service.store.now(), secure=request.url.scheme == "https")
    return Redirect("/", status_code=303, headers=SAFE, cookies=[cookie])


@get("/static/{name:str}", include_in_schema=False)
async def static(name: FromPath[str]) -> Response[str]:
    """The page's own script and style."""
    kinds = {"sessions.js": "text/javascript", "docs.js": "text/javascript", "page.css": "text/css"}
    if name not in kinds:
        raise NotFoundException
    # Looked after again each time: an upgrade must not meet the script of yesterday.
    return Response(page_file(name, "static"), media_type=kinds[name], headers={"cache-control": "no-cache"})


def page_file(name: str, folder: str = "templates") -> str:
    """The text of a file that ships with the package."""
    return resources.files("aimkeeper.web").joinpath(folder, name).read_text("utf-8")
