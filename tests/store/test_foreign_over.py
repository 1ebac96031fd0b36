"""A table that was taken over, and how it is given back; and the scripts that do it."""

from dataclasses import replace

import asyncpg
import pytest

from aimkeeper.core.errors import ConfigError, KeyProblem
from aimkeeper.core.session import Cause
from aimkeeper.core.token import Fingerprint
from aimkeeper.store import foreign as foreign_module
from aimkeeper.store.foreign import Mode
from aimkeeper.store.queries import migrations, script
from aimkeeper.store.seal import new_key
from aimkeeper.store.shape import KNOWN, NEEDED, OURS
from tests.store.app_table import FIRST, NAIVE, ONE_EACH, SEVERAL, cookies, email, token

BY_INDEX = """
ALTER TABLE auth_sessions DROP CONSTRAINT auth_sessions_user_email_key;
CREATE UNIQUE INDEX one_each ON auth_sessions (user_email)
"""


async def test_after_the_take_over_no_token_and_no_cookie_stands_readable_in_the_table_s_files(app_house):
    house = app_house(FIRST)
    house.fill(20)
    planted = [token(7), *(cookie["value"] for cookie in cookies(7))]
    await house.share()
    assert all(secret.encode() in house.on_disk() for secret in planted)

    assert await house.take_over() == (20, True)

    on_disk = house.on_disk()
    assert email(7).encode() in on_disk
    assert not any(secret.encode() in on_disk for secret in planted)


async def test_where_the_table_can_t_be_vacuumed_that_is_said(app_house, monkeypatch):
    house = app_house(FIRST)
    house.fill(2)
    monkeypatch.setattr(foreign_module, "script", lambda name: "NONSENSE" if name == "vacuum" else script(name))

    assert await house.take_over() == (2, False)


@pytest.mark.parametrize(
    ("shape", "rule", "leaves_one"),
    [(FIRST, "", False), (FIRST, BY_INDEX, False), (ONE_EACH, "", True), (SEVERAL, "", False)],
    ids=[
        "a rule that e-mails are unique goes",
        "an index that says so goes",
        "one on which a foreign key rests stays",
        "where there was none nothing goes",
    ],
)
async def test_taken_over_an_account_may_have_several_sessions(app_house, shape, rule, leaves_one):
    house = app_house(shape)
    house.fill(3)
    house.database.script(rule or "SELECT 1")
    around = house.surroundings()
    await house.take_over()
    store = await house.open()
    other = replace(house.session(1), fingerprint=Fingerprint("b" * 50))

    stored = await store.put(other, house.fact(other), replacing=leaves_one)

    assert len(await store.by_email(email(1))) == (1 if leaves_one else 2)
    if not leaves_one:
        await store.forget(stored.id)
    await store.close()
    await house.give_back()
    assert house.surroundings() == around


async def test_a_login_written_into_a_table_taken_over_is_noticed_and_sealed_with_the_next_rotation(app_house):
    house = app_house(SEVERAL)
    house.fill(3)
    await house.take_over()
    store, app = await house.open(), await house.app()
    worker = await store.owners.enrol("a worker", "worker")
    [before] = await store.by_email(email(1))

    await app.log_in(1, 4)
    [session] = await store.by_email(email(1))
    claim = await store.claim_one(worker, session.id)
    [result] = await store.commit([house.rotation(claim)])

    assert (session.token.text, session.generation, session.spares) == (token(1, 4), before.generation + 1, 1)
    assert result.holds
    assert await app.read(1) == {"token": "", "cookies": {}}


# ------------------------------------------------------------ given back


async def test_what_the_key_at_hand_can_t_open_is_not_given_back_and_nothing_else_is(app_house):
    house = app_house(FIRST)
    house.fill(3)
    await house.take_over()
    house.tell("UPDATE auth_sessions SET sealed = x'00' WHERE user_email = ?", email(2))

    with pytest.raises(KeyProblem):
        await house.give_back()

    assert [row["aimharder_token"] for row in house.table().values()] == ["", "", ""]
    assert (await house.look()).mode is Mode.EXCLUSIVE


