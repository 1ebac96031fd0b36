"""What PostgreSQL makes of our statements, with ten thousand sessions and with a hundred thousand."""

import json
import re

import asyncpg
import pytest

from aimkeeper.store.lines import _instant, _packed_instant
from aimkeeper.store.postgres import _BEGIN
from aimkeeper.store.queries import numbered

pytestmark = pytest.mark.slow

# Tables that grow with the sessions, or with what happens to them.
LARGE = "auth_sessions|events|spares|tallies|logins|tickets|limits"
# Asked of the database itself, not of our tables.
ABOUT_ITSELF = {"probe", "one_at_a_time", "whose", "hides_rows"}
# Count up to a limit of their own; the second stops at the first row.
BOUNDED = {"count_all_spares", "holds_sessions"}
# Asked when a table is adopted or given back, and never again.
ONCE = {"foreign_rows", "emails_with_several", "readable", "sealed_only"}
# Everything else runs in a transaction that holds the planner to its indexes.
ALONE = {"claim_steady", "claim_backlog", "claim_one", "beat"}

# Most sessions are due in a while; one in a hundred is due now, in doubt, failing, ended, or held by somebody. The two
# claims take rows from the two ends: of a row that was taken and rolled back something stays, and whoever has a
# snapshot (autovacuum, when it counts) keeps it there, so that the next version finds no room in its page.
FILL = """
INSERT INTO public.auth_sessions (id, user_email, fingerprint, last_token_update_date, account_key, sealed, ring,
  status, generation, revision, due_at, deadline_at, attempt, doubt_at, ended_at, wipe_at, owner, claim_id, ref)
SELECT gen_random_uuid(), 'm' || n || '@example.com', 'f', now() - interval '5 min', n::text, '\\x00', '\\x90',
  CASE k WHEN 1 THEN 'in_doubt' WHEN 2 THEN 'ended' WHEN 3 THEN 'suspected' ELSE 'active' END, 1, 1,
  CASE WHEN k = 2 THEN NULL WHEN k < 5 THEN now() - interval '5 s' ELSE now() + interval '9 minutes' END,
  now() + interval '80 minutes' + ({count} - n) * interval '1 ms', CASE k WHEN 1 THEN 1 WHEN 4 THEN 2 ELSE 0 END,
  CASE k WHEN 1 THEN now() - interval '5 s' END, CASE k WHEN 2 THEN now() - n * interval '1 minute' END,
  CASE k WHEN 2 THEN now() + interval '1 day' - n * interval '1 minute' END,
  CASE k WHEN 5 THEN 'o' END, CASE k WHEN 5 THEN 'o.1' END, 'ref' || n
  FROM (SELECT n, n % 100 AS k FROM generate_series(1, {count}) AS n) AS numbers;
"""
FILL_THE_REST = """
INSERT INTO aimkeeper.events (at, kind, session_id, email, data)
SELECT now() - n * interval '1 minute', CASE n % 10 WHEN 0 THEN 'ended' ELSE 'in_doubt' END, gen_random_uuid(), '', ''
  FROM generate_series(1, {count}) AS n;
INSERT INTO aimkeeper.tallies (minute, what, count, folded)
SELECT n, 'rotated', 1, true FROM generate_series(1, {count}) AS n;
INSERT INTO aimkeeper.logins (email, failed_at) SELECT 'm' || n, '' FROM generate_series(1, {count}) AS n;
INSERT INTO aimkeeper.limits (bucket, hits, expires_at)
SELECT n::text, '', now() + interval '1 h' FROM generate_series(1, {count}) AS n;
INSERT INTO aimkeeper.spares (id, session_id, sealed, issued_at, kept_at, generation)
SELECT id, id, '', now(), now(), 1 FROM public.auth_sessions;
INSERT INTO aimkeeper.tickets (hash, kind, session_id, created_at, expires_at)
SELECT id, 'member', id, now(), now() + interval '1 h' FROM public.auth_sessions;
"""
OWNER = """
INSERT INTO aimkeeper.owners (id, name, role, pid, version, started_at) VALUES ('o', 'o', 'worker', 1, '', now())
"""
# Those that ask for a part of what there is, so that the whole would not do.
LONG_AGO = 1_600_000_000_000_000
ASKED = {
    "tallies_since": {"minute": 10**9},
    "tallies_by_slot": {"minute": 10**9},
    "count_rotated_since": {"since": LONG_AGO},
}

