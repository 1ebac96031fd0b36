"""Commands about a table of sessions that another program made: share it, take it over, give it back."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from aimkeeper.cli.operate import db
from aimkeeper.cli.terminal import confirmed, counted, progress, say, settings
from aimkeeper.core.errors import ConfigError

if TYPE_CHECKING:
    from aimkeeper.store.foreign import Foreign, Found

T = TypeVar("T")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and how many rows it is about.")]

_SWITCH_OFF = "Whatever else rotates these sessions must be off: two that spend one token end the session."
_TRACES = (
    "What stood readable may still be in the server's write-ahead log and in backups made before: tokens in them are "
    "spent with the next rotation, cookies stay good as long as their session. Delete those backups when you can."
)
_LOST = "history, spare tokens and remembered passwords"
_NOT_VACUUMED = (
    "Old versions of the rows are still in the table's files, for somebody holds the table: run "
    "`VACUUM FULL public.auth_sessions` when nobody does."
)


def register(_app: typer.Typer) -> None:
    db.command("adopt", help="Keep sessions in the table of an app.")(adopt)
    db.command("unadopt", help="Give the app its table back as it was.")(unadopt)


def adopt(
    take_over: Annotated[
        bool, typer.Option("--take-over", help="No other program uses the table any more: seal what is in it.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    async def work(foreign: "Foreign") -> list[str]:
        found = await foreign.look()
        if lines := _nothing_to_adopt(found, take_over=take_over):
            return lines
        if dry_run:
            return _plan(foreign, found, take_over=take_over)
        lines = await _share(foreign, found)
        if take_over:
            assert found.census is not None
            with progress(found.census.sessions, "Sealing") as done:
                sealed, is_clean = await foreign.take_over(found, done)
            if sealed or found.mode != "exclusive":
                lines = [f"Taken over: {counted(sealed, 'session')} sealed, the app's own columns emptied.", _TRACES]
            lines += [] if is_clean else [_NOT_VACUUMED]
        return lines

    for line in _do(work):
        say(line)


def unadopt(
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    async def work(foreign: "Foreign") -> list[str]:
        found = await foreign.look()
        if found.mode not in ("shared", "exclusive"):
            return ["aimkeeper did not adopt this table: nothing was to be done."]
        assert found.census is not None
        sessions = counted(found.census.sessions, "session")
        if dry_run:
            return _give_back_plan(found, sessions)
        question = (
            f"Give the table with {sessions} back, and drop their history, spare tokens and remembered passwords?"
        )
        if not (yes or confirmed(question, "say --yes: history, spare tokens and remembered passwords are dropped.")):
            return ["Nothing was done."]
        with progress(found.census.sessions, "Unsealing") as done:
            await foreign.give_back(found, done)
        return [f"Given back: {sessions}, with the tokens readable where the app has them. aimkeeper keeps none now."]

    for line in _do(work):
        say(line)


def _do(work: "Callable[[Foreign], Awaitable[T]]") -> T:
    import asyncio

    from aimkeeper.service import foreign_of, the_world

    return asyncio.run(work(foreign_of(settings(), the_world())))  # type: ignore[arg-type]  # every one is a coroutine


def _nothing_to_adopt(found: "Found", *, take_over: bool) -> list[str]:
    if found.mode == "absent":
        raise ConfigError("there is no table auth_sessions to adopt: `aimkeeper serve` makes one of its own.")
    if found.mode == "ours":
        return ["aimkeeper made this table itself: nothing was to be done."]
    if found.mode == "exclusive" and not take_over:
        return ["The table was taken over already: nothing was to be done. `aimkeeper db unadopt` gives it back."]
    return []


async def _share(foreign: "Foreign", found: "Found") -> list[str]:
    assert found.shape is not None
    assert found.census is not None
    taken_in = await foreign.share(found)
    if found.mode != "foreign" and not taken_in:
        done = "Taken over" if found.mode == "exclusive" else "Shared"
        return [f"{done} already: nothing was to be done."]
    lines = [f"Shared: {counted(taken_in, 'session')} taken in; the app may go on reading and writing its table."]
    if found.census.stale:
        lines.append(
            f"{counted(found.census.stale, 'session')} gave no sign of life for longer than AimHarder keeps one: tried "
            "last, one by one, within a day."
        )
    if found.census.protected:
        protected = counted(found.census.protected, "session")
        lines.append(f"{protected} protected by the app: wiped like others when they end, but never deleted.")
    if not found.shape.hides_rows:
        lines.append("Row level security is off for auth_sessions: whoever has the project's public key can read it.")
    return [*lines, _SWITCH_OFF]


def _plan(foreign: "Foreign", found: "Found", *, take_over: bool) -> list[str]:
    assert found.shape is not None
    assert found.census is not None
    foreign.refuse_what_cannot_be(found)
    census, sessions = found.census, counted(found.census.sessions, "session")
    kinds = f"{census.without_fingerprint} without a fingerprint, {census.stale} without a sign of life for long"
    lines = [f"-- {sessions}: {kinds}, {census.protected} protected. Nothing was changed."]
    lines += [text.rstrip() for text in foreign.statements(found, exclusive=take_over)]
    if found.mode == "foreign":
        lines.append(f"-- Then {sessions} would be taken in, 500 in a transaction.")
    if take_over:
        lines.append(f"-- Then {sessions} would be sealed, and the table vacuumed.")
    return lines


def _give_back_plan(found: "Found", sessions: str) -> list[str]:
    from aimkeeper.store.queries import script

    unseal = [f"-- First the tokens of {sessions} would be unsealed."] if found.mode == "exclusive" else []
    return [f"-- {sessions}. Nothing was changed.", *unseal, script("give_back").rstrip()]
