"""
One process that keeps sessions and answers, for the benches: by uvicorn as `aimkeeper serve` does, or by granian.

    python -m bench.serve_here uvicorn|granian PORT FOLDER UPSTREAM-URL [POSTGRESQL-URL]
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import uvloop

from aimkeeper.service import Service, open_service
from aimkeeper.serving import bind, operator_keys, rarely_look_for_circles, serving, terms_of
from aimkeeper.settings import Settings
from aimkeeper.telemetry import Telemetry, set_up_logs
from aimkeeper.web.access import Access
from aimkeeper.web.app import make_app

IDLE, EVERY = 30.0, 3.0
# Where nothing is made beside the database: of the operator, and of the seals.
KEY = "A" * 43


def settings(folder: Path, url: str, database: str = "") -> Settings:
    return Settings(
        data_dir=folder,
        database_url=database or None,
        secret_keys=KEY,
        api_keys=(KEY,),
        aimharder_url=url,
        aimharder_login_url=url,
        refresh_every=timedelta(seconds=EVERY),
        idle_timeout=timedelta(seconds=IDLE),
        max_rate=1000.0,
    )


async def main(server: str, port: int, folder: Path, url: str, database: str = "") -> None:
    set_up_logs(as_json=True)  # as `serve` has them in a service
    async with open_service(settings(folder, url, database), role="worker", name=server) as service:
        if server == "granian":
            await _by_granian(service, port)
            return
        rarely_look_for_circles()
        with bind("127.0.0.1", port) as listening:
            async with serving(service, listening, with_worker=True, stopping=asyncio.Event()):
                await asyncio.Event().wait()


async def _by_granian(service: Service, port: int) -> None:
    from granian.server.embed import Server  # noqa: PLC0415 (not a dependency: only to compare)

    telemetry, worker = Telemetry(service), service.worker("granian")
    access = Access(operator_keys(service.settings), None, terms_of(service.settings))
    app = make_app(service, access, telemetry, worker)
    telemetry.watch(worker)
    granian = Server(app, address="127.0.0.1", port=port, interface="asginl", log_enabled=False, websockets=False)
    await asyncio.gather(granian.serve(), worker.run())


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:]))
