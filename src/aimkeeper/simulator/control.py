"""
The simulator's own routes under `/_simulator/`, for tests and benches in another process.

    GET  truth[?email=&fingerprint=]   one session, or all as JSON Lines
    GET  totals                        counts, with requests in flight
    GET  log                           the latest requests
    GET  accepts?email=&fingerprint=&token=
    POST accounts   {"email", "password", "user_id"?, "name"?}
    POST standings  {"email", "credit"?, "owes"?}
    GET  bookings[?email=]             reservations as JSON Lines, cancelled ones too
    POST sessions   {"email", "fingerprint"?} or {"count", "prefix"?}: JSON Lines for `aimkeeper adopt`
    POST next       {"fault", "times"?, "path"?, "email"?, "fingerprint"?}
    POST kill, POST revive             {"email", "fingerprint"}; revive without them: everybody
    PUT  faults[?seconds=], PUT rules  the whole of them: keys left out take their defaults
    PATCH faults, PATCH rules          only the keys given change
    GET  faults, GET rules, GET, PUT and PATCH timetable
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aimkeeper.simulator.answers import JSON, Answer, Request
from aimkeeper.simulator.records import Truth
from aimkeeper.simulator.rules import Faults, Rules, Timetable, build

if TYPE_CHECKING:
    from aimkeeper.simulator.app import Simulator

PREFIX = "/_simulator/"
LINES = "application/jsonl"

_NUMBER = re.compile(r"\d{1,9}(\.\d+)?")


def answer(simulator: "Simulator", request: Request) -> Answer:
    """Answer a control request; a request that makes no sense gets 400 and one sentence."""
    route = _ROUTES.get((request.method, request.path.removeprefix(PREFIX)))
    if route is None:
        return _json({"error": f"no control route {request.method} {request.path}"}, 404)
    try:
        return route(simulator, request)
    except LookupError as error:
        return _json({"error": str(error.args[0])}, 404)
    except ValueError as error:
        return _json({"error": str(error)}, 400)


def _truth(simulator: "Simulator", request: Request) -> Answer:
    asked = request.fields()
    if "email" not in asked:
        return _lines([truth.as_json() for truth in simulator.truths()])
    return _json(simulator.truth(asked["email"], asked.get("fingerprint", "")).as_json())


def _totals(simulator: "Simulator", _: Request) -> Answer:
    return _json(simulator.totals.as_json())


def _log(simulator: "Simulator", _: Request) -> Answer:
    return _lines([logged._asdict() for logged in simulator.log])


def _accepts(simulator: "Simulator", request: Request) -> Answer:
    asked = request.fields()
    who, fingerprint, token = (asked.get(name, "") for name in ("email", "fingerprint", "token"))
    return _json({"accepts": simulator.accepts(who, fingerprint, token)})


def _accounts(simulator: "Simulator", request: Request) -> Answer:
    asked = _body(request)
    user_id = asked.get("user_id")
    if user_id is not None and not _is_count(user_id):
        raise ValueError("user_id must be a whole number")
    name = str(asked.get("name", "Member"))
    return _json({"user_id": simulator.add_account(_text(asked, "email"), _text(asked, "password"), user_id, name)})


def _standings(simulator: "Simulator", request: Request) -> Answer:
    asked = _body(request)
    credit, owes = asked.get("credit"), asked.get("owes", False)
    if credit is not None and not _is_count(credit):
        raise ValueError("credit must be a whole number, 0 or more, or null")
    if not isinstance(owes, bool):
        raise ValueError("owes must be true or false")  # noqa: TRY004 (becomes a 400 like any other)
    simulator.set_standing(_text(asked, "email"), credit=credit, owes=owes)
    return _json({})


def _bookings(simulator: "Simulator", request: Request) -> Answer:
    return _lines([made.as_json() for made in simulator.reservations(request.fields().get("email"))])


def _timetable(simulator: "Simulator", request: Request) -> Answer:
    if request.method != "GET":
        kept = _plan(simulator.timetable) if request.method == "PATCH" else {}
        simulator.timetable = build(Timetable, kept | _body(request))
    return _json(_plan(simulator.timetable))


def _sessions(simulator: "Simulator", request: Request) -> Answer:
    asked = _body(request)
    if "count" not in asked:
        email = _text(asked, "email")
        fingerprint = str(asked.get("fingerprint") or _fingerprint(email))
        return _lines([simulator.open_session(email, fingerprint).record()])
    if not _is_count(asked["count"]):
        raise ValueError("count must be a whole number, 0 or more")
    emails = (f"{asked.get('prefix', 'member')}{number}@example.com" for number in range(asked["count"]))
    return _lines([simulator.open_session(email, _fingerprint(email)).record() for email in emails])


def _next(simulator: "Simulator", request: Request) -> Answer:
    asked = _body(request)
    times, path = asked.get("times", 1), str(asked.get("path", "/api/tokenUpdate"))
    if not _is_count(times):
        raise ValueError("times must be a whole number")
    session = (_text(asked, "email"), _text(asked, "fingerprint")) if "email" in asked else None
    simulator.next(_text(asked, "fault"), times, path, session)
    return _json({})


def _kill(simulator: "Simulator", request: Request) -> Answer:
    asked = _body(request)
    email, fingerprint = _text(asked, "email"), _text(asked, "fingerprint")
    simulator.kill(email, fingerprint)
    return _told(simulator.truth(email, fingerprint))


def _revive(simulator: "Simulator", request: Request) -> Answer:
    asked = _body(request)
    if "email" not in asked:
        simulator.revive_all()
        return _json({})
    email, fingerprint = _text(asked, "email"), _text(asked, "fingerprint")
    simulator.revive(email, fingerprint)
    return _told(simulator.truth(email, fingerprint))


def _rules(simulator: "Simulator", request: Request) -> Answer:
    if request.method != "GET":
        kept = _plan(simulator.rules) if request.method == "PATCH" else {}
        simulator.rules = build(Rules, kept | _body(request))
    return _json(_plan(simulator.rules))


def _faults(simulator: "Simulator", request: Request) -> Answer:
    if request.method == "GET":
        return _json(_plan(simulator.faults))
    kept = _plan(simulator.faults) if request.method == "PATCH" else {}
    faults = build(Faults, kept | _body(request))
    if seconds := dict(parse_qsl(request.query)).get("seconds"):
        if not _NUMBER.fullmatch(seconds):
            raise ValueError("seconds must be a number, 0 or more")
        simulator.play(faults, seconds=float(seconds))
    else:
        simulator.faults = faults
    return _json(_plan(faults))


_ROUTES: dict[tuple[str, str], Callable[["Simulator", Request], Answer]] = {
    ("GET", "truth"): _truth,
    ("GET", "totals"): _totals,
    ("GET", "log"): _log,
    ("GET", "accepts"): _accepts,
    ("POST", "accounts"): _accounts,
    ("POST", "standings"): _standings,
    ("GET", "bookings"): _bookings,
    ("POST", "sessions"): _sessions,
    ("POST", "next"): _next,
    ("POST", "kill"): _kill,
    ("POST", "revive"): _revive,
    **{(method, "rules"): _rules for method in ("GET", "PUT", "PATCH")},
    **{(method, "faults"): _faults for method in ("GET", "PUT", "PATCH")},
    **{(method, "timetable"): _timetable for method in ("GET", "PUT", "PATCH")},
}


def _body(request: Request) -> dict[str, Any]:
    content = json.loads(request.body or b"{}")
    if not isinstance(content, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 (becomes a 400 like any other)
    return content


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing, or not a text")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _fingerprint(email: str) -> str:
    """Fifty hex digits that are always the same for one e-mail."""
    return hashlib.sha256(email.encode()).hexdigest()[:50]


def _plan(plan: Rules | Faults | Timetable) -> dict[str, Any]:
    return {field.name: getattr(plan, field.name) for field in fields(plan)}


def _told(truth: Truth) -> Answer:
    return _json(truth.as_json())


def _json(content: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode(), JSON)


def _lines(contents: list[dict[str, Any]]) -> Answer:
    return Answer(200, "".join(json.dumps(content) + "\n" for content in contents).encode(), LINES)
