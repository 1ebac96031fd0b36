"""Sessions as lists, without secrets."""

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import FromQuery, QueryParameter

from aimkeeper.core.session import SessionKey, Status
from aimkeeper.core.token import Fingerprint
from aimkeeper.web.access import operator_or_page
from aimkeeper.web.described import described
from aimkeeper.web.errors import answer
from aimkeeper.web.given import GivenService

PAGE = 100


@get("/api/sessions", guards=[operator_or_page], summary="List sessions")
async def list_sessions(
    service: GivenService,
    status: FromQuery[str] = "",
    after: FromQuery[str] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = PAGE,
) -> Response[dict[str, Any]]:
    """A keyset page by e-mail and fingerprint; `next` is the `after` of the page that follows."""
    if status and status not in list(Status):
        return answer(400, "bad_request", f"status must be one of {', '.join(Status)}.")
    email, _, fingerprint = after.partition("#")
    place = SessionKey(email, Fingerprint(fingerprint)) if after else None
    sessions = await service.store.page(place, limit, Status(status) if status else None)
    following = str(sessions[-1].key) if len(sessions) == limit else None
    return Response({"success": True, "sessions": [described(session) for session in sessions], "next": following})
