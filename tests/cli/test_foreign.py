"""`db adopt` and `db unadopt`, as somebody types them on the day of the change."""

import json
import re

import pytest

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
    assert ("DROP CONSTRAINT" in ran.out) == ("--take-over" in words)
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
