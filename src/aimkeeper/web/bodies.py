"""Bodies that callers send: read strictly, so that no two readers can see two different things in one."""

import json
from typing import Any

from aimkeeper.web.errors import AnyRequest, Refused

MAX_BODY = 64 * 1024


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_such_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_such_number)


def parse_object(body: bytes) -> dict[str, Any] | None:
    """The object that *body* is as JSON; None when it is anything else, or names something twice."""
    try:
        found = _decoder.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


async def read_object(request: AnyRequest, *, optional: bool = False) -> dict[str, Any]:
    """
    The JSON object a caller sent; an empty one when he sent nothing and that is enough.

    Only `application/json`: no form of another site's page can send that without being asked about first.

    Raises:
        Refused: It is something else.
    """
    body = await request.body()
    if optional and not body:
        return {}
    if "application/json" not in request.headers.get("content-type", "").lower():
        raise Refused("not_json", "send the body as JSON, with the content type application/json.")
    found = parse_object(body)
    if found is None:
        raise Refused("bad_request", "the body must be one JSON object that names nothing twice.")
    return found


def word(value: object, longest: int) -> str | None:
    """*value* if it is a text that can be written and sent, of at most so many characters; else None."""
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        return None
    return None if any("\ud800" <= char <= "\udfff" or char == "\0" for char in value) else value


def flag(given: dict[str, Any], name: str) -> bool:
    """
    A yes or no.

    Raises:
        Refused: It is neither.
    """
    value = given.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Refused("bad_request", f"{name} must be true or false.")
