"""The command that says who keeps the sessions."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from aimkeeper.cli.terminal import AsJson, do, print_json, print_table, say, span
from aimkeeper.cli.words import NOBODY

if TYPE_CHECKING:
    from aimkeeper.service import Service
    from aimkeeper.store.owners import Owner


def register(app: typer.Typer) -> None:
    app.command("workers", help="Who keeps the sessions, with version and keys.")(list_workers)


def list_workers(as_json: AsJson = False) -> None:
    async def work(service: "Service") -> "tuple[list[Owner], datetime]":
        return await service.store.owners.living_workers(), service.store.now()

    workers, now = do(work)
    if as_json:
        print_json([_described(worker) for worker in workers])
        return
    if not workers:
        say(NOBODY)
        return
    lines = [
        (one.name, one.host, str(one.pid), one.version, *(span(at, now) for at in (one.started_at, one.tick_at)),
         ", ".join(one.keys))
        for one in workers
    ]  # fmt: skip
    print_table(["WORKER", "HOST", "PID", "VERSION", "STARTED", "LAST TICK", "KEYS"], lines)
    for warning in _warnings(workers):
        say(warning)


def _warnings(workers: "list[Owner]") -> list[str]:
    """What would let one of them down what another wrote."""
    told = []
    for worker in workers:
        lacking = sorted({other.keys[0] for other in workers if other.keys} - set(worker.keys))
        if worker.keys and lacking:
            told.append(
                f"Warning: {worker.name} has not the key that others seal with ({', '.join(lacking)}): add it to its "
                "AIMKEEPER_SECRET_KEYS and restart it."
            )
    if len({worker.version for worker in workers}) > 1:
        told.append("Not all run the same version: bring the older ones up to date.")
    return told


def _described(worker: "Owner") -> dict[str, Any]:
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "started_at": worker.started_at.isoformat(),
        "last_tick": worker.tick_at.isoformat() if worker.tick_at else None,
        "keys": list(worker.keys),
    }
