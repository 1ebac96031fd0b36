"""What becomes of single rows of a table that an app made: protected ones, odd ones, old copies, members who log in."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from aimkeeper.core.errors import ConfigError
from aimkeeper.core.session import Cause, Status
from aimkeeper.testing import ManualClock
from tests.store.app_house import AppHouse
from tests.store.app_table import SHAPES

SEVERAL = "with several sessions each, some protected"


@pytest.fixture
def clock():
    """The triggers go by the database's own time, so ours must not be far from it."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
async def app_house(postgres, tmp_path, clock):
    async with AsyncExitStack() as stack:
        yield lambda name: AppHouse(tmp_path, clock, stack, postgres.fresh("template0"), SHAPES[name])


@pytest.mark.parametrize("keep_rows", [True, False], ids=["expire", "delete"])
async def test_a_protected_row_is_never_deleted(app_house, keep_rows):
    house = app_house(SEVERAL)
    house.fill(5)
    await house.share()
    store = await house.open()
    everyone = await house.everyone(store)
    [protected] = [session for session in everyone if session.session_type == "background"]
    for session in everyone:
        await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now())

    await store.wipe(keep_rows=keep_rows)
    with pytest.raises(ConfigError, match="protects this session"):
        await store.forget(protected.id)

    left = await house.everyone(store)
    assert len(left) == (5 if keep_rows else 1)
    [still] = [session for session in left if session.id == protected.id]
    assert (still.status, still.secrets.token) == (Status.ENDED, None)
