"""`db adopt` and `db unadopt`, as somebody types them on the day of the change."""

import json
import re

import pytest

from aimkeeper.store import foreign
from aimkeeper.store.queries import script
from aimkeeper.store.seal import new_key
from tests.store.app_table import ENV_FINGERPRINT, SHAPES

APP = SHAPES["with rotations in naive time"]
MEMBERS = 3


@pytest.fixture
def table(postgres, terminal, upstream):
    """The app's table, with sessions that AimHarder knows; ours is the next program that comes to it."""
    database = postgres.fresh("template0")
    database.is_ours = False
    database.script(APP.ddl)
    for number in range(MEMBERS):
        record = upstream.grant(f"member{number}@example.com", ENV_FINGERPRINT)
        database.ask(
            "INSERT INTO auth_sessions (user_email, aimharder_token, aimharder_cookies) VALUES (?, ?, ?::jsonb)",
            record["email"],
            record["token"],
            json.dumps([{"name": cookie["name"], "value": cookie["value"]} for cookie in record["cookies"]]),
        )
    keys = terminal.run("keys", "new").out.strip()
    terminal.set(AIMKEEPER_DATABASE_URL=database.url, AIMKEEPER_SECRET_KEYS=keys, AIMHARDER_FINGERPRINT=ENV_FINGERPRINT)
    yield database
    database.give_back()


def tokens(database):
    return dict(database.ask("SELECT user_email::text, aimharder_token FROM auth_sessions ORDER BY 1"))


def test_a_table_of_another_program_s_is_not_entered_but_by_adoption(terminal, table):
    ran = terminal.run("sessions")

    assert ran.status == 2
    assert "aimkeeper db adopt --dry-run" in ran.complaint


@pytest.mark.parametrize("words", [["adopt"], ["adopt", "--take-over"]], ids=" ".join)
def test_a_dry_run_prints_what_would_run_with_counts_and_changes_nothing(terminal, table, words):
    before = table.ask("SELECT to_jsonb(s)::text FROM auth_sessions s ORDER BY id")

    ran = terminal.run("db", *words, "--dry-run")

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("-- 3 sessions: 3 without a fingerprint, 0 without a sign of life for long, 0 protected.")
    assert "ADD COLUMN account_key" in ran.out
    assert ("DROP CONSTRAINT %I" in ran.out) == ("--take-over" in words)
    assert table.ask("SELECT to_jsonb(s)::text FROM auth_sessions s ORDER BY id") == before
    assert table.ask("SELECT to_regnamespace('aimkeeper') IS NULL") == [(True,)]


def test_the_day_of_the_change(terminal, table, upstream):
    shared = terminal.run("db", "adopt")
    again = terminal.run("db", "adopt")
    rotated = terminal.run("rotate", "--all")

    assert (shared.status, shared.err) == (0, "")
    assert shared.out.startswith("Shared: 3 sessions taken in")
    assert again.out == "Shared already: nothing was to be done.\n"
    assert "successful 3" in re.sub(r"[:,]", "", rotated.out)
    assert tokens(table) == {email: upstream.truth(f"{email}#{ENV_FINGERPRINT}").token for email in tokens(table)}

    over = terminal.run("db", "adopt", "--take-over")
    over_again = terminal.run("db", "adopt", "--take-over")

    assert (over.status, over.err) == (0, "")
    assert over.out.startswith("Taken over: 3 sessions sealed")
    assert "write-ahead log" in over.out
    assert over_again.out == "Taken over already: nothing was to be done.\n"
    assert set(tokens(table).values()) == {""}
    assert "successful 3" in re.sub(r"[:,]", "", terminal.run("rotate", "--all").out)

    plan = terminal.run("db", "unadopt", "--dry-run")
    asked = terminal.run("db", "unadopt")
    back = terminal.run("db", "unadopt", "--yes")
    back_again = terminal.run("db", "unadopt", "--yes")

    assert "DROP SCHEMA aimkeeper CASCADE" in plan.out
    assert (asked.status, "--yes" in asked.complaint) == (2, True)
    assert back.out.startswith("Given back: 3 sessions")
    assert tokens(table) == {email: upstream.truth(f"{email}#{ENV_FINGERPRINT}").token for email in tokens(table)}
    assert back_again.out == "aimkeeper did not adopt this table: nothing was to be done.\n"


