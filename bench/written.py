"""
What a rotation writes: bytes of a row and of its indexes, bytes of log for each claim and commit, dead rows, vacuum.

    python -m bench.written [SESSIONS] [ROUNDS]

Real claims and commits of the store, in groups, without an upstream; every session is rotated ROUNDS times. Needs
PostgreSQL (Debian's package).
"""

import asyncio
import hashlib
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg
import msgspec

from aimkeeper.core.change import Change, Claim
from aimkeeper.core.cookies import CookieDelta
from aimkeeper.core.outcome import Rotated
from aimkeeper.core.policy import Exchange, settle
from aimkeeper.core.token import Token
from aimkeeper.service import Service, open_service
from aimkeeper.settings import Settings
from bench.fill import fill
from bench.machine import Watch, cpu_seconds, described
from bench.upstream import STICKY
from tools.cluster import Cluster, fresh

RESULTS = Path(__file__).parent / "results" / "written.json"
GROUP = 200
# Long enough that no checkpoint comes in between: what one costs is measured apart.
SETTINGS = "shared_buffers = 512MB\nmax_wal_size = 16GB\ncheckpoint_timeout = 1h\n"


@dataclass(frozen=True, slots=True)
class Round:
    """One rotation of every session, in bytes of log for each of them."""

    claims: float
    commits: float
    seconds: float


class Server:
    """What the server says of itself."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def log(self) -> int:
        """Bytes of log written so far."""
        return int(await self._connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    async def sizes(self, sessions: int) -> dict[str, float]:
        """Bytes for each session."""
        row = await self._connection.fetchrow(
            "SELECT pg_relation_size('public.auth_sessions'), pg_indexes_size('public.auth_sessions'),"
            " (SELECT avg(pg_column_size(s.*)) FROM public.auth_sessions AS s TABLESAMPLE SYSTEM (10))::float,"
            " (SELECT avg(length(sealed)) FROM public.auth_sessions TABLESAMPLE SYSTEM (10))::float,"
            " (SELECT avg(length(ring)) FROM public.auth_sessions TABLESAMPLE SYSTEM (10))::float"
        )
        table, indexes, whole, sealed, ring = row
        return {
            "row": round(whole),
            "sealed": round(sealed),
            "ring": round(ring),
            "table": round(table / sessions),
            "indexes": round(indexes / sessions),
        }

    async def updates(self) -> tuple[int, int]:
        """Rows updated so far, and how many of them without a word to any index."""
        await self._connection.execute("SELECT pg_stat_clear_snapshot()")
        row = await self._connection.fetchrow(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'auth_sessions'"
        )
        return int(row[0]), int(row[1])

    async def timed(self, command: str) -> float:
        """Seconds it took."""
        began = time.monotonic()
        await self._connection.execute(command, timeout=3600)
        return time.monotonic() - began


async def main(sessions: int, rounds: int) -> None:
    cluster = Cluster(SETTINGS)
    cluster.start()
    try:
        url = await fresh(cluster, "written")
        with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as folder:
            settings = Settings(data_dir=Path(folder), database_url=url, secret_keys="k" * 43)
            async with open_service(settings) as service:
                told = await _measure(service, url, sessions, rounds, int(_postmaster(cluster)))
                print(msgspec.json.format(msgspec.json.encode(told)).decode())
    finally:
        cluster.shut()


def _postmaster(cluster: Cluster) -> str:
    return (cluster.folder / "data" / "postmaster.pid").read_text("ascii").split()[0]


async def _measure(service: Service, url: str, sessions: int, rounds: int, server_pid: int) -> dict[str, object]:
    connection = await asyncpg.connect(url)
    server, watch = Server(connection), Watch()
    await fill(service, sessions)
    await server.timed("VACUUM ANALYZE public.auth_sessions")
    for _ in range(rounds - 2):
        await _rotate_all(service, server, sessions)
        await server.timed("VACUUM public.auth_sessions")
    spent = cpu_seconds(server_pid, and_children=True), time.process_time()
    without = await _rotate_all(service, server, sessions)
    spent = cpu_seconds(server_pid, and_children=True) - spent[0], time.process_time() - spent[1]
    updated, without_index = await server.updates()
    told: dict[str, object] = {"sessions": sessions, "group": GROUP, "bytes_for_each": await server.sizes(sessions)}
    swept = {"log": await server.log(), "seconds": await server.timed("VACUUM public.auth_sessions")}
    swept["log"] = (await server.log() - swept["log"]) / sessions
    await server.timed("CHECKPOINT")
    with_pages = await _rotate_all(service, server, sessions)
    await connection.close()
    told |= {
        "log_for_each_rotation": {"claim": round(without.claims), "commit": round(without.commits)},
        "just_after_a_checkpoint": {"claim": round(with_pages.claims), "commit": round(with_pages.commits)},
        "updates_without_index": round(without_index / updated, 3),
        "vacuum": {
            "log_for_each_session": round(swept["log"]),
            "microseconds_for_each": round(swept["seconds"] / sessions * 1e6, 1),
        },
        "processor_microseconds": {
            "server": round(spent[0] / sessions * 1e6),
            "store_in_the_worker": round(spent[1] / sessions * 1e6),
        },
        "rotations_a_second": round(sessions / without.seconds),
        "machine": described() | watch.shares(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
    return told


async def _rotate_all(service: Service, server: Server, sessions: int) -> Round:
    store, owner, claimed, committed = service.store, service.keeper.owner, 0, 0
    began, begun, number = time.monotonic(), store.now(), 0
    until = begun + timedelta(hours=1)
    while number < sessions:
        start = await server.log()
        claims = await store.claim_due(owner, GROUP, until=until, begun=begun)
        middle = await server.log()
        await store.commit([_rotated(service, claim) for claim in claims])
        committed += await server.log() - middle
        claimed += middle - start
        number += len(claims)
        assert claims, "some are left, and none is due"
    return Round(claimed / sessions, committed / sessions, time.monotonic() - began)


def _rotated(service: Service, claim: Claim) -> Change:
    """What a good answer with a fresh token and two fresh cookies makes of a claim."""
    held, now = claim.session, service.store.now()
    seed = hashlib.sha512(f"{held.id} {held.generation}".encode()).hexdigest()
    token = Token(f"{held.account_key}|{int(now.timestamp()) + 7_776_000}|{seed[:32]}")
    sticky = tuple(one._replace(value=seed[: len(STICKY)]) for one in held.jar.cookies if one.name.startswith("AWSALB"))
    exchange = Exchange("token_update", now, timedelta(milliseconds=150), 0.5)
    return settle(claim, Rotated(token, CookieDelta(sticky)), service.policy, exchange)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    asyncio.run(main(*(given + [20_000, 20][len(given) :])))
