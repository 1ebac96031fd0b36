"""
`make prove`: run the trials, two at a time, and print the table.

    python -m prove [--postgres] [WORD ...]

With `--postgres` on a private PostgreSQL, with four workers. With words, only rows whose name holds one of them.
"""

import asyncio
import sys
import time
from contextlib import nullcontext
from dataclasses import replace

from prove.field import Score
from prove.shared import WORKERS, cluster_for_trials
from prove.trials import TRIALS, Trial
from tools.cluster import Cluster, fresh


async def main(arguments: list[str]) -> int:
    store = "postgres" if "--postgres" in arguments else "sqlite"
    words = [word for word in arguments if not word.startswith("--")]
    chosen = [
        trial
        for trial in TRIALS
        if trial.store in ("", store) and (not words or any(word in trial.name + trial.upstream for word in words))
    ]
    slots = asyncio.Semaphore(2)
    with cluster_for_trials() if store == "postgres" else nullcontext() as cluster:
        rows = await asyncio.gather(*(_run(trial, slots, cluster, number) for number, trial in enumerate(chosen)))
    print("| trial | old token | must | did | what happened |\n|---|---|---|---|---|")
    for _, row in rows:
        print(row)
    did = sum(good for good, _ in rows)
    print(f"\n{did} of {len(chosen)} trials came to what they must.")
    return 0 if did == len(chosen) else 1


async def _run(trial: Trial, slots: asyncio.Semaphore, cluster: Cluster | None, number: int) -> tuple[bool, str]:
    async with slots:
        since = time.monotonic()
        if cluster:
            database = await fresh(cluster, f"trial_{number}")
            trial = replace(trial, setup=replace(trial.setup, workers=WORKERS, database=database))
        try:
            good, score = await trial.play(trial)
        except Exception as error:  # noqa: BLE001 (the other rows go on)
            good, score = False, Score(note=f"{type(error).__name__}: {error}")
        setup = trial.setup
        names = f"{setup.sessions} sessions, idle {setup.idle:g} s, interval {setup.refresh_every:g} s"
        if setup.faults.rate_limited:
            names += f", Retry-After {setup.faults.retry_after:g} s"
        row = f"| {trial.name} ({names}) | {trial.upstream} | {trial.must} | {'yes' if good else 'NO'} | {score} |"
        print(f"{time.monotonic() - since:4.0f} s  {row}", file=sys.stderr, flush=True)
        return good, row


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
