"""The file of the embedded store: whose it is, and how it is kept."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from aimkeeper.core.errors import ForeignDatabase, KeyProblem, StoreUnavailable
from aimkeeper.store import embedded
from aimkeeper.store.embedded import APPLICATION_ID, newest_schema
from aimkeeper.store.sqlite import Sqlite


@pytest.fixture
def backend():
    return "sqlite in threads"


@pytest.fixture
def path(house):
    return house.path


# ------------------------------------------------------------ how it is kept


async def test_a_new_file_is_ours_up_to_date_and_for_its_owner_only(house, path, store):
    assert house.pragma("application_id") == APPLICATION_ID
    assert house.pragma("user_version") == newest_schema()
    for file in house.folder.glob("aimkeeper.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize("connection", ["_writer", "_reader"])
async def test_it_is_kept_in_wal_with_every_commit_on_the_disk(store, connection):
    opened = getattr(store._backend, connection)

    def pragma(name):
        return opened.execute(f"PRAGMA {name}").fetchone()[0]

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2  # FULL
    assert (pragma("foreign_keys"), pragma("secure_delete")) == (1, 1)


async def test_the_reading_connection_can_not_write(store):
    with pytest.raises(StoreUnavailable, match="readonly"):
        async with store._backend.reading() as tx:
            await tx.row("set_meta", key="key", value="value")


async def test_a_new_folder_is_made_for_its_owner_only(tmp_path):
    path = tmp_path / "new" / "folder" / "aimkeeper.db"
    backend = Sqlite(path)

    await backend.open()
    await backend.close()

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_what_was_written_is_there_for_the_next_process(house, store):
    [kept] = await house.fleet(store, 1)
    await store.close()

    again = await house.open()

    assert await again.get(kept.id) == kept


async def test_closing_twice_is_closing_once(store):
    await store.close()
    await store.close()


@pytest.fixture
def being_written(path):
    """A new file that another process writes to right now."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


async def test_a_new_file_waits_for_its_turn_to_be_switched_to_wal(house, monkeypatch, being_written):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        being_written.rollback()

    monkeypatch.setattr(embedded.time, "sleep", pause)

    store = await house.open()

    assert len(pauses) >= 1
    assert store._backend._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_new_file_whose_turn_never_comes_is_told(house, monkeypatch, being_written):
    monkeypatch.setattr(embedded, "BUSY_SECONDS", 0.05)

    with pytest.raises(StoreUnavailable, match="locked"):
        await house.open()


