"""The shared store's database: whose it is, how its schema comes up to date, and what it says when it can't be used."""

import asyncio
import re
import socket

import asyncpg
import pytest

from aimkeeper.core.address import read_postgres
from aimkeeper.core.errors import ConfigError, ForeignDatabase, KeyProblem, StoreUnavailable
from aimkeeper.store import postgres as postgres_module
from aimkeeper.store import queries
from aimkeeper.store.postgres import Postgres, newest_schema

OURS = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'aimkeeper'::regnamespace"


@pytest.fixture
def backend():
    return "postgres"


@pytest.fixture
def bare(postgres):
    """A database in which there is nothing yet."""
    database = postgres.fresh("template0")
    database.is_ours = False
    yield database
    database.give_back()


async def opened(url, clock):
    backend = Postgres(read_postgres(url), clock)
    await backend.open()
    return backend


def everything(database):
    """Tables, columns, indexes, triggers, functions: all that a migration could change."""
    return database.ask(
        "SELECT attrelid::regclass::text, attname::text, atttypid::regtype::text FROM pg_attribute"
        " WHERE attrelid::regclass::text LIKE '%auth_sessions%' OR attrelid::regclass::text LIKE 'aimkeeper.%'"
        " ORDER BY 1, attnum"
    ) + database.ask("SELECT tgname::text, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1")


# ------------------------------------------------------------ its schema


async def test_asking_for_the_schema_changes_nothing(bare, clock):
    backend = Postgres(read_postgres(bare.url), clock)

    assert await backend.schema() == (0, newest_schema())

    assert everything(bare) == []
    await (await opened(bare.url, clock)).close()
    assert await backend.schema() == (newest_schema(), newest_schema())


def test_migrations_bear_the_same_numbers_and_names_on_every_database():
    names = {dialect: [name for _, name, _ in queries.migrations(dialect)] for dialect in ("sqlite", "postgres")}

    assert names["postgres"] == names["sqlite"]
    assert [number for number, _, _ in queries.migrations("postgres")] == list(range(1, newest_schema() + 1))


def test_statements_bear_the_same_names_on_every_database_but_for_what_is_one_s_own():
    locks = {"claim_in_doubt", "claim_due", "claim_living", "claim_hopeless", "stuck_owners", "tick_owner"}
    beats = {"claim_steady", "claim_backlog", "beat", "mark_silent_owner", "prune_owners"}
    ledgers = {"fold_counts", "fold_tallies", "prune_claims"}
    itself = {"probe", "whose", "hides_rows", "one_at_a_time", "here"}

    things = ("sessions", "spares", "events", "logins", "tickets", "tallies")
    leaves = {"is_held", *(f"leave_{thing}" for thing in things)}
    adopts = {"foreign_columns", "foreign_table", "foreign_rows", "take_in", "readable", "sealed_only", "move_secrets"}
    adopts |= {"emails_with_several", "set_rules", "owners_alive"}
    takes_in = {"holds_sessions", *(f"carry_{thing}" for thing in things)}

    sqlite, postgres = set(queries.load("sqlite")), set(queries.load("postgres"))

    own = locks | leaves | {"insert_events"}
    assert (sqlite - postgres, postgres - sqlite) == (own, beats | ledgers | itself | takes_in | adopts)


async def test_workers_that_start_at_once_on_an_empty_database_all_succeed(bare, clock):
    backends = await asyncio.gather(*(opened(bare.url, clock) for _ in range(6)))

    assert bare.ask("SELECT value FROM meta WHERE key = 'schema'") == [(str(newest_schema()),)]
    assert bare.ask("SELECT count(*) FROM fleet") == [(1,)]
    for backend in backends:
        await backend.close()


