"""Adoption step by step: what stops it, what it waits for, how it goes on after it was broken off, how it is undone."""

from dataclasses import replace

import pytest

from aimkeeper.core.errors import ConfigError, ForeignDatabase, StoreUnavailable
from aimkeeper.store import foreign as foreign_module
from aimkeeper.store.foreign import Mode
from aimkeeper.store.queries import script
from tests.store.app_table import FIRST, NAIVE, ONE_EACH, SEVERAL

DOUBLED = """
ALTER TABLE auth_sessions ADD COLUMN fingerprint text;
ALTER TABLE auth_sessions DROP CONSTRAINT auth_sessions_user_email_key;
INSERT INTO auth_sessions (user_email, fingerprint, aimharder_token, aimharder_cookies)
SELECT 'a@b.c', 'f', 't', '[]' FROM generate_series(1, 3)
"""


# ------------------------------------------------------------ what stops it


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("ALTER TABLE auth_sessions RENAME TO kept; CREATE VIEW auth_sessions AS TABLE kept", "is no plain table"),
        ("ALTER TABLE auth_sessions OWNER TO app", "another role owns the table"),
        (
            "ALTER TABLE auth_sessions DROP CONSTRAINT auth_sessions_pkey",
            "nothing makes the ids in auth_sessions unique",
        ),
        ("ALTER TABLE auth_sessions DROP COLUMN aimharder_cookies", "has no column aimharder_cookies: it is not that"),
        ("ALTER TABLE auth_sessions DROP COLUMN id", "has no column id: it is not that"),
        (
            "ALTER TABLE auth_sessions ALTER aimharder_cookies TYPE text",
            "aimharder_cookies of auth_sessions is of type text",
        ),
        ("ALTER TABLE auth_sessions ADD COLUMN refresh_count text", "refresh_count of auth_sessions is of type text"),
        ("ALTER TABLE auth_sessions ADD COLUMN status text", "has a column status of its own"),
        (DOUBLED, "2 rows of auth_sessions have"),
    ],
    ids=[
        "a view",
        "another role's",
        "without a primary key",
        "without cookies",
        "without ids",
        "cookies as text",
        "a count as text",
        "a column of our name",
        "the same device twice",
    ],
)
async def test_a_table_in_which_we_can_t_live_is_said_to_be_none_and_not_touched(app_house, change, sentence):
    house = app_house(FIRST)
    house.database.script(house.shape.ddl + change)
    before = house.surroundings()
    if "OWNER" in change:
        house.as_role("plain", "CREATE ROLE plain LOGIN; GRANT ALL ON auth_sessions TO plain")

    with pytest.raises(ConfigError, match=sentence):
        await house.share()

    assert house.surroundings() == before


async def test_without_the_right_to_see_its_rows_adoption_stops(app_house):
    house = app_house(FIRST)
    house.database.script(house.shape.ddl + "ALTER TABLE auth_sessions FORCE ROW LEVEL SECURITY")
    house.as_role("owner", "CREATE ROLE owner LOGIN; ALTER TABLE auth_sessions OWNER TO owner")

    with pytest.raises(ConfigError, match="row level security hides the rows"):
        await house.share()


async def test_a_schema_of_our_name_with_something_else_in_it_stops_adoption(app_house):
    house = app_house(FIRST)
    house.database.script(house.shape.ddl + "CREATE SCHEMA aimkeeper; CREATE TABLE aimkeeper.ships (name text)")

    with pytest.raises(ForeignDatabase, match="choose another database"):
        await house.share()


async def test_where_there_is_no_table_and_where_it_is_ours_there_is_nothing_to_adopt(app_house):
    house = app_house(FIRST)
    absent = (await house.look()).mode
    await house.open()

    assert (absent, (await house.look()).mode) == (Mode.ABSENT, Mode.OURS)


async def test_a_table_whose_rows_all_have_a_fingerprint_needs_none_to_be_set(app_house):
    house = app_house(SEVERAL)
    house.rules = replace(house.rules, fingerprint=None)
    house.fill(3)

    assert await house.share() == 3


