"""What the upstream did: closed unions of values, one for each kind of question."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from aimkeeper.core.cookies import NO_CHANGE, CookieDelta
from aimkeeper.core.frozen import value
from aimkeeper.core.token import Token

# Longer than this no site means a Retry-After; a mad value must not put a session to sleep for ever.
LONGEST_RETRY_AFTER = timedelta(hours=1)


class Reason(StrEnum):
    """Why an exchange brought no new token; stable words, they stand in histories and metrics."""

    UNREACHABLE = "unreachable"  # the connection was never made: nothing was sent
    RATE_LIMITED = "rate_limited"  # a whole 429
    FORBIDDEN = "forbidden"  # a whole 403: this machine's address is refused
    REJECTED = "rejected"  # another whole 4xx
    BROKEN_OFF = "broken_off"  # sent, and the connection broke before a whole answer
    TIMED_OUT = "timed_out"  # sent, and no whole answer in time
    SERVER_ERROR = "server_error"  # a 5xx, or a status that means nothing here
    OVERLOADED = "overloaded"  # a 503
    UNREADABLE = "unreadable"  # a whole answer that is not what was asked for
    TOO_LARGE = "too_large"  # more than 1 MiB
    STRANGE_TOKEN = "strange_token"  # noqa: S105 (a name) - a token, but another account's
    HOLDER_DIED = "holder_died"  # the process that sent it died before it could say


@value(frozen=True, slots=True)
class Rotated:
    """
    The old token is spent, here is its successor.

    Attributes:
        fingerprint: The one the answer names, where it names one (setrefresh only).
    """

    token: Token
    cookies: CookieDelta = NO_CHANGE
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """A parsed logout: a suspicion, not yet an end."""

    cookies: CookieDelta = NO_CHANGE


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not spent: never sent, or turned away whole."""

    reason: Reason
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The request left and no whole answer came: the token may have rotated."""

    reason: Reason
    retry_after: timedelta | None = None


Outcome = Rotated | LoggedOut | Refused | InDoubt


class Life(StrEnum):
    """What whoami says about the cookies."""

    ALIVE = "alive"
    DEAD = "dead"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """
    An answer of whoami.

    Attributes:
        user_id, name: Who the cookies belong to; None unless alive.
    """

    life: Life
    user_id: int | None = None
    name: str | None = None
    cookies: CookieDelta = NO_CHANGE
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A good login: the first token of a session and its cookies."""

    token: Token
    cookies: CookieDelta
    user_id: int | None = None
    name: str | None = None


class LoginProblem(StrEnum):
    """Why a login brought nothing."""

    BAD_CREDENTIALS = "bad_credentials"
    LOCKED_OUT = "locked_out"
    FORBIDDEN = "forbidden"
    UNAVAILABLE = "unavailable"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """
    No login.

    Attributes:
        retry_after: How long to wait where that is known, for `LOCKED_OUT` and `UNAVAILABLE`.
    """

    problem: LoginProblem
    reason: Reason | None = None
    retry_after: timedelta | None = None


LoginAnswer = LoggedIn | LoginRefused


@value(frozen=True, slots=True)
class Reply:
    """
    A whole HTTP answer, as bytes.

    Attributes:
        host: The host that answered, lower case, without a port.
        set_cookies: Each `Set-Cookie` header's value, in order.
        retry_after: The `Retry-After` header as it came.
    """

    status: int
    host: str
    body: bytes = field(repr=False)
    set_cookies: tuple[str, ...] = field(repr=False, default=())
    retry_after: str | None = None
    date: str | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class NoReply:
    """No whole answer: `UNREACHABLE` (proven never sent), `BROKEN_OFF`, `TIMED_OUT` or `TOO_LARGE`."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """
    What of one exchange may be shown to people: no secret is in it.

    Attributes:
        via: As `Turn.via`; or `login_door`, the front page of the login's host.
        at: When the answer was there, by our clock.
        took: From asking to the end of the answer.
        status: None without a whole answer; *reason* then says why.
        date: What the upstream's clock said, in whole seconds.
        content_type: Without its parameters.
        cookies: Names of those it set.
    """

    via: str
    at: datetime
    took: timedelta
    status: int | None = None
    reason: Reason | None = None
    date: datetime | None = None
    content_type: str | None = None
    cookies: tuple[str, ...] = ()

    @property
    def clock_ahead(self) -> timedelta | None:
        """How far our clock is ahead of the upstream's, to within a second and half the exchange; None = not told."""
        if self.date is None:
            return None
        # A date has no fraction: on average half a second more has passed.
        return self.at - self.took / 2 - (self.date + timedelta(milliseconds=500))
