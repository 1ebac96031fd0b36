"""What is asked often takes the short way: its work grows with what is due, not with what is kept."""

import itertools
import re
import sqlite3
from contextlib import closing

import pytest

from aimkeeper.core.session import Status
from aimkeeper.store.http import ForHttp
from aimkeeper.store.queries import load
from aimkeeper.store.seal import Key, Sealer, new_key
from aimkeeper.store.sqlite import Sqlite
from aimkeeper.testing import ManualClock

# Tables that stay small, whatever the number of sessions.
SMALL = {"outbox", "alarms", "owners", "status_counts", "sign_ins", "fleet", "meta", "CONSTANT", "json_each"}
# An index that holds only the few: to read all of it is to read what was asked for.
FEW = {"auth_sessions_failing"}


@pytest.fixture
async def connection(tmp_path):
    backend = Sqlite(tmp_path / "aimkeeper.db", inline=True)
    await backend.open()
    await backend.close()
    with closing(sqlite3.connect(backend.path, isolation_level=None)) as opened:
        yield opened


def parameters(text, **known):
    return {name: known.get(name, 1) for name in re.findall(r":(\w+)", text)}


@pytest.mark.parametrize("name", sorted(load("sqlite")))
def test_no_statement_reads_a_whole_table_that_grows(connection, name):
    text = load("sqlite")[name]

    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters(text))]

    scans = [re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step) for step in plan]
    assert [scan[0] for scan in scans if scan and scan[1] not in SMALL and scan[2] not in FEW] == []


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("claim_in_doubt", "auth_sessions_in_doubt"),
        ("claim_due", "auth_sessions_due"),
        ("claim_living", "auth_sessions_deadline"),
        ("claim_hopeless", "auth_sessions_deadline"),
        ("next_due", "auth_sessions_due"),
        ("count_overdue", "auth_sessions_due"),
        ("count_unrotated_since", "auth_sessions_deadline"),
        ("count_rotated_since", "auth_sessions_rotated"),
        ("lowest_deadline", "auth_sessions_deadline"),
        ("stuck_owners", "auth_sessions_owned"),
        ("doubt_claims_of", "auth_sessions_owned"),
        ("wipe_ready", "auth_sessions_wipe"),
        ("sessions_page_by_status", "auth_sessions_status"),
        ("sessions_by_account", "auth_sessions_account"),
        ("recall_ends", "auth_sessions_ended"),
        ("ends_since", "events_ends"),
        ("prune_events", "events_at"),
        ("prune_ended", "auth_sessions_ended"),
        ("nearest_deadline", "auth_sessions_deadline"),
    ],
)
def test_each_question_takes_the_index_made_for_it_and_sorts_nothing(connection, name, index):
    text = load("sqlite")[name]

    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters(text))]

    assert any(f"INDEX {index}" in step for step in plan), plan
    assert not any("TEMP B-TREE FOR ORDER BY" in step for step in plan), plan


# ------------------------------------------------------------ work, counted in steps of SQLite's machine

NOW = 1_000_000_000


def fill(connection, count, **columns):
    """*count* sessions, due in a while and rotated lately, unless told otherwise."""
    row = {"due_at": NOW + 500, "deadline_at": NOW + 5000, "last_token_update_date": NOW - 10, "status": "active"}
    row |= {"attempt": 0, "doubt_at": None, "owner": None} | columns
    first = connection.execute("SELECT count(*) FROM auth_sessions").fetchone()[0]
    names = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO auth_sessions (id, user_email, fingerprint, created_at, updated_at, account_key, sealed,"
        f" generation, revision, ring, {names}) VALUES (:id, :id, 'f', 0, 0, '1', x'00', 1, 1, x'90', {marks})",
        [row | {"id": f"{number:08}"} for number in range(first, first + count)],
    )
    connection.execute("COMMIT")


def steps(connection, name, **known):
    """How much work one statement is; nothing of it is kept."""
    text = load("sqlite")[name]
    counted = 0

    def count():
        nonlocal counted
        counted += 1

    connection.execute("BEGIN")
    connection.set_progress_handler(count, 1)
    connection.execute(text, parameters(text, **known)).fetchall()
    connection.set_progress_handler(None, 1)
    connection.execute("ROLLBACK")
    return counted


