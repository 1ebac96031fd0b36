"""
A worker that kills itself at one point of its first rotation. Run by `test_crash_points.py`, as a process of its own.

    python crash_child.py FOLDER URL POINT [DATABASE_URL]
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from aimkeeper.service import open_service, the_world
from aimkeeper.settings import Settings
from aimkeeper.store import beats


def settings(folder: Path, url: str, database: str = "") -> Settings:
    shared = {"database_url": database, "secret_keys": "k" * 43} if database else {}
    return Settings(
        **shared,
        data_dir=folder,
        aimharder_url=url,
        aimharder_login_url=url,
        refresh_every=timedelta(seconds=2),
        idle_timeout=timedelta(seconds=20),
        upstream_timeout=timedelta(seconds=2),
    )


def hurry() -> None:
    """Beat, and bury, in half the time: a test waits for it again and again."""
    for name in ("BEAT_SECONDS", "DEAD_AFTER_SECONDS", "FENCE_SECONDS", "LONGEST_GAP_SECONDS"):
        setattr(beats, name, getattr(beats, name) / 2)


async def main(folder: Path, url: str, point: str, database: str = "") -> None:
    hurry()

    def seam(passed: str) -> None:
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    around = replace(the_world(), seam=seam)
    async with open_service(settings(folder, url, database), role="worker", surroundings=around) as service:
        await service.worker().run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
