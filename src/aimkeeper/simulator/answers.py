"""What the simulated site is asked and what it says: requests, answers, pages, cookies."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from aimkeeper.simulator.state import Session
from aimkeeper.simulator.world import World

JSON = "application/json"
HTML = "text/html; charset=UTF-8"

HOME = b"<!DOCTYPE html><html><head><title>AimHarder</title></head><body><h1>AimHarder</h1></body></html>"
FORBIDDEN = b"<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>"
NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>"
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
SERVER_ERROR = b'{"error":{"code":500,"message":"SIMULATED"}}'
MAINTENANCE = (
    b"<html><head><title>AimHarder</title></head><body><h1>Estamos mejorando AimHarder</h1>"
    b"<p>Volvemos en unos minutos.</p></body></html>"
)


@dataclass(slots=True)
class Request:
    """One request, whole. `session` is whose it is, as far as token, cookie or login tell."""

    method: str
    path: str
    query: str = field(repr=False)
    headers: dict[bytes, bytes] = field(repr=False)
    body: bytes = field(repr=False)
    session: Session | None = None
    _fields: dict[str, str] | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        return self.headers.get(b"host", b"").decode("latin-1").partition(":")[0].lower()

    def fields(self) -> dict[str, str]:
        """The query of a GET, else the form; of a name that comes twice the last, as PHP has it."""
        if self._fields is None:
            text = self.query if self.method == "GET" else self.body.decode("utf-8", "replace")
            self._fields = dict(parse_qsl(text, keep_blank_values=True))
        return self._fields

    def cookie(self, name: str) -> str:
        for part in self.headers.get(b"cookie", b"").decode("latin-1").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""


@dataclass(slots=True)
class Answer:
    """One answer. *worked*: a token or a login changed hands, so that losing it matters."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = HTML
    headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    worked: bool = False


def logged_out(world: World, path: str) -> Answer:
    """The site's word that a session is over, as *path* would say it."""
    if path == "/setrefresh":
        return setrefresh_failed(world)
    text = json.dumps({"logout": world.rules.logout_value}, separators=(",", ":"))
    return Answer(200, text.encode(), world.rules.content_type)


def setrefresh_failed(world: World) -> Answer:
    if world.rules.setrefresh_failure == "redirect":
        return Answer(302, b"", headers=[("location", "/login")])
    return Answer(200, HOME)


def nobody() -> Answer:
    """What whoami answers without a session."""
    return json_answer({"data": []})


def json_answer(content: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode(), JSON)


def set_cookie(answer: Answer, text: str) -> None:
    answer.headers.append(("set-cookie", text))


def balanced(world: World, answer: Answer) -> Answer:
    """The load balancer's pair, which comes with every answer behind it."""
    value = world.balancer_cookie()
    until = f"Expires={http_date(world, timedelta(days=7))}; Path=/"
    set_cookie(answer, f"AWSALB={value}; {until}")
    set_cookie(answer, f"AWSALBCORS={value}; {until}; SameSite=None; Secure")
    return answer


def authenticated(world: World, answer: Answer, request: Request, session: Session) -> None:
    rules = world.rules
    parts = [f"amhrdrauth={world.auth_cookie(session)}"]
    if rules.amhrdrauth_attributes == "dated":
        parts.append(f"Expires={http_date(world, timedelta(seconds=rules.token_life))}")
    domain = rules.cookie_domain or _parent_domain(request.host)
    if domain and not rules.amhrdrauth_host_only:
        parts.append(f"Domain={domain}")
    parts.append("Path=/")
    if rules.amhrdrauth_attributes == "dated":
        parts.append("Secure")
    parts.append("HttpOnly")
    set_cookie(answer, "; ".join(parts))


def php_session(world: World, answer: Answer, session: Session) -> None:
    set_cookie(answer, f"PHPSESSID={world.php_session(session)}; path=/")


def http_date(world: World, ahead: timedelta = timedelta(0)) -> str:
    """The site's own time, which is not set by anybody here."""
    return format_datetime(world.at(world.seconds()) + ahead, usegmt=True)


def _parent_domain(host: str) -> str:
    for domain in ("aimharder.com", "aimharder.es"):
        if host == domain or host.endswith("." + domain):
            return "." + domain
    return ""
