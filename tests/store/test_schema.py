"""How the embedded store's file comes up to date, and how it is copied."""

import shutil
import sqlite3
import stat
from contextlib import closing

import pytest

from aimkeeper.core.errors import ConfigError, ForeignDatabase, StoreUnavailable
from aimkeeper.store import embedded, queries, sqlite
from aimkeeper.store.embedded import APPLICATION_ID, newest_schema
from aimkeeper.store.sqlite import Sqlite


@pytest.fixture
def backend():
    return "sqlite in threads"


@pytest.fixture
def path(house):
    return house.path


# ------------------------------------------------------------ its schema


async def test_asking_for_the_schema_changes_nothing(house, path):
    assert await house.store().schema() == (0, newest_schema())
    assert house.files() == {}

    store = await house.open()
    await house.fleet(store, 3)
    before = house.files()
    assert await house.store().schema() == (newest_schema(), newest_schema())
    assert {name: content for name, content in house.files().items() if not name.endswith("-shm")} == {
        name: content for name, content in before.items() if not name.endswith("-shm")
    }

    await store.close()
    before = house.files()
    assert await house.store().schema() == (newest_schema(), newest_schema())
    assert house.files() == before


def test_migrations_are_numbered_from_one_without_a_gap():
    numbered = queries.migrations("sqlite")

    assert [number for number, _, _ in numbered] == list(range(1, len(numbered) + 1))
    assert newest_schema() == len(numbered)


async def test_an_older_file_is_brought_up_to_date_with_all_that_it_holds(house, path, monkeypatch):
    everything = queries.migrations("sqlite")
    monkeypatch.setattr(embedded, "migrations", lambda dialect: everything[:1])
    backend = Sqlite(path)
    await backend.open()
    await backend.close()
    house.script("INSERT INTO meta VALUES ('kept', 'yes')")
    assert house.pragma("user_version") == 1

    monkeypatch.undo()
    await house.open()

    assert house.pragma("user_version") == len(everything)
    assert house.ask("SELECT value FROM meta WHERE key = 'kept'") == [("yes",)]


async def test_a_migration_that_fails_leaves_the_old_schema_and_all_that_it_holds(house, path, store, monkeypatch):
    [kept] = await house.fleet(store, 1)
    await store.close()
    schema = house.ask("SELECT name, sql FROM sqlite_master ORDER BY name")
    failing = (
        newest_schema() + 1,
        "9999_fails.sql",
        "CREATE TABLE extra (x);\nDELETE FROM auth_sessions;\nNONSENSE;\n",
    )
    monkeypatch.setattr(embedded, "migrations", lambda dialect: [*queries.migrations(dialect), failing])

    with pytest.raises(StoreUnavailable, match="NONSENSE"):
        await house.open()

    assert house.pragma("user_version") == failing[0] - 1
    assert house.ask("SELECT name, sql FROM sqlite_master ORDER BY name") == schema
    monkeypatch.undo()
    assert await (await house.open()).get(kept.id) == kept


async def test_a_migrations_last_statement_counts_though_its_semicolon_is_missing(house, monkeypatch):
    last = (newest_schema() + 1, "9999_last.sql", "-- A word; and another.\nCREATE TABLE extra (x)")
    monkeypatch.setattr(embedded, "migrations", lambda dialect: [*queries.migrations(dialect), last])

    await house.open()

    assert house.ask("SELECT count(*) FROM extra") == [(0,)]


async def test_a_file_that_a_newer_aimkeeper_migrates_while_we_wait_is_not_taken_back(house, path, monkeypatch):
    await house.open()
    known = queries.migrations("sqlite")
    monkeypatch.setattr(sqlite, "check_ours", lambda connection, path: None)
    house.script(f"PRAGMA user_version = {len(known) + 1}")

    with pytest.raises(ForeignDatabase, match="upgrade"):
        await house.open()

    assert house.pragma("user_version") == len(known) + 1


# ------------------------------------------------------------ copies


async def test_a_backup_holds_everything_is_whole_and_for_its_owner_only(house, store, worker):
    [kept] = await house.fleet(store, 1)
    await store.commit([house.rotation(await store.claim_one(worker, kept.id))])
    copy = house.folder / "copies" / "aimkeeper.db"

    await store._backend.backup(copy)

    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(file.name for file in copy.parent.iterdir()) == ["aimkeeper.db"]
    assert house.pragma("integrity_check", copy) == "ok"
    expected = await store.get(kept.id)
    await store.close()
    shutil.copy(copy, house.path)
    assert await (await house.open()).get(kept.id) == expected


async def test_a_backup_can_be_made_while_a_commit_is_under_way(house, store):
    async with store._backend.transaction() as tx:
        await tx.row("set_meta", key="not yet", value="committed")

        await store._backend.backup(house.folder / "copy.db")

    with closing(sqlite3.connect(house.folder / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM meta WHERE key = 'not yet'").fetchone() == (0,)


async def test_a_backup_never_replaces_a_file(house, store):
    target = house.folder / "precious"
    target.write_text("mine")

    with pytest.raises(ConfigError, match="there already"):
        await store._backend.backup(target)

    assert target.read_text() == "mine"


async def test_a_backup_that_can_not_be_made_leaves_nothing(house, store, path):
    with pytest.raises(StoreUnavailable, match="can't be opened or made"):
        await store._backend.backup(path / "copy.db")

    broken = Sqlite(house.folder / "missing.db")
    with pytest.raises(StoreUnavailable):
        await broken.backup(house.folder / "copy.db")

    assert not (house.folder / "copy.db").exists()


async def test_a_backup_in_the_callers_thread_is_the_same(house, tmp_path):
    backend = Sqlite(tmp_path / "a.db", inline=True)
    await backend.open()

    await backend.backup(tmp_path / "b.db")

    await backend.close()
    assert house.pragma("application_id", tmp_path / "b.db") == APPLICATION_ID
