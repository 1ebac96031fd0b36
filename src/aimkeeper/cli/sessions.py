"""Commands for sessions: login, adopt, sessions, show, history, rotate, check, logout, forget."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aimkeeper.cli.terminal import AsJson, Who, ask_password, do, print_json, print_table, progress, settings, span
from aimkeeper.cli.words import NOBODY, WHY, what_happened
from aimkeeper.core.errors import AimkeeperError, ConfigError, UpstreamUnavailable
from aimkeeper.core.session import Cause, Session, Status

if TYPE_CHECKING:
    from aimkeeper.engine.passes import PassResult
    from aimkeeper.service import Service

MONTH = timedelta(days=30)
PAGE = 500
ASK_ABOVE = 100


def register(app: typer.Typer) -> None:
    app.command("login", help="Log in upstream and keep the session.")(login)
    app.command("adopt", help="Take over sessions made elsewhere, from JSON Lines.")(adopt)
    app.command("sessions", help="List sessions.")(list_sessions)
    app.command("show", help="One session: what happened, what to do.")(show)
    app.command("history", help="A session's rotations and events.")(history)
    app.command("rotate", help="Rotate now.")(rotate)
    app.command("check", help="Ask AimHarder whether a session is really alive.")(check)
    app.command("logout", help="End a session here.")(logout)
    app.command("forget", help="Erase every trace of a session.")(forget)


def login(
    email: Annotated[str, typer.Argument(help="The AimHarder account.")],
    fingerprint: Annotated[str | None, typer.Option(help="Device id; default: the account's, or a new one.")] = None,
    remember: Annotated[bool, typer.Option("--remember", help="Seal the password, to log in again by itself.")] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
) -> None:
    from aimkeeper.core.session import normal_email
    from aimkeeper.core.token import parse_fingerprint
    from aimkeeper.engine.entry import LogIn

    try:
        address = normal_email(email)
        device = parse_fingerprint(fingerprint) if fingerprint else None
    except ValueError as error:
        raise ConfigError(f"{error}.") from None
    password = ask_password(from_stdin=password_stdin)

    async def work(service: "Service") -> str:
        session = await service.entry.log_in(LogIn(address, password, device, remember))
        typer.echo(f"Logged in: {session.key}")
        if session.setrefresh_due:
            typer.echo(f"The session stands; its setrefresh failed ({session.setrefresh_error}) and is tried again.")
        return await _who_keeps(service)

    typer.echo(do(work))


def adopt(
    file: Annotated[str, typer.Argument(metavar="FILE.jsonl", help="One session a line; - for standard input.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace sessions that are kept already.")] = False,
) -> None:
    from aimkeeper.core.begin import Adoption, read_adoption_line
    from aimkeeper.service import default_fingerprint

    fallback = default_fingerprint(settings())
    good: list[tuple[int, Adoption]] = []
    bad: list[tuple[int, str]] = []
    for number, line in enumerate(_lines(file), 1):
        if not line.strip():
            continue
        try:
            good.append((number, read_adoption_line(line, fallback)))
        except ValueError as error:
            bad.append((number, str(error)))

    async def work(service: "Service") -> tuple[int, str]:
        adopted = 0
        with progress(len(good), "Adopting") as done:
            for start in range(0, len(good), PAGE):
                chunk = good[start : start + PAGE]
                fates = await service.entry.adopt([adoption for _, adoption in chunk], replacing=replace)
                for (number, _), fate in zip(chunk, fates, strict=True):
                    if isinstance(fate, AimkeeperError):
                        bad.append((number, str(fate).rstrip(".")))
                    else:
                        adopted += 1
                done(start + len(chunk))
        return adopted, await _who_keeps(service)

    adopted, keepers = do(work)
    for number, problem in sorted(bad):
        typer.echo(f"line {number}: {problem}.", err=True)
    typer.echo(f"Adopted {adopted}, refused {len(bad)}.")
    if adopted:
        typer.echo(keepers)
    raise typer.Exit(1 if bad else 0)


def list_sessions(
    status: Annotated[str | None, typer.Option(help=f"Only these: {', '.join(Status)}.")] = None,
    as_json: AsJson = False,
) -> None:
    if status is not None and status not in list(Status):
        raise ConfigError(f"--status must be one of {', '.join(Status)}.")
    listed = do(lambda service: _listed(service, Status(status) if status else None))
    if as_json:
        print_json(listed)
        return
    now = datetime.now(UTC)
    lines = [
        [item["session"], item["status"] + (f" ({item['cause']})" if item["cause"] else ""), str(item["rotations"])]
        + [span(_moment(item[name]), now) for name in ("rotated_at", "due_at", "deadline_at")]
        for item in listed
    ]
    print_table(["SESSION", "STATUS", "ROTATIONS", "LAST", "NEXT", "DEADLINE"], lines)


def show(who: Who, as_json: AsJson = False) -> None:
    async def work(service: "Service") -> tuple[Session, datetime, str]:
        return await service.find(who), service.store.now(), await _who_keeps(service)

    session, now, keepers = do(work)
    if as_json:
        print_json(described(session))
        return
    typer.echo(f"{session.key}\n")
    typer.echo(what_happened(session, now) + "\n")
    facts = {
        "id": session.id,
        "status": session.status.value,
        "cause": session.cause.value if session.cause else "-",
        "rotations": f"{session.rotations} (generation {session.generation}, last {span(session.rotated_at, now)})",
        "next": span(session.due_at, now),
        "deadline": span(session.deadline_at, now),
        "setrefresh": f"{session.setrefresh_count} (last {span(session.setrefresh_at, now)})",
        "password": "remembered" if session.secrets.password else "not remembered",
        "spares": str(session.spares),
        "kept by": keepers,
    }
    for name, value in facts.items():
        typer.echo(f"{name:<11}{value}")


def history(who: Who, as_json: AsJson = False) -> None:
    async def work(service: "Service") -> list[dict[str, Any]]:
        session = await service.find(who)
        told: list[dict[str, Any]] = [
            {"at": datetime.fromtimestamp(turn.at, UTC).isoformat(), "what": turn.what, "via": turn.via,
             "took_ms": turn.took_ms, "token": turn.token}
            for turn in session.ring
        ]  # fmt: skip
        told += [
            {"at": fact.at.isoformat(), "what": fact.kind.value, "via": "event", **fact.data}
            for fact in await service.store.events_of(session.id)
        ]
        return sorted(told, key=lambda item: str(item["at"]))

    told = do(work)
    if as_json:
        print_json(told)
        return
    lines = [[str(item["at"])[:19] + "Z", item["via"], item["what"], _details(item)] for item in told]
    print_table(["AT", "VIA", "WHAT", "DETAILS"], lines)


def rotate(
    who: Annotated[list[str] | None, typer.Argument(metavar="[WHO ...]")] = None,
    due: Annotated[bool, typer.Option("--due", help="All that is due.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All there are; asks above 100.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    if sum((bool(who), due, every)) > 1:
        raise ConfigError("name sessions, or --due, or --all: only one of them.")

    async def work(service: "Service") -> "tuple[PassResult, Session | None]":
        if who:
            chosen = [await service.find(name) for name in who]
        elif every:
            chosen = await _all(service)
            if len(chosen) > ASK_ABOVE and not yes:
                typer.confirm(f"Rotate {len(chosen)} sessions now?", abort=True)
        else:
            with progress((await service.standing()).overdue, "Rotating") as done:
                now = service.store.now()
                result = await service.passes.rotate_due(
                    until=now, at_most=timedelta(hours=1), progress=lambda told: done(told.processed)
                )
                return result, None
        with progress(len(chosen), "Rotating") as done:
            result = await service.passes.rotate_these(chosen, lambda told: done(told.processed))
        return result, await service.store.get(chosen[0].id) if len(chosen) == 1 else None

    result, only = do(work)
    counts = {
        "processed": result.processed,
        "successful": result.successful,
        "failed": result.failed,
        "loggedOut": result.logged_out,
        "skipped": result.skipped,
    }
    if as_json:
        errors = [{"session": e.session, "code": e.code, "error": e.error} for e in result.errors]
        print_json({**counts, "errors": errors})
    else:
        typer.echo(", ".join(f"{name} {count}" for name, count in counts.items()))
        for failure in result.errors:
            typer.echo(f"{failure.session}: {failure.error}.", err=True)
    raise typer.Exit(_pass_status(result, only))


def check(who: Who, as_json: AsJson = False) -> None:
    from aimkeeper.core.outcome import Life
    from aimkeeper.engine.refresh import alive

    async def work(service: "Service") -> tuple[Life, str]:
        session = alive(await service.find(who))
        answer = await service.keeper.who_am_i(session)
        if answer.life is Life.UNCLEAR:
            raise UpstreamUnavailable(f"AimHarder gave no clear answer ({answer.reason}): try again in a while.")
        return answer.life, str(session.key)

    life, name = do(work)
    if as_json:
        print_json({"session": name, "life": life.value})
    else:
        said = "AimHarder recognises it: it is alive." if life is Life.ALIVE else "AimHarder does not recognise it."
        typer.echo(f"{name}: {said}")
    raise typer.Exit(0 if life is Life.ALIVE else 5)


def logout(
    who: Who,
    upstream: Annotated[
        bool, typer.Option("--upstream", help="At AimHarder too: believed to end all of the account's sessions.")
    ] = False,
) -> None:
    async def work(service: "Service") -> str:
        session = await service.find(who)
        await service.entry.log_out(session, upstream=upstream)
        return str(session.key)

    where = "here and at AimHarder" if upstream else "here; AimHarder was not told"
    typer.echo(f"Ended {do(work)} {where}.")


def forget(who: Who) -> None:
    async def work(service: "Service") -> str:
        session = await service.find(who)
        await service.entry.forget(session)
        return str(session.key)

    typer.echo(f"Forgot {do(work)}: no trace is left.")


def described(session: Session) -> dict[str, Any]:
    """A session as JSON, without secrets: as the HTTP API describes it."""
    from aimkeeper.web.sessions import described as as_json

    return as_json(session)


async def _listed(service: "Service", status: Status | None) -> list[dict[str, Any]]:
    sessions = await _all(service, status)
    listed = [{"session": str(session.key), **described(session)} for session in sessions]
    if status in (None, Status.ENDED):
        known = {session.id for session in sessions}
        for fact in await service.store.ends_since(service.store.now() - MONTH):
            if fact.session_id not in known and not await service.store.get(fact.session_id or ""):
                known.add(fact.session_id or "")
                listed.append(_gone(fact.email or "?", fact.session_id or "", fact.at, str(fact.data.get("cause"))))
    return listed


def _gone(email: str, session_id: str, at: datetime, cause: str) -> dict[str, Any]:
    """An ended session whose row is wiped: only its event is left."""
    names = ("rotated_at", "due_at", "deadline_at")
    why = WHY.get(Cause(cause)) if cause in list(Cause) else None
    return {
        "session": email, "id": session_id, "email": email, "status": "ended", "cause": cause, "rotations": 0,
        "ended_at": at.isoformat(), "why": why, **dict.fromkeys(names),
    }  # fmt: skip


async def _all(service: "Service", status: Status | None = None) -> list[Session]:
    sessions: list[Session] = []
    while True:
        page = await service.store.page(sessions[-1].key if sessions else None, PAGE, status)
        sessions += page
        if len(page) < PAGE:
            return sessions


async def _who_keeps(service: "Service") -> str:
    workers = await service.store.owners.living_workers()
    return f"Kept by {', '.join(f'{w.name} (pid {w.pid})' for w in workers)}." if workers else NOBODY


def _lines(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not a UTF-8 text.") from None
    return text.splitlines()


def _pass_status(result: "PassResult", only: Session | None) -> int:
    """SPEC: 5 and the finer ones for one WHO only; otherwise 1 when some failed."""
    if not result.failed and not result.logged_out:
        return 0
    if only is not None and only.status is Status.ENDED:
        return 5
    codes = {failure.code for failure in result.errors}
    if only is not None and codes == {"forbidden"}:
        return 6
    upstream = {"unreachable", "timed_out", "broken_off", "server_error", "rate_limited", "unreadable", "too_large"}
    return 4 if codes <= upstream and not result.successful else 1


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _details(item: dict[str, Any]) -> str:
    hidden = ("at", "what", "via", "evidence")
    return " ".join(f"{name}={value}" for name, value in item.items() if name not in hidden)
