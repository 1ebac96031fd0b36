"""The program itself over PostgreSQL: it says where it stores, shares the work, and tells what keeps it out."""

import asyncio
import json
import os
import signal
import sys
from random import Random

import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.simulator import Faults, Rules, Simulator, running

pytestmark = pytest.mark.slow
KEYS = "k" * 43


class Program:
    """`aimkeeper` with the settings of one database."""

    def __init__(self, folder, database, upstream="http://127.0.0.1:1"):
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("AIM")}
        self._environ |= {
            "AIMKEEPER_DATABASE_URL": database,
            "AIMKEEPER_SECRET_KEYS": KEYS,
            "AIMKEEPER_DATA_DIR": str(folder),
            "AIMKEEPER_REFRESH_EVERY": "2s",
            "AIMKEEPER_IDLE_TIMEOUT": "30s",
            "AIMHARDER_URL": upstream,
            "AIMHARDER_LOGIN_URL": upstream,
        }

    async def start(self, *arguments, **environ):
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "aimkeeper", *arguments, env={**self._environ, **environ},
            stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip

    async def run(self, *arguments, given="", **environ) -> tuple[int, str]:
        process = await self.start(*arguments, **environ)
        told, _ = await process.communicate(given.encode())
        return process.returncode, told.decode()


@pytest.fixture
def url(database):
    return database.url.replace("postgres@", "postgres:s3cret@")


async def test_two_workers_say_where_they_store_share_the_work_and_leave_in_good_order(tmp_path, database, url):
    sim = Simulator(Rules(old_token="strict", idle_life=30), Faults(), clock=SystemClock(), rng=Random(1))
    emails = [f"member{number}@example.com" for number in range(6)]
    async with running(sim) as site:
        program = Program(tmp_path, url, site.url)
        lines = [json.dumps(sim.open_session(email, "f" * 50).record()) for email in emails]
        status, told = await program.run("adopt", "-", given="\n".join(lines))
        assert status == 0, told

        workers = [await program.start("worker", "--name", name) for name in ("day", "night")]
        names = set()
        async with asyncio.timeout(60):
            while names != {"day", "night"} or min(sim.truth(email, "f" * 50).rotations for email in emails) < 3:
                await asyncio.sleep(0.1)
                names = {name for (name,) in database.ask("SELECT name FROM owners WHERE role = 'worker'")}
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        told = [(await worker.communicate())[0].decode() for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0]
    assert names == {"day", "night"}
    where = f"database {database.name} at 127.0.0.1:{database.server.port}"
    assert all(f"Keeping 6 sessions in {where}" in text for text in told)
    assert not any("s3cret" in text for text in told)
    assert (sim.totals.reuse, sim.totals.concurrent) == (0, 0)
    assert database.ask("SELECT count(*) FROM auth_sessions WHERE owner IS NOT NULL OR status <> 'active'") == [(0,)]
    assert database.ask("SELECT count(*) FROM owners") == [(0,)]


@pytest.mark.parametrize(
    ("environ", "status", "sentence"),
    [
        (
            {"AIMKEEPER_DATABASE_URL": "postgresql://ana:s3cret@127.0.0.1:1/app"},
            3,
            "app at 127.0.0.1:1 can't be reached",
        ),
        ({"AIMKEEPER_DATABASE_URL": "postgresql+psycopg://ana:s3cret@host/app"}, 2, "without jdbc: or a driver's name"),
        ({"AIMKEEPER_SECRET_KEYS": ""}, 2, "AIMKEEPER_SECRET_KEYS must be set with PostgreSQL"),
        ({"AIMKEEPER_SECRET_KEYS": "x" * 43}, 2, "add that key"),
    ],
    ids=["nobody there", "a driver's name", "no keys", "other keys"],
)
async def test_what_keeps_it_out_is_one_line_with_its_exit_status(tmp_path, url, environ, status, sentence):
    program = Program(tmp_path, url)
    await program.run("db", "upgrade")

    ended, told = await program.run("worker", **environ)

    assert (ended, told.count("\n")) == (status, 1)
    assert sentence in told
    assert "s3cret" not in told


async def test_a_table_that_is_not_ours_stops_it_with_the_command_that_helps(tmp_path, postgres):
    foreign = postgres.fresh("template0")
    foreign.script("CREATE TABLE auth_sessions (id uuid, user_email text)")

    status, told = await Program(tmp_path, foreign.url).run("serve", "--port", "0")

    foreign.give_back()
    assert (status, told.count("\n")) == (2, 1)
    assert "aimkeeper db adopt" in told
