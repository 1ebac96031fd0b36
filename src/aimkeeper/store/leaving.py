"""How rows leave: wiped when the time for second thoughts is over, or forgotten. Those that an app protects stay."""

from collections.abc import Sequence
from datetime import datetime

from aimkeeper.core.errors import ConfigError
from aimkeeper.core.events import Event, EventKind
from aimkeeper.store import rows
from aimkeeper.store.backend import Transaction


async def wipe(tx: Transaction, now: datetime, *, keep_rows: bool, limit: int) -> list[Event]:
    """
    Wipe the secrets of those whose time has come, and their rows unless *keep_rows*.

    Returns:
        What is to be written about it.
    """
    ready = await tx.rows("wipe_ready", now=rows.micros(now), limit=limit)
    kept = {row[0]: keep_rows or bool(row[3]) for row in ready}
    await tx.each("delete_spares_of", [{"session_id": session_id} for session_id in kept])
    await tx.each("wipe_row", [{"id": session_id} for session_id, stays in kept.items() if stays])
    gone = await tx.each("delete_row", [{"id": session_id} for session_id, stays in kept.items() if not stays])
    await _forget_logins(tx, [row for row in gone if row])
    return [
        Event(
            kind=EventKind.WIPED,
            at=now,
            session_id=session_id,
            email=email,
            data={"generation": generation, "row_kept": kept[session_id]},
        )
        for session_id, email, generation, _ in ready
    ]


async def prune(tx: Transaction, before: datetime, *, limit: int) -> None:
    """Delete the rows that stayed after their secrets were wiped, and whose sessions ended before *before*."""
    await _forget_logins(tx, await tx.rows("prune_ended", before=rows.micros(before), limit=limit))


async def _forget_logins(tx: Transaction, gone: Sequence[rows.Row]) -> None:
    """What is remembered of an account's logins goes with its last session."""
    for email in {row[0] for row in gone}:
        await tx.row("delete_login_of", email=email)


async def forget(tx: Transaction, session_id: str) -> bool:
    """
    Erase every trace of a session; whether there was a row.

    Raises:
        ConfigError: The app that made the table protects it.
    """
    row = await tx.row("delete_row", id=session_id)
    if row is None and await tx.row("session_by_id", id=session_id):
        raise ConfigError(
            "the app that made the table protects this session: end it by `aimkeeper logout`, or have the app "
            "unprotect it first."
        )
    await tx.row("delete_events_of", id=session_id)
    await _forget_logins(tx, [row] if row else [])
    return row is not None