INDEXES = {
    "claim_steady": {"auth_sessions_in_doubt", "auth_sessions_due"},
    "claim_backlog": {"auth_sessions_in_doubt", "auth_sessions_deadline"},
    "claim_one": {"auth_sessions_pkey"},
    "commit_rotation": {"auth_sessions_pkey"},
    "commit_attempt": {"auth_sessions_pkey"},
    "commit_touch": {"auth_sessions_pkey"},
    "next_due": {"auth_sessions_due"},
    "lowest_deadline": {"auth_sessions_deadline"},
    "doubt_claims_of": {"claims_of", "auth_sessions_pkey"},
    "free_lost_claim": {"claims_pkey", "auth_sessions_pkey"},
    "wipe_ready": {"auth_sessions_wipe"},
    "recall_ends": {"auth_sessions_ended"},
    "sessions_by_account": {"auth_sessions_account"},
    "sessions_page_by_status": {"auth_sessions_status"},
    "ends_since": {"events_ends"},
    "prune_events": {"events_at"},
    "prune_ended": {"auth_sessions_ended"},
    "feed_after": {"events_feed"},
    "feed_last": {"events_feed"},
    "nearest_deadline": {"auth_sessions_deadline"},
    "deadlines_from": {"auth_sessions_pkey"},
}


@pytest.fixture(scope="module")
def filled(postgres):
    """Makes databases with so many sessions, which the server has counted unless told otherwise."""
    made = []

    def fill(count, rest="", counted="ANALYZE"):
        plans = Plans(postgres)
        plans.database.script(f"ALTER TABLE auth_sessions SET (autovacuum_enabled = {'off' if not counted else 'on'})")
        plans.database.script(f"SET synchronous_commit = off; {(FILL + rest).format(count=count)}; {counted}")
        made.append(plans)
        return plans

    yield fill
    for plans in made:
        plans.close()


@pytest.fixture(scope="module")
def plans(filled):
    """With ten thousand sessions, and as much of everything else."""
    return filled(10_000, FILL_THE_REST)


@pytest.fixture(scope="module")
def many(filled):
    """Ten times as many sessions."""
    return filled(100_000)


@pytest.fixture(scope="module", params=["plans", "many"], ids=["10 k", "100 k"])
def hot(request):
    """For what is asked all the time."""
    return request.getfixturevalue(request.param)


class Plans:
    """Explains statements."""

    def __init__(self, server):
        self._server = server
        self._connection = None
        self.database = server.fresh()

    def of(self, name, *, generic=False, **known):
        return self._server.run(self._explain(name, generic, known))

    def pages(self, name, **known):
        """How many rows a statement takes, how many pages it looks at for them, and the plan."""
        return self._server.run(self._carry_out(name, known))

    def close(self):
        self._server.run(self._connection.close())
        self.database.give_back()

    async def _explain(self, name, generic, known):
        statement = numbered()[name]
        connection = await self._connected()
        now = await connection.fetchval("SELECT now()")
        prepared = await connection.prepare(statement.text, name=f"{name}_{generic}".lower())
        kinds = [
            (key, kind.name)
            for key, kind in zip(statement.names + statement.once, prepared.get_parameters(), strict=True)
        ]
        values = [value(kind, known.get(key), now) for key, kind in kinds]
        guarded = name not in ALONE and not statement.text.startswith("SELECT")
        await connection.execute(_BEGIN if guarded else "BEGIN")
        try:
            if generic:
                await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                typed = [f"{literal(one)}::{kind}" for one, (_, kind) in zip(values, kinds, strict=True)]
                asked = f"{name}_{generic}".lower() + f"({', '.join(typed)})"
                told = await connection.fetch(f"EXPLAIN EXECUTE {asked}")
            else:
                told = await connection.fetch(f"EXPLAIN {statement.text}", *values)
        finally:
            await connection.execute("ROLLBACK")
        return "\n".join(row[0] for row in told)

    async def _carry_out(self, name, known):
        statement = numbered()[name]
        connection = await self._connected()
        now = await connection.fetchval("SELECT now()")
        prepared = await connection.prepare(statement.text)
        kinds = zip(statement.names + statement.once, prepared.get_parameters(), strict=True)
        values = [value(kind.name, known.get(key), now) for key, kind in kinds]
        await connection.execute("BEGIN")
        try:
            await connection.execute(OWNER)
            told = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.text}", *values)
        finally:
            await connection.execute("ROLLBACK")
        [plan] = json.loads(told)
        top = plan["Plan"]
        return top["Actual Rows"], top["Shared Hit Blocks"] + top["Shared Read Blocks"], told

    async def _connected(self):
        if self._connection is None:
            self._connection = await asyncpg.connect(self.database.url, statement_cache_size=0)
            await self._connection.set_type_codec(
                "timestamptz", schema="pg_catalog", encoder=_packed_instant, decoder=_instant, format="tuple"
            )
        return self._connection


