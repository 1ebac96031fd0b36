"""
Credentials read over HTTP against a constant route of the same application: requests a second, p99, processor time.

Each reading opens the sealed row, and leaves an event that is durable before the answer goes out. The constant route is
`/healthz`: the cheapest this server has, with all that stands before every route (the wire's limits, the door, the
framework's routing, the headers of every answer). It asks neither for a bearer nor for the store.

    python -m bench.credentials [ROUNDS] [sqlite|postgres]      needs wrk (Debian's package), and PostgreSQL where named
"""

import asyncio
import statistics
import sys

from bench.kept import keep, spread
from bench.machine import Watch
from bench.servers import Found, served
from bench.wrk import Load
from tools.cluster import Cluster, fresh

CREDENTIALS = "/api/sessions/{%s}/credentials"
ROUTES = {
    "constant": "/healthz",
    "one session, the operator's key": CREDENTIALS % "id",
    "200 sessions, the operator's key": CREDENTIALS % "each",
    "200 sessions, a bot's bearer each": CREDENTIALS % "own",
}
# Which one is meant where one figure is told.
JUDGED = "200 sessions, the operator's key"


async def main(rounds: int, store: str) -> None:
    watch = Watch()
    if store == "sqlite":
        told = [await served("uvicorn", ROUTES) for _ in range(rounds)]
    else:
        told = await _on_postgres(rounds)
    print("| route | requests/s median [range] | p50 ms | p99 ms | CPU us/request | : constant [range] | by CPU |")
    print("|---|---|---|---|---|---|---|")
    for route in ROUTES:
        loads = [found[route][0] for found in told]
        rates = sorted(load.rate for load in loads)
        by_rate = sorted(found[route][0].rate / found["constant"][0].rate for found in told)
        by_cpu = statistics.median(found["constant"][0].cpu_us / found[route][0].cpu_us for found in told)
        print(
            f"| {route} | {statistics.median(rates):,.0f} [{rates[0]:,.0f} to {rates[-1]:,.0f}] "
            f"| {_of(loads, 'p50'):.1f} | {_of(loads, 'p99'):.1f} | {_of(loads, 'cpu_us'):.0f} "
            f"| {statistics.median(by_rate):.2f} [{by_rate[0]:.2f} to {by_rate[-1]:.2f}] | {by_cpu:.2f} |"
        )
    print(f"\nanswers that were not good: {sum(load.bad for found in told for load, _ in found.values())}")
    if store == "sqlite":
        _keep(rounds, told, watch)


def _keep(rounds: int, told: list[Found], watch: Watch) -> None:
    rates = {route: spread((found[route][0].rate for found in told), 0) for route in ROUTES}
    p99 = {route: spread((found[route][0].p99 for found in told), 1) for route in ROUTES}
    ratios = spread(found[JUDGED][0].rate / found["constant"][0].rate for found in told)
    keep("credentials", {"rounds": rounds, "ratio": ratios, "rates": rates, "p99_ms": p99}, watch)


async def _on_postgres(rounds: int) -> list[Found]:
    cluster = Cluster()
    cluster.start()
    try:
        return [await served("uvicorn", ROUTES, await fresh(cluster, f"round_{number}")) for number in range(rounds)]
    finally:
        cluster.shut()


def _of(loads: list[Load], name: str) -> float:
    return statistics.median(getattr(load, name) for load in loads)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, sys.argv[2] if len(sys.argv) > 2 else "sqlite"))
