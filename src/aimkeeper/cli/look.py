"""Commands that look at sessions: sessions, show, history, check."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aimkeeper.cli.terminal import AsJson, Who, do, offered, print_json, print_table, say, span
from aimkeeper.cli.words import NOBODY, NOBODY_YET, what_happened, what_to_do, who_keeps, why
from aimkeeper.core.causes import WHY
from aimkeeper.core.errors import ConfigError, UnknownSession, UpstreamRefused, UpstreamUnavailable
from aimkeeper.core.session import Cause, Session, Status

if TYPE_CHECKING:
    from aimkeeper.core.events import Event
    from aimkeeper.service import Service

MONTH = timedelta(days=30)
PAGE = 500


def register(app: typer.Typer) -> None:
    app.command("sessions", help="List sessions.")(list_sessions)
    app.command("show", help="One session: what happened, what to do.")(show)
    app.command("history", help="A session's rotations and events.")(history)
    app.command("check", help="Ask AimHarder whether a session is really alive.")(check)


def list_sessions(
    status: Annotated[
        str | None, typer.Option(help=f"Only these: {', '.join(Status)}.", autocompletion=offered(Status))
    ] = None,
    as_json: AsJson = False,
) -> None:
    if status is not None and status not in list(Status):
        raise ConfigError(f"--status must be one of {', '.join(Status)}.")
    listed, now = do(lambda service: _listed(service, Status(status) if status else None))
    if as_json:
        print_json(listed)
        return
    if not listed:
        say("No session is kept yet: aimkeeper login you@example.com" if status is None else f"None is {status}.")
        return
    lines = [
        [item["session"], item["status"] + (f" ({item['cause']})" if item["cause"] else ""), str(item["rotations"])]
        + [span(_moment(item[name]), now) for name in ("rotated_at", "due_at")]
        # What has ended has no deadline any more.
        + ["-" if item["status"] == Status.ENDED else span(_moment(item["deadline_at"]), now)]
        for item in listed
    ]
    print_table(["SESSION", "STATUS", "ROTATIONS", "LAST", "NEXT", "DEADLINE"], lines)
    if any(item["status"] == Status.ENDED for item in listed):
        say("\n`aimkeeper show WHO` says why a session ended, and what to do.")


def show(who: Who, as_json: AsJson = False) -> None:
    async def work(service: "Service") -> "tuple[Session | Event, datetime, str]":
        return await _found(service, who), service.store.now(), await who_keeps(service)

    session, now, keepers = do(work)
    if not isinstance(session, Session):
        _show_gone(session, now, as_json=as_json)
        return
    if as_json:
        print_json(_described(session, now))
        return
    has_ended = session.status is Status.ENDED
    say(f"{session.key}\n")
    say(what_happened(session, now, is_kept=keepers != NOBODY) + "\n")
    facts = {
        "id": session.id,
        "status": session.status.value,
        "cause": session.cause.value if session.cause else "-",
        "rotations": f"{session.rotations} (generation {session.generation}, last {span(session.rotated_at, now)})",
        "next": span(session.due_at, now),
        "deadline": "-" if has_ended else span(session.deadline_at, now),
        "setrefresh": f"{session.setrefresh_count} (last {span(session.setrefresh_at, now)})",
        "password": "remembered" if session.secrets.password else "not remembered",
        "spares": str(session.spares),
        "kept by": "-" if has_ended else _keepers(keepers),
    }
    for name, value in facts.items():
        say(f"{name:<11}{value}")


def history(who: Who, as_json: AsJson = False) -> None:
    async def work(service: "Service") -> list[dict[str, Any]]:
        found = await _found(service, who)
        told: list[dict[str, Any]] = []
        if isinstance(found, Session):
            told += [
                {"at": datetime.fromtimestamp(turn.at, UTC).isoformat(), "via": turn.via, "what": turn.what,
                 "took_ms": turn.took_ms if turn.took_ms >= 0 else None, "token": turn.token}
                for turn in found.ring
            ]  # fmt: skip
        session_id = found.id if isinstance(found, Session) else found.session_id or ""
        told += [
            # A fact's own `via` says which exchange brought it; it is an event all the same.
            {"at": fact.at.isoformat(), "what": fact.kind.value, **_renamed(fact.data), "via": "event"}
            for fact in await service.store.events_of(session_id)
        ]
        return sorted(told, key=lambda item: datetime.fromisoformat(item["at"]))

    told = do(work)
    if as_json:
        print_json(told)
        return
    lines = [[f"{item['at'][:19]}Z", item["via"], item["what"], _details(item)] for item in told]
    print_table(["AT", "VIA", "WHAT", "DETAILS"], lines)


def check(who: Who, as_json: AsJson = False) -> None:
    from aimkeeper.core.outcome import Life, Reason
    from aimkeeper.engine.refresh import alive

    async def work(service: "Service") -> tuple[Life, str]:
        session = alive(await service.find(who))
        answer = await service.keeper.who_am_i(session)
        if answer.life is Life.UNCLEAR:
            if answer.reason is Reason.FORBIDDEN:
                raise UpstreamRefused
            raise UpstreamUnavailable(f"AimHarder gave no clear answer ({answer.reason}): try again in a while.")
        return answer.life, str(session.key)

    life, name = do(work)
    if as_json:
        print_json({"session": name, "life": life.value})
    elif life is Life.ALIVE:
        say(f"{name}: AimHarder recognises it: it is alive.")
    else:
        say(
            f"{name}: AimHarder does not recognise its cookies. `aimkeeper rotate {name}` finds out whether it is over."
        )
    raise typer.Exit(0 if life is Life.ALIVE else 5)


async def every_session(service: "Service", status: Status | None = None) -> list[Session]:
    """All of them, in pages, by e-mail and fingerprint."""
    sessions: list[Session] = []
    while True:
        page = await service.store.page(sessions[-1].key if sessions else None, PAGE, status)
        sessions += page
        if len(page) < PAGE:
            return sessions


def _described(session: Session, now: datetime) -> dict[str, Any]:
    """As the HTTP API describes it, with the words for people."""
    from aimkeeper.web.described import described

    over = session.status is Status.ENDED
    slack = None if over else round((session.deadline_at - now).total_seconds())
    words: dict[str, Any] = {"slack_seconds": slack}
    words |= {"why": why(session.cause) if over else None, "what_to_do": what_to_do(session) if over else None}
    return {"session": str(session.key), **described(session), **words}


async def _listed(service: "Service", status: Status | None) -> tuple[list[dict[str, Any]], datetime]:
    """What there is, and the store's time."""
    sessions = await every_session(service, status)
    now = service.store.now()
    listed = [_described(session, now) for session in sessions]
    if status in (None, Status.ENDED):
        known = {session.id for session in sessions}
        for fact in await service.store.ends_since(now - MONTH):
            if fact.session_id not in known and not await service.store.get(fact.session_id or ""):
                known.add(fact.session_id or "")
                listed.append(_gone(fact))
    return listed, now