def test_a_file_that_can_not_be_switched_at_all_is_not_waited_for(house, path):
    house.script("CREATE TABLE theirs (x)")
    with (
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        embedded._switch_to_wal(connection)


# ------------------------------------------------------------ whose it is


async def refused(house, error, match):
    before = house.files()

    with pytest.raises(error, match=match):
        await house.open()
    with pytest.raises(error, match=match):
        await house.store().schema()

    assert house.files() == before


async def test_a_file_with_somebody_elses_tables_is_refused_and_not_touched(house, path):
    house.script("CREATE TABLE auth_sessions (id TEXT)", "INSERT INTO auth_sessions VALUES ('theirs')")

    await refused(house, ForeignDatabase, r"tables that aimkeeper did not make.*AIMKEEPER_DATABASE_URL")


async def test_another_programs_file_is_refused_though_it_holds_nothing(house, path):
    house.script("PRAGMA application_id = 12345")

    await refused(house, ForeignDatabase, r"another program's.*AIMKEEPER_DATABASE_URL")


async def test_a_newer_aimkeepers_file_is_refused(house, path, store):
    await store.close()
    house.script("PRAGMA user_version = 999")

    await refused(house, ForeignDatabase, "schema 999.*upgrade aimkeeper")


async def test_what_is_no_database_is_refused(house, path):
    path.write_bytes(b"Dear diary, today " * 100)

    await refused(house, ForeignDatabase, "not a database of aimkeeper's")


async def test_a_folder_in_its_place_is_refused(house, path):
    path.mkdir()

    await refused(house, StoreUnavailable, "can't be used now")


def test_a_file_that_another_process_makes_right_now_is_not_taken_for_somebody_elses(house, path):
    house.script("PRAGMA journal_mode = WAL")

    class Interrupted(sqlite3.Connection):
        """Between the first question and the next, another process makes the tables."""

        def execute(self, statement, *values):
            answer = super().execute(statement, *values).fetchall()
            if "application_id" in statement:
                with closing(sqlite3.connect(path, isolation_level=None)) as other:
                    embedded.migrate(other, path)
            return Answer(answer)

    class Answer(list):
        def fetchone(self):
            return self[0] if self else None

    with closing(sqlite3.connect(path, isolation_level=None, factory=Interrupted)) as connection:
        embedded.check_ours(connection, path)

    assert house.pragma("user_version") == newest_schema()


async def test_an_empty_file_is_taken_for_a_new_one(house, path):
    path.touch()
    assert await house.store().schema() == (0, newest_schema())

    await house.open()

    assert house.pragma("application_id") == APPLICATION_ID


async def test_a_place_where_no_file_can_be_made_is_named(house):
    (house.folder / "file").write_text("in the way")
    for place in (house.folder / "file" / "aimkeeper.db", house.folder / "file" / "deeper" / "aimkeeper.db"):
        house.path = place
        with pytest.raises(StoreUnavailable, match=r"aimkeeper\.db can't be opened or made"):
            await house.open()


async def test_a_name_that_no_file_can_bear_is_told(house):
    house.path = house.folder / ("x" * 300)

    with pytest.raises(StoreUnavailable, match="can't be opened or made"):
        await house.open()
    with pytest.raises(StoreUnavailable, match="can't be looked at"):
        await house.store().schema()


async def test_a_place_that_nobody_may_write_is_named(house):
    house.path = Path("/proc/self/aimkeeper.db")

    with pytest.raises(StoreUnavailable, match=r"aimkeeper\.db can't be opened or made"):
        await house.open()


async def test_a_full_disk_is_told_and_nothing_is_half_written(house, store, worker):
    [kept] = await house.fleet(store, 1)
    writer = store._backend._writer
    writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0]}")

    with pytest.raises(StoreUnavailable, match="full"):
        await house.keep(store, *(house.session(n, session_type="x" * 4000) for n in range(2, 50)))

    writer.execute("PRAGMA max_page_count = 1000000")
    listed = await house.everyone(store)
    assert len(listed) == len({session.id for session in listed})
    assert (await store.standing(store.now())).total == len(listed)
    [result] = await store.commit([house.rotation(await store.claim_one(worker, kept.id))])
    assert result.holds


async def test_a_damaged_file_is_told_apart_from_a_foreign_one(house, path, store):
    await house.fleet(store, 200)
    await store.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * len(content[4096 * 2 :])
    path.write_bytes(content)

    with pytest.raises(StoreUnavailable, match=r"damaged.*restore a backup"):
        await house.open()


async def test_who_could_not_open_it_holds_nothing_open(house, path):
    house.script("PRAGMA application_id = 12345")
    backend = Sqlite(path)

    with pytest.raises(ForeignDatabase):
        await backend.open()

    assert (backend._writer, backend._reader) == (None, None)
    assert backend._writing._shutdown


@pytest.mark.parametrize("check", ["", "zz", "00"])
async def test_a_store_whose_check_of_the_key_was_damaged_does_not_open(house, store, check):
    await store.close()
    house.tell("UPDATE meta SET value = ? WHERE key = 'seal_check'", check)

    with pytest.raises(KeyProblem):
        await house.open()


async def test_a_store_does_not_open_with_another_key(house, store):
    await store.close()
    (house.folder / "secret.key").unlink()
    with pytest.raises(KeyProblem, match="is gone"):
        await house.open()
    assert not (house.folder / "secret.key").exists()

    house.secret_keys = "A" * 43

    with pytest.raises(KeyProblem, match="add that key"):
        await house.open()
