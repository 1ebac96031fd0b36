"""What an operator does to one session: adopt, rotate, check, end, revive, lend to bots."""

from typing import Any

from litestar import Response
from litestar.params import FromPath

from aimkeeper.core.begin import read_adoption
from aimkeeper.core.errors import AimkeeperError
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Session
from aimkeeper.engine.bots import USUAL_LIFETIME, read_lifetime
from aimkeeper.engine.passes import PATIENCE
from aimkeeper.engine.refresh import alive
from aimkeeper.service import Service, default_fingerprint
from aimkeeper.web import shapes
from aimkeeper.web.access import Caller, Role
from aimkeeper.web.bodies import flag, read_object, word
from aimkeeper.web.described import described, iso
from aimkeeper.web.errors import AnyRequest, Refused
from aimkeeper.web.given import GivenService
from aimkeeper.web.routes import delete, post
from aimkeeper.web.sessions import EXAMPLE, find
from aimkeeper.web.token_update import FINGERPRINT, TOKEN
from aimkeeper.web.told import told

# Of those who lend and revoke, for the record.
OVER_HTTP = "HTTP"
LONGEST_LIFETIME = 100  # characters
ONE = {"success": True, "session": EXAMPLE}
GIVEN = {
    "email": "ana@example.com",
    "fingerprint": FINGERPRINT,
    "token": TOKEN,
    "cookies": [{"name": "amhrdrauth", "value": "…"}],
    "ref": "member-17",
}


@post(
    "/api/sessions",
    summary="Take over a session made elsewhere",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        answer=shapes.OneSession,
        example=ONE,
        status=201,
        fails=(409,),
        body=shapes.Adopted,
        given=GIVEN,
    ),
)
async def adopt(request: AnyRequest, service: GivenService) -> Response[dict[str, Any]]:
    """
    It is kept from now on. `ref` is your own id of it, good wherever an id is asked for.

    A pair that is kept already is refused, unless `replace` is true.
    """
    given = await read_object(request)
    replacing = flag(given, "replace")
    given.pop("replace", None)
    try:
        adoption = read_adoption(given, default_fingerprint(service.settings))
    except ValueError as error:
        raise Refused("bad_request", f"{error}.") from None
    [fate] = await service.entry.adopt([adoption], replacing=replacing)
    if isinstance(fate, AimkeeperError):
        raise fate
    await note(service, request, "adopt", fate)
    return Response({"success": True, "session": described(fate)}, status_code=201)


@post(
    "/api/sessions/{session_id:str}/rotate",
    summary="Rotate a session now",
    **told(Role.OPERATOR, Role.PAGE, answer=shapes.OneSession, example=ONE, fails=(403, 404, 409, 410, 429, 502)),
)
async def rotate(request: AnyRequest, service: GivenService, session_id: FromPath[str]) -> Response[dict[str, Any]]:
    """Due or not. Whoever rotates it just now is waited for instead."""
    session = alive(await find(service, session_id))
    await note(service, request, "rotate", session)
    session = await service.refresher.refresh(session, forced=True, patience=PATIENCE)
    return Response({"success": True, "session": described(session)})


@post(
    "/api/sessions/{session_id:str}/check",
    summary="Ask AimHarder whether a session is really alive",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        answer=shapes.Checked,
        example={"success": True, "life": "alive"},
        fails=(404, 409, 410, 429),
    ),
)
async def check(service: GivenService, session_id: FromPath[str]) -> Response[dict[str, Any]]:
    """By its cookies, which spends nothing. `unclear`: AimHarder gave no answer that says."""
    session = alive(await find(service, session_id))
    await service.keeper.breaker.check_open(asked_by_operator=True)
    answer = await service.keeper.who_am_i(session)
    return Response({"success": True, "life": answer.life.value})


@delete(
    "/api/sessions/{session_id:str}",
    summary="End a session",
    **told(Role.OPERATOR, Role.PAGE, answer=shapes.OneSession, example=ONE, fails=(404, 409)),
)
async def end(request: AnyRequest, service: GivenService, session_id: FromPath[str]) -> Response[dict[str, Any]]:
    """Final, and here only: AimHarder is not told."""
    session = await find(service, session_id)
    await note(service, request, "end", session)
    ended = await service.entry.log_out(session)
    return Response({"success": True, "session": described(ended or session)})


@post(
    "/api/sessions/{session_id:str}/revive",
    summary="Undo an end",
    **told(Role.OPERATOR, Role.PAGE, answer=shapes.OneSession, example=ONE, fails=(404, 409, 410)),
)
async def revive(request: AnyRequest, service: GivenService, session_id: FromPath[str]) -> Response[dict[str, Any]]:
    """Until its secrets are wiped, unless its owner ended it. It is tried at once."""
    session = await find(service, session_id)
    revived = await service.verdicts.revive(session)
    await note(service, request, "revive", session)
    return Response({"success": True, "session": described(revived)})


@post(
    "/api/sessions/{session_id:str}/bearers",
    summary="Lend a session's credentials to a bot",
    **told(
        Role.OPERATOR,
        answer=shapes.Lent,
        example={"success": True, "bearer": "aimkeeper-bot-…", "expires_at": "2026-01-31T12:00:00.000Z"},
        status=201,
        fails=(404, 409, 410),
        body=shapes.Lifetime,
        given={"lifetime": USUAL_LIFETIME},
        optional=True,
    ),
)
async def lend(request: AnyRequest, service: GivenService, session_id: FromPath[str]) -> Response[dict[str, Any]]:
    """A bearer good for its credentials alone, for 1 minute to 365 days, 30 without a word. It is shown this once."""
    wanted = (await read_object(request, optional=True)).get("lifetime")
    try:
        lifetime = read_lifetime(USUAL_LIFETIME if wanted is None else word(wanted, LONGEST_LIFETIME) or "")
    except ValueError as error:
        raise Refused("bad_request", f"lifetime {error}.") from None
    lent = await service.bots.lend(await find(service, session_id), lifetime, by=OVER_HTTP)
    return Response({"success": True, "bearer": lent.bearer, "expires_at": iso(lent.until)}, status_code=201)


@delete(
    "/api/sessions/{session_id:str}/bearers",
    summary="Lend a session to no bot any more",
    **told(Role.OPERATOR, answer=shapes.Revoked, example={"success": True, "revoked": 1}, fails=(404, 409)),
)
async def revoke(service: GivenService, session_id: FromPath[str]) -> Response[dict[str, Any]]:
    """Every bearer of its bots opens nothing from now on; `revoked`: how many there were."""
    count = await service.bots.revoke(await find(service, session_id), by=OVER_HTTP)
    return Response({"success": True, "revoked": count})


async def note(service: Service, request: AnyRequest, act: str, session: Session | None = None) -> None:
    """Record what an operator does, and whether by key or in the page."""
    caller: Caller = request.user
    by = "page" if caller.role is Role.PAGE else "key"
    await service.audit.record(EventKind.OPERATOR_ACTED, session, act=act, by=by)
