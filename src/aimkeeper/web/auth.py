"""`/api/auth`: a member logs in, claims the session his browser has already, looks at it, logs out."""

from datetime import timedelta
from typing import Any

from litestar import Response
from litestar.datastructures import Cookie
from litestar.params import FromQuery

from aimkeeper.core.cookies import AUTH_COOKIE
from aimkeeper.core.errors import BadCredentials, LockedOut, SessionEnded
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Session, normal_email
from aimkeeper.core.token import FINGERPRINT_BYTES, Fingerprint, parse_fingerprint
from aimkeeper.engine.entry import LogIn
from aimkeeper.engine.refresh import alive
from aimkeeper.service import Service
from aimkeeper.web import shapes
from aimkeeper.web.access import (
    MEMBER_COOKIE,
    MEMBER_LIFE,
    Caller,
    Role,
    address_of,
    csrf_of,
    gone,
    is_secure,
    member_cookie,
    whoever_may_log_in,
)
from aimkeeper.web.bodies import flag, read_object, word
from aimkeeper.web.claims import claimed
from aimkeeper.web.described import iso, maybe_iso
from aimkeeper.web.errors import AnyRequest, Refused
from aimkeeper.web.given import GivenAccess, GivenLimiter, GivenService
from aimkeeper.web.limits import Limiter
from aimkeeper.web.routes import delete, get, post
from aimkeeper.web.token_update import FINGERPRINT, TOKEN
from aimkeeper.web.told import told

# The random fingerprint of a browser: it logs in again as the same device, and devices don't pile up at AimHarder.
DEVICE_COOKIE, DEVICE_LIFE = "aimkeeper_device", timedelta(days=400)
MOST_SESSIONS = 10
LONGEST_PASSWORD = 1024

EMAIL = "ana@example.com"
CSRF = "5f2c1d3e" * 8
LOGGED_IN = {
    "success": True,
    "data": {"user": {"id": EMAIL, "email": EMAIL, "name": EMAIL}, "token": TOKEN},
    "fingerprint": FINGERPRINT,
    "aimharderSession": True,
    "csrfToken": CSRF,
}
SESSION = {
    "success": True,
    "email": EMAIL,
    "fingerprint": FINGERPRINT,
    "status": "active",
    "updatedAt": "2026-01-01T12:00:00.000Z",
    "dueAt": "2026-01-01T12:14:00.000Z",
    "deadlineAt": "2026-01-01T13:30:00.000Z",
    "slackSeconds": 5400,
    "csrfToken": CSRF,
}


@post(
    ["/api/auth/login", "/api/auth/aimharder"],
    summary="Log a member in",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        Role.ANYONE,
        guard=whoever_may_log_in,
        answer=shapes.LoggedIn,
        example=LOGGED_IN,
        fails=(401, 403, 409, 429, 502),
        body=shapes.Login,
        given={"email": EMAIL, "password": "the password at AimHarder"},
    ),
)
async def log_in(
    request: AnyRequest, service: GivenService, limiter: GivenLimiter, access: GivenAccess
) -> Response[dict[str, Any]]:
    """
    Logs in at AimHarder, keeps the session from then on, and makes this browser its member.

    For the operator always, for anybody where AIMKEEPER_PUBLIC_LOGIN opened it. The page gets neither token nor cookie.
    """
    given = await read_object(request)
    caller: Caller = request.user
    wish = _wish(request, service, given, caller, may_remember=access.terms.public_remember)
    session = await _log_in(request, service, limiter, wish)
    user = {"id": session.email, "email": session.email, "name": session.email}
    body: dict[str, Any] = {
        "success": True,
        "data": {"user": user},
        "fingerprint": session.fingerprint,
        "aimharderSession": True,
    }
    if caller.role is Role.PAGE:
        return Response(body)
    session = await service.holders.give(session)
    body["data"]["token"] = session.token.text
    cookie, body["csrfToken"] = await _make_member(request, service, session)
    cookies = [cookie]
    if caller.role is Role.ANYONE and "fingerprint" not in given:
        cookies.append(_device_cookie(session.fingerprint, secure=is_secure(request)))
    return Response(body, cookies=cookies)


@post(
    "/api/auth/claim",
    summary="Become the member of the session this browser has already",
    **told(
        answer=shapes.Claimed,
        example={"success": True, "email": EMAIL, "fingerprint": FINGERPRINT, "csrfToken": CSRF},
        fails=(401, 429),
        body=shapes.Claim,
        given={},
        optional=True,
    ),
)
async def claim(request: AnyRequest, service: GivenService, limiter: GivenLimiter) -> Response[dict[str, Any]]:
    """For a browser that holds the app's `amhrdrauth`, equal to the stored one: nobody signs in again."""
    given = await read_object(request, optional=True)
    _refuse_other_sites(request)
    attempt = await limiter.claim(address_of(request))
    session = await claimed(service.store, request.headers.get("cookie", ""), given.get("email"))
    if session is None:
        raise Refused("unauthorized", f"no session here has this browser's {AUTH_COOKIE}: log in.")
    await limiter.was_good(attempt)
    await service.audit.record(EventKind.CLAIMED, session)
    cookie, csrf = await _make_member(request, service, session)
    body = {"success": True, "email": session.email, "fingerprint": session.fingerprint, "csrfToken": csrf}
    return Response(body, cookies=[cookie])