QUESTIONS = {
    "claim_in_doubt": {"begun": NOW, "fresh": NOW - 100, "limit": 8},
    "claim_due": {"now": NOW, "limit": 8},
    "claim_living": {"now": NOW, "eta": NOW, "limit": 8},
    "claim_hopeless": {"now": NOW, "eta": NOW, "limit": 8},
    "claim_one": {"id": "00000000"},
    "next_due": {},
    "count_overdue": {"now": NOW},
    "count_failing": {},
    "count_unrotated_since": {"deadline": NOW + 1000},
    "count_rotated_since": {"since": NOW - 100},
    "lowest_deadline": {},
    "stuck_owners": {"claimed_before": 1},
    "doubt_claims_of": {"owner": "o"},
    "wipe_ready": {"now": NOW, "limit": 8},
    "commit_touch": {"id": "00000000", "held_revision": 1, "sealed": b"1"},
    "status_counts": {},
    "nearest_deadline": {"limit": 8},
    "deadlines_from": {"start": "0", "stop": "f", "limit": 8},
    "recall_ends": {"since": NOW - 100},
    "retry_failing": {"now": NOW, "limit": 8},
    "retry_suspected": {"now": NOW, "limit": 8},
    "retriage": {"now": NOW, "latest": NOW + 1000, "latest_unfailed": NOW + 900, "limit": 8},
}


def test_the_work_does_not_grow_with_the_sessions_that_are_kept_but_not_meant(connection):
    connection.execute(
        "INSERT INTO owners (id, name, role, pid, version, started_at) VALUES ('o', 'o', 'worker', 1, '', 0)"
    )

    def work():
        return {name: steps(connection, name, **{"owner": "o", **known}) for name, known in QUESTIONS.items()}

    # The few that are meant: due, in doubt, failing, at risk, ended lately, held.
    fill(connection, 20, due_at=NOW - 5, deadline_at=NOW + 100)
    fill(connection, 20, due_at=NOW - 5, deadline_at=NOW - 100, attempt=2)
    fill(connection, 20, due_at=NOW - 5, status="in_doubt", doubt_at=NOW - 5)
    fill(connection, 20, due_at=None, status="ended")
    fill(connection, 20, due_at=NOW - 5, owner="o")
    fill(connection, 200)
    before = work()

    fill(connection, 5000)
    fill(connection, 2000, due_at=None, status="ended", attempt=3)
    fill(connection, 500, status="in_doubt", due_at=NOW + 500, doubt_at=NOW - 5000)
    after = work()

    grown = {name: (before[name], after[name]) for name in QUESTIONS if after[name] > before[name] * 1.5 + 50}
    assert grown == {}


@pytest.mark.parametrize("status", [None, Status.ACTIVE], ids=["in any state", "in one state"])
async def test_a_search_reads_what_it_finds_and_nothing_that_stands_before(tmp_path, status):
    backend = Sqlite(tmp_path / "aimkeeper.db", inline=True)
    await backend.open()
    asked = ForHttp(backend, ManualClock(), lambda: Sealer([Key.parse(new_key())]))
    reads = []
    with closing(sqlite3.connect(backend.path, isolation_level=None)) as connection:
        for start in ("0000001", "0000501"):
            fill(connection, 20 if not reads else 5000)
            count = itertools.count()
            backend._reader.set_progress_handler(lambda count=count: next(count) and None, 1)
            assert len(await asked.starting(start, None, 8, status)) == 8
            reads.append(next(count))
    backend._reader.set_progress_handler(None, 1)
    await backend.close()

    assert reads[1] <= reads[0] * 1.5


def test_a_commit_reads_its_own_row_however_many_there_are(connection):
    fill(connection, 10)
    known = {
        "id": "00000001",
        "held_generation": 1,
        "held_revision": 1,
        "status": "active",
        "sealed": b"1",
        "ring": b"1",
        "suspicion": None,
    }
    before = steps(connection, "commit_rotation", **known)

    fill(connection, 5000)

    assert steps(connection, "commit_rotation", **known) <= before * 1.5


def test_in_a_backlog_those_put_off_are_passed_over_without_a_look_at_their_rows(connection):
    text = load("sqlite")["claim_living"]
    program = [(row[1], row[3]) for row in connection.execute(f"EXPLAIN {text}", parameters(text))]

    # The row is fetched only when the index alone could not decide.
    assert "DeferredSeek" in [operation for operation, _ in program]
