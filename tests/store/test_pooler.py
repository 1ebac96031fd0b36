"""Behind a pooler in transaction mode every transaction may run in another session: nothing is left in any of them."""

import asyncio
from dataclasses import replace

import pytest

from aimkeeper.core.address import read_postgres
from aimkeeper.core.errors import ConfigError, StoreUnavailable
from aimkeeper.store.commits import Fate, commit
from aimkeeper.store.postgres import Postgres


@pytest.fixture
def backend():
    return "postgres behind a pooler"


async def opened(url, clock):
    backend = Postgres(read_postgres(url), clock)
    await backend.open()
    return backend


async def test_a_pooler_is_noticed_by_the_process_it_names(house, store):
    direct = await opened(house.database.url, house.clock)

    async with store._backend.lines.line() as pooled, direct.lines.line() as straight:
        assert (pooled.direct, straight.direct) == (False, True)

    await direct.close()


async def test_only_where_there_is_no_pooler_are_statements_prepared_by_name(house, store):
    direct = await opened(house.database.url, house.clock)

    async def prepared(backend):
        async with backend.lines.line() as line:
            await line.fetch("owners", ())
            await line.fetch("owners", ())
            return [row["name"] for row in await line._connection.fetch("SELECT name FROM pg_prepared_statements")]

    assert await prepared(store._backend) == []
    assert "aimkeeper_owners" in await prepared(direct)
    await direct.close()


async def test_a_session_of_our_own_is_told_how_to_plan_and_one_of_a_pooler_is_left_as_it_is(house, store):
    direct = await opened(house.database.url, house.clock)

    async def told(backend):
        async with backend.lines.line() as line:
            names = ("jit", "enable_seqscan", "enable_hashjoin", "enable_mergejoin", "lock_timeout")
            return [await line._connection.fetchval(f"SHOW {name}") for name in names]

    assert await told(direct) == ["off", "off", "off", "off", "5s"]
    assert await told(store._backend) == ["on", "on", "on", "on", "0"]
    await direct.close()


async def test_a_routine_group_is_one_trip_where_no_pooler_stands_and_three_where_one_does(house, store, worker, trips):
    await house.fleet(store, 4)
    direct = await opened(house.database.url, house.clock)

    for backend, wanted in ((store._backend, ["BEGIN", "commit_routine", "COMMIT"]), (direct, ["commit_routine"])):
        claims = await store.claim_due(worker, 2, until=store.now())
        rotations = [house.rotation(claim) for claim in claims]
        routine = [replace(one, after=replace(one.after, settled_in=one.before.settled_in)) for one in rotations]
        trips.clear()
        results = await commit(backend, routine, store._sealer, store.now())

        assert trips == wanted
        assert [result.fate for result in results] == [Fate.COMMITTED] * 2
    await direct.close()


async def test_a_url_that_speaks_of_a_pooler_is_believed(house):
    backend = await opened(house.database.url + "?pgbouncer=true", house.clock)

    async with backend.lines.line() as line:
        assert not line.direct
    await backend.close()


async def test_a_url_that_denies_the_pooler_there_is_is_refused(house):
    with pytest.raises(ConfigError, match="says pgbouncer=false, but a pooler stands before"):
        await opened(house.database.pooled_url + "?pgbouncer=false", house.clock)


async def test_a_pooler_in_statement_mode_is_refused(house, postgres):
    port = postgres.pooler("statement")

    with pytest.raises(StoreUnavailable, match=r"statement mode.*use its transaction mode"):
        await opened(f"postgresql://postgres@127.0.0.1:{port}/{house.database.name}", house.clock)


async def test_a_pooler_in_session_mode_will_do(house, postgres):
    port = postgres.pooler("session")
    backend = await opened(f"postgresql://postgres@127.0.0.1:{port}/{house.database.name}", house.clock)

    async with backend.reading() as tx:
        assert await tx.rows("owners") == []

    await backend.close()


async def test_settings_of_a_transaction_do_not_outlive_it(house, store, worker):
    await house.fleet(store, 3)
    claims = await store.claim_due(worker, 5, until=store.now())
    await store.commit([house.rotation(claim) for claim in claims])
    await store.owners.beat()

    told = set()
    async with store._backend.lines.line() as line:
        for _ in range(20):  # whichever sessions of the server's it is given
            [row] = await line._connection.fetch(
                "SELECT current_setting('enable_seqscan') || current_setting('synchronous_commit')"
                " || current_setting('statement_timeout') || current_setting('lock_timeout') || current_setting('jit')"
            )
            told.add(row[0])

    assert told == {"onon00on"}


async def test_more_clients_than_sessions_all_get_their_turn_and_their_own_answers(house, store):
    """Three times as many stores as the pooler has sessions, each with a worker of its own."""
    await house.fleet(store, 72)
    stores = [await house.open() for _ in range(24)]
    owners = [await each.owners.enrol(f"worker {number}", "worker") for number, each in enumerate(stores)]

    async def work(each, owner):
        done = []
        while claims := await each.claim_due(owner, 2, until=each.now()):
            results = await each.commit([house.rotation(claim) for claim in claims])
            assert all(result.holds for result in results)
            done += [result.session.id for result in results]
            assert [(await each.get(session_id)).id for session_id in done] == done
        return done

    shares = await asyncio.gather(*(work(each, owner) for each, owner in zip(stores, owners, strict=True)))

    rotated = [session_id for share in shares for session_id in share]
    assert len(rotated) == len(set(rotated)) == 72
    assert {session.generation for session in await house.everyone(store)} == {2}


async def test_a_pooler_that_was_restarted_is_dialled_again(house, store, postgres):
    await house.fleet(store, 1)
    port, process = postgres._poolers["transaction"]
    process.terminate()
    await asyncio.to_thread(process.wait)
    del postgres._poolers["transaction"]
    with pytest.raises(StoreUnavailable):
        await store.standing(store.now())

    await asyncio.to_thread(postgres.pooler, "transaction", port)
    house.clock.advance(1)

    assert (await store.standing(store.now())).total == 1
