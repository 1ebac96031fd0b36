"""A table of sessions that another program made: shared with it, taken over, given back, in every shape it ever had."""

import asyncio
import itertools

import pytest

from aimkeeper.store.foreign import Mode
from tests.store.app_table import SHAPES, cookies, email, token

ROWS = 1000


@pytest.fixture(params=SHAPES)
def house(request, app_house):
    return app_house(request.param)


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


class Busy:
    """The app, at work until it is told to stop: reads, writes cookies, stamps failures, logs in anew."""

    def __init__(self, app, accounts) -> None:
        self.app = app
        self.logged_in = {}
        self._accounts = accounts
        self._stopping = False
        self._task = asyncio.ensure_future(self._run())

    async def stop(self):
        self._stopping = True
        await self._task
        assert len(self.logged_in) > 1

    async def _run(self):
        for number, account in enumerate(itertools.cycle(self._accounts), 1):
            assert (await self.app.read(account))["token"] != ""
            await self.app.write_cookies(account, number)
            await self.app.stamp_failure(account)
            await self.app.log_in(account, number)
            self.logged_in[account] = token(account, number)
            if self._stopping:
                return


async def work(house, store, worker):
    """As a worker would: claim what is due, bring a fresh token for each, commit; by id, from which token to which."""
    rotated = {}
    while claims := await store.claim_due(worker, 100, until=store.now()):
        changes = [house.rotation(claim) for claim in claims]
        for change, result in zip(changes, await store.commit(changes), strict=True):
            if result.holds:
                rotated[change.before.id] = (change.before.token.text, change.after.token.text)
    return rotated


async def test_while_the_app_works_on_nothing_is_lost_and_what_it_writes_is_never_overwritten(house):
    house.fill(ROWS)
    app = await house.app()
    busy = Busy(await house.app(), range(1, 100))
    await house.share()
    store = await house.open()
    worker = await store.owners.enrol("a worker", "worker")
    house.clock.advance(60)

    # Members log in while their sessions are claimed; old tokens are written back; new members come.
    held = [
        claim for claim in await store.claim_due(worker, 400, until=store.now()) if account_of(claim.session) > 100
    ][:50]
    accounts = [account_of(claim.session) for claim in held]
    for account in accounts[:20]:
        await app.log_in(account, 1)
    fates = [result.fate.value for result in await store.commit([house.rotation(claim) for claim in held])]
    for account in accounts[20:30]:
        await app.write_token(account, token(account))
        await app.write_cookies(account, 2)
    for account in range(ROWS + 1, ROWS + 11):
        await app.log_in(account, 0)
    rotated = await work(house, store, worker)
    await busy.stop()

    assert fates == ["superseded"] * 20 + ["committed"] * 30
    for account in accounts[:20]:
        assert await app.read(account) == {"token": token(account, 1), "cookies": by_name(cookies(account, 1))}
    for account in accounts[20:30]:
        [session] = await store.by_email(email(account).lower())
        assert (await app.read(account))["token"] == session.token.text != token(account)
        assert session.jar.get("PHPSESSID").value == f"PHPSESSID-{account}-2"
    everyone = {session.id: session for session in await house.everyone(store)}
    seen = {row_id: row["aimharder_token"] for row_id, row in house.table().items()}
    assert len(everyone) == ROWS + 10
    assert seen == {session_id: session.token.text for session_id, session in everyone.items()}
    for session_id, (spent, fresh) in rotated.items():
        last = busy.logged_in.get(account_of(everyone[session_id]))
        # Either from the app's last login to our token, or the app has logged in since.
        assert (last in (None, spent), seen[session_id]) in ((True, fresh), (False, last)), "a login was overwritten"
    assert len(rotated) > ROWS / 4
    assert dict(house.ask("SELECT status, sum(count)::int FROM status_counts GROUP BY status")) == {"active": ROWS + 10}
    for account, last in busy.logged_in.items():
        [session] = await store.by_email(email(account).lower())
        assert session.id in rotated or session.token.text == last

    # Then the app is switched off, and the table is taken over; then the whole change is undone.
    await store.owners.retire(worker)
    await store.close()
    assert await house.take_over() == (ROWS + 10, True)
    assert await house.give_back() == ROWS + 10
    assert {row_id: row["aimharder_token"] for row_id, row in house.table().items()} == seen


async def test_taken_over_and_given_back_everything_is_as_it_was(house):
    house.fill(ROWS)
    before, around = house.table(), house.surroundings()

    assert await house.take_over() == (ROWS, True)
    assert {(row["aimharder_token"], str(row["aimharder_cookies"])) for row in house.table().values()} == {("", "[]")}
    assert await house.give_back() == ROWS

    assert kept(before, house.table()) == {}
    assert house.surroundings() == around
