"""Commands about the keys that seal the secrets."""

from typing import TYPE_CHECKING

import typer

from aimkeeper.cli.terminal import AsJson, counted, do, print_json, progress, say

if TYPE_CHECKING:
    from aimkeeper.service import Service
    from aimkeeper.store.rekey import Rekeyed

keys = typer.Typer(help="Keys that seal the secrets.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    app.add_typer(keys, name="keys")


@keys.command("new", help="Print a fresh key for AIMKEEPER_SECRET_KEYS.")
def keys_new() -> None:
    from aimkeeper.store.seal import new_key

    say(new_key())


@keys.command("rotate", help="Seal everything with a new key, while all others work.")
def keys_rotate(as_json: AsJson = False) -> None:
    async def work(service: "Service") -> "Rekeyed":
        standing = await service.standing()
        total = standing.total + standing.spares
        with progress(total, "Sealing again") as done:
            return await service.rekeying().run(lambda so_far: done(so_far.looked_at))

    rekeyed = do(work)
    if as_json:
        print_json(
            {
                "key": rekeyed.key_id,
                "is_new": rekeyed.is_new,
                "old_keys": list(rekeyed.old_key_ids),
                "sessions": rekeyed.done.sessions,
                "spares": rekeyed.done.spares,
                "unreadable": rekeyed.done.unreadable,
            }
        )
    else:
        _tell(rekeyed)
    raise typer.Exit(1 if rekeyed.done.unreadable else 0)


def _tell(rekeyed: "Rekeyed") -> None:
    done = rekeyed.done
    new = "the new key" if rekeyed.is_new else "key"
    if done.changed_nothing and not rekeyed.is_new:
        say(f"Everything is sealed with {new} {rekeyed.key_id} already.")
    else:
        and_spares = f" and {counted(done.spares, 'spare token')}" if done.spares else ""
        say(f"Sealed again with {new} {rekeyed.key_id}: {counted(done.sessions, 'session')}{and_spares}.")
    for key_id, count in done.unreadable.items():
        is_here = key_id in (rekeyed.key_id, *rekeyed.old_key_ids)
        then = "damaged, for that key is here: restore a backup" if is_here else "add that key, and run this again"
        say(f"{counted(count, 'value')} sealed with key {key_id} can't be opened: {then}.", err=True)
    if rekeyed.old_key_ids and not done.unreadable:
        names = ", ".join(rekeyed.old_key_ids)
        say(f"Old: {names}. Keep it an hour, and as long as you keep backups from before; then take it out.")
