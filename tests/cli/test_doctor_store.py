"""doctor: what it says of each thing that is wrong in the store, or at AimHarder."""

import re
import time
from datetime import timedelta

import pytest

from aimkeeper import __version__
from aimkeeper.store.seal import load_sealer, new_key

EMAIL = "ana@example.com"
PASSWORD = "correct horse"


# ---------------------------------------------------------------- the store


def test_a_database_of_an_older_version_is_not_brought_up_to_date_by_looking(terminal, upstream):
    terminal.run("db", "upgrade")
    terminal.tell("PRAGMA user_version = 1")

    status, found, _ = terminal.examined()

    assert status == 1
    assert re.search(r"has schema 1 of \d+: run `aimkeeper db upgrade`\.$", found["store"][0][1])
    assert terminal.tell("PRAGMA user_version") == [(1,)]


def test_a_database_that_is_none_is_told_and_aimharder_is_looked_at_all_the_same(terminal, upstream):
    terminal.data.mkdir()
    (terminal.data / "aimkeeper.db").write_bytes(b"no database" * 100)

    status, found, _ = terminal.examined()

    assert status == 2
    assert found["store"][0][0] == "failed"
    assert found["upstream"][0][0] == "ok"


def test_a_server_that_is_away_is_told_with_the_status_of_the_store(terminal, upstream):
    terminal.set(
        AIMKEEPER_DATABASE_URL="postgresql://ana:db-password-4711@127.0.0.1:1/kept", AIMKEEPER_SECRET_KEYS=new_key()
    )

    status, found, _ = terminal.examined()

    assert status == 3
    assert found["store"] == [("failed", "the database kept at 127.0.0.1:1 can't be reached: connection refused.")]


def test_a_key_that_is_not_the_one_is_told(terminal, upstream):
    terminal.log_in()
    terminal.set(AIMKEEPER_SECRET_KEYS=new_key())

    status, found, _ = terminal.examined()

    assert status == 2
    assert found["keys"][0][0] == "failed"
    assert "which is not among AIMKEEPER_SECRET_KEYS" in found["keys"][0][1]


def test_secrets_that_do_not_open_are_counted_with_the_key_they_need(terminal, upstream):
    terminal.log_in()
    terminal.tell(
        "UPDATE auth_sessions SET sealed = CAST(substr(sealed, 1, 1) || x'deadbeef' || substr(sealed, 6) AS BLOB)",
    )

    status, found, _ = terminal.examined()

    assert status == 1
    assert found["keys"] == [
        ("failed", "1 of 1 sealed values need key deadbeef, which is not here: add it."),
    ]


def test_secrets_that_are_damaged_are_told_as_such(terminal, upstream):
    terminal.log_in()
    terminal.tell("UPDATE auth_sessions SET sealed = CAST(substr(sealed, 1, 40) AS BLOB)")

    _, found, _ = terminal.examined()

    assert found["keys"] == [("failed", "1 of 1 sealed values are damaged: restore a backup.")]


def test_what_an_older_key_sealed_is_worth_a_note(terminal, upstream):
    terminal.log_in()
    key_file = terminal.data / "secret.key"
    key_file.write_text(new_key() + "\n" + key_file.read_text())

    _, found, _ = terminal.examined()

    assert any(level == "note" and "`aimkeeper keys rotate`" in told for level, told in found["keys"])


@pytest.mark.parametrize(
    ("does_it_open", "level"), [(True, "warning"), (False, "failed")], ids=["that opens", "that no key opens"]
)
def test_a_token_in_the_spool_is_told(terminal, upstream, does_it_open, level):
    terminal.log_in()
    spool = terminal.data / "aimkeeper.db-spool"
    spool.mkdir(mode=0o700)

    sealed = load_sealer(None, terminal.data / "secret.key", store_is_sealed=True).seal("abc", "spool", b"\x90")
    (spool / "abc.spool").write_bytes(sealed if does_it_open else sealed[:-1])
    (spool / "abc.spool").chmod(0o600)

    _, found, _ = terminal.examined()

    assert found["spool"][0][0] == level


def test_a_paused_fleet_is_told_and_nobody_is_asked(terminal, upstream):
    terminal.log_in()
    terminal.run("pause")

    status, found, _ = terminal.examined()

    assert status == 1
    assert found["fleet"] == [("warning", "an operator paused everything, until `aimkeeper resume`: nothing is sent.")]
    assert found["session"][0][0] == "note"


@pytest.mark.parametrize(
    ("column", "level", "told"),
    [
        ("outage_at", "failed", "AimHarder fails nearly everybody"),
        ("held_at", "warning", "`aimkeeper verdicts list` shows the held ends"),
        ("copied_at", "failed", "this database was restored or copied"),
    ],
    ids=["an outage", "a mass death", "a copy"],
)
def test_what_holds_the_whole_fleet_up_is_told(terminal, upstream, column, level, told):
    terminal.log_in()
    terminal.tell(f"UPDATE fleet SET {column} = {int(time.time() * 1e6)}")

    _, found, _ = terminal.examined()

    assert found["fleet"][0][0] == level
    assert told in found["fleet"][0][1]