@get(
    ["/api/auth/session", "/api/auth/aimharder"],
    summary="The member's own session",
    **told(Role.MEMBER, answer=shapes.MemberSession, example=SESSION, fails=(404,)),
)
async def session_of_member(
    request: AnyRequest, service: GivenService, token: FromQuery[str] = ""
) -> Response[dict[str, Any]]:
    """Where it stands; with `?token=1` the present token too, while it lives. An e-mail in an address opens nothing."""
    caller: Caller = request.user
    session = await own(service, caller)
    body: dict[str, Any] = {
        "success": True,
        "email": session.email,
        "fingerprint": session.fingerprint,
        "status": session.status.value,
        "updatedAt": iso(session.rotated_at),
        "dueAt": maybe_iso(session.due_at),
        "deadlineAt": iso(session.deadline_at),
        "slackSeconds": round((session.deadline_at - service.store.now()).total_seconds()),
        "csrfToken": caller.csrf,
    }
    if token == "1":  # noqa: S105 (a switch)
        try:
            body["token"] = (await service.holders.give(session)).token.text
        except SessionEnded:
            body["token"] = None
    return Response(body)


DONE = told(Role.MEMBER, answer=shapes.Done, example={"success": True}, fails=(404,))


@post("/api/auth/logout", summary="End the member's own session", **DONE)
async def log_out(request: AnyRequest, service: GivenService) -> Response[dict[str, Any]]:
    """Ends that session only, and here only: AimHarder is not told, for it would end all of the account's."""
    return await _log_out(request, service)


@delete("/api/auth/aimharder", summary="End the member's own session", **DONE)
async def delete_session(request: AnyRequest, service: GivenService) -> Response[dict[str, Any]]:
    """The same as `POST /api/auth/logout`."""
    return await _log_out(request, service)


async def own(service: Service, caller: Caller) -> Session:
    """
    The caller's one session.

    Raises:
        UnknownSession: It was forgotten meanwhile.
    """
    session = await service.store.http.get(caller.session_id or "")
    return session or alive(session)


async def _log_out(request: AnyRequest, service: Service) -> Response[dict[str, Any]]:
    session = await own(service, request.user)
    await service.entry.log_out(session)
    return Response({"success": True}, cookies=[gone(MEMBER_COOKIE, secure=is_secure(request))])


async def _log_in(request: AnyRequest, service: Service, limiter: Limiter, wish: LogIn) -> Session:
    if not wish.public:
        return await service.entry.log_in(wish)
    _refuse_other_sites(request)
    attempt = await limiter.login(address_of(request), wish.email)
    try:
        session = await service.entry.log_in(wish)
    except BadCredentials as error:
        raise Refused("bad_credentials", str(error), remainingAttempts=attempt.left) from None
    except LockedOut:
        raise
    except BaseException:
        # Whether the password is right was not said.
        await limiter.was_neither(attempt)
        raise
    await limiter.was_good(attempt)
    return session


def _refuse_other_sites(request: AnyRequest) -> None:
    """Another site's page would make its visitor the member of a session that is not his."""
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Refused("csrf", "another site's page can't log anybody in here.")


def _wish(request: AnyRequest, service: Service, given: dict[str, Any], caller: Caller, *, may_remember: bool) -> LogIn:
    """
    What a caller asks for, in the words the original feature refused it with.

    Raises:
        Refused: It makes no sense, or is not his to ask for.
    """
    public = caller.role is Role.ANYONE
    email, password = given.get("email"), given.get("password")
    if not email or not password:
        raise Refused("bad_request", "Email and password are required")
    email, password = word(email, 1000), word(password, LONGEST_PASSWORD)
    if email is None or password is None:
        raise Refused("bad_request", "Invalid email or password format")
    try:
        email = normal_email(email)
    except ValueError:
        raise Refused("bad_request", "Invalid email format") from None
    remember = flag(given, "remember")
    if remember and public and not may_remember:
        raise Refused("remember_closed", "passwords are not kept here: log in without `remember`.")
    fingerprint = _fingerprint(given)
    if fingerprint is None and public:
        fingerprint = _device(request) or service.entry.new_fingerprint()
    most = MOST_SESSIONS if public else None
    return LogIn(email, password, fingerprint, remember, public=public, most=most)


def _fingerprint(given: dict[str, Any]) -> Fingerprint | None:
    if given.get("fingerprint") in (None, ""):
        return None
    try:
        return parse_fingerprint(given["fingerprint"])
    except ValueError:
        raise Refused("bad_request", "fingerprint must be 1 to 200 plain characters without spaces.") from None


def _device(request: AnyRequest) -> Fingerprint | None:
    """The fingerprint this browser got when it first logged in; only one that we made ourselves."""
    value = request.cookies.get(DEVICE_COOKIE, "")
    is_ours = len(value) == 2 * FINGERPRINT_BYTES and not set(value) - set("0123456789abcdef")
    return Fingerprint(value) if is_ours else None


def _device_cookie(fingerprint: Fingerprint, *, secure: bool) -> Cookie:
    seconds = int(DEVICE_LIFE.total_seconds())
    return Cookie(
        key=DEVICE_COOKIE, value=fingerprint, max_age=seconds, httponly=True, secure=secure, samesite="lax", path="/"
    )


async def _make_member(request: AnyRequest, service: Service, session: Session) -> tuple[Cookie, str]:
    """The cookie that makes a browser the member of *session*, and what its pages send along with writes."""
    value = await service.store.http.members.issue(session.id, MEMBER_LIFE)
    return member_cookie(value, secure=is_secure(request)), csrf_of(value)
