"""
The change of the sealing key under load: 100,000 sessions that are rotated meanwhile, `keys rotate` killed on the way
and run again, on both stores.

    python -m bench.keys [SESSIONS] [sqlite|postgres]
"""

import asyncio
import signal
import sys
import time
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from aimkeeper.core.begin import adopted, read_adoption
from aimkeeper.simulator import Rules
from aimkeeper.store import rows
from aimkeeper.store.seal import Sealer, load_sealer, new_key
from prove.field import DEVICE, KEY, Field, Setup, field_of
from prove.shared import cluster_for_trials
from tools.cluster import fresh

SETUP = Setup(
    sessions=100_000, rules=Rules(idle_life=90 * 60, old_token="strict"), refresh_every=900, idle=5400, max_rate=200
)
BOTH = f"{new_key()},{KEY}"
PAGE = 10_000
# Ids are spread evenly, and a pass goes through them in their order.
A_THIRD = "55555555-5555-4555-8555-555555555555"
LOT = 500
SECONDS_BEFORE = 10


async def main(sessions: int, kind: str) -> None:
    setup = replace(SETUP, sessions=sessions)
    if kind == "sqlite":
        await _measured(setup, {})
        return
    with cluster_for_trials() as cluster:
        await _measured(replace(setup, database=await fresh(cluster, "kept")), {"AIMKEEPER_SECRET_KEYS": BOTH})


async def _measured(setup: Setup, keys: dict[str, str]) -> None:
    async with field_of(setup) as trial:
        # This process only looks on: it must not count as one that lacks the new key.
        await trial.service.store.owners.retire(trial.service.keeper.owner)
        began = time.monotonic()
        await _fill(trial)
        print(f"{setup.sessions} sessions adopted in {time.monotonic() - began:.0f} s: {trial.service.store}")
        await trial.worker(**keys)
        await trial.worker(**keys)
        await asyncio.sleep(SECONDS_BEFORE)
        # Rotations have gone over to the new one already, where both are given.
        seals_most = max((await _by_key(trial)).items(), key=lambda each: each[1])[0]

        before, began = trial.sim.totals.rotations, time.monotonic()
        print(f"killed by signal {-await _killed(trial, keys, seals_most)} after {time.monotonic() - began:.1f} s")
        print(f"sealed by key then: {await _by_key(trial)}")
        print(f"run again: {await _run(trial, keys)}")
        took, made = time.monotonic() - began, trial.sim.totals.rotations - before
        print(f"{made} rotations in the {took:.1f} s of both runs, {made / took:.0f} a second")

        await trial.stop_all()
        [now] = by_key = await _by_key(trial)
        print(f"sealed by key now: {by_key}")
        # With the new key alone: what it does not open is unreadable.
        trial.service.store.keys._sealer = await _only(trial, now)  # noqa: SLF001 (as above)
        unreadable = sum(session.secrets.token is None for session in await trial.sessions())
        print(f"unreadable with the new key alone: {unreadable}")
        print(await trial.score())


async def _fill(trial: Field) -> None:
    """Adopt all at once, as one by one would take the longest part of the bench."""
    service, count = trial.service, trial.setup.sessions
    store, spread = service.store, timedelta(seconds=min(trial.setup.refresh_every, count / trial.setup.max_rate))
    for first in range(0, count, LOT):
        async with store._backend.transaction() as tx:  # noqa: SLF001 (a bench looks inside)
            for number in range(first, min(first + LOT, count)):
                grant = trial.sim.open_session(f"member{number:06}@example.com", DEVICE)
                delay, host = spread * (number / count), service.upstream.site.base_host
                adoption, row_id = read_adoption(grant.record()), str(uuid4())
                session = adopted(row_id, adoption, host, service.policy, store.now(), delay=delay)
                await tx.row("insert_session", **rows.new_params(session, store.keys.sealer, store.now()))


async def _only(trial: Field, key_id: str) -> Sealer:
    trial.service.store.keys._sealers = lambda _: load_sealer(  # noqa: SLF001 (as above)
        BOTH if trial.setup.database else None, trial.folder / "secret.key", store_is_sealed=True
    )
    await trial.service.store.keys.mind()
    return Sealer([key for key in trial.service.store.keys.sealer.keys if key.id.hex() == key_id])


async def _killed(trial: Field, keys: dict[str, str], old: str) -> int:
    """A run that is killed when about half is done."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "aimkeeper",
        "keys",
        "rotate",
        cwd=trial.folder,
        env=trial._environment() | keys,  # noqa: SLF001 (as above)
    )
    while process.returncode is None and await _key_at(trial, A_THIRD) == old:
        pass
    return await trial.stop(process, signal.SIGKILL)


async def _key_at(trial: Field, after: str) -> str:
    """With which key the first session after that id is sealed."""
    async with trial.service.store._backend.reading() as tx:  # noqa: SLF001 (as above)
        [row] = await tx.rows("sealed_sessions", after=after, key_id=b"", limit=1)
    return bytes(row[1])[1:5].hex()


async def _run(trial: Field, keys: dict[str, str]) -> str:
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "aimkeeper", "keys", "rotate",
        cwd=trial.folder, env=trial._environment() | keys, stdout=asyncio.subprocess.PIPE,  # noqa: SLF001 (as above)
    )  # fmt: skip
    said, _ = await process.communicate()
    return f"exit status {process.returncode} after {time.monotonic() - began:.1f} s: {said.decode().splitlines()[0]}"


async def _by_key(trial: Field) -> dict[str, int]:
    found: dict[str, int] = {}
    after = ""
    while True:
        async with trial.service.store._backend.reading() as tx:  # noqa: SLF001 (as above)
            page = await tx.rows("sealed_sessions", after=after, key_id=b"", limit=PAGE)
        if not page:
            return found
        after = page[-1][0]
        for _, sealed in page:
            name = bytes(sealed)[1:5].hex()
            found[name] = found.get(name, 0) + 1


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, (sys.argv[2:] or ["sqlite"])[0]))
