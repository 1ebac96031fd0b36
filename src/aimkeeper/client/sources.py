"""Where a program's credentials come from: the store on this machine, or a service that answers over HTTP."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from aimkeeper.client.credentials import Credentials
from aimkeeper.core import errors
from aimkeeper.core.cookies import Cookie
from aimkeeper.core.session import Session, normal_email, split_key
from aimkeeper.core.values import is_here, say_duration, web_address
from aimkeeper.service import Service, open_service
from aimkeeper.settings import Settings, load

# The service itself waits up to 25 s for AimHarder, and some more for its commit.
ANSWER_SECONDS = 45.0
# An address that ends so is one session's own: `aimkeeper lend` and `aimkeeper exec` give such ones to bots.
OWN_ADDRESS = "/credentials"
UNAUTHORIZED, FORBIDDEN, TOO_MANY = 401, 403, 429


class LocalStore:
    """
    The store on this machine. It is opened for each question: between two, nothing of it is held.

    Args:
        settings: None = read as the command line reads them, when first asked.
    """

    def __init__(self, who: str, settings: Settings | None = None) -> None:
        self._who = who
        self._settings = settings

    def fetch(self, min_slack: timedelta, *, renews: bool) -> Credentials:
        return asyncio.run(self._ask(min_slack, renews=renews))

    async def _ask(self, min_slack: timedelta, *, renews: bool) -> Credentials:
        if self._settings is None:
            self._settings = load().settings
        async with open_service(self._settings, name="client") as service:
            session = await service.find(self._who)
            # As much as a rotation gives: nothing but a new one has that.
            slack = service.policy.idle_timeout if renews else min_slack
            session = await service.refresher.credentials(session, min_slack=slack, reader="KeptAuth")
            return _of_session(service, session)


class Served:
    """
    A service that answers over HTTP.

    Args:
        who: As on the command line; not looked at by an address that is one session's own, which has but that one.
        url: The service's address, or one that ends in `/credentials`: one session's own.
        key: The operator's, or the bearer that goes with a session's own address.

    Raises:
        ConfigError: The address or the key makes no sense.
    """

    def __init__(self, who: str, url: str, key: str | None) -> None:
        try:
            self._url = web_address(url)
        except ValueError as error:
            raise errors.ConfigError(f"url {error}.") from None
        if not key or not key.isascii() or not key.isprintable():
            raise errors.ConfigError(
                "key must be the bearer that opens url: the operator's, or AIMKEEPER_CREDENTIALS_BEARER of `lend` or "
                "`exec`."
            )
        self._who = who.strip()
        self._headers = {"authorization": f"Bearer {key}"}
        self._place = self._url if self._url.endswith(OWN_ADDRESS) else ""
        self._life: timedelta | None = None

    def fetch(self, min_slack: timedelta, *, renews: bool) -> Credentials:
        # As much as a rotation gave the last time: nothing but a new one has that.
        slack = self._life if renews and self._life else min_slack
        # A proxy for AimHarder's sake is none for a service on this machine.
        with httpx.Client(headers=self._headers, timeout=ANSWER_SECONDS, trust_env=not is_here(self._url)) as http:
            if not self._place:
                self._place = f"{self._url}/api/sessions/{quote(self._find(http), safe='')}/credentials"
            answer = self._get(http, self._place, {"min_slack": say_duration(slack)})
        try:
            credentials = _of_json(answer)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise errors.ConfigError(f"{self._url} does not answer as aimkeeper does: check the address.") from None
        self._check(credentials)
        self._life = credentials.deadline_at - credentials.rotated_at
        return credentials

    def _find(self, http: httpx.Client) -> str:
        """The session's id. An e-mail opens nothing over HTTP, so it is looked up first."""
        if "@" not in self._who:
            return self._who
        name, fingerprint = split_key(self._who)
        email = name.lower()
        told = self._get(http, f"{self._url}/api/sessions", {"q": email}).get("sessions", [])
        found = [one for one in told if one["email"] == email and fingerprint in ("", one["fingerprint"])]
        if not found:
            raise errors.UnknownSession(f"no session answers to {self._who!r} at {self._url}.")
        if len(found) > 1:
            names = tuple(f"{one['email']}#{one['fingerprint']}" for one in found)
            raise errors.AmbiguousSession(
                f"{self._who} has {len(found)} sessions: say which, as {' or '.join(names)}.", candidates=names
            )
        return str(found[0]["id"])

    def _get(self, http: httpx.Client, address: str, asked: dict[str, str]) -> dict[str, Any]:
        try:
            answer = http.get(address, params=asked)
        except httpx.HTTPError as error:
            raise errors.StoreUnavailable(f"aimkeeper at {self._url} can't be reached: {_why(error)}.") from None
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            told = {}
        if not answer.is_success:
            raise _refusal(answer, told, self._url)
        return told

    def _check(self, credentials: Credentials) -> None:
        """Another member's credentials would book in another member's name."""
        email, fingerprint = split_key(self._who)
        strange = "@" in self._who and email.lower() != credentials.email
        if strange or (fingerprint and fingerprint != credentials.fingerprint):
            raise errors.UnknownSession(f"{self._url} gives the credentials of another session than {self._who!r}.")


