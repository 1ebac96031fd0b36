"""Commands to operate it: db, settings."""

from typing import Any

import typer

from aimkeeper.cli.terminal import AsJson, complain, do, print_json, print_table, say

db = typer.Typer(help="The database.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    app.add_typer(db, name="db")
    app.command("settings", help="Print every setting with its source, secrets hidden.")(print_settings)


@db.command("upgrade", help="Bring the schema up to date; every start does so too.")
def db_upgrade() -> None:
    async def work(service: Any) -> str:
        return str(service.store)

    say(f"{do(work)} is up to date.")


@db.command("status", help="Where sessions are stored, and whether all is well there.")
def db_status(as_json: AsJson = False) -> None:
    import asyncio

    from aimkeeper.cli.terminal import settings
    from aimkeeper.service import store_of, the_world

    async def look() -> dict[str, Any]:
        store = store_of(settings(), the_world())
        have, know = await store.schema()
        bar = await store.bar() if have == know else None
        return {"store": str(store), "schema": have, "newest_schema": know, "up_to_date": have == know, "bar": bar}

    told = asyncio.run(look())
    if as_json:
        print_json(told)
    else:
        state = "up to date" if told["up_to_date"] else "run `aimkeeper db upgrade`"
        say(f"{told['store']}: schema {told['schema']} of {told['newest_schema']}, {state}.")
        if told["bar"]:
            say(f"{told['bar'][0].upper()}{told['bar'][1:]}")
    raise typer.Exit(0 if told["up_to_date"] and not told["bar"] else 1)


def print_settings(as_json: AsJson = False) -> None:
    from aimkeeper.settings import described, load

    loaded = load()
    told = described(loaded)
    for sentence in loaded.strangers:
        complain(sentence)
    if as_json:
        print_json(told)
        return
    print_table(
        ["SETTING", "VALUE", "SOURCE", "MEANING"],
        [[item["name"], item["value"], item["source"], item["about"]] for item in told],
    )
