"""The page, and the ways in: a one-time link, or the operator's key."""

from html import escape
from typing import Any
from urllib.parse import parse_qs

from litestar import MediaType, Response
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from aimkeeper.core.events import EventKind
from aimkeeper.service import Service
from aimkeeper.web.access import PAGE_COOKIE, Access, Caller, Role, address_of, gone, hash_link_code, is_secure, let_in
from aimkeeper.web.errors import AnyRequest, Refused
from aimkeeper.web.given import GivenAccess, GivenLimiter, GivenService
from aimkeeper.web.routes import get, post
from aimkeeper.web.shipped import address, shipped
from aimkeeper.web.shipped import page as shipped_page

_OWN_ONLY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action {form}; frame-ancestors 'none'"
)
# What a page of ours may load: its own script and style, nothing else. The other headers: `app.py`.
SAFE = {"content-security-policy": _OWN_ONLY.format(form="'none'")}
# The page with the key's form may send that, to us.
SAFE_WITH_FORM = {"content-security-policy": _OWN_ONLY.format(form="'self'")}
LONGEST_FORM = 4096
# The list of hashes, among what is served.
HASHES = "integrity.json"
# Named by hash it never changes; by its plain name it is looked after again each time: an upgrade must not meet the
# script of yesterday.
FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
EACH_TIME = {"cache-control": "no-cache"}
WRONG_KEY = '<p class="bad" role="alert">That is not the operator\'s key.</p>'


@get("/", include_in_schema=False)
async def page(request: AnyRequest, access: GivenAccess) -> Response[str]:
    """The sessions, live; a way in for those who are not."""
    caller = await access.caller(request, (Role.PAGE,))
    if caller is None:
        return _way_in(401)
    return _whole("board.html", caller)


@get("/sessions/{session_id:str}", include_in_schema=False)
async def session_page(request: AnyRequest, access: GivenAccess, session_id: FromPath[str]) -> Response[str]:  # noqa: ARG001 (its script reads it off the address)
    """One session, live; a way in for those who are not."""
    caller = await access.caller(request, (Role.PAGE,))
    return _way_in(401) if caller is None else _whole("session.html", caller)


@get("/sign-in/{code:str}", include_in_schema=False)
async def sign_in(
    request: AnyRequest, service: GivenService, access: GivenAccess, code: FromPath[str]
) -> Response[Any]:
    """Good once, for ten minutes."""
    if not await service.store.sign_ins.use(hash_link_code(code)):
        return _way_in(401)
    # Not a redirect: a browser that was led here from another site would not send its new cookie along with it.
    return await _opened(request, service, access, _answer("opened.html"), by="link")


@post("/sign-in", include_in_schema=False, status_code=200, request_max_body_size=LONGEST_FORM)
async def sign_in_by_key(
    request: AnyRequest, service: GivenService, access: GivenAccess, limiter: GivenLimiter
) -> Response[Any]:
    """The operator's key, from the form of the sign-in page."""
    try:
        attempt = await limiter.key(address_of(request))
    except Refused as error:
        return _way_in(429, f'<p class="bad" role="alert">{escape(str(error))}</p>', error.retry_after or 1)
    if not access.is_key(_key_in(await request.body())):
        return _way_in(401, WRONG_KEY)
    await limiter.was_good(attempt)
    return await _opened(request, service, access, Redirect("/", status_code=303, headers=SAFE), by="key")


@post("/sign-out", include_in_schema=False, status_code=200, guards=[let_in(Role.PAGE)])
async def sign_out(request: AnyRequest) -> Response[dict[str, bool]]:
    """Has this browser forget the page's cookie."""
    return Response({"success": True}, cookies=[gone(PAGE_COOKIE, secure=is_secure(request))])


@get("/static/{name:path}", include_in_schema=False)
async def static(request: AnyRequest, name: FromPath[str]) -> Response[bytes | dict[str, Any]]:
    """Our pages' own scripts and styles, and the modules for other sites' pages (`browser/`), with their hashes."""
    name = name.removeprefix("/")
    if name == HASHES:
        files = {name: file.integrity for name, file in shipped().items()}
        return Response({"base": address(""), "files": files}, headers=EACH_TIME)
    pinned = name.removeprefix(address("").removeprefix("/static/"))
    file = shipped().get(pinned)
    if file is None:
        raise NotFoundException
    if pinned != name:
        return Response(file.content, media_type=file.kind, headers=FOR_EVER)
    headers = EACH_TIME | {"etag": f'"{file.integrity}"'}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    return Response(file.content, media_type=file.kind, headers=headers)


def _key_in(form: bytes) -> str:
    """The one key in it; nothing where there is none, or several."""
    try:
        given = parse_qs(form.decode("utf-8"), keep_blank_values=True, max_num_fields=4).get("key", [])
    except ValueError:
        return ""
    return given[0].strip() if len(given) == 1 else ""


def _whole(name: str, caller: Caller) -> Response[str]:
    # What its script sends along with each write.
    return _answer(name, csrf=caller.csrf or "", add_html=shipped_page("add.html"))


def _answer(name: str, **fields: str) -> Response[str]:
    return Response(shipped_page(name, **fields), media_type=MediaType.HTML, headers=SAFE)


def _way_in(status: int, told: str = "", retry_after: float = 0) -> Response[str]:
    text = shipped_page("sign_in.html", told_html=told)
    headers = SAFE_WITH_FORM | ({"retry-after": str(max(round(retry_after), 1))} if retry_after else {})
    return Response(text, media_type=MediaType.HTML, status_code=status, headers=headers)


async def _opened(
    request: AnyRequest, service: Service, access: Access, answer: Response[Any], *, by: str
) -> Response[Any]:
    access.check_open((Role.OPERATOR,))
    await service.audit.record(EventKind.SIGNED_IN, by=by)
    answer.set_cookie(access.page_cookie(service.store.now(), secure=is_secure(request)))
    return answer
