"""How a session begins: by a login, or by adoption of one made elsewhere."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aimkeeper.core.cookies import AUTH_COOKIE, Cookie, CookieDelta, Jar, is_name, is_value
from aimkeeper.core.outcome import LoggedIn
from aimkeeper.core.policy import Policy
from aimkeeper.core.session import Handout, Ring, Secrets, Session, SessionKey, Turn, normal_email
from aimkeeper.core.token import Fingerprint, Token, parse_fingerprint

MAX_LINE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """
    A session made elsewhere, as its holder describes it.

    Attributes:
        cookies: (name, value, domain) each; no domain = the base host.
        ref: The platform's own user id.
    """

    email: str
    fingerprint: Fingerprint
    token: Token
    cookies: tuple[tuple[str, str, str | None], ...] = field(default=(), repr=False)
    session_type: str | None = None
    ref: str | None = None

    @property
    def key(self) -> SessionKey:
        return SessionKey(self.email, self.fingerprint)

    def jar(self, base_host: str) -> Jar:
        """The cookies where a browser would hold them: `amhrdrauth` for the base host and those below it."""
        stored = tuple(
            Cookie(name, value, (domain or base_host).lstrip(".").lower(), domain is None and name != AUTH_COOKIE)
            for name, value, domain in self.cookies
        )
        return Jar().merge(CookieDelta(stored))


def read_adoption(record: object, default_fingerprint: Fingerprint | None = None) -> Adoption:
    """
    Check one record: `{"email", "fingerprint", "token", "cookies": [{"name", "value"}], "session_type", "ref"}`.

    Raises:
        ValueError: What is wrong with it; no value is repeated.
    """
    if not isinstance(record, Mapping):
        raise ValueError("not an object")  # noqa: TRY004 (one kind of error for bad input)
    unknown = set(record) - {"email", "fingerprint", "token", "cookies", "session_type", "ref"}
    if unknown:
        raise ValueError(f"unknown field {min(map(str, unknown))!r}")
    for name in ("email", "token"):
        given = record.get(name)
        if given is None or given == "":
            raise ValueError(f"{name!r} is missing")
        if not isinstance(given, str):
            raise ValueError(f"{name!r} must be text")  # noqa: TRY004 (as above)
    fingerprint = record.get("fingerprint")
    if fingerprint is None or fingerprint == "":
        fingerprint = default_fingerprint
    if fingerprint is None:
        raise ValueError("'fingerprint' is missing, and AIMHARDER_FINGERPRINT is not set")
    return Adoption(
        email=normal_email(record["email"]),
        fingerprint=parse_fingerprint(fingerprint),
        token=Token.parse(record["token"]),
        cookies=_cookies(record.get("cookies")),
        session_type=_word(record, "session_type"),
        ref=_word(record, "ref"),
    )


def read_adoption_line(line: str, default_fingerprint: Fingerprint | None = None) -> Adoption:
    """
    Check one line of a JSON Lines file.

    Raises:
        ValueError: What is wrong with it.
    """
    if len(line) > MAX_LINE:
        raise ValueError("longer than 64 KiB")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    return read_adoption(record, default_fingerprint)


def logged_in(  # a login is made of this much
    session_id: str,
    key: SessionKey,
    answer: LoggedIn,
    policy: Policy,
    now: datetime,
    *,
    password: str | None = None,
    session_type: str | None = None,
) -> Session:
    """The session a good login brings: its setrefresh is still owed, and due at once."""
    return Session(
        id=session_id,
        email=key.email,
        fingerprint=key.fingerprint,
        secrets=Secrets(answer.token, Jar().merge(answer.cookies), password),
        session_type=session_type,
        created_at=now,
        rotated_at=now,
        due_at=now,
        deadline_at=now + policy.idle_timeout,
        setrefresh_due=True,
        settled_in=True,
        ring=Ring((Turn(now.timestamp(), "rotated", "login", 0, -1, answer.token.mark()),)),
    )


def adopted(
    session_id: str, adoption: Adoption, base_host: str, policy: Policy, now: datetime, *, delay: timedelta
) -> Session:
    """
    The session an adoption brings.

    Args:
        session_id: For the new row.
        adoption: What was given.
        base_host: Of the upstream.
        policy: For the deadline, which counts from now: nobody knows when the token was made to the minute.
        now: The moment of adoption; aware.
        delay: How long its first rotation may wait, so that a fleet adopted at once spreads out.
    """
    # Whoever gave it to us holds it too, and may come back with it.
    handout = Handout(adoption.token.digest(), now.timestamp())
    return Session(
        id=session_id,
        email=adoption.email,
        fingerprint=adoption.fingerprint,
        secrets=Secrets(adoption.token, adoption.jar(base_host), handouts=(handout,)),
        session_type=adoption.session_type,
        ref=adoption.ref,
        created_at=now,
        rotated_at=now,
        due_at=now + delay,
        deadline_at=now + policy.idle_timeout,
        ring=Ring((Turn(now.timestamp(), "rotated", "adopt", 0, -1, adoption.token.mark()),)),
    )


def _cookies(given: object) -> tuple[tuple[str, str, str | None], ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise ValueError("'cookies' is not a list")  # noqa: TRY004 (one kind of error for bad input)
    return tuple(_cookie(cookie) for cookie in given)


def _cookie(given: Any) -> tuple[str, str, str | None]:
    name, value = (given.get("name"), given.get("value")) if isinstance(given, Mapping) else (None, None)
    if not isinstance(name, str) or not name or not isinstance(value, str):
        raise ValueError("a cookie needs 'name' and 'value'")
    if not is_name(name) or not is_value(value):
        raise ValueError("a cookie's name or value is too long, or holds a character that can't be sent")
    domain = given.get("domain")
    return name, value, domain if isinstance(domain, str) and domain else None


def _word(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():  # noqa: PLR2004 (a name, not a text)
        raise ValueError(f"{name!r} is not a short text")
    return value
