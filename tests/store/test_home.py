"""A database knows where it is at home: one that was restored or copied is found out, the one that was left is not."""

import asyncio
import shutil
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.store.home import FileHome
from aimkeeper.testing import ManualClock

from .conftest import PostgresHouse, SqliteHouse


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Site:
    """A folder in which processes come and go over one database; `machine` names the computer it is on."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.folder = folder
        self.clock = clock
        self.machine = folder.parent / "machine-id"
        self.machine.write_text("a" * 32 + "\n")

    def house(self, stack: AsyncExitStack, folder: Path | None = None) -> SqliteHouse:
        house = SqliteHouse(folder or self.folder, self.clock, stack)
        house.secret_keys = "k" * 43
        make = house.store

        def store():
            made = make()
            made._backend.home = FileHome(house.path, machine=self.machine)
            return made

        house.store = store
        return house

    async def visit(self, folder: Path | None = None) -> bool:
        """Come, look, go; whether the database was found to be a strange one."""
        async with AsyncExitStack() as stack:
            house = self.house(stack, folder)
            store = await house.open()
            owner = await store.owners.enrol("a visitor", "visitor")
            fleet = await store.fleet.read()
            await store.owners.retire(owner)
        return fleet.bar is not None

    @property
    def path(self) -> Path:
        return self.folder / "aimkeeper.db"


@pytest.fixture
async def site(tmp_path, clock) -> Site:
    (tmp_path / "here").mkdir()
    made = Site(tmp_path / "here", clock)
    assert not await made.visit()
    return made


# ------------------------------------------------------------ what is the one stays the one


async def test_who_comes_again_and_again_finds_it_at_home(site):
    assert [await site.visit() for _ in range(3)] == [False, False, False]


async def test_a_folder_that_was_moved_is_at_home(site, tmp_path):
    moved = tmp_path / "there"
    site.folder.rename(moved)

    assert not await site.visit(moved)


async def test_what_a_killed_process_leaves_behind_is_at_home(site):
    async with AsyncExitStack() as stack:
        store = await site.house(stack).open()
        store.owners.abandon(await store.owners.enrol("worker", "worker"))

    assert not await site.visit()


@pytest.mark.parametrize("committed", [False, True], ids=["before the commit", "after the commit"])
async def test_a_power_cut_between_the_file_beside_it_and_the_commit_is_no_copy(site, committed):
    async with AsyncExitStack() as stack:
        store = await site.house(stack).open()
        tx = await stack.enter_async_context(store._backend.transaction())
        await store._backend.home.note_use(tx)
        if not committed:
            await asyncio.to_thread(store._backend._connection().rollback)

    assert not await site.visit()


async def test_a_machine_that_has_no_name_is_no_other_machine(site):
    site.machine.unlink()

    assert not await site.visit()


async def test_a_database_of_a_version_that_knew_of_no_homes_is_at_home_where_it_is_found(site, tmp_path):
    with closing(sqlite3.connect(site.path)) as connection, connection:
        connection.execute("DELETE FROM meta WHERE key LIKE 'home%'")
    shutil.copytree(site.folder, tmp_path / "there")

    assert not await site.visit(tmp_path / "there")
    assert not await site.visit(tmp_path / "there")


async def test_while_somebody_keeps_it_nobody_else_takes_it_for_a_copy(site):
    async with AsyncExitStack() as stack:
        store = await site.house(stack).open()
        await store.owners.enrol("worker", "worker")
        site.machine.write_text("b" * 32)

        assert not await site.visit()


# ------------------------------------------------------------ what is a copy is found out


async def copied_elsewhere(site, tmp_path):
    return Path(shutil.copytree(site.folder, tmp_path / "there"))


async def copied_alone(site, tmp_path):
    (tmp_path / "there").mkdir()
    shutil.copy(site.path, tmp_path / "there")
    return tmp_path / "there"


async def copied_over_itself(site, tmp_path):
    shutil.copyfile(site.path, tmp_path / "saved.db")
    await site.visit()
    shutil.copyfile(tmp_path / "saved.db", site.path)
    return site.folder


async def put_back_as_another_file(site, tmp_path):
    shutil.copyfile(site.path, tmp_path / "saved.db")
    (tmp_path / "saved.db").replace(site.path)
    return site.folder


async def put_back_with_its_whole_folder(site, tmp_path):
    shutil.copytree(site.folder, tmp_path / "saved")
    await site.visit()
    site.folder.rename(tmp_path / "broken")
    return Path(shutil.copytree(tmp_path / "saved", site.folder))


async def from_a_backup(site, tmp_path):
    async with AsyncExitStack() as stack:
        await (await site.house(stack).open()).whole.back_up(tmp_path / "saved.db")
    shutil.copyfile(tmp_path / "saved.db", site.path)
    return site.folder


async def on_another_machine(site, tmp_path):
    site.machine.write_text("b" * 32)
    return site.folder


ELSEWHERE = [copied_elsewhere, copied_alone]
IN_ITS_PLACE = [
    copied_over_itself,
    put_back_as_another_file,
    put_back_with_its_whole_folder,
    from_a_backup,
    on_another_machine,
]


@pytest.fixture(params=[*ELSEWHERE, *IN_ITS_PLACE], ids=lambda how: how.__name__.replace("_", " "))
async def copy(request, site, tmp_path) -> Path:
    """The folder of a database that is a copy."""
    return await request.param(site, tmp_path)


async def test_a_copy_is_found_out_and_stays_one_until_somebody_takes_it_over(site, copy):
    assert [await site.visit(copy) for _ in range(3)] == [True, True, True]

    async with AsyncExitStack() as stack:
        await (await site.house(stack, copy).open()).fleet.take_over()

    assert [await site.visit(copy) for _ in range(3)] == [False, False, False]


@pytest.mark.parametrize("copied", ELSEWHERE, ids=lambda how: how.__name__.replace("_", " "))
async def test_the_one_that_was_copied_is_at_home_as_before(site, copied, tmp_path):
    await site.visit(await copied(site, tmp_path))

    assert not await site.visit()


async def test_an_old_state_that_only_was_looked_at_makes_no_stranger_of_the_one_that_comes_back(site, tmp_path):
    shutil.copyfile(site.path, tmp_path / "old.db")
    await site.visit()
    shutil.copyfile(site.path, tmp_path / "new.db")
    shutil.copyfile(tmp_path / "old.db", site.path)
    assert await site.visit()

    shutil.copyfile(tmp_path / "new.db", site.path)

    assert not await site.visit()


async def test_an_older_state_is_found_out_though_the_worker_that_went_on_was_killed(site, tmp_path, clock):
    async with AsyncExitStack() as stack:
        store = await site.house(stack).open()
        owner = await store.owners.enrol("worker", "worker")
        await store.owners.tick(owner)
        async with store._backend.transaction():
            shutil.copyfile(site.path, tmp_path / "saved.db")
            shutil.copyfile(f"{site.path}-wal", tmp_path / "saved.db-wal")
        for _ in range(2):
            clock.advance(11)
            await store.owners.tick(owner)
        store.owners.abandon(owner)

    shutil.copyfile(tmp_path / "saved.db", site.path)
    shutil.copyfile(tmp_path / "saved.db-wal", f"{site.path}-wal")

    assert await site.visit()


async def test_that_it_is_a_copy_is_told_once(site, tmp_path):
    there = await copied_elsewhere(site, tmp_path)

    for _ in range(3):
        await site.visit(there)

    async with AsyncExitStack() as stack:
        store = await site.house(stack, there).open()
        await store.fleet.take_over()
        told = [fact.kind for fact in await store.fleet.events()]
    assert told == [EventKind.STORE_COPIED, EventKind.TAKEN_OVER]


# ------------------------------------------------------------ on a server


async def barred(folder, clock, database) -> bool:
    async with AsyncExitStack() as stack:
        house = PostgresHouse(folder, clock, stack, database)
        stack.pop_all()  # given back at the end of the test
        store = await house.open()
        try:
            owner = await store.owners.enrol("a visitor", "visitor")
            fleet = await store.fleet.read()
            await store.owners.retire(owner)
        finally:
            await store.close()
    return fleet.bar is not None


@pytest.fixture
def spare_database(postgres):
    """Another one on the same server, with nothing in it."""
    fresh = postgres.fresh("template0")
    fresh.is_ours = False
    yield fresh
    fresh.give_back()


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
async def test_on_a_server_who_comes_again_finds_it_at_home(house, clock, tmp_path):
    assert [await barred(tmp_path, clock, house.database) for _ in range(3)] == [False] * 3


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
async def test_a_dump_restored_elsewhere_is_found_out_and_the_one_it_comes_from_goes_on(
    house, clock, tmp_path, spare_database
):
    assert not await barred(tmp_path, clock, house.database)

    spare_database.restored(house.database.dumped(tmp_path / "a.dump"))

    assert await barred(tmp_path, clock, spare_database)
    assert not await barred(tmp_path, clock, house.database)


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
async def test_a_dump_restored_in_place_is_found_out(house, clock, tmp_path):
    assert not await barred(tmp_path, clock, house.database)

    house.database.restored(house.database.dumped(tmp_path / "a.dump"), "--clean")

    assert await barred(tmp_path, clock, house.database)


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
async def test_a_database_made_from_ours_as_a_template_is_found_out(house, postgres, clock, tmp_path):
    assert not await barred(tmp_path, clock, house.database)
    postgres.run(house.database._connection.close()) if house.database._connection else None

    copy = postgres.fresh(house.database.name)
    copy.is_ours = False

    assert await barred(tmp_path, clock, copy)
    copy.give_back()


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
async def test_a_host_that_does_not_say_which_cluster_it_is_still_has_numbers_for_its_tables(house, clock, tmp_path):
    assert not await barred(tmp_path, clock, house.database)
    house.database.script(
        "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC;"
        "GRANT USAGE ON SCHEMA aimkeeper TO stranger; SET ROLE stranger"
    )
    assert house.ask("SELECT aimkeeper.cluster()") == [("-",)]
    house.database.script("RESET ROLE")

    [(known,)] = house.ask("SELECT value FROM meta WHERE key = 'home'")
    house.tell("UPDATE meta SET value = ? WHERE key = 'home'", "-/" + known.partition("/")[2])
    assert not await barred(tmp_path, clock, house.database)
    house.tell("UPDATE meta SET value = ? WHERE key = 'home'", "-/1/2/3/4/5")
    assert await barred(tmp_path, clock, house.database)


# ------------------------------------------------------------ what every store does with one


async def test_of_a_copy_nothing_can_be_claimed_until_it_is_taken_over(house):
    store = await house.open()
    [session] = await house.fleet(store, 1)
    await store.owners.retire(await store.owners.enrol("worker", "worker"))
    house.tell("UPDATE meta SET value = 'elsewhere 1' WHERE key = 'home'")

    owner = await store.owners.enrol("worker", "worker")

    assert await store.claim_due(owner, 10, until=store.now()) == []
    assert await store.claim_due(owner, 10, until=store.now(), backlog_eta=store.now()) == []
    assert await store.claim_one(owner, session.id) is None
    await store.fleet.take_over()
    assert await store.claim_one(owner, session.id) is not None


async def test_an_operators_pause_outlasts_the_take_over(house, store, worker):
    fleet = await store.fleet.read()
    await store.fleet.change(replace(fleet, paused_at=store.now()), None)
    await store.owners.retire(worker)
    house.tell("UPDATE meta SET value = 'elsewhere 1' WHERE key = 'home'")
    await store.owners.enrol("worker", "worker")
    assert (await store.fleet.read()).bar

    await store.fleet.take_over()

    fleet = await store.fleet.read()
    assert (fleet.bar, fleet.is_paused(store.now())) == (None, True)


async def test_a_change_that_another_process_had_in_mind_lifts_no_bar(house, store, worker):
    before = await store.fleet.read()
    await store.owners.retire(worker)
    house.tell("UPDATE meta SET value = 'elsewhere 1' WHERE key = 'home'")
    await store.owners.enrol("worker", "worker")

    assert not await store.fleet.change(replace(before, held_at=store.now()), None)
    assert await store.fleet.change(replace(await store.fleet.read(), held_at=store.now(), copied_at=None), None)

    assert (await store.fleet.read()).bar
