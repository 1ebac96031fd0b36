"""A small disk that fills up, can't be written, and a key file that goes bad; each mended afterwards."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aimkeeper.simulator import Faults
from prove.field import DEVICE, Field, Score, Setup, field_of

DISK, LEFT = "16m", 256 * 1024
PORT = 18997


@contextmanager
def small_disk() -> Iterator[Path]:
    """
    A file system of a few megabytes.

    Raises:
        PermissionError: Only root may mount one.
    """
    with tempfile.TemporaryDirectory(prefix="aimkeeper-disk-") as name:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", name], check=False)
        if mounted.returncode:
            raise PermissionError("only root may mount a small disk: run this trial as root")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "-l", name], check=True)


async def mended_disk(setup: Setup) -> tuple[bool, Score]:
    """Each trouble in turn: was it told, did it go on, was anything lost?"""
    with small_disk() as folder:
        async with field_of(setup, folder=folder) as field:
            worker = await field.worker("--listen", f"127.0.0.1:{PORT}")
            await field.populate()
            ready = f"http://127.0.0.1:{PORT}/readyz"
            await field.ready(ready)
            await asyncio.sleep(setup.refresh_every)
            told = [await _full(field, folder, ready), await _unwritable(field, worker, ready)]
            told.append(await _bad_key(field, worker, folder, ready))
            await asyncio.sleep(setup.refresh_every * 2)
            field.sim.faults = Faults()
            await field.stop_all()
            score = await field.score()
            score.note = f"full, unwritable, bad key: told {told}"
            return all(told) and score.lost == score.ended == score.stranded == 0, score


async def _full(field: Field, folder: Path, ready: str) -> bool:
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    # Room for the few bytes beside the database, so that it is the database that finds the disk full.
    os.truncate(filler, filler.stat().st_size - LEFT)
    # What is kept goes on being kept in the room there is; more does not fit.
    status, words = await field.run_once("adopt", "-", stdin=_many_lines(field))
    filler.unlink()
    await field.ready(ready)
    return status == 3 and "full" in words and "Traceback" not in words


def _many_lines(field: Field) -> bytes:
    grants = [field.sim.open_session(f"more{number:05}@example.com", DEVICE).record() for number in range(4000)]
    return "".join(json.dumps(grant) + "\n" for grant in grants).encode()


async def _unwritable(field: Field, worker: asyncio.subprocess.Process, ready: str) -> bool:
    # The kernel refuses every write of the process, as a file system gone read-only would.
    before = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    told = await field.says_not_ready(ready)
    await asyncio.sleep(field.setup.refresh_every)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, before)
    await field.ready(ready)
    return told


async def _bad_key(field: Field, worker: asyncio.subprocess.Process, folder: Path, ready: str) -> bool:
    key_file = folder / "secret.key"
    good = key_file.read_bytes()
    key_file.write_bytes(os.urandom(32))
    await field.stop(worker, signal.SIGKILL)
    status, words = await field.run_once("worker")
    key_file.write_bytes(good)
    await field.worker("--listen", f"127.0.0.1:{PORT}")
    await field.ready(ready)
    return status == 2 and "key" in words and "Traceback" not in words