def _of_session(service: Service, session: Session) -> Credentials:
    now = service.store.now()
    return Credentials(
        email=session.email,
        fingerprint=session.fingerprint,
        token=session.token.text,
        cookies=_alive(session.jar.cookies, now),
        over_tls_only=service.upstream.site.base_url.startswith("https:"),
        rotated_at=session.rotated_at,
        deadline_at=session.deadline_at,
        slack=session.deadline_at - now,
    )


def _of_json(told: dict[str, Any]) -> Credentials:
    rotated_at, deadline_at = (_moment(told[name]) for name in ("rotatedAt", "deadlineAt"))
    slack = timedelta(seconds=float(told["slackSeconds"]))
    cookies = tuple(
        Cookie(
            str(one["name"]),
            str(one["value"]),
            str(one["domain"]).lstrip(".").lower(),
            bool(one["hostOnly"]),
            _moment(one["expiresAt"]) if one.get("expiresAt") else None,
        )
        for one in told["cookies"]
    )
    return Credentials(
        email=normal_email(told["email"]),
        fingerprint=str(told["fingerprint"]),
        token=str(told["token"]),
        cookies=_alive(cookies, deadline_at - slack),
        over_tls_only=any(one.get("secure") for one in told["cookies"]),
        rotated_at=rotated_at,
        deadline_at=deadline_at,
        slack=slack,
    )


def _alive(cookies: tuple[Cookie, ...], now: datetime) -> tuple[Cookie, ...]:
    return tuple(cookie for cookie in cookies if cookie.expires_at is None or cookie.expires_at > now)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _why(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    # Its text may name addresses only; no header, so no key.
    return str(error).rstrip(".") or type(error).__name__


def _refusal(answer: httpx.Response, told: dict[str, Any], url: str) -> errors.AimkeeperError:
    """What the service says, as the same error it had itself."""
    sentence = str(told.get("error") or f"aimkeeper at {url} answers {answer.status_code}: check the address.")
    after = answer.headers.get("retry-after", "")
    wait = timedelta(seconds=int(after) if after.isascii() and after.isdigit() and len(after) < 6 else 5)  # noqa: PLR2004 (up to a day)
    known: dict[str, Callable[[], errors.AimkeeperError]] = {
        "session_ended": lambda: errors.SessionEnded(sentence, cause=told.get("cause")),
        "unknown_session": lambda: errors.UnknownSession(sentence),
        "ambiguous_session": lambda: errors.AmbiguousSession(
            sentence, candidates=tuple(map(str, told.get("candidates", ())))
        ),
        "paused": lambda: errors.Paused(sentence, retry_after=wait),
        "rate_limited": lambda: errors.RateLimited(sentence, retry_after=wait),
        "upstream_refused": lambda: errors.UpstreamRefused(sentence),
        "store_unavailable": lambda: errors.StoreUnavailable(sentence),
        "protocol_changed": lambda: errors.ProtocolChanged(sentence),
    }
    if same := known.get(str(told.get("code"))):
        return same()
    if answer.status_code in (UNAUTHORIZED, FORBIDDEN):
        return errors.ConfigError(f"{url} does not take this key: {sentence}")
    if told.get("code") != "no_operator_key" and (answer.is_server_error or answer.status_code == TOO_MANY):
        return errors.UpstreamUnavailable(sentence, retry_after=wait)
    return errors.ConfigError(sentence)