def value(kind, known, now):
    """Something of that type, for a plan that is not carried out."""
    one = {"text": "o", "bytea": b"x", "bool": True, "timestamptz": now, "uuid": "0" * 32, "jsonb": "{}"}
    single = known if known is not None else one.get(kind.removesuffix("[]"), 8)
    return [single] * 20 if kind.endswith("[]") else single


def literal(given):
    if isinstance(given, list):
        return f"ARRAY[{', '.join(map(literal, given))}]"
    if isinstance(given, bool) or not isinstance(given, int | str | bytes):
        return str(given)
    if isinstance(given, int):
        return str(given) if given < 10**12 else f"to_timestamp({given} / 1000000.0)"
    return f"'{given}'" if isinstance(given, str) else "'\\x00'"


@pytest.mark.parametrize("name", sorted(set(numbered()) - ABOUT_ITSELF - BOUNDED - ONCE))
def test_no_statement_reads_a_whole_table_that_grows(plans, name):
    plan = plans.of(name, **ASKED.get(name, {}))

    assert re.findall(rf"Seq Scan on (?:{LARGE})\b.*", plan) == [], plan


@pytest.mark.parametrize("name", sorted(set(INDEXES)))
def test_each_question_takes_the_index_made_for_it(plans, name):
    plan = plans.of(name)

    assert all(index in plan for index in INDEXES[name]), plan


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once for all"])
@pytest.mark.parametrize("name", ["claim_steady", "claim_backlog", "claim_one"])
def test_a_claim_goes_by_its_indexes_and_sorts_nothing_however_it_was_planned(hot, name, generic):
    plan = hot.of(name, generic=generic)

    assert all(index in plan for index in INDEXES[name] | {"auth_sessions_pkey"}), plan
    assert not re.search(r"Seq Scan on auth_sessions|Sort|Hash|Merge", plan), plan


@pytest.mark.parametrize("name", ["claim_steady", "claim_backlog"])
def test_a_claim_looks_at_no_more_pages_among_ten_times_as_many_sessions(plans, many, name):
    few_rows, few_pages, _ = plans.pages(name, limit=100)
    rows, pages, told = many.pages(name, limit=100)

    assert (few_rows, rows) == (100, 100)
    # An index is one page deeper at most, for each of the rows.
    assert pages < 1.5 * few_pages, told


@pytest.mark.parametrize("name", ["commit_rotation", "commit_routine", "commit_attempt", "commit_touch"])
@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once for all"])
def test_a_commit_locks_and_writes_its_rows_in_the_order_in_which_they_are_given(hot, name, generic):
    plan = hot.of(name, generic=generic)

    assert "Nested Loop" in plan, plan
    assert not re.search(r"Hash Join|Merge Join|Seq Scan on auth_sessions", plan), plan


def test_a_claim_goes_by_its_indexes_though_the_server_has_counted_nothing_yet(filled):
    plans = filled(5000, counted="")

    for name in ("claim_steady", "claim_backlog", "claim_one"):
        plan = plans.of(name)
        assert "Seq Scan on auth_sessions" not in plan, plan
