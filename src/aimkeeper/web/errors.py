"""Errors as answers: `{"success": false, "error": "<sentence>", "code": "<stable_code>"}`; no stack, no secret."""

import math
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from aimkeeper.core import errors
from aimkeeper.web.access import Forbidden

# The nearest ancestor in this table decides.
STATUS: dict[type[errors.AimkeeperError], int] = {
    errors.AimkeeperError: 500,
    errors.ConfigError: 400,
    errors.UnknownSession: 404,
    errors.AmbiguousSession: 409,
    errors.AlreadyKept: 409,
    errors.SessionEnded: 410,
    errors.HolderConflict: 409,
    errors.BadCredentials: 401,
    errors.LockedOut: 429,
    errors.RateLimited: 429,
    errors.UpstreamRefused: 403,
    errors.UpstreamUnavailable: 503,
    errors.StoreUnavailable: 503,
    errors.ProtocolChanged: 502,
    errors.Superseded: 503,
}
STORE_RETRY_SECONDS = 5

AnyRequest = Request[Any, Any, Any]


def status_of(error: errors.AimkeeperError) -> int:
    """The HTTP status of *error*."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def answer(status: int, code: str, sentence: str, headers: dict[str, str] | None = None) -> Response[dict[str, object]]:
    """An error as JSON."""
    body: dict[str, object] = {"success": False, "error": sentence, "code": code}
    return Response(body, status_code=status, media_type=MediaType.JSON, headers=headers)


def on_ours(_: AnyRequest, error: errors.AimkeeperError) -> Response[dict[str, object]]:
    headers = {}
    if isinstance(error, errors.UpstreamUnavailable | errors.LockedOut):
        headers["retry-after"] = str(max(math.ceil(error.retry_after.total_seconds()), 1))
    elif isinstance(error, errors.StoreUnavailable):
        headers["retry-after"] = str(STORE_RETRY_SECONDS)
    return answer(status_of(error), error.code, str(error), headers)


def on_forbidden(_: AnyRequest, error: Forbidden) -> Response[dict[str, object]]:
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}  # noqa: PLR2004 (HTTP)
    return answer(error.status, error.code, str(error), headers)


def on_http(request: AnyRequest, error: HTTPException) -> Response[dict[str, object]]:
    codes = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "bad_request"}
    sentences = {
        404: "there is nothing at this address: /docs lists what there is.",
        405: f"this address does not take {request.method}: /docs lists what it takes.",
        413: "the request's body is too large.",
    }
    code = codes.get(error.status_code, "error")
    sentence = sentences.get(error.status_code) or _what_makes_no_sense(error)
    return answer(error.status_code, code, sentence, dict(error.headers or {}))


def _what_makes_no_sense(error: HTTPException) -> str:
    """Names the parameters, never their values."""
    told = error.extra if isinstance(error.extra, list) else []
    names = [str(part["key"]) for part in told if isinstance(part, dict) and part.get("key")]
    return f"{' and '.join(names) or 'the request'} makes no sense here: /docs says what is asked for."


def on_fault(request: AnyRequest, error: Exception) -> Response[dict[str, object]]:
    for hear in request.app.state.service.keeper.hearers.faults:
        hear(error)
    return answer(500, "fault", "something went wrong inside aimkeeper; its log says where.")
