"""
AimHarder's protocol: requests to send and what their answers mean. Bytes in, values out, no I/O.

Source for every fact: docs/upstream.md, under the heading named in each docstring.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from html import unescape
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import msgspec

from aimkeeper.core.cookies import AUTH_COOKIE, CookieDelta, Jar, read_set_cookies, rescope
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.frozen import value
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
from aimkeeper.upstream.glimpses import read_date

FORM = "application/x-www-form-urlencoded"
OK, UNAUTHORIZED, FORBIDDEN, TOO_MANY, OVERLOADED = 200, 401, 403, 429, 503

# What a page or script writes where a token is missing.
_NOTHING = frozenset(("null", "undefined", "false", "true", "none", "nan"))

# Longer than this no site means a Retry-After; a mad value must not put a session to sleep for ever.
LONGEST_RETRY_AFTER = timedelta(hours=1)

_TO_QUOTE = re.compile(r"[^\w.~-]", re.ASCII)
_STORED_TOKEN = re.compile(rb"""localStorage\.setItem\(\s*["']refreshToken["']\s*,\s*["']([^"']{1,1024})["']""")
_STORED_FINGERPRINT = re.compile(rb"""localStorage\.setItem\(\s*["']fingerprint["']\s*,\s*["']([^"']{1,200})["']""")
_LOGIN_ERRORS = re.compile(rb"""id=["']loginErrors["'][^>]{0,200}>(.{0,1000}?)</span>""", re.DOTALL)
_IFRAME = re.compile(rb"""<iframe[^>]{0,200}\ssrc=["']([^"']{0,4000}setrefresh\?[^"']{1,4000})["']""", re.IGNORECASE)


@value(frozen=True, slots=True)
class Request:
    """One request, ready to send. Its URL may hold a token: it is never logged."""

    method: str
    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False, default=())
    body: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True)
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

    @cached_property
    def base_host(self) -> str:
        return host_of(self.base_url)

    @cached_property
    def auth_hosts(self) -> frozenset[str]:
        """The hosts whose `amhrdrauth` is believed."""
        return frozenset((self.base_host, host_of(self.login_url)))


def host_of(url: str) -> str:
    """The host of *url*: lower case, no port. Cookies know no ports."""
    return _host_of(url.partition("?")[0])  # what is remembered may hold no token


@lru_cache(maxsize=64)
def _host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


# ---------------------------------------------------------------- requests


def token_update(site: Site, token: Token, fingerprint: Fingerprint, cookie_header: str) -> Request:
    """`POST /api/tokenUpdate`, as the site's own page sends it. Source: "tokenUpdate"."""
    body = f"token={_quoted(token.text)}&ciclo=1&fingerprint={_quoted(fingerprint)}"
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


def login_door(site: Site) -> Request:
    """The front page of the login's host: it answers anybody, and counts as no try."""
    parts = urlsplit(site.login_url)
    return Request("GET", f"{parts.scheme}://{parts.netloc}/")


def _quoted(text: str) -> str:
    """As `quote_plus` has it, quicker for what tokens and fingerprints are made of: printable ASCII without spaces."""
    return _TO_QUOTE.sub(lambda found: f"%{ord(found[0]):02X}", text) if text.isascii() else quote_plus(text)


def _cookie(header: str) -> tuple[tuple[str, str], ...]:
    return (("cookie", header),) if header else ()


def cookie_header(jar: Jar, site: Site, now: datetime) -> str:
    """The cookies a request to the base host carries."""
    return jar.header(site.base_host, now)


# ---------------------------------------------------------------- answers


class _TokenUpdateAnswer(msgspec.Struct):
    new_token: object = msgspec.field(name="newToken", default=None)
    logout: object = None


_token_update_decoder = msgspec.json.Decoder(_TokenUpdateAnswer)
_any_decoder = msgspec.json.Decoder()
# Rubbish comes as all of these; none may end a session.
_UNREADABLE = (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError)


def read_token_update(reply: Reply | NoReply, site: Site, held: Token, now: datetime) -> Outcome:
    """
    What an answer of tokenUpdate means, whatever content type it claims.

    A sane `newToken` is a rotation, whatever stands beside it. Otherwise any `logout` but null is a logout: `1`,
    `true`, `"1"`, and `0` too, for the site's own script tests `logout == null` and nothing else. Of a key that comes
    twice the last counts, as in a browser. Source: "tokenUpdate".
    """
    if isinstance(reply, NoReply) or reply.status != OK:
        return _no_token(reply, now)
    try:
        answer = _token_update_decoder.decode(_trimmed(reply.body))
    except _UNREADABLE:
        return InDoubt(Reason.UNREADABLE)
    outcome = _rotated(answer.new_token, reply, site, held, now)
    return LoggedOut() if outcome == _NOT_A_TOKEN and answer.logout is not None else outcome


def read_set_refresh(reply: Reply | NoReply, site: Site, held: Token, now: datetime) -> Outcome:
    """What an answer of setrefresh means: a script that stores the token. Source: "setrefresh"."""
    if isinstance(reply, NoReply) or reply.status != OK:
        return _no_token(reply, now)
    found = _STORED_TOKEN.search(reply.body)
    if not found:
        return LoggedOut() if is_logout(reply.body) else InDoubt(Reason.UNREADABLE)
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

    The shape varies with the front end's versions: any object with `id` and `name` under `data` is somebody. An empty
    list is nobody, unless an `error` says that the site could not look.
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
        user_id, name = _person(member)
        if user_id is not None and name is not None:
            return WhoAmI(Life.ALIVE, user_id, name, _cookies(reply, site, now))
    if answer.get("logout") is not None or (data == [] and not answer.get("error")):
        return WhoAmI(Life.DEAD)
    return WhoAmI(Life.UNCLEAR, reason=Reason.UNREADABLE)


def read_log_in(reply: Reply | NoReply, site: Site, now: datetime) -> LoginAnswer:
    """
    What an answer of the login means: JSON, or the legacy form's page. Source: "Login".

    The JSON is good only with `authOK`, a token, the `amhrdrauth` cookie and no `error`: cookies alone come with
    errors too. A page is good with the iframe that carries the token.
    """
    if isinstance(reply, NoReply):
        return LoginRefused(LoginProblem.UNAVAILABLE, reply.reason)
    if reply.status == FORBIDDEN:
        return LoginRefused(LoginProblem.FORBIDDEN, Reason.FORBIDDEN)
    if reply.status == TOO_MANY:
        return LoginRefused(LoginProblem.LOCKED_OUT, Reason.RATE_LIMITED, read_retry_after(reply.retry_after, now))
    if reply.status not in (OK, 400, UNAUTHORIZED):
        reason = Reason.OVERLOADED if reply.status == OVERLOADED else Reason.SERVER_ERROR
        return LoginRefused(LoginProblem.UNAVAILABLE, reason, read_retry_after(reply.retry_after, now))
    try:
        answer = _any_decoder.decode(_trimmed(reply.body))
    except _UNREADABLE:
        return _read_legacy_login(reply, site, now)
    return _read_json_login(_table(answer), reply, site, now)


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
    moment = read_date(header)
    if moment is None:
        return None
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
    if reply.status == OVERLOADED:
        return InDoubt(Reason.OVERLOADED, read_retry_after(reply.retry_after, now))
    return InDoubt(Reason.SERVER_ERROR if reply.status >= 500 else Reason.UNREADABLE)  # noqa: PLR2004 (HTTP)


def _token(text: object) -> Token | None:
    try:
        token = Token.parse(text)
    except ValueError:
        return None
    return None if token.text.lower() in _NOTHING else token


_NOT_A_TOKEN = InDoubt(Reason.UNREADABLE)


def _rotated(text: object, reply: Reply, site: Site, held: Token, now: datetime) -> Rotated | InDoubt:
    token = _token(text)
    if token is None:
        return _NOT_A_TOKEN
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


def is_logout(body: bytes) -> bool:
    """Whether a whole answer, of tokenUpdate or of a box, says that the session is over. Source: "tokenUpdate"."""
    try:
        answer = _token_update_decoder.decode(_trimmed(body))
    except _UNREADABLE:
        return False
    return answer.new_token is None and answer.logout is not None


def _table(value: object) -> dict[str, object]:
    """*value* if it is a JSON object, else an empty one: PHP writes an empty object as `[]`."""
    return value if isinstance(value, dict) else {}


def _person(value: object) -> tuple[int | None, str | None]:
    table = _table(value)
    user_id, name = table.get("id"), table.get("name")
    return user_id if type(user_id) is int else None, name if isinstance(name, str) else None


def _read_json_login(answer: dict[str, object], reply: Reply, site: Site, now: datetime) -> LoginAnswer:
    data, error = _table(answer.get("data")), answer.get("error")
    auth = _table(data.get("auth"))
    cookies = _login_cookies(reply, site, now)
    has_cookie = any(cookie.name == AUTH_COOKIE for cookie in cookies.stored)
    if reply.status == OK and not error and auth.get("authOK") is True and has_cookie:
        return _logged_in(auth.get("refreshToken"), cookies, data.get("userData"))
    words = (_table(error).get("message", error), answer.get("info"))
    told = " ".join(word for word in words if isinstance(word, str)).lower()
    return _told_no(told, is_refusal=reply.status == UNAUTHORIZED or auth.get("authOK") is False)


def _read_legacy_login(reply: Reply, site: Site, now: datetime) -> LoginAnswer:
    if found := _IFRAME.search(reply.body):
        try:
            query = parse_qs(urlsplit(unescape(found[1].decode("ascii", "replace"))).query)
        except ValueError:
            query = {}
        return _logged_in(query.get("token", [None])[0], _login_cookies(reply, site, now), None)
    # Only what the form itself says: a page's scripts carry the words for every failure.
    errors = _LOGIN_ERRORS.search(reply.body)
    told = errors[1].decode("utf-8", "replace").lower() if errors else ""
    return _told_no(told, is_refusal=b'name="mail"' in reply.body and b'name="pw"' in reply.body)


def _logged_in(text: object, cookies: CookieDelta, user: object) -> LoginAnswer:
    token = _token(text)
    if token is None:
        return LoginRefused(LoginProblem.UNREADABLE, Reason.UNREADABLE)
    return LoggedIn(token, cookies, *_person(user))


def _told_no(told: str, *, is_refusal: bool) -> LoginRefused:
    if "malformed" in told:
        # Our request is not what the site reads any more; the password was not looked at.
        return LoginRefused(LoginProblem.UNREADABLE, Reason.REJECTED)
    if "demasiadas veces" in told or "too many" in told or "lockout" in told:
        return LoginRefused(LoginProblem.LOCKED_OUT, Reason.RATE_LIMITED)
    if is_refusal or "login_error_login" in told or "incorrect" in told:
        return LoginRefused(LoginProblem.BAD_CREDENTIALS, Reason.REJECTED)
    return LoginRefused(LoginProblem.UNREADABLE, Reason.UNREADABLE)
