"""
The routes of the simulated site: a request in, an answer out, the world changed in between. No I/O, no faults.

Written from docs/upstream.md alone, so that it can disagree with `aimkeeper.upstream`.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote, urlsplit

from aimkeeper.simulator.answers import (
    HOME,
    Answer,
    Request,
    authenticated,
    balanced,
    json_answer,
    logged_out,
    nobody,
    php_session,
    set_cookie,
    setrefresh_failed,
)
from aimkeeper.simulator.state import Account, Attempt, Session
from aimkeeper.simulator.world import World

Handler = Callable[[World, Request], Answer]

# ------------------------------------------------------------ login


def log_in(world: World, request: Request) -> Answer:
    """`POST /api/login`, JSON only."""
    asked = _login_body(request)
    if asked is None:
        return balanced(world, json_answer({"error": {"code": 400, "message": "LOGIN_ERROR_MALFORMED_BODY"}}, 400))
    email, password, fingerprint = asked
    attempt, account = world.try_password(email, password)
    if attempt is Attempt.RIGHT and account:
        return _welcome(world, request, account, fingerprint)
    if attempt is Attempt.LOCKED_OUT and account:
        # Invented: no client ever recorded what the JSON login says to too many attempts.
        answer = json_answer({"error": {"code": 429, "message": "LOGIN_ERROR_SIMULATED_LOCKOUT"}}, 429)
        answer.headers.append(("retry-after", str(int(account.locked_until - world.seconds()) + 1)))
        return balanced(world, answer)
    if world.rules.wrong_password == "200":  # noqa: S105 (a rule, no secret)
        refused = {"data": {"auth": {"authOK": False}}, "info": "LOGIN_ERROR_LOGIN"}
        return balanced(world, json_answer(refused))
    return balanced(world, json_answer({"error": {"code": 401, "message": "LOGIN_ERROR_LOGIN"}}, 401))


def _login_body(request: Request) -> tuple[str, str, str] | None:
    if not request.headers.get(b"content-type", b"").lower().startswith(b"application/json"):
        return None
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    asked = tuple(body.get(name) for name in ("username", "password", "fingerprint"))
    match asked:
        case (str(email), str(password), str(fingerprint)) if email and password and fingerprint:
            return email, password, fingerprint
    return None


def _welcome(world: World, request: Request, account: Account, fingerprint: str) -> Answer:
    session = _logged_in(world, request, account, fingerprint)
    user = {
        "id": account.user_id,
        "name": account.name,
        "photo": "",
        "roles": [_role(account)],
    }
    auth = {"authOK": True, "refreshToken": session.token}
    answer = json_answer({"data": {"userData": user, "auth": auth}})
    answer.worked = True
    authenticated(world, answer, request, session)
    return balanced(world, answer)


def _logged_in(world: World, request: Request, account: Account, fingerprint: str) -> Session:
    session = request.session = world.log_in(account, fingerprint)
    session.logins += 1
    world.totals.logins += 1
    return session


def _role(account: Account) -> dict[str, object]:
    host = "simulated.aimharder.com"
    return {"id": account.user_id, "boid": 9283, "role": "client", "gym": "Simulated Box", "centre_url": host}


def log_in_by_form(world: World, request: Request) -> Answer:
    """The legacy form: the iframe on success, itself again on failure, the home page now that it is retired."""
    if not world.rules.login_form:
        return balanced(world, Answer(200, HOME))
    form = request.fields()
    fingerprint = form.get("loginfingerprint") or "0"
    attempt, account = world.try_password(form.get("mail", ""), form.get("pw", ""))
    if attempt is not Attempt.RIGHT or account is None:
        told = "Correo electrónico y/o contraseña incorrecto."
        if attempt is Attempt.LOCKED_OUT:
            told = "Lo has intentado demasiadas veces."
        page = (
            f'<html><body><form method="post"><span id="loginErrors">{told}</span><input name="mail" id="mail">'
            '<input name="pw" id="pw" type="password"><input type="submit" name="login" id="loginSubmit">'
            "</form></body></html>"
        )
        return balanced(world, Answer(200, page.encode()))
    session = _logged_in(world, request, account, fingerprint)
    query = f"token={quote(session.token, safe='')}&fingerprint={quote(fingerprint, safe='')}&user={account.user_id}"
    page = (
        f'<html><body><span id="loginErrors"></span><iframe src="/setrefresh?{query}&refresh=1"></iframe>'
        '<script>window.location.href = "/home";</script></body></html>'
    )
    answer = Answer(200, page.encode(), worked=True)
    authenticated(world, answer, request, session)
    php_session(world, answer, session)
    return balanced(world, answer)


# ------------------------------------------------------------ the token


def token_update(world: World, request: Request) -> Answer:
    """`POST /api/tokenUpdate`."""
    form = request.fields()
    if world.rules.update_needs_cookie and (
        request.session is None or world.session_of_cookie(request.cookie("amhrdrauth")) is not request.session
    ):
        return balanced(world, logged_out(world, request.path))
    session = world.spend(form.get("token", ""), form.get("fingerprint", ""))
    if session is None:
        return balanced(world, logged_out(world, request.path))
    session.rotations += 1
    world.totals.rotations += 1
    answer = Answer(200, f'{{"newToken":"{session.token}"}}'.encode(), world.rules.content_type, worked=True)
    if world.rules.cookies_on_update:
        authenticated(world, answer, request, session)
        php_session(world, answer, session)
    return balanced(world, answer)


def set_refresh(world: World, request: Request) -> Answer:
    """`GET /setrefresh`: the page whose script stores token and fingerprint."""
    query = request.fields()
    token, fingerprint = query.get("token", ""), query.get("fingerprint", "")
    rotates = world.rules.setrefresh_rotates
    session = world.spend(token, fingerprint) if rotates else world.touch(token, fingerprint)
    if session is None:
        return balanced(world, setrefresh_failed(world))
    session.set_refreshes += 1
    world.totals.set_refreshes += 1
    if world.rules.setrefresh_fingerprint == "new":
        world.rebind(session)
    script = (
        f'localStorage.setItem("refreshToken", "{session.token if rotates else token}");\n'
        f'localStorage.setItem("fingerprint", "{session.fingerprint}");\n'
    )
    redirect = urlsplit(query.get("redirect", ""))
    if redirect.hostname:
        session.boxes |= {redirect.hostname}
        script += f"window.location.href = {json.dumps(redirect.geturl()).replace('<', '%3C')};\n"
    page = f"<html><body><script>\n{script}</script></body></html>"
    answer = Answer(200, page.encode(), worked=rotates)
    php_session(world, answer, session)
    return balanced(world, answer)


# ------------------------------------------------------------ who is there


def who_am_i(world: World, request: Request) -> Answer:
    """`GET /api/whoami`: does not touch the session, for nobody ever saw it prolong one."""
    session = request.session
    if session is None or not world.is_alive(session):
        return balanced(world, nobody())
    account = session.account
    somebody = {"id": account.user_id, "name": account.name, "centre": "Simulated Box", "roles": [_role(account)]}
    return balanced(world, json_answer({"data": [somebody]}))


def log_out(world: World, request: Request) -> Answer:
    """`GET /logout`."""
    session = request.session
    if session:
        is_wide = world.rules.logout_scope == "account"
        for ended in session.account.sessions if is_wide else [session]:
            world.end(ended, "logout")
    answer = Answer(302, b"", headers=[("location", "/login")])
    set_cookie(answer, "amhrdrauth=deleted; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; Path=/; HttpOnly")
    return balanced(world, answer)


# ------------------------------------------------------------ booking


def bookings(world: World, request: Request) -> Answer:
    """`GET /api/bookings`: public, so a stranger sees the schedule; a session known and dead hears of its logout."""
    session = request.session
    if session and not _is_served(world, request, session):
        return balanced(world, logged_out(world, request.path))
    desk, host = world.desk, request.host
    day = request.fields().get("day") or f"{world.at(world.seconds()):%Y%m%d}"
    classes, timetable = [], []
    for slot in desk.slots(day):
        until = f"{slot.begins_at + timedelta(hours=1):%H:%M}"
        hour = {"id": f"{slot.time.replace(':', '')}_60", "time": f"{slot.time} - {until}"}
        timetable.append(hour)
        shown: dict[str, object] = {
            "id": slot.id,
            "time": hour["time"],
            "timeid": hour["id"],
            "classId": 1,
            "className": "WOD",
            "limit": str(desk.timetable.limit),
            "limitc": desk.timetable.limit,
            "ocupation": len(desk.living(host, slot.id)),
            "waitlist": len(desk.living(host, slot.id, waiting=True)),
            "enabled": 1,
        }
        if session and (held := desk.held_by(session.account, host, slot.id)):
            shown |= {"bookState": 0 if held.waiting else 1, "idres": held.number}
        classes.append(shown)
    credit = session.account.credit if session else None
    content = {
        "clasesDisp": "" if credit is None else str(credit),
        "timetable": timetable,
        "day": day,
        "bookings": classes,
        "seminars": [],
    }
    return balanced(world, json_answer(content))


def book(world: World, request: Request) -> Answer:
    """`POST /api/book`."""
    session, form = request.session, request.fields()
    if session is None or not _is_served(world, request, session):
        return balanced(world, logged_out(world, request.path))
    told = world.desk.book(
        session.account,
        request.host,
        form.get("day", ""),
        _number(form.get("id", "")),
        insists=form.get("insist") == "1",
        now=world.at(world.seconds()),
    )
    content: dict[str, object] = {"bookState": int(told.state)}
    if told.reservation is not None:
        content["id"] = told.reservation
    else:
        reason = told.reason or f"ERROR_SIMULATED_{told.state.name}"
        content |= {"errorMssg": f"Simulated: {told.state.name.lower().replace('_', ' ')}.", "errorMssgLang": reason}
    if told.maximum is not None:
        content["max"] = told.maximum
    return balanced(world, json_answer(content))


def cancel_book(world: World, request: Request) -> Answer:
    """`POST /api/cancelBook`."""
    session, form = request.session, request.fields()
    if session is None or not _is_served(world, request, session):
        return balanced(world, logged_out(world, request.path))
    state = world.desk.cancel(
        session.account,
        request.host,
        _number(form.get("id", "")),
        accepts_late=form.get("late") == "1",
        now=world.at(world.seconds()),
    )
    return balanced(world, json_answer({"cancelState": int(state)}))


def _is_served(world: World, request: Request, session: Session) -> bool:
    """Whether this host lets the session in."""
    needs_visit = world.rules.box_needs_setrefresh
    return world.is_alive(session) and not (needs_visit and request.host not in session.boxes)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1  # noqa: PLR2004 (ids are short)


def home(world: World, _request: Request) -> Answer:
    return balanced(world, Answer(200, HOME))


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/api/login"): log_in,
    ("POST", "/login"): log_in_by_form,
    ("POST", "/"): log_in_by_form,
    ("GET", "/login"): home,
    ("GET", "/"): home,
    ("GET", "/home"): home,
    ("POST", "/api/tokenUpdate"): token_update,
    ("GET", "/setrefresh"): set_refresh,
    ("GET", "/api/whoami"): who_am_i,
    ("GET", "/logout"): log_out,
    ("GET", "/Util/logout.php"): log_out,
    ("GET", "/api/bookings"): bookings,
    ("POST", "/api/book"): book,
    ("POST", "/api/cancelBook"): cancel_book,
}
PATHS = frozenset(path for _, path in ROUTES)


def whose(world: World, request: Request) -> Session | None:
    """The session a request is about: by its token, else by its `amhrdrauth`."""
    if request.path in ("/api/tokenUpdate", "/setrefresh"):
        return world.session_of_token(request.fields().get("token", ""))
    value = request.cookie("amhrdrauth")
    return world.session_of_cookie(value) if value else None
