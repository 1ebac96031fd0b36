"""
`make prove`: run the trials, two at a time, and print the table.

    python -m prove [WORD ...]      only rows whose name holds one of the words
"""

import asyncio
import sys
import time

from prove.field import Score
from prove.trials import TRIALS, Trial


async def main(wanted: list[str]) -> int:
    chosen = [trial for trial in TRIALS if not wanted or any(word in trial.name + trial.upstream for word in wanted)]
    slots = asyncio.Semaphore(2)
    rows = await asyncio.gather(*(_run(trial, slots) for trial in chosen))
    print("| trial | old token | must | did | what happened |\n|---|---|---|---|---|")
    for _, row in rows:
        print(row)
    did = sum(good for good, _ in rows)
    print(f"\n{did} of {len(chosen)} trials came to what they must.")
    return 0 if did == len(chosen) else 1


async def _run(trial: Trial, slots: asyncio.Semaphore) -> tuple[bool, str]:
    async with slots:
        since = time.monotonic()
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
