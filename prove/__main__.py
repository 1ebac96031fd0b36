"""`make prove`: run the trials, two at a time, and print the table."""

import asyncio
import sys
import time

from prove.trials import TRIALS, Trial


async def main(wanted: list[str]) -> int:
    chosen = [trial for trial in TRIALS if not wanted or any(word in trial.name + trial.upstream for word in wanted)]
    slots = asyncio.Semaphore(2)
    failed = await asyncio.gather(*(_run(trial, slots) for trial in chosen))
    print(f"\n{len(chosen) - sum(failed)} of {len(chosen)} trials came to what they must")
    return 1 if any(failed) else 0


async def _run(trial: Trial, slots: asyncio.Semaphore) -> bool:
    async with slots:
        since = time.monotonic()
        good, score = await trial.play(trial)
        setup = trial.setup
        names = f"idle {setup.idle:g} s, interval {setup.refresh_every:g} s, Retry-After {setup.faults.retry_after:g} s"
        print(f"| {trial.name} ({names}) | {trial.upstream} | {trial.must} | {'yes' if good else 'NO'} | {score} |")
        print(f"  {time.monotonic() - since:.0f} s", file=sys.stderr, flush=True)
        return not good


if __name__ == "__main__":
    print("| trial | old token | must | did | what happened |\n|---|---|---|---|---|")
    sys.exit(asyncio.run(main(sys.argv[1:])))