async def test_an_older_schema_is_brought_up_to_date_with_all_that_it_holds(bare, clock, monkeypatch):
    known = queries.migrations("postgres")
    monkeypatch.setattr(postgres_module, "migrations", lambda dialect: known[:1])
    await (await opened(bare.url, clock)).close()
    bare.ask("INSERT INTO meta VALUES ('kept', 'yes')")
    monkeypatch.undo()

    await (await opened(bare.url, clock)).close()

    assert bare.ask("SELECT value FROM meta ORDER BY key") == [("yes",), (str(len(known)),)]


async def test_a_migration_that_fails_leaves_the_old_schema_and_all_that_it_holds(house, store, monkeypatch):
    [kept] = await house.fleet(store, 1)
    before = everything(house.database)
    text = "CREATE TABLE aimkeeper.extra (x int); DELETE FROM public.auth_sessions; NONSENSE;"
    failing = (newest_schema() + 1, "9999_fails.sql", text)
    monkeypatch.setattr(postgres_module, "migrations", lambda dialect: [*queries.migrations(dialect), failing])

    with pytest.raises(StoreUnavailable, match="NONSENSE"):
        await house.open()

    monkeypatch.undo()
    assert everything(house.database) == before
    assert await (await house.open()).get(kept.id) == kept


async def test_a_table_of_sessions_that_aimkeeper_did_not_make_is_not_touched(bare, clock):
    bare.script("CREATE TABLE auth_sessions (id int, user_email text); INSERT INTO auth_sessions VALUES (1, 'a@b.c')")
    before = everything(bare)

    with pytest.raises(ForeignDatabase, match="aimkeeper db adopt"):
        await opened(bare.url, clock)
    with pytest.raises(ForeignDatabase, match="aimkeeper db adopt"):
        await Postgres(read_postgres(bare.url), clock).schema()

    assert everything(bare) == before
    assert bare.ask("SELECT * FROM auth_sessions") == [(1, "a@b.c")]


async def test_a_schema_of_our_name_that_holds_something_else_is_not_touched(bare, clock):
    bare.script("CREATE SCHEMA aimkeeper; CREATE TABLE aimkeeper.ships (name text)")

    with pytest.raises(ForeignDatabase, match="choose another database"):
        await opened(bare.url, clock)

    assert bare.ask(OURS) == [("ships",)]


async def test_a_newer_aimkeepers_database_is_not_taken_back(house, store):
    house.tell("UPDATE meta SET value = '99' WHERE key = 'schema'")
    house.database.is_ours = False

    with pytest.raises(ForeignDatabase, match=r"schema 99, this one knows .*upgrade aimkeeper"):
        await house.open()


async def test_a_database_that_a_newer_aimkeeper_migrates_while_we_wait_is_not_taken_back(bare, clock, monkeypatch):
    await (await opened(bare.url, clock)).close()
    true_judge, looks = Postgres._judge, []

    async def late(self, line):
        looks.append(1)
        return 0 if len(looks) == 1 else await true_judge(self, line)

    monkeypatch.setattr(Postgres, "_judge", late)
    bare.ask("UPDATE meta SET value = '99' WHERE key = 'schema'")

    with pytest.raises(ForeignDatabase, match="upgrade"):
        await opened(bare.url, clock)

    assert bare.ask("SELECT value FROM meta WHERE key = 'schema'") == [("99",)]


async def test_a_table_that_somebody_dropped_is_missed(house, store):
    await store.close()
    house.database.script("DROP TABLE auth_sessions CASCADE")

    with pytest.raises(StoreUnavailable, match="restore a backup"):
        await house.open()


# ------------------------------------------------------------ who sees what


async def test_every_table_of_ours_hides_its_rows_from_all_but_its_owner(house, store):
    hidden = house.ask(
        "SELECT relrowsecurity FROM pg_class WHERE relkind = 'r'"
        " AND (relnamespace = 'aimkeeper'::regnamespace OR oid = 'public.auth_sessions'::regclass)"
    )
    policies = house.ask("SELECT * FROM pg_policies")

    assert len(hidden) > 10
    assert set(hidden) == {(True,)}
    assert policies == []


