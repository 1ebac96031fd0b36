"""Commands for the database as a whole: back it up, move it, say that this one is the one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aimkeeper.cli.operate import db
from aimkeeper.cli.terminal import counted, do, progress, say, settings
from aimkeeper.core.errors import ConfigError

if TYPE_CHECKING:
    from aimkeeper.service import Service
    from aimkeeper.settings import Settings


def register(_app: typer.Typer) -> None:
    db.command("backup", help="Copy the embedded database while it is in use.")(backup)
    db.command("copy", help="Move everything to PostgreSQL; this one spends nothing more.")(copy)
    db.command("take-over", help="Keep a restored or copied database from here on.")(take_over)


def backup(file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.")]) -> None:
    async def work(service: "Service") -> list[str]:
        await service.store.whole.back_up(file)
        standing = await service.standing()
        return [
            f"{counted(standing.living, 'session')} saved in {file}.",
            f"Their secrets are sealed, and the key is not in it: keep {_key_of(service.settings)} in another place.",
            "A database made from it keeps nothing until `aimkeeper db take-over`.",
        ]

    for line in do(work):
        say(line)


def _key_of(settings: "Settings") -> str:
    from aimkeeper.service import key_file_of

    return "a copy of AIMKEEPER_SECRET_KEYS" if settings.secret_keys else f"a copy of {key_file_of(settings)}"


def copy(
    to: Annotated[str, typer.Option("--to", metavar="URL", help="postgresql://user:password@host/database.")],
) -> None:
    import asyncio

    from aimkeeper.service import move

    chosen = settings()
    with progress(None, "Moving") as tell:
        moved = asyncio.run(move(chosen, to, tell))
    say(
        f"Moved: {counted(moved.sessions, 'session')}, {counted(moved.spares, 'spare token')}, "
        f"{counted(moved.events, 'event')}. Nothing more is spent from {chosen.database_path}."
    )
    say("From now on, on every machine that keeps them:")
    say("  AIMKEEPER_DATABASE_URL       the address you gave as --to")
    for line in _files_to_take_along(chosen):
        say(f"  {line}")


def _files_to_take_along(chosen: "Settings") -> list[str]:
    from aimkeeper.service import key_file_of

    told = []
    if chosen.secret_keys:
        told.append("AIMKEEPER_SECRET_KEYS        as it is here")
    else:
        told.append(f"AIMKEEPER_SECRET_KEYS_FILE   a copy of {key_file_of(chosen)}")
    operator = chosen.database_path.parent / "operator.key"
    if not chosen.api_keys and operator.exists():
        told.append(f"AIMKEEPER_API_KEY_FILE       a copy of {operator}")
    return told


def take_over(
    moved: Annotated[
        bool,
        typer.Option("--moved", help="Also where the sessions moved away by `db copy`; their new database is gone."),
    ] = False,
) -> None:
    async def work(service: "Service") -> list[str]:
        fleet = await service.store.fleet.read()
        if fleet.moved_to is not None and not moved:
            raise ConfigError(
                f"the sessions of this database moved to the {fleet.moved_to}, and two databases must never keep the "
                "same ones: if that one is gone for good, `aimkeeper db take-over --moved` takes them back."
            )
        if fleet.bar is None:
            return [f"{service.store} is the one that keeps its sessions already: nothing was to be done."]
        await service.store.fleet.take_over()
        standing = await service.standing()
        told = (
            f"Taken over: {counted(standing.living, 'session')} in {service.store}. Make sure that no other copy of "
            "this database is kept, or each spends tokens the other believes to be its own."
        )
        if not standing.at_risk:
            return [told]
        late = (
            f"{standing.at_risk} of them were not rotated for 29 minutes or longer, as far as this database knows: "
            "those whose token was spent since must log in again."
        )
        return [told, late]

    for line in do(work):
        say(line)
