"""The shared store's list of claims: it leads to whatever is held, and knows nothing of what is over."""

from datetime import timedelta

import pytest

from aimkeeper.core.address import read_postgres
from aimkeeper.store import postgres as postgres_module
from aimkeeper.store import queries
from aimkeeper.store.postgres import PRUNE_EVERY, Postgres

LISTED = "SELECT count(*)::int, COALESCE(sum(cardinality(sessions)), 0)::int FROM claims"


@pytest.fixture
def backend():
    return "postgres"


async def test_no_index_speaks_of_what_a_claim_changes(house, store):
    told = house.ask(
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'auth_sessions' AND indexdef ~ 'owner|claim_id|claimed_at'"
    )

    assert told == []


async def test_a_claim_is_listed_with_all_it_took_and_an_empty_one_is_not(house, store, worker):
    await house.fleet(store, 3)

    await store.claim_due(worker, 10, until=store.now())
    await store.claim_due(worker, 10, until=store.now())

    assert house.ask(LISTED) == [(1, 3)]


async def test_claims_that_are_over_are_struck_off_and_others_are_not(house, store, worker):
    [held, *others] = await house.fleet(store, 1 + 2 * PRUNE_EVERY)
    kept = await store.claim_one(worker, held.id)

    for session in others:
        claim = await store.claim_one(worker, session.id)
        await store.commit([house.rotation(claim)])

    [(listed, sessions)] = house.ask(LISTED)
    assert listed == sessions <= 1 + PRUNE_EVERY
    assert (kept.claim_id, [held.id]) in house.ask("SELECT id, sessions::text[] FROM claims")


async def test_a_claim_of_which_a_part_is_held_stays_listed(house, store, worker):
    sessions = await house.fleet(store, 3)
    first, *_ = await store.claim_due(worker, 3, until=store.now())
    await store.commit([house.rotation(first)])

    for _ in range(2 * PRUNE_EVERY):
        await store.claim_due(worker, 3, until=store.now())

    assert house.ask(LISTED) == [(1, len(sessions))]


async def test_what_others_hold_is_no_affair_of_ours(house, store, worker, rival):
    await house.fleet(store, 2)
    [taken] = await store.claim_due(rival, 1, until=store.now())
    await store.commit([house.rotation(taken)])

    for _ in range(2 * PRUNE_EVERY):
        await store.claim_due(worker, 0, until=store.now())

    assert house.ask("SELECT owner FROM claims") == [(rival,)]


async def test_a_dead_owner_s_claims_are_found_also_where_nothing_was_due(house, store, worker):
    [session] = await house.fleet(store, 1, due_at=house.clock.now() + timedelta(minutes=10))
    await store.claim_one(worker, session.id)
    other = await house.open()

    facts = await house.take_from(store, worker)

    assert [fact.session_id for fact in facts] == [session.id]
    assert (await other.get(session.id)).owner is None
    assert house.ask(LISTED) == [(0, 0)]


async def test_what_is_held_while_the_list_is_made_is_on_it(postgres, clock, monkeypatch):
    database = postgres.fresh("template0")
    known = queries.migrations("postgres")
    monkeypatch.setattr(postgres_module, "migrations", lambda dialect: known[:7])
    backend = Postgres(read_postgres(database.url), clock)
    await backend.open()
    await backend.close()
    database.script(
        "INSERT INTO auth_sessions (user_email, fingerprint, last_token_update_date, account_key, sealed, ring, status,"
        " generation, revision, deadline_at, owner, claim_id) SELECT 'm' || n, 'f', now(), n, '', '', 'active', 1, 1,"
        " now(), CASE WHEN n < 4 THEN 'o' END, CASE WHEN n < 4 THEN 'o.' || n / 2 END FROM generate_series(1, 5) AS n"
    )
    monkeypatch.undo()

    backend = Postgres(read_postgres(database.url), clock)
    await backend.open()
    await backend.close()

    assert database.ask("SELECT id, owner, cardinality(sessions) FROM claims ORDER BY id") == [
        ("o.0", "o", 1),
        ("o.1", "o", 2),
    ]
    database.give_back()
