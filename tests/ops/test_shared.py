"""The numbers of a fleet on PostgreSQL; and of a process whose database has gone."""

from random import Random

import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.service import Surroundings, open_service
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Simulator
from aimkeeper.store.seal import new_key

from .conftest import Stage

pytestmark = pytest.mark.slow


@pytest.fixture
async def shared(tmp_path, database):
    """A service on a fresh database of PostgreSQL's."""
    clock = SystemClock()
    sim = Simulator(Rules(old_token="strict"), Faults(), clock=clock, rng=Random(1))
    dice = Random(7)
    around = Surroundings(clock=clock, dice=dice, random_bytes=dice.randbytes, app=sim)
    settings = Settings(
        data_dir=tmp_path,
        database_url=database.url,
        secret_keys=new_key(),
        aimharder_url="http://aimharder.test",
        aimharder_login_url="http://login.aimharder.test",
    )
    async with open_service(settings, role="worker", surroundings=around) as service:
        yield Stage(service, sim, clock)


async def test_the_same_is_told_of_a_shared_database(shared):
    await shared.adopt(3)
    await shared.adopt(1)  # the token it replaces is put aside

    told = await shared.numbers()

    assert told["aimkeeper_sessions{'status': 'active'}"] == 3
    assert (told["aimkeeper_store_up"], told["aimkeeper_spares"], told["aimkeeper_workers"]) == (1, 1, 1)
    assert 5300 < told["aimkeeper_lowest_slack_seconds"] <= 5400
    assert told["aimkeeper_due_rate"] == pytest.approx(3 / (15 * 60 * 0.9))


async def test_when_the_database_is_stopped_the_process_says_so_and_when_it_is_back_too(shared, postgres):
    await shared.adopt(2)

    postgres.stop("immediate")
    try:
        away = await shared.numbers()
    finally:
        postgres.start()
    back = await shared.numbers()

    assert (away["aimkeeper_store_up"], back["aimkeeper_store_up"]) == (0, 1)
    assert away["aimkeeper_events_total{'kind': 'adopted'}"] == 2
    assert "aimkeeper_overdue_sessions" not in away
    assert back["aimkeeper_sessions{'status': 'active'}"] == 2
