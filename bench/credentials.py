"""
Credentials read over HTTP against a constant route of the same application: requests a second, p99, processor time.

Each reading opens the sealed row, and leaves an event that is durable before the answer goes out.

    python -m bench.credentials [ROUNDS]       needs wrk (Debian's package)
"""

import asyncio
import statistics
import sys

from bench.kept import keep, spread
from bench.machine import Watch
from bench.servers import Found, served
from bench.wrk import Load

ROUTES = {"constant": "/healthz", "credentials": "/api/sessions/{id}/credentials"}


async def main(rounds: int) -> None:
    watch = Watch()
    told: list[Found] = [await served("uvicorn", ROUTES) for _ in range(rounds)]
    print("| route | requests/s median [range] | p50 ms | p99 ms | CPU us/request |\n|---|---|---|---|---|")
    for route in ROUTES:
        loads = [found[route][0] for found in told]
        rates = sorted(load.rate for load in loads)
        print(
            f"| {route} | {statistics.median(rates):,.0f} [{rates[0]:,.0f} to {rates[-1]:,.0f}] "
            f"| {_of(loads, 'p50'):.1f} | {_of(loads, 'p99'):.1f} | {_of(loads, 'cpu_us'):.0f} |"
        )
    ratios = sorted(found["credentials"][0].rate / found["constant"][0].rate for found in told)
    print(f"\ncredentials : constant = {statistics.median(ratios):.2f} [{ratios[0]:.2f} to {ratios[-1]:.2f}]")
    rates = {route: spread((found[route][0].rate for found in told), 0) for route in ROUTES}
    p99 = {route: spread((found[route][0].p99 for found in told), 1) for route in ROUTES}
    keep("credentials", {"rounds": rounds, "ratio": spread(ratios), "rates": rates, "p99_ms": p99}, watch)
    print(f"answers that were not good: {sum(load.bad for found in told for load, _ in found.values())}")


def _of(loads: list[Load], name: str) -> float:
    return statistics.median(getattr(load, name) for load in loads)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
