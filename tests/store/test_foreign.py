"""A table of sessions that another program made: shared with it, taken over, given back, in every shape it ever had."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest

from aimkeeper.store.foreign import Mode
from aimkeeper.testing import ManualClock
from tests.store.app_house import AppHouse
from tests.store.app_table import SHAPES, cookies, email, token

ROWS = 1000


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


@pytest.fixture
def clock():
    """The triggers go by the database's own time, so ours must not be far from it."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
async def house(postgres, tmp_path, clock, shape):
    async with AsyncExitStack() as stack:
        yield AppHouse(tmp_path, clock, stack, postgres.fresh("template0"), shape)


def account_of(session):
    return int(session.account_key)


def by_name(cookies):
    return {cookie["name"]: cookie["value"] for cookie in cookies}


def kept(before: dict[str, dict], after: dict[str, dict]) -> dict[str, dict]:
    """Rows of which a value is another now, or gone. What was NULL may have become what that means."""
    return {
        row_id: {
            name: (value, after.get(row_id, {}).get(name))
            for name, value in row.items()
            if value is not None and after.get(row_id, {}).get(name) != value
        }
        for row_id, row in before.items()
        if any(value is not None and after.get(row_id, {}).get(name) != value for name, value in row.items())
    }


async def test_sharing_adds_columns_and_changes_no_value_and_no_rule_that_is_there(house):
    house.fill(ROWS)
    before, around = house.table(), house.surroundings()

    assert await house.share() == ROWS

    assert len(house.table()) == ROWS
    assert kept(before, house.table()) == {}
    gone = set(around) - set(house.surroundings())
    assert {kind for kind, *_ in gone} == {"options"}  # autovacuum is told to hurry
    assert (await house.look()).mode is Mode.SHARED


async def work(house, store, worker, rounds=1000):
    """As a worker would: claim what is due, bring a fresh token for each, commit."""
    rotated = {}
    for _ in range(rounds):
        claims = await store.claim_due(worker, 100, until=store.now())
        if not claims:
            return rotated
        changes = [house.rotation(claim) for claim in claims]
        for change, result in zip(changes, await store.commit(changes), strict=True):
            if result.holds:
                rotated[change.before.id] = change.after.token.text
    return rotated


async def test_while_the_app_works_on_nothing_is_lost_and_what_it_writes_is_never_overwritten(house):
    house.fill(ROWS)
    await house.share()
    store = await house.open()
    worker = await store.owners.enrol("a worker", "worker")
    app = await house.app()
    house.clock.advance(60)

    # The app logs members in while the worker has their sessions claimed, writes old tokens back, adds members.
    held = await store.claim_due(worker, 50, until=store.now())
    mine = {claim.session.id: account_of(claim.session) for claim in held}
    logged_in = dict.fromkeys(list(mine.values())[:20])
    for account in logged_in:
        await app.log_in(account, 1)
    results = await store.commit([house.rotation(claim) for claim in held])
    rotated = await work(house, store, worker)
    for account in list(mine.values())[20:30]:
        await app.write_token(account, token(account))
        await app.write_cookies(account, 2)
        await app.stamp_failure(account)
    for account in range(ROWS + 1, ROWS + 11):
        await app.log_in(account, 0)

    assert [result.fate.value for result in results] == ["superseded"] * 20 + ["committed"] * 30
    for account in logged_in:
        assert await app.read(account) == {"token": token(account, 1), "cookies": by_name(cookies(account, 1))}
    for account in list(mine.values())[20:30]:
        [session] = await store.by_email(email(account).lower())
        assert (await app.read(account))["token"] == session.token.text != token(account)
        assert session.jar.get("PHPSESSID").value == f"PHPSESSID-{account}-2"
    everyone = {session.id: session for session in await house.everyone(store)}
    table = house.table()
    assert len(everyone) == len(table) == ROWS + 10
    assert len(rotated) >= ROWS * 3 / 4 - 50  # and a few of the stale ones
    assert {row_id: row["aimharder_token"] for row_id, row in table.items()} == {
        session_id: session.token.text for session_id, session in everyone.items()
    }
    assert {session_id: everyone[session_id].token.text for session_id in rotated} == rotated
    assert dict(house.ask("SELECT status, sum(count)::int FROM status_counts GROUP BY status")) == {"active": ROWS + 10}


async def test_taken_over_and_given_back_everything_is_as_it_was(house):
    house.fill(ROWS)
    before, around = house.table(), house.surroundings()

    assert await house.take_over() == (ROWS, True)
    assert {(row["aimharder_token"], str(row["aimharder_cookies"])) for row in house.table().values()} == {("", "[]")}
    assert await house.give_back() == ROWS

    assert kept(before, house.table()) == {}
    assert house.surroundings() == around