def test_sessions_that_nobody_rotated_for_long_are_told(terminal, upstream):
    terminal.log_in()
    terminal.tell("UPDATE auth_sessions SET deadline_at = deadline_at - 3600 * 1000000")

    _, found, _ = terminal.examined()

    assert found["store"][0][0] == "warning"
    assert "1 at risk" in found["store"][0][1]


def test_a_worker_of_another_version_is_told(terminal, upstream, tmp_path):
    terminal.log_in()
    import fcntl  # noqa: PLC0415 (one use)

    terminal.tell(
        "INSERT INTO owners (id, name, role, pid, version, started_at) VALUES ('w', 'night', 'worker', 1, '0.0.9', 1)",
    )
    with (terminal.data / "aimkeeper.db-owners" / "w.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _, found, _ = terminal.examined()

    assert found["workers"] == [
        ("warning", f"night (pid 1) and this command are of versions 0.0.9, {__version__}: bring all to one.")
    ]
    assert any(level == "failed" and "night (pid 1) lacks key" in told for level, told in found["keys"])


def test_nobody_to_tell_is_worth_a_note_and_one_who_can_not_be_told_a_warning(terminal, upstream):
    terminal.log_in()
    nobody = terminal.examined()[1]["notices"]
    terminal.set(DISCORD_WEBHOOK_URL="https://discord.com/api/webhooks/1/a-secret-of-discord")
    somebody = terminal.examined()[1]["notices"]
    terminal.tell(
        "INSERT INTO outbox (channel, epoch, place, attempt, problem, created_at)"
        " VALUES ('discord', 0, 0, 3, 'refused', 0)",
    )

    failing = terminal.examined()[1]["notices"]

    assert [level for level, _ in (*nobody, *somebody)] == ["note", "ok"]
    assert failing == [("warning", "discord could not be told 3 times (refused): `aimkeeper notify test`.")]


def test_on_postgresql_it_looks_at_the_same_things(terminal, upstream, database):
    terminal.set(AIMKEEPER_DATABASE_URL=database.url, AIMKEEPER_SECRET_KEYS=new_key())
    name = terminal.log_in()

    status, found, _ = terminal.examined()

    assert status == 1
    assert found["store"][0][1].startswith(f"database {database.name} at 127.0.0.1:")
    assert {about for about, told in found.items() if told[0][0] == "ok"} >= {"store", "keys", "size", "session"}
    assert found["session"][0][1] == f"AimHarder recognises {name}."


def test_too_small_a_rate_is_told_with_its_setting(terminal, upstream):
    terminal.log_in()
    terminal.set(AIMKEEPER_MAX_RATE="0.1", AIMKEEPER_REFRESH_EVERY="2s")

    _, found, _ = terminal.examined()

    assert found["size"][0][0] == "warning"
    assert found["size"][0][1].endswith("raise AIMKEEPER_MAX_RATE, or lengthen AIMKEEPER_REFRESH_EVERY.")


# ---------------------------------------------------------------- AimHarder


@pytest.mark.parametrize(
    ("ahead", "level", "told"),
    [
        (-10, "note", r"this machine's clock is (9|10|11) s ahead of AimHarder's\."),
        (3600, "warning", r"this machine's clock is (3599|3600|3601) s behind AimHarder's: set it, best by NTP\."),
    ],
    ids=["by a little", "by an hour"],
)
def test_a_clock_that_is_wrong_is_told(terminal, upstream, ahead, level, told):
    upstream.sim._world._began_at += timedelta(seconds=ahead)

    _, found, _ = terminal.examined()

    assert found["clock"][0][0] == level
    assert re.fullmatch(told, found["clock"][0][1])


def test_an_address_that_is_refused_is_told_with_its_own_status(terminal, upstream):
    upstream.sim.rules = upstream.sim.rules.__class__(forbid=True)

    status, found, shown = terminal.examined()

    assert status == 6
    assert "AIMKEEPER_UPSTREAM_PROXY" in found["upstream"][0][1]
    assert shown["Is our address welcome?"] == "no: 403"


def test_an_upstream_that_is_away_is_told_with_its_own_status(terminal):
    terminal.set(AIMHARDER_URL="http://127.0.0.1:1", AIMHARDER_LOGIN_URL="http://127.0.0.1:1")

    status, found, _ = terminal.examined()

    assert status == 4
    assert found["upstream"][0] == (
        "failed",
        "AimHarder does not answer (unreachable): look at the network and the proxy.",
    )


def test_trouble_of_aimharders_own_is_told_as_its_own(terminal, upstream):
    terminal.log_in()
    upstream.sim.next("html_502", times=9, path="/api/whoami")

    status, found, _ = terminal.examined()

    assert status == 4
    assert found["upstream"][0] == ("failed", "AimHarder answers 502: it has trouble of its own; wait.")
    assert found["session"][0][0] == "note"


def test_a_session_that_aimharder_does_not_know_is_told_with_what_to_do(terminal, upstream):
    name = terminal.log_in()
    upstream.sim.kill(*name.split("#"))

    _, found, _ = terminal.examined()

    assert found["session"] == [("warning", f"AimHarder does not recognise {name}: `aimkeeper rotate {name}`.")]
