"""
AimHarder's protocol: requests to send and what their answers mean. Bytes in, values out, no I/O.

Source for every fact: docs/upstream.md, under the heading named in each docstring.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html import unescape
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import msgspec

from aimkeeper.core.cookies import AUTH_COOKIE, CookieDelta, Jar, read_set_cookies, rescope
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.outcome import (
    InDoubt,
    Life,
    LoggedIn,
    LoggedOut,
    LoginAnswer,
    LoginProblem,
    LoginRefused,
    NoReply,
    Outcome,
    Reason,
    Refused,
    Reply,
    Rotated,
    WhoAmI,
)
from aimkeeper.core.token import Fingerprint, Token, parse_fingerprint

FORM = "application/x-www-form-urlencoded"
OK, FORBIDDEN, TOO_MANY = 200, 403, 429

# Longer than this no site means a Retry-After; a mad value must not put a session to sleep for ever.
LONGEST_RETRY_AFTER = timedelta(hours=1)

_STORED_TOKEN = re.compile(rb"""localStorage\.setItem\(\s*["']refreshToken["']\s*,\s*["']([^"']{1,1024})["']""")
_STORED_FINGERPRINT = re.compile(rb"""localStorage\.setItem\(\s*["']fingerprint["']\s*,\s*["']([^"']{1,200})["']""")
_IFRAME = re.compile(rb"""<iframe[^>]{0,200}\ssrc=["']([^"']{0,4000}setrefresh\?[^"']{1,4000})["']""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to send. Its URL may hold a token: it is never logged."""

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False, default=())
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Site:
    """
    Where AimHarder is.

    Attributes:
        base_url: Of setrefresh, tokenUpdate, whoami and logout; no slash at the end.
        login_url: The whole URL of the JSON login.
    """

    base_url: str
    login_url: str

    @classmethod
    def at(cls, base_url: str, login_url: str) -> "Site":
        """Complete the two settings: `api/login` is appended to *login_url* unless it is there."""
        login = login_url.rstrip("/")
        return cls(base_url.rstrip("/"), login if login.endswith("/api/login") else login + "/api/login")

    @property
    def base_host(self) -> str:
        return host_of(self.base_url)

    @property
    def auth_hosts(self) -> frozenset[str]:
        """The hosts whose `amhrdrauth` is believed."""
        return frozenset((self.base_host, host_of(self.login_url)))


def host_of(url: str) -> str:
    """The host of *url*: lower case, no port. Cookies know no ports."""
    return (urlsplit(url).hostname or "").lower()


# ---------------------------------------------------------------- requests


def token_update(site: Site, token: Token, fingerprint: Fingerprint, cookie_header: str) -> Request:
    """`POST /api/tokenUpdate`, as the site's own page sends it. Source: "tokenUpdate"."""
    body = f"token={quote_plus(token.text)}&ciclo=1&fingerprint={quote_plus(fingerprint)}"
    headers = (("content-type", FORM), *_cookie(cookie_header))
    return Request("POST", site.base_url + "/api/tokenUpdate", headers, body.encode())


def set_refresh(site: Site, token: Token, fingerprint: Fingerprint, cookie_header: str) -> Request:
    """`GET /setrefresh`: spends the token too. Source: "setrefresh"."""
    query = urlencode({"token": token.text, "fingerprint": fingerprint})
    return Request("GET", f"{site.base_url}/setrefresh?{query}", _cookie(cookie_header))


def who_am_i(site: Site, cookie_header: str) -> Request:
    """`GET /api/whoami`. Source: "whoami"."""
    return Request("GET", site.base_url + "/api/whoami", (("accept", "application/json"), *_cookie(cookie_header)))


def log_out(site: Site, cookie_header: str) -> Request:
    """`GET /logout`: believed to end every session of the account. Source: "Logout"."""
    return Request("GET", site.base_url + "/logout", _cookie(cookie_header))


def log_in(site: Site, email: str, password: str, fingerprint: Fingerprint) -> Request:
    """
    `POST /api/login` as JSON. Source: "Login".

    Raises:
        ConfigError: *password* is no text: bytes of a terminal that are not UTF-8.
    """
    # The encoder would complain too, with the password in its exception.
    if any("\ud800" <= char <= "\udfff" for char in password):
        raise ConfigError("The password holds bytes that are not UTF-8 text: type it again in a UTF-8 terminal.")
    body = msgspec.json.encode({"username": email, "password": password, "fingerprint": fingerprint, "iniframe": 0})
    headers = (
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("x-requested-with", "XMLHttpRequest"),
    )
    return Request("POST", site.login_url, headers, body)


def _cookie(header: str) -> tuple[tuple[str, str], ...]:
    return (("cookie", header),) if header else ()


def cookie_header(jar: Jar, site: Site, now: datetime) -> str:
    """The cookies a request to the base host carries."""
    return jar.header(site.base_host, now)


# ---------------------------------------------------------------- answers


class _TokenUpdateAnswer(msgspec.Struct):
    new_token: object = msgspec.field(name="newToken", default=None)
    logout: object = None


class _LoginAuth(msgspec.Struct):
    ok: object = msgspec.field(name="authOK", default=None)
    token: object = msgspec.field(name="refreshToken", default=None)


class _LoginUser(msgspec.Struct):
    id: object = None
    name: object = None


class _LoginData(msgspec.Struct):
    auth: _LoginAuth | None = None
    user: _LoginUser | None = msgspec.field(name="userData", default=None)


class _LoginError(msgspec.Struct):
    message: object = None


class _LoginAnswer(msgspec.Struct):
    data: _LoginData | None = None
    error: _LoginError | str | None = None
    info: object = None


_token_update_decoder = msgspec.json.Decoder(_TokenUpdateAnswer)
_login_decoder = msgspec.json.Decoder(_LoginAnswer)
_any_decoder = msgspec.json.Decoder()
# Rubbish comes as all of these; none may end a session.
_UNREADABLE = (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError)


def read_token_update(reply: Reply | NoReply, site: Site, held: Token, now: datetime) -> Outcome:
    """
    What an answer of tokenUpdate means (SPEC 5.4), whatever content type it claims.

    A sane `newToken` is a rotation. Otherwise any `logout` but null is a logout: `1`, `true`, `"1"`, and `0` too,
    for the site's own script tests `logout == null` and nothing else. Source: "tokenUpdate".
    """
    if isinstance(reply, NoReply) or reply.status != OK:
        return _no_token(reply, now)
    try:
        answer = _token_update_decoder.decode(_trimmed(reply.body))
    except _UNREADABLE:
        return InDoubt(Reason.UNREADABLE)
    if answer.new_token is not None:
        return _rotated(answer.new_token, reply, site, held, now)
    return LoggedOut() if answer.logout is not None else InDoubt(Reason.UNREADABLE)


def read_set_refresh(reply: Reply | NoReply, site: Site, held: Token, now: datetime) -> Outcome:
    """What an answer of setrefresh means: a script that stores the token. Source: "setrefresh"."""
    if isinstance(reply, NoReply) or reply.status != OK:
        return _no_token(reply, now)
    found = _STORED_TOKEN.search(reply.body)
    if not found:
        return LoggedOut() if _is_logout(reply.body) else InDoubt(Reason.UNREADABLE)
    outcome = _rotated(found[1].decode("ascii", "replace"), reply, site, held, now)
    named = _STORED_FINGERPRINT.search(reply.body)
    if isinstance(outcome, Rotated) and named:
        try:
            return Rotated(outcome.token, outcome.cookies, parse_fingerprint(named[1].decode("ascii", "replace")))
        except ValueError:
            return outcome
    return outcome


def read_who_am_i(reply: Reply | NoReply, site: Site, now: datetime) -> WhoAmI:
    """
    Whether the cookies still belong to somebody. Source: "whoami".

    The shape varies with the front end's versions: any object with `id` and `name` under `data` is somebody.
    """
    if isinstance(reply, NoReply) or reply.status != OK:
        outcome = _no_token(reply, now)
        return WhoAmI(Life.UNCLEAR, reason=outcome.reason)
    try:
        answer = _any_decoder.decode(_trimmed(reply.body))
    except _UNREADABLE:
        return WhoAmI(Life.UNCLEAR, reason=Reason.UNREADABLE)
    if not isinstance(answer, dict):
        return WhoAmI(Life.UNCLEAR, reason=Reason.UNREADABLE)
    data = answer.get("data")
    for member in data if isinstance(data, list) else [data]:
        if isinstance(member, dict) and isinstance(member.get("id"), int) and isinstance(member.get("name"), str):
            return WhoAmI(Life.ALIVE, member["id"], member["name"], _cookies(reply, site, now))
    if data == [] or answer.get("logout") is not None:
        return WhoAmI(Life.DEAD)
    return WhoAmI(Life.UNCLEAR, reason=Reason.UNREADABLE)


def read_log_in(reply: Reply | NoReply, site: Site, now: datetime) -> LoginAnswer:
    """
    What an answer of the login means: JSON, or the legacy form's page. Source: "Login".

    A login is good only with `authOK`, a token and the `amhrdrauth` cookie: cookies alone come with errors too.
    """
    if isinstance(reply, NoReply):
        return LoginRefused(LoginProblem.UNAVAILABLE, reply.reason)
    if reply.status == FORBIDDEN:
        return LoginRefused(LoginProblem.FORBIDDEN, Reason.FORBIDDEN)
    if reply.status == TOO_MANY:
        return LoginRefused(LoginProblem.LOCKED_OUT, Reason.RATE_LIMITED, read_retry_after(reply.retry_after, now))
    if reply.status not in (OK, 400, 401):
        return LoginRefused(LoginProblem.UNAVAILABLE, Reason.SERVER_ERROR, read_retry_after(reply.retry_after, now))
    try:
        answer = _login_decoder.decode(_trimmed(reply.body))
    except _UNREADABLE:
        return _read_legacy_login(reply, site, now)
    return _read_json_login(answer, reply, site, now)


def read_log_out(reply: Reply | NoReply, now: datetime) -> Refused | None:
    """None when the logout was taken; any whole answer below 400 is one. Source: "Logout"."""
    if isinstance(reply, Reply) and reply.status < 400:  # noqa: PLR2004 (HTTP: redirects and successes)
        return None
    return Refused(_no_token(reply, now).reason)


def read_retry_after(header: str | None, now: datetime) -> timedelta | None:
    """`Retry-After` in seconds or as a date, at most an hour; None when absent or unreadable."""
    if not header:
        return None
    if header.isascii() and header.strip().isdigit():
        # The digits may be many: int() of a few hundred of them is fine, a timedelta of them is not.
        seconds = min(int(header.strip()[:9]), LONGEST_RETRY_AFTER.total_seconds())
        return timedelta(seconds=seconds)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), LONGEST_RETRY_AFTER)


# ---------------------------------------------------------------- the parts


def _no_token(reply: Reply | NoReply, now: datetime) -> Refused | InDoubt:
    """An answer that can't hold a token: turned away whole, or nobody knows."""
    if isinstance(reply, NoReply):
        return Refused(reply.reason) if reply.reason is Reason.UNREACHABLE else InDoubt(reply.reason)
    if reply.status == TOO_MANY:
        return Refused(Reason.RATE_LIMITED, read_retry_after(reply.retry_after, now))
    if reply.status == FORBIDDEN:
        return Refused(Reason.FORBIDDEN)
    if 400 <= reply.status < 500:  # noqa: PLR2004 (HTTP: the client's fault)
        return Refused(Reason.REJECTED)
    return InDoubt(Reason.SERVER_ERROR if reply.status >= 500 else Reason.UNREADABLE)  # noqa: PLR2004 (HTTP)


def _rotated(text: object, reply: Reply, site: Site, held: Token, now: datetime) -> Rotated | InDoubt:
    try:
        token = Token.parse(text)
    except ValueError:
        return InDoubt(Reason.UNREADABLE)
    if token.account_key != held.account_key and token.account_key.isdigit() and held.account_key.isdigit():
        # A mixed-up answer must not hand one member's session to another.
        return InDoubt(Reason.STRANGE_TOKEN)
    return Rotated(token, _cookies(reply, site, now))


def _cookies(reply: Reply, site: Site, now: datetime) -> CookieDelta:
    return read_set_cookies(reply.set_cookies, host=reply.host, now=now, auth_hosts=site.auth_hosts)


def _login_cookies(reply: Reply, site: Site, now: datetime) -> CookieDelta:
    # Some fronts set it for the login host alone; it serves the base host and every box below it.
    return rescope(_cookies(reply, site, now), AUTH_COOKIE, site.base_host)


def _trimmed(body: bytes) -> bytes:
    return body.strip().removeprefix(b"\xef\xbb\xbf")


def _is_logout(body: bytes) -> bool:
    try:
        answer = _token_update_decoder.decode(_trimmed(body))
    except _UNREADABLE:
        return False
    return answer.new_token is None and answer.logout is not None


def _read_json_login(answer: _LoginAnswer, reply: Reply, site: Site, now: datetime) -> LoginAnswer:
    message = answer.error.message if isinstance(answer.error, _LoginError) else answer.error
    told = " ".join(part for part in (message, answer.info) if isinstance(part, str)).lower()
    auth = answer.data.auth if answer.data else None
    cookies = _login_cookies(reply, site, now)
    has_cookie = any(cookie.name == AUTH_COOKIE for cookie in cookies.stored)
    if reply.status == OK and not told and auth and auth.ok is True and has_cookie:
        try:
            token = Token.parse(auth.token)
        except ValueError:
            return LoginRefused(LoginProblem.UNREADABLE, Reason.UNREADABLE)
        user = (answer.data.user if answer.data else None) or _LoginUser()
        return LoggedIn(
            token,
            cookies,
            user.id if isinstance(user.id, int) else None,
            user.name if isinstance(user.name, str) else None,
        )
    return _told_no(told, is_refusal=reply.status == 401 or (auth is not None and auth.ok is False))  # noqa: PLR2004 (HTTP)


def _read_legacy_login(reply: Reply, site: Site, now: datetime) -> LoginAnswer:
    page = reply.body.decode("utf-8", "replace")
    if found := _IFRAME.search(reply.body):
        query = parse_qs(urlsplit(unescape(found[1].decode("ascii", "replace"))).query)
        try:
            token = Token.parse(query.get("token", [""])[0])
        except ValueError:
            return LoginRefused(LoginProblem.UNREADABLE, Reason.UNREADABLE)
        return LoggedIn(token, _login_cookies(reply, site, now))
    return _told_no(page.lower(), is_refusal='name="mail"' in page and 'name="pw"' in page)


def _told_no(told: str, *, is_refusal: bool) -> LoginRefused:
    if "demasiadas veces" in told or "too many" in told or "lockout" in told:
        return LoginRefused(LoginProblem.LOCKED_OUT, Reason.RATE_LIMITED)
    if is_refusal or "login_error_login" in told or "incorrect" in told:
        return LoginRefused(LoginProblem.BAD_CREDENTIALS, Reason.REJECTED)
    return LoginRefused(LoginProblem.UNREADABLE, Reason.UNREADABLE)