def test_without_a_fingerprint_for_those_that_have_none_adoption_stops_and_says_how_many(terminal, table, monkeypatch):
    monkeypatch.delenv("AIMHARDER_FINGERPRINT")

    for words in (["db", "adopt"], ["db", "adopt", "--dry-run"]):
        ran = terminal.run(*words)
        assert ran.status == 2
        assert ran.complaint.startswith("aimkeeper: 3 sessions have no fingerprint: set AIMHARDER_FINGERPRINT")


def test_an_embedded_store_has_no_other_program_s_table(terminal):
    ran = terminal.run("db", "adopt")

    assert ran.status == 2
    assert "AIMKEEPER_DATABASE_URL" in ran.complaint


def test_what_is_to_be_known_of_the_rows_is_said(terminal, table):
    table.script(
        "ALTER TABLE auth_sessions ADD COLUMN protected boolean, DISABLE ROW LEVEL SECURITY;"
        "UPDATE auth_sessions SET protected = true WHERE user_email = 'member0@example.com';"
        "ALTER TABLE auth_sessions DISABLE TRIGGER USER;"
        "UPDATE auth_sessions SET created_at = now() - interval '2 days', updated_at = now() - interval '2 days'"
        " WHERE user_email = 'member1@example.com'; ALTER TABLE auth_sessions ENABLE TRIGGER USER"
    )

    ran = terminal.run("db", "adopt")

    assert ran.out.splitlines() == [
        "Shared: 3 sessions taken in; the app may go on reading and writing its table.",
        "1 session gave no sign of life for longer than AimHarder keeps one: tried last, one by one, within a day.",
        "1 session protected by the app: wiped like others when they end, but never deleted.",
        "Row level security is off for auth_sessions: whoever has the project's public key can read it.",
        "Whatever else rotates these sessions must be off: two that spend one token end the session.",
    ]


def test_each_step_says_what_the_next_would_do_and_what_is_done_already(terminal, table):
    terminal.run("db", "adopt")
    plan = terminal.run("db", "adopt", "--take-over", "--dry-run").out
    back = terminal.run("db", "unadopt", "--dry-run").out
    terminal.run("db", "adopt", "--take-over")
    known = terminal.run("db", "adopt").out
    over_again = terminal.run("db", "adopt", "--take-over", "--dry-run").out
    sealed = terminal.run("db", "unadopt", "--dry-run").out

    assert "ADD COLUMN" not in plan
    assert "DROP CONSTRAINT" in plan
    assert "unsealed" not in back
    assert "-- First the tokens of 3 sessions would be unsealed." in sealed
    assert known.startswith("The table was taken over already: nothing was to be done.")
    assert "DROP CONSTRAINT" not in over_again


def test_whoever_is_asked_and_says_no_changes_nothing(terminal, table, monkeypatch):
    terminal.run("db", "adopt")
    monkeypatch.setattr("aimkeeper.cli.foreign.confirmed", lambda question, _otherwise: "spare tokens" not in question)

    assert terminal.run("db", "unadopt").out == "Nothing was done.\n"
    assert terminal.run("db", "adopt").out == "Shared already: nothing was to be done.\n"


def test_where_old_versions_of_the_rows_stay_in_the_files_that_is_said(terminal, table, monkeypatch):
    monkeypatch.setattr(foreign, "script", lambda name: "NONSENSE" if name == "vacuum" else script(name))

    ran = terminal.run("db", "adopt", "--take-over")

    assert ran.status == 0
    assert "VACUUM FULL public.auth_sessions" in ran.out.splitlines()[-1]


def test_where_there_is_no_table_or_it_is_ours_there_is_nothing_to_adopt(terminal, postgres):
    database = postgres.fresh("template0")
    database.is_ours = False
    terminal.set(AIMKEEPER_DATABASE_URL=database.url, AIMKEEPER_SECRET_KEYS=new_key())
    try:
        absent = terminal.run("db", "adopt")
        terminal.run("db", "upgrade")
        ours = terminal.run("db", "adopt")
        not_adopted = terminal.run("db", "unadopt", "--yes")
    finally:
        database.give_back()

    assert (absent.status, "`aimkeeper serve` makes one" in absent.complaint) == (2, True)
    assert ours.out == "aimkeeper made this table itself: nothing was to be done.\n"
    assert not_adopted.out == "aimkeeper did not adopt this table: nothing was to be done.\n"