async def _found(service: "Service", who: str) -> "Session | Event":
    """A session, or the end of one whose row is wiped: its event stays for a while."""
    try:
        return await service.find(who)
    except UnknownSession:
        name = who.strip().lower()
        for fact in await service.store.ends_since(service.store.now() - MONTH):
            if name and name in (fact.email, fact.session_id):
                return fact
        raise


def _gone(fact: "Event") -> dict[str, Any]:
    """An ended session whose row is wiped, as far as its event tells."""
    cause = _cause(fact)
    return {
        "session": fact.email or "?",
        "id": fact.session_id,
        "email": fact.email,
        "status": Status.ENDED.value,
        "cause": cause.value if cause else None,
        "rotations": 0,
        "rotated_at": None,
        "due_at": None,
        "deadline_at": None,
        "ended_at": fact.at.isoformat(),
        "why": why(cause),
        "what_to_do": f"Log in again: aimkeeper login {fact.email}",
    }


def _show_gone(fact: "Event", now: datetime, *, as_json: bool) -> None:
    told = _gone(fact)
    if as_json:
        print_json(told)
    else:
        say(f"{told['session']}\n\nEnded {span(fact.at, now)}: {told['why']}. {told['what_to_do']}")


def _keepers(told: str) -> str:
    return NOBODY_YET if told == NOBODY else told.removeprefix("Kept by ").removesuffix(".")


def _cause(fact: "Event") -> Cause | None:
    return next((cause for cause in WHY if cause == fact.data.get("cause")), None)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _renamed(data: Any) -> dict[str, Any]:
    return {("by_exchange" if name == "via" else name): value for name, value in data.items()}


def _details(item: dict[str, Any]) -> str:
    hidden = ("at", "what", "via", "evidence")
    return " ".join(f"{name}={value}" for name, value in item.items() if name not in hidden and value is not None)