async def test_a_role_of_a_public_api_sees_nothing_though_everything_was_granted_to_it(house, store):
    await house.fleet(store, 1)
    house.database.script("GRANT ALL ON public.auth_sessions TO anon; GRANT USAGE ON SCHEMA public TO anon")

    async with house.blocking("SET ROLE anon") as anonymous:
        seen = await anonymous._connection.fetch("SELECT * FROM public.auth_sessions")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await anonymous._connection.fetch("SELECT * FROM aimkeeper.events")

    assert seen == []
    assert house.ask("SELECT count(*) FROM auth_sessions") == [(1,)]


async def test_an_app_may_write_sessions_under_a_role_of_its_own_and_the_counts_stay_true(house, store):
    [session] = await house.fleet(store, 1)
    house.database.script(
        "GRANT ALL ON public.auth_sessions TO anon; CREATE POLICY app ON public.auth_sessions TO anon USING (true)"
    )

    async with house.blocking("SET ROLE anon") as app:
        await app._connection.execute("UPDATE public.auth_sessions SET status = 'suspected'")
        await app()

    standing = await store.standing(store.now())
    assert {status.value: count for status, count in standing.by_status.items()} == {"suspected": 1}
    assert (await store.get(session.id)).status.value == "suspected"


async def test_a_role_that_sees_no_rows_is_told_at_start(house, store, postgres):
    house.database.script("GRANT ALL ON ALL TABLES IN SCHEMA public, aimkeeper TO stranger;"
                          "GRANT USAGE ON SCHEMA aimkeeper TO stranger")  # fmt: skip

    with pytest.raises(ConfigError, match=r"can see no row.*connect as the role that owns the table"):
        await opened(strangers_url(house), house.clock)


async def test_a_role_that_may_make_no_schema_is_told_so(bare, clock):
    with pytest.raises(StoreUnavailable, match="permission denied for database"):
        await opened(bare.url.replace("postgres@", "stranger:a-password-of-nobody@"), clock)


def strangers_url(house, password="a-password-of-nobody"):
    return house.database.url.replace("postgres@", f"stranger:{password}@")


# ------------------------------------------------------------ what it can't be used for


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'", "reset default_transaction_isolation"),
        ("ALTER DATABASE {} SET default_transaction_read_only = on", "is read-only"),
    ],
    ids=["its transactions are serializable", "it can't be written"],
)
async def test_a_database_that_will_not_do_is_told_at_start(bare, clock, damage, sentence):
    bare.script(damage.format(bare.name))

    with pytest.raises((ConfigError, StoreUnavailable), match=sentence):
        await opened(bare.url, clock)


async def test_a_server_that_is_too_old_is_refused(bare, clock, monkeypatch):
    monkeypatch.setattr(postgres_module, "OLDEST_SERVER", 990_000)

    with pytest.raises(ConfigError, match=r"is PostgreSQL \d+: 13 is the oldest that will do"):
        await opened(bare.url, clock)


async def test_a_migration_in_which_the_server_dies_leaves_nothing(bare, clock, monkeypatch):
    dying = (newest_schema() + 1, "9999_dies.sql", "SELECT pg_terminate_backend(pg_backend_pid());")
    with monkeypatch.context() as patch:
        patch.setattr(postgres_module, "migrations", lambda dialect: [*queries.migrations(dialect), dying])
        with pytest.raises(StoreUnavailable):
            await opened(bare.url, clock)

    assert everything(bare) == []
    await (await opened(bare.url, clock)).close()


