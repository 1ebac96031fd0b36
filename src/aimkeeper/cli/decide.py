"""Commands by which an operator decides: revive, verdicts, pause, resume."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aimkeeper.cli.terminal import AsJson, Who, counted, do, print_json, print_table, say, span
from aimkeeper.core.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from aimkeeper.core.session import Session
    from aimkeeper.service import Service

verdicts = typer.Typer(help="Ends that are held back.", no_args_is_help=True, rich_markup_mode=None)

SomeWho = Annotated[list[str] | None, typer.Argument(metavar="WHO", help="Without: all that are held back.")]


def register(app: typer.Typer) -> None:
    app.command("revive", help="Undo an end, until its secrets are wiped.")(revive)
    app.add_typer(verdicts, name="verdicts")
    app.command("pause", help="Stop everything: no process sends anything any more.")(pause)
    app.command("resume", help="Let everything go on.")(resume)


def revive(who: Who) -> None:
    async def work(service: "Service") -> str:
        session = await service.verdicts.revive(await service.find(who))
        return f"Revived {session.key}: it is tried at once."

    say(do(work))


@verdicts.command("list", help="Which ends are held back, and why.")
def list_verdicts(as_json: AsJson = False) -> None:
    async def work(service: "Service") -> "tuple[list[Session], datetime | None, datetime]":
        fleet = await service.keeper.breaker.look(afresh=True)
        return await service.verdicts.held(), fleet.held_at, service.store.now()

    held, since, now = do(work)
    if as_json:
        print_json([_described(session) for session in held])
        return
    if not held:
        say("No verdict is held back.")
        return
    if since:
        say(f"Held back since {span(since, now)}: AimHarder told too many to log out at once.\n")
    lines = [[str(session.key), span(session.rotated_at, now), span(session.due_at, now)] for session in held]
    print_table(["SESSION", "LAST ROTATION", "NEXT TRY"], lines)
    say("\n`aimkeeper verdicts retry` tries all of them at once; `aimkeeper verdicts accept` lets them end.")


@verdicts.command("accept", help="Believe AimHarder: they end, or log in again.")
def accept(who: SomeWho = None) -> None:
    async def work(service: "Service") -> int:
        chosen = [await service.find(name) for name in who] if who else None
        return await service.verdicts.accept(chosen)

    say(f"Accepted {counted(do(work), 'verdict')}.")


@verdicts.command("retry", help="Try all of them from the start, before all others.")
def retry() -> None:
    say(f"Trying {counted(do(lambda service: service.verdicts.retry()), 'session')} again.")


def pause(
    lasting: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="For so long, like 30m; without, until resume.")
    ] = "",
) -> None:
    from aimkeeper.settings import read_duration

    try:
        duration = read_duration(lasting) if lasting else None
    except ValueError as error:
        raise ConfigError(f"--for {error}.") from None
    if duration is not None and duration <= timedelta(0):
        raise ConfigError("--for must be longer than nothing.")

    async def work(service: "Service") -> str:
        until = service.store.now() + duration if duration else None
        await service.keeper.breaker.pause(until)
        return await _consequence(service, until)

    say(do(work))


async def _consequence(service: "Service", until: "datetime | None") -> str:
    standing, now = await service.standing(), service.store.now()
    lasts = f"Paused until {until:%H:%M} UTC" if until else "Paused until `aimkeeper resume`"
    if standing.next_deadline_at is None:
        return f"{lasts}: nothing is sent."
    return f"{lasts}: nothing is sent. The first session dies {span(standing.next_deadline_at, now)} if that lasts."


def resume() -> None:
    say("Resumed." if do(lambda service: service.keeper.breaker.resume()) else "Nothing was paused.")


def _described(session: "Session") -> dict[str, Any]:
    from aimkeeper.web.described import described

    return {"session": str(session.key), **described(session)}
