"""The command that rotates now."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from aimkeeper.cli.look import every_session
from aimkeeper.cli.terminal import AsJson, confirmed, counted, do, print_json, progress, say
from aimkeeper.cli.words import what_happened
from aimkeeper.core.errors import REFUSED_ADDRESS, ConfigError
from aimkeeper.core.session import Session, Status

if TYPE_CHECKING:
    from aimkeeper.engine.passes import Failure, PassResult
    from aimkeeper.service import Service

ASK_ABOVE = 100
LONGEST_PASS = timedelta(hours=1)

# Codes of a failure that speak of the upstream, not of the session.
UPSTREAM = {"unreachable", "timed_out", "broken_off", "server_error", "overloaded", "rate_limited", "unreadable"}
UPSTREAM |= {"too_large", "paused"}


def register(app: typer.Typer) -> None:
    app.command("rotate", help="Rotate now.")(rotate)


def rotate(
    who: Annotated[list[str] | None, typer.Argument(metavar="WHO", help="Without: what is due.")] = None,
    due: Annotated[bool, typer.Option("--due", help="All that is due.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All that live; asks above 100.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    if sum((bool(who), due, every)) > 1:
        raise ConfigError("name sessions, or --due, or --all: only one of them.")

    async def work(service: "Service") -> "tuple[PassResult, list[str]]":
        if who:
            chosen = await _named(service, who)
        elif every:
            chosen = [session for session in await every_session(service) if session.status is not Status.ENDED]
            if len(chosen) > ASK_ABOVE and not yes:
                _ask(len(chosen))
        else:
            return await _rotate_due(service)
        with progress(len(chosen), "Rotating") as done:
            result = await service.passes.rotate_these(chosen, lambda told: done(told.processed))
        return result, await _explanations(service, result)

    result, explanations = do(work)
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
        say(", ".join(f"{name} {count}" for name, count in counts.items()))
        for explanation in explanations:
            say(explanation, err=True)
    raise typer.Exit(_exit_status(result, only_one=bool(who) and result.processed == 1))


def _ask(count: int) -> None:
    otherwise = f"that is {counted(count, 'session')}: add --yes to rotate them all."
    if not confirmed(f"Rotate {counted(count, 'session')} now?", otherwise):
        say("Nothing was rotated.")
        raise typer.Exit(0)


async def _named(service: "Service", names: list[str]) -> list[Session]:
    """The sessions named, each once, however often it was."""
    found = {session.id: session for session in [await service.find(name) for name in names]}
    return list(found.values())


async def _rotate_due(service: "Service") -> "tuple[PassResult, list[str]]":
    with progress((await service.standing()).overdue, "Rotating") as done:
        result = await service.passes.rotate_due(
            until=service.store.now(), at_most=LONGEST_PASS, progress=lambda told: done(told.processed)
        )
    return result, await _explanations(service, result)


async def _explanations(service: "Service", result: "PassResult") -> list[str]:
    now, is_kept = service.store.now(), bool(await service.store.owners.living_workers())
    return [
        _explained(failure, await service.store.get(failure.session), now, is_kept=is_kept) for failure in result.errors
    ]


def _explained(failure: "Failure", session: Session | None, now: datetime, *, is_kept: bool) -> str:
    """A failure for people: whose it is, what happened and what to do."""
    if session is None:
        return f"{failure.session}: {failure.error}."
    if failure.code == "paused":
        return f"{session.key}: {failure.error}."
    if failure.code == "forbidden":
        return f"{session.key}: {REFUSED_ADDRESS}"
    return f"{session.key}: {what_happened(session, now, is_kept=is_kept)}"


def _exit_status(result: "PassResult", *, only_one: bool) -> int:
    """The finer ones for one WHO only; otherwise 1 when some failed, 4 when it was the upstream."""
    if not result.errors:
        return 0
    codes = {failure.code for failure in result.errors}
    if only_one and result.logged_out:
        return 5
    if codes == {"forbidden"}:
        return 6
    return 4 if codes & UPSTREAM else 1
