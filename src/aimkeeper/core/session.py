"""The session: one upstream login we keep alive, and all that is known of it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from aimkeeper.core.cookies import Jar
from aimkeeper.core.frozen import value
from aimkeeper.core.outcome import Life
from aimkeeper.core.ring import NO_TURNS, RING_LENGTH, Ring, Turn
from aimkeeper.core.token import Fingerprint, Token

__all__ = ["RING_LENGTH", "Cause", "Handout", "Ring", "Secrets", "Session", "SessionKey", "Status", "Suspicion", "Turn"]


class Status(StrEnum):
    """Where a session stands."""

    ACTIVE = "active"
    IN_DOUBT = "in_doubt"  # it may have rotated without us hearing
    SUSPECTED = "suspected"  # a verdict is held back: too many came at once
    TOKEN_LOST = "token_lost"  # noqa: S105 (a name) - cookies live, token refused
    ENDED = "ended"


class Cause(StrEnum):
    """Why a session ended."""

    SERVER_ENDED = "server_ended"
    DOUBLE_SPENT = "double_spent"
    IDLE_TIMEOUT = "idle_timeout"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 (a name)
    LOGGED_OUT_HERE = "logged_out_here"
    SUPERSEDED_BY_LOGIN = "superseded_by_login"
    BAD_CREDENTIALS = "bad_credentials"
    FORGOTTEN = "forgotten"
    UNKNOWN = "unknown"


class SessionKey(NamedTuple):
    """What names a session for people: one login of one account on one device."""

    email: str
    fingerprint: Fingerprint

    def __str__(self) -> str:
        return f"{self.email}#{self.fingerprint}"


def split_key(text: str) -> tuple[str, str]:
    """E-mail, and the fingerprint after the `#`, if there is one. A `#` before the `@` belongs to the e-mail."""
    place = text.find("#", text.find("@") + 1)
    return (text.strip(), "") if place < 0 else (text[:place].strip(), text[place + 1 :].strip())


def normal_email(text: str) -> str:
    """
    Trimmed and in lower case, as all e-mails are stored and compared.

    Raises:
        ValueError: It is no e-mail address: nothing, spaces inside, or no `@` between two parts.
    """
    email = text.strip().lower()
    name, at, host = email.rpartition("@")
    if not (name and at and host) or len(email) > 255 or not email.isprintable() or " " in email:  # noqa: PLR2004 (VARCHAR(255))
        raise ValueError("not an e-mail address")
    return email


class Handout(NamedTuple):
    """
    A token that a caller was given, or gave us, by its digest.

    Attributes:
        digest: SHA-256 of the token.
        at: When it was first handed out, seconds since 1970.
        presented: Whether a caller has come back with it.
    """

    digest: bytes
    at: float
    presented: bool = False


@value(frozen=True, slots=True)
class Secrets:
    """
    What is sealed: open it and you are the member.

    Attributes:
        token: None once wiped.
        password: Only where the member asked for it to be remembered.
        handouts: The last tokens callers were given, oldest first, at most `MAX_HANDOUTS`.
    """

    token: Token | None = field(repr=False)
    jar: Jar = field(repr=False, default=Jar())
    password: str | None = field(repr=False, default=None)
    handouts: tuple[Handout, ...] = field(repr=False, default=())


@dataclass(frozen=True, slots=True)
class Suspicion:
    """
    How far the ladder has been climbed since the first logout answer.

    Attributes:
        first_at: The first logout for the present token.
        run_at: The first one of this run up the ladder: a verdict that is held back is tried from the start.
        logouts: How many logouts this run has had; 0 = it is yet to begin.
        life: What whoami said; None while it was not asked.
        spares_tried: Whether every spare was refused too.
    """

    first_at: datetime
    run_at: datetime
    logouts: int = 1
    life: Life | None = None
    spares_tried: bool = False


@value(frozen=True, kw_only=True)
class Session:
    """
    One session as the store holds it. Without slots: `altered` copies it in one go (docs/decisions/0029).

    Attributes:
        id: A UUID, for ever.
        ref: The platform's own user id, where it gave one.
        generation: How many tokens were committed; the compare-and-swap guard.
        revision: How often the row was written by us; tells whether it moved since it was read.
        rotated_at: When the present token was received.
        due_at: When to rotate next, jitter already spent; None when nothing is to be done.
        deadline_at: `rotated_at` + idle timeout: when the upstream is believed to forget it.
        attempt: Failures since the last rotation; 0 = none.
        doubt_at: When the first unanswered spend of the present token was settled; None without one.
        alive_at: When whoami last recognised the cookies; None when it never did.
        setrefresh_due: Whether the setrefresh after the last login is still owed.
        settled_in: Whether it was rotated here at least once since it was adopted.
        spares: How many tokens are put aside for it.
        owner: The process that holds it now.
    """

    id: str
    email: str
    fingerprint: Fingerprint
    secrets: Secrets = field(repr=False)
    session_type: str | None = None
    ref: str | None = None
    status: Status = Status.ACTIVE
    cause: Cause | None = None
    generation: int = 1
    revision: int = 1
    created_at: datetime
    rotated_at: datetime
    due_at: datetime | None
    deadline_at: datetime
    ended_at: datetime | None = None
    wipe_at: datetime | None = None
    attempt: int = 0
    last_error: str | None = None
    doubt_at: datetime | None = None
    suspicion: Suspicion | None = None
    alive_at: datetime | None = None
    setrefresh_due: bool = False
    setrefresh_at: datetime | None = None
    setrefresh_count: int = 0
    setrefresh_error: str | None = None
    rotations: int = 0
    settled_in: bool = False
    spares: int = 0
    ring: Ring = NO_TURNS
    owner: str | None = None

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.email, self.fingerprint)

    @property
    def token(self) -> Token:
        """
        The present token.

        Raises:
            ValueError: It is wiped.
        """
        if self.secrets.token is None:
            raise ValueError("the session's secrets are wiped")
        return self.secrets.token

    @property
    def jar(self) -> Jar:
        return self.secrets.jar

    @property
    def account_key(self) -> str:
        return self.secrets.token.account_key if self.secrets.token else ""
