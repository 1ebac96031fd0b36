"""How a channel is told: what may come of it, when to try again, and how a webhook is signed."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

# After the first failed try it waits for the first of these, then longer and longer, up to the last.
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300, 900))
# However long somebody asks us to wait.
LONGEST_WAIT = timedelta(hours=1)

_SECRET_MARK = "whsec_"  # noqa: S105 (what a secret may begin with)
_OK, _MOVED, _REFUSED, _FAILED, _TOO_MANY = 200, 300, 400, 500, 429


class Problem(StrEnum):
    """Why a channel was not told."""

    UNREACHABLE = "unreachable"  # no connection, or it broke before an answer
    TIMED_OUT = "timed_out"
    MOVED = "moved"  # it answered with another address, which is not followed
    REFUSED = "refused"  # 4xx: it does not want this, or the address is wrong
    RATE_LIMITED = "rate_limited"  # 429
    SERVER_ERROR = "server_error"  # 5xx
    NOT_DELIVERED = "not_delivered"  # Apprise could not; it tells no more


@dataclass(frozen=True, slots=True)
class Told:
    """
    What came of telling.

    Attributes:
        problem: None = the channel has it.
        retry_after: How long it asked us to wait.
    """

    problem: Problem | None = None
    retry_after: timedelta | None = None


def read_answer(status: int, retry_after: str | None) -> Told:
    """What an HTTP answer says of it."""
    if _OK <= status < _MOVED:
        return Told()
    wait = _seconds(retry_after)
    if status == _TOO_MANY:
        return Told(Problem.RATE_LIMITED, wait)
    if status >= _FAILED:
        return Told(Problem.SERVER_ERROR, wait)
    return Told(Problem.REFUSED if status >= _REFUSED else Problem.MOVED)


def next_try_in(attempt: int, told: Told) -> timedelta:
    """How long to wait after *attempt* failed tries; the first is 1."""
    own = WAITS[min(attempt, len(WAITS)) - 1]
    return max(own, min(told.retry_after or own, LONGEST_WAIT))


def sign(secret: str, message_id: str, sent_at: int, body: bytes) -> str:
    """
    The signature of a webhook, as the Standard Webhooks have it.

    Args:
        secret: Any text; after `whsec_`, base64 of the key.
        message_id: The same for each try of one message.
        sent_at: Seconds since 1970.
        body: As it is sent.
    """
    signed = b".".join((message_id.encode(), str(sent_at).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith(_SECRET_MARK):
        try:
            return base64.b64decode(secret.removeprefix(_SECRET_MARK), validate=True)
        except (binascii.Error, ValueError):
            pass
    return secret.encode()


def _seconds(text: str | None) -> timedelta | None:
    # Discord writes fractions.
    if text is None or not text.replace(".", "", 1).isdecimal() or len(text) > 9:  # noqa: PLR2004 (thirty years)
        return None
    return timedelta(seconds=float(text))