# ------------------------------------------------------------ what it waits for


async def test_nobody_queues_behind_an_adoption_that_has_to_wait_and_it_gives_up_in_the_end(app_house, monkeypatch):
    house = app_house(FIRST)
    house.fill(3)
    before = house.surroundings()
    monkeypatch.setattr(foreign_module, "BETWEEN_TRIES", 0)
    monkeypatch.setattr(foreign_module, "_BEGIN", foreign_module._BEGIN.replace("'3s'", "'20ms'"))

    async with house.blocking("SELECT * FROM public.auth_sessions") as let_go:
        with pytest.raises(StoreUnavailable, match="another transaction holds the table auth_sessions"):
            await house.share()
        assert house.surroundings() == before
        await let_go()

    assert await house.share() == 3


async def test_every_change_of_the_table_is_made_under_a_limit_of_time_and_one_at_a_time():
    begin = foreign_module._BEGIN

    assert "SET LOCAL lock_timeout = '3s'" in begin
    assert "ACCESS EXCLUSIVE" in script("lock")


@pytest.mark.parametrize("step", ["take_over", "give_back"])
async def test_while_a_process_keeps_the_sessions_the_table_is_neither_taken_over_nor_given_back(app_house, step):
    house = app_house(FIRST)
    house.fill(3)
    await house.share()
    store = await house.open()
    owner = await store.owners.enrol("night-1", "worker")

    with pytest.raises(ConfigError, match=r"night-1 \(pid \d+\) keeps these sessions now: stop it"):
        await getattr(house, step)()

    await store.owners.retire(owner)
    assert await getattr(house, step)() is not None


# ------------------------------------------------------------ broken off, and run again


@pytest.mark.parametrize("trouble", ["NONSENSE", "SELECT pg_terminate_backend(pg_backend_pid())"], ids=["error", "cut"])
async def test_what_goes_wrong_while_the_table_is_changed_changes_nothing(app_house, monkeypatch, trouble):
    house = app_house(FIRST)
    house.fill(3)
    before = house.surroundings(), house.table()
    monkeypatch.setattr(foreign_module, "script", lambda name: trouble if name == "heed" else script(name))

    with pytest.raises(StoreUnavailable):
        await house.share()

    assert (house.surroundings(), house.table()) == before


async def test_of_two_who_adopt_at_once_the_second_finds_it_done(app_house):
    house = app_house(FIRST)
    house.fill(3)
    first, second = house.foreign(), house.foreign()
    found = await first.look(), await second.look()

    taken_in = await first.share(found[0]) + await second.share(found[1])

    assert taken_in == 3
    assert len(await house.everyone(await house.open())) == 3


@pytest.mark.parametrize("step", ["share", "take_over", "give_back"])
async def test_a_step_that_is_broken_off_anywhere_goes_on_where_it_was(app_house, monkeypatch, step):
    house = app_house(NAIVE)
    house.fill(12)
    before = {key: row["aimharder_token"] for key, row in house.table().items()}
    monkeypatch.setattr(foreign_module, "CHUNK", 5)
    for earlier in {"share": (), "take_over": ("share",), "give_back": ("take_over",)}[step]:
        await getattr(house, earlier)()

    for transactions in range(20):
        with monkeypatch.context() as patch:
            house.break_off_after(patch, transactions)
            try:
                await getattr(house, step)()
                break
            except StoreUnavailable:
                assert len(house.table()) == 12
    if step != "give_back":
        await house.give_back()

    assert transactions > 2
    assert {key: row["aimharder_token"] for key, row in house.table().items()} == before
    assert (await house.look()).mode is Mode.FOREIGN


async def test_a_second_run_of_each_step_changes_nothing(app_house):
    house = app_house(ONE_EACH)
    house.fill(4)
    await house.share()
    shared = house.surroundings(), house.table()
    assert await house.share() == 0
    assert (house.surroundings(), house.table()) == shared

    await house.take_over()
    taken = house.surroundings(), house.table()
    assert await house.take_over() == (0, True)
    assert (house.surroundings(), house.table()) == taken
