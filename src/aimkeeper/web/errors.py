"""Errors as answers: `{"success": false, "error": "<sentence>", "code": "<stable_code>"}`; no stack, no secret."""

import math
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from aimkeeper.core import errors

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
# What only HTTP knows.
CODES = {
    "bad_request": 400,
    "bad_host": 400,
    "unauthorized": 401,
    "csrf": 403,
    "forbidden": 403,
    "login_closed": 403,
    "remember_closed": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_slow": 408,
    "too_large": 413,
    "address_too_long": 414,
    "not_json": 415,
    "too_many_requests": 429,
    "too_many_attempts": 429,
    "head_too_large": 431,
    "fault": 500,
    "no_operator_key": 503,
    "too_many_streams": 503,
}
STORE_RETRY_SECONDS = 5

AnyRequest = Request[Any, Any, Any]
Answer = Response[dict[str, Any]]


class Refused(Exception):
    """
    The request is turned away.

    Args:
        code: One of `CODES`, or of an `AimkeeperError`.
        sentence: For people; it holds no secret.
        retry_after: When it may be tried again, in seconds.
        fields: More for programs, beside `error` and `code`.
    """

    def __init__(self, code: str, sentence: str, *, retry_after: float | None = None, **fields: object) -> None:
        super().__init__(sentence)
        self.code = code
        self.retry_after = retry_after
        self.fields = fields


def status_of(error: errors.AimkeeperError) -> int:
    """The HTTP status of *error*."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def answer(status: int, code: str, sentence: str, headers: dict[str, str] | None = None, **fields: object) -> Answer:
    """An error as JSON."""
    body: dict[str, object] = {"success": False, "error": sentence, "code": code, **fields}
    return Response(body, status_code=status, media_type=MediaType.JSON, headers=headers)


def wait_header(seconds: float) -> dict[str, str]:
    """`Retry-After`, at least a second."""
    return {"retry-after": str(max(math.ceil(seconds), 1))}


def minutes(seconds: float) -> int:
    """As people are told, and the original feature's front end: whole minutes, at least one."""
    return max(math.ceil(seconds / 60), 1)


def on_ours(_: AnyRequest, error: errors.AimkeeperError) -> Answer:
    headers: dict[str, str] = {}
    fields: dict[str, object] = {}
    if isinstance(error, errors.UpstreamUnavailable | errors.LockedOut):
        headers = wait_header(error.retry_after.total_seconds())
    elif isinstance(error, errors.StoreUnavailable | errors.Superseded):
        headers = wait_header(STORE_RETRY_SECONDS)
    if isinstance(error, errors.LockedOut):
        fields = {"rateLimited": True, "minutesRemaining": minutes(error.retry_after.total_seconds())}
    return answer(status_of(error), error.code, str(error), headers, **fields)


def on_refused(_: AnyRequest, error: Refused) -> Answer:
    status = CODES.get(error.code) or next(STATUS[kind] for kind in STATUS if kind.code == error.code)
    headers = {"www-authenticate": "Bearer"} if error.code == "unauthorized" else {}
    if error.retry_after is not None:
        headers = wait_header(error.retry_after)
    return answer(status, error.code, str(error), headers, **error.fields)


def on_http(request: AnyRequest, error: HTTPException) -> Answer:
    codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
    sentences = {
        404: "there is nothing at this address: /docs lists what there is.",
        405: f"this address does not take {request.method}: /docs lists what it takes.",
        413: "the request's body is too large.",
    }
    code = codes.get(error.status_code, "bad_request")
    sentence = sentences.get(error.status_code) or _what_makes_no_sense(error)
    return answer(error.status_code, code, sentence, dict(error.headers or {}))


def _what_makes_no_sense(error: HTTPException) -> str:
    """Names the parameters, never their values."""
    told = error.extra if isinstance(error.extra, list) else []
    names = [str(part["key"]) for part in told if isinstance(part, dict) and part.get("key")]
    return f"{' and '.join(names) or 'the request'} makes no sense here: /docs says what is asked for."


def on_fault(request: AnyRequest, error: Exception) -> Answer:
    request.app.state.service.keeper.hearers.tell_fault(error)
    return answer(500, "fault", "something went wrong inside aimkeeper; its log says where.")