async def test_a_database_in_another_encoding_is_refused(postgres, clock):
    postgres.run(
        postgres.tell("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    )

    with pytest.raises(ConfigError, match="encoded in LATIN1"):
        await opened(f"postgresql://postgres@127.0.0.1:{postgres.port}/latin", clock)


def nobody_listens():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda url: re.sub(r":\d+/", f":{nobody_listens()}/", url), "can't be reached: connection refused"),
        (lambda url: url.replace("127.0.0.1", "nowhere.invalid"), "can't be reached: there is no such host"),
        (lambda url: url.replace("postgres@", "stranger:wrong-secret@"), "refuses the user or the password"),
        (lambda url: url.replace("postgres@", "stranger-2:wrong-secret@"), "refuses the user or the password"),
        (lambda url: url + "_missing", "there is no database of that name"),
        (lambda url: url + "?sslmode=require", "does not encrypt connections, which sslmode asks for"),
        (lambda url: url + "?host=/nowhere", "can't be reached: no such file or directory"),
    ],
    ids=["nobody listens", "no such host", "wrong password", "no such user", "no such database", "no TLS", "no socket"],
)
async def test_what_keeps_us_out_is_told_in_one_sentence_that_opens_no_door(house, change, sentence):
    url = change(house.database.url)

    with pytest.raises(StoreUnavailable, match=sentence) as caught:
        await opened(url, house.clock)

    told = str(caught.value)
    assert house.database.name in told
    assert told.endswith(".")
    assert not re.search(r"stranger|secret|postgres|@|\n", told.replace("PostgreSQL", ""))
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


async def test_a_certificate_that_is_not_there_is_a_mistake_in_the_settings(house):
    with pytest.raises(ConfigError, match="names a file as sslrootcert that is not there"):
        await opened(house.database.url + "?sslmode=verify-full&sslrootcert=/nowhere/ca.crt", house.clock)


async def test_a_server_that_answers_nothing_is_given_up(house, monkeypatch):
    monkeypatch.setattr("aimkeeper.store.lines.DIAL_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/test"

        with pytest.raises(StoreUnavailable, match="can't be reached: it does not answer in time"):
            await opened(url, house.clock)


async def test_who_was_refused_just_now_does_not_ask_again_at_once(house, monkeypatch):
    dials = []
    true_connect = asyncpg.connect

    async def counted(*args, **kwargs):
        dials.append(1)
        return await true_connect(*args, **kwargs)

    monkeypatch.setattr(asyncpg, "connect", counted)
    backend = Postgres(read_postgres(f"postgresql://postgres@127.0.0.1:{nobody_listens()}/test"), house.clock)

    async def refused():
        with pytest.raises(StoreUnavailable, match="connection refused"):
            async with backend.reading() as tx:
                await tx.rows("owners")

    await asyncio.gather(*(refused() for _ in range(5)))
    pauses = []
    for _ in range(6):
        before = house.clock.monotonic()
        asked = len(dials)
        while len(dials) == asked:
            await refused()
            house.clock.advance(0.05)
        pauses.append(round(house.clock.monotonic() - before, 2))

    assert pauses[0] <= 0.25
    assert pauses[-1] == pytest.approx(1.0, abs=0.11)
    assert pauses == sorted(pauses)


# ------------------------------------------------------------ the key


async def test_processes_that_seal_an_empty_store_at_once_agree_on_the_key(house):
    house.secret_keys = "A" * 43
    stores = [house.store() for _ in range(4)]

    await asyncio.gather(*(store.open() for store in stores))

    [kept] = await house.fleet(stores[0], 1)
    assert await stores[3].get(kept.id) == kept
    for store in stores:
        await store.close()


async def test_of_processes_with_different_keys_one_opens_an_empty_store_and_the_others_are_told(house):
    stores = []
    for letter in "ABCD":
        house.secret_keys = letter * 43
        stores.append(house.store())
        stores[-1].keys._sealers = lambda sealed, keys=house.secret_keys: load(keys, sealed)

    outcomes = await asyncio.gather(*(store.open() for store in stores), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["KeyProblem"] * 3 + ["NoneType"]
    for store in stores:
        await store.close()


def load(keys, sealed):
    from aimkeeper.store.seal import load_sealer  # noqa: PLC0415 (one use)

    return load_sealer(keys, None, store_is_sealed=sealed)


async def test_a_store_does_not_open_with_another_key(house, store):
    house.secret_keys = "A" * 43

    with pytest.raises(KeyProblem, match="add that key"):
        await house.open()