async def test_another_key_gives_nothing_back(app_house):
    house = app_house(FIRST)
    house.fill(3)
    await house.take_over()
    house.secret_keys = new_key()

    with pytest.raises(KeyProblem):
        await house.give_back()

    assert (await house.look()).mode is Mode.EXCLUSIVE


async def test_where_the_app_has_room_for_one_session_of_an_account_the_others_must_go_first(app_house):
    house = app_house(FIRST)
    house.fill(3)
    await house.take_over()
    store = await house.open()
    other = replace(house.session(1), fingerprint=Fingerprint("b" * 50))
    stored = await store.put(other, house.fact(other), replacing=False)
    await store.close()

    with pytest.raises(ConfigError, match="1 accounts have several sessions"):
        await house.give_back()

    store = await house.open()
    await store.forget(stored.id)
    await store.close()
    assert await house.give_back() == 3


async def test_what_ended_by_its_owner_s_will_comes_back_without_a_token(app_house):
    house = app_house(FIRST)
    house.fill(3)
    await house.take_over()
    store = await house.open()
    [session] = await store.by_email(email(1))
    await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now())
    await store.close()

    await house.give_back()

    tokens = {row["user_email"]: row["aimharder_token"] for row in house.table().values()}
    assert tokens == {email(1): "", email(2): token(2), email(3): token(3)}


# ------------------------------------------------------------ the scripts


COLUMNS = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'public.auth_sessions'::regclass AND attnum > 0"
INDEXES = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'public.auth_sessions'::regclass"


def names(where, sql):
    return {name for (name,) in where.ask(sql)}


def test_every_migration_s_new_column_of_the_sessions_is_taken_away_again(database):
    assert names(database, COLUMNS) - {*OURS, *KNOWN, *NEEDED} == set(), (
        "a migration added a column to auth_sessions: name it in store/shape.py too, and give it a default, for an app "
        "that shares the table does not name it"
    )


async def test_an_adopted_table_has_every_column_and_index_that_one_of_our_own_has(app_house, database):
    house = app_house(FIRST)
    house.fill(1)

    await house.share()

    assert names(database, COLUMNS) - names(house, COLUMNS) == set()
    assert names(database, INDEXES) - names(house, INDEXES) == {"auth_sessions_user_email_fingerprint_key"}


def test_the_first_migration_says_which_part_of_it_makes_the_table():
    first = migrations("postgres")[0][2]

    made = foreign_module._MADE_HERE.findall(first)

    assert [part.count("CREATE TABLE") for part in made] == [1, 0]
    assert [part.count("ROW LEVEL SECURITY") for part in made] == [0, 1]
    assert "CREATE TABLE public.auth_sessions" not in foreign_module._changes()[0]


async def test_adoption_goes_through_a_pooler_too(app_house):
    house = app_house(NAIVE)
    house.fill(7)
    house.go_through_the_pooler()

    shared, taken_over, given_back = await house.share(), await house.take_over(), await house.give_back()

    assert (shared, taken_over, given_back) == (7, (7, True), 7)


async def test_the_app_s_rules_about_who_sees_which_row_hold_after_adoption(app_house):
    house = app_house(FIRST)
    house.fill(3)
    house.database.script("GRANT SELECT ON auth_sessions TO anon")
    await house.share()

    connection = await asyncpg.connect(house.database.url)
    try:
        await connection.execute(f'SET request.jwt.claims = \'{{"email": "{email(2)}"}}\'; SET ROLE anon')
        seen = await connection.fetch("SELECT user_email FROM public.auth_sessions")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT count(*) FROM aimkeeper.spares")
    finally:
        await connection.close()

    assert [row["user_email"] for row in seen] == [email(2)]
