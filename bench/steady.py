"""
How late rotations are when nothing is wrong: 200 sessions, idle life 10 s, interval 3 s, strict upstream, real sockets.

    python -m bench.steady [SECONDS]
"""

import asyncio
import sys
import time

from pyreqwest.client import ClientBuilder

from aimkeeper.simulator import Rules
from prove.field import Setup, field_of

SETUP = Setup(sessions=200, rules=Rules(idle_life=10, old_token="strict"), refresh_every=3, idle=10)


async def main(seconds: float) -> None:
    async with field_of(SETUP) as trial:
        await trial.worker("--listen", "127.0.0.1:18999")
        await trial.ready("http://127.0.0.1:18999/readyz")
        await trial.populate()
        since = time.monotonic()
        await asyncio.sleep(seconds)
        late = await _lateness("http://127.0.0.1:18999/metrics")
        rotations = trial.sim.totals.rotations
        await trial.stop_all()
        print(f"{await trial.score()}")
        print(f"{rotations / (time.monotonic() - since):.0f} rotations a second")
        for share in (0.5, 0.99, 1.0):
            print(f"lateness p{share * 100:g} <= {_quantile(late, share):g} s")


async def _lateness(url: str) -> list[tuple[float, int]]:
    async with ClientBuilder().build() as client:
        text = await (await client.get(url).build().send()).text()
    rows = [line for line in text.splitlines() if line.startswith("aimkeeper_lateness_seconds_bucket")]
    return [(float(row.split('le="')[1].split('"')[0]), int(float(row.split()[-1]))) for row in rows]


def _quantile(buckets: list[tuple[float, int]], share: float) -> float:
    return next(bound for bound, count in buckets if count >= buckets[-1][1] * share)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
