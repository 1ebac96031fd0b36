"""Trials that only a shared store has: the cluster of a run, and what befalls workers and database."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from aimkeeper.simulator import Faults
from prove.field import Field, Score, Setup, field_of
from tools.cluster import Cluster, fresh

WORKERS = 4
RESTARTS = 5
AWAY_SECONDS = 10


@contextmanager
def cluster_for_trials() -> Iterator[Cluster]:
    """A PostgreSQL for one run of the table."""
    cluster = Cluster()
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.shut()


@dataclass(slots=True)
class Wire:
    """One worker's way to the database, which can be cut."""

    port: int
    is_cut: bool = False
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def relay(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Pass bytes on, both ways, for as long as the wire is whole."""
        if self.is_cut:
            back.transport.abort()
            return
        there, out = await asyncio.open_connection("127.0.0.1", self.port)
        self._open |= {back, out}
        await asyncio.gather(_pour(here, out), _pour(there, back))
        self._open -= {back, out}

    def cut(self) -> None:
        """Nothing passes any more, and whoever dials is hung up on."""
        self.is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        self.is_cut = False


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    with suppress(OSError):
        sink.close()


async def killed_stopped_and_cut_off(setup: Setup, seconds: float) -> tuple[bool, Score]:
    """Of four workers one is killed, one stopped for a while, one cut off from the database for a while."""
    async with field_of(setup) as trial:
        wire = Wire(urlsplit(setup.database).port or 5432)
        server = await asyncio.start_server(wire.relay, "127.0.0.1", 0)
        url = setup.database.replace(f":{wire.port}/", f":{server.sockets[0].getsockname()[1]}/")
        workers = [await trial.worker() for _ in range(WORKERS - 1)]
        workers.append(await trial.worker(AIMKEEPER_DATABASE_URL=url))
        await trial.populate()
        await asyncio.sleep(seconds / 4)
        held = await _befall(trial, workers, wire)
        workers[1].send_signal(signal.SIGCONT)
        wire.mend()
        await asyncio.sleep(seconds / 2)
        trial.sim.faults = Faults()
        await asyncio.sleep(setup.refresh_every + 5)
        await trial.stop_all()
        server.close()
        score = await trial.score()
        score.note = f"the three held {held} when it befell them"
        bound = held if setup.rules.old_token == "strict" else 0
        return score.lost <= bound and score.reused <= max(bound, held) and score.claims_left == 0, score


async def _befall(trial: Field, workers: list[asyncio.subprocess.Process], wire: Wire) -> int:
    """Each in turn; how many sessions they had claimed just then."""
    workers[0].send_signal(signal.SIGKILL)
    held = await trial.held_by(workers[0])
    workers[1].send_signal(signal.SIGSTOP)
    held += await trial.held_by(workers[1])
    wire.cut()
    held += await trial.held_by(workers[3])
    await asyncio.sleep(AWAY_SECONDS)
    return held


async def restarted_again_and_again(setup: Setup, seconds: float, *, pooled: bool) -> tuple[bool, Score]:
    """The database goes away and comes back, five times. A cluster of its own, for others must not be there."""
    with cluster_for_trials() as cluster:
        url = await fresh(cluster, "trial")
        database = cluster.url("trial", port=cluster.pooler()) if pooled else url
        return await _restarted(replace(setup, database=database), seconds, cluster)


async def _restarted(setup: Setup, seconds: float, cluster: Cluster) -> tuple[bool, Score]:
    async with field_of(setup) as trial:
        for _ in range(WORKERS):
            await trial.worker()
        await trial.populate()
        for _ in range(RESTARTS):
            await asyncio.sleep(seconds / RESTARTS)
            await asyncio.to_thread(cluster.stop, "immediate")
            await asyncio.to_thread(cluster.start)
        await asyncio.sleep(setup.refresh_every + 5)
        await trial.stop_all()
        score = await trial.score()
        score.note = f"restarted {RESTARTS} times"
        bad = score.lost + score.ended + score.stranded + score.reuse + score.concurrent + score.claims_left
        return bad == 0, score
