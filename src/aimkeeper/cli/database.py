"""Commands for the database as a whole: back it up, say that this one is the one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aimkeeper.cli.operate import db
from aimkeeper.cli.terminal import counted, do, say
from aimkeeper.core.errors import ConfigError

if TYPE_CHECKING:
    from aimkeeper.service import Service
    from aimkeeper.settings import Settings


def register(_app: typer.Typer) -> None:
    db.command("backup", help="Copy the embedded database while it is in use.")(backup)
    db.command("take-over", help="Keep a restored or copied database from here on.")(take_over)


def backup(file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.")]) -> None:
    async def work(service: "Service") -> list[str]:
        await service.store.backup(file)
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
                f"the sessions of this database moved to {fleet.moved_to}, and two databases must never keep the same "
                "ones: if that one is gone for good, `aimkeeper db take-over --moved` takes them back."
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
