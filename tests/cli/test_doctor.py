"""doctor: what it says of a machine on which all is well, and of each thing that is not."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from aimkeeper import __version__
from aimkeeper.store.seal import new_key

EMAIL = "ana@example.com"
PASSWORD = "correct horse"


def examined(terminal, *arguments):
    """The exit status, and what was found: (level, sentence) by what was looked at."""
    ran = terminal.run("doctor", "--json", *arguments)
    assert ran.err == ""
    told = json.loads(ran.out)
    found: dict[str, list[tuple[str, str]]] = {}
    for each in told["findings"]:
        found.setdefault(each["about"], []).append((each["level"], each["told"]))
    return ran.status, found, told["shown"]


def tell(terminal, sql, *values):
    with closing(sqlite3.connect(terminal.data / "aimkeeper.db")) as database, database:
        return database.execute(sql, values).fetchall()


# ---------------------------------------------------------------- well


def test_where_nobody_has_logged_in_yet_it_looks_at_what_is_there_and_makes_nothing(terminal, upstream):
    status, found, _ = examined(terminal)

    assert status == 0
    assert found["store"] == [
        ("note", f"nothing is stored in {terminal.data / 'aimkeeper.db'} yet: `aimkeeper login` makes it.")
    ]
    assert [level for level, _ in found["upstream"]] == ["ok", "ok"]
    assert not terminal.data.exists()


def test_of_a_kept_session_everything_is_looked_at_and_only_who_keeps_it_is_missing(terminal, upstream):
    terminal.log_in()

    status, found, _ = examined(terminal)

    assert status == 1
    assert {about for about, told in found.items() if told[0][0] == "ok"} == {
        "settings", "files", "store", "keys", "size", "upstream", "clock", "session",
    }  # fmt: skip
    assert found["workers"] == [("warning", "nobody keeps the sessions: run `aimkeeper serve`.")]


def test_for_people_it_is_a_line_for_each(terminal, upstream):
    name = terminal.log_in()

    ran = terminal.run("doctor")

    assert f"ok       session   AimHarder recognises {name}." in ran.out.splitlines()
    assert "What AimHarder shows here of what is not known about it:" in ran.out


def test_it_spends_no_token_unless_it_is_told_to(terminal, upstream):
    name = terminal.log_in()
    before = upstream.truth(name).token

    examined(terminal)
    looked = upstream.truth(name).token
    _, found, shown = examined(terminal, name, "--rotate")

    assert looked == before != upstream.truth(name).token
    assert found["rotation"] == [("ok", f"{name} was rotated.")]
    assert shown["What content type has the JSON of tokenUpdate?"] == "text/html"
    assert shown["Does tokenUpdate renew amhrdrauth and PHPSESSID?"] == "it set AWSALB, AWSALBCORS"
    assert shown["Is our address welcome?"] == "yes"


def test_every_question_it_answers_is_one_of_those_that_are_open(terminal, upstream, request):
    questions = (request.config.rootpath / "docs/upstream.md").read_text().partition("## Open questions")[2]

    _, _, shown = examined(terminal)

    assert [each for each in shown if each not in questions.replace("`", "")] == []


def test_somebody_who_is_not_kept_here_is_not_known(terminal, upstream):
    terminal.log_in()

    ran = terminal.run("doctor", "nobody@example.com")

    assert ran.status == 2
    assert "no session answers to 'nobody@example.com'" in ran.err


# ---------------------------------------------------------------- settings and files


def test_a_variable_that_is_no_setting_is_told(terminal, upstream):
    terminal.set(AIMKEEPER_IDLE_TIMEOUTS="1h")

    status, found, _ = examined(terminal)

    assert status == 1
    assert any("did you mean AIMKEEPER_IDLE_TIMEOUT?" in told for _, told in found["settings"])


@pytest.mark.parametrize("name", ["secret.key", "aimkeeper.db", "aimkeeper.db-owners"])
def test_a_file_that_others_may_read_is_told_with_what_to_do(terminal, upstream, name):
    terminal.log_in()
    path = terminal.data / name
    path.chmod(0o755 if path.is_dir() else 0o644)

    _, found, _ = examined(terminal)

    [(level, told)] = found["files"]
    assert level == "warning"
    assert told == f"others of this machine may read {path}: chmod {'700' if path.is_dir() else '600'} {path}"


def test_a_file_of_settings_that_others_may_read_is_told(terminal, upstream):
    (terminal.folder / ".env").write_text("CRON_SECRET=a-secret-of-cron\n")
    (terminal.folder / ".env").chmod(0o640)

    _, found, _ = examined(terminal)

    assert found["files"] == [
        ("warning", f"others of this machine may read {terminal.folder}/.env: chmod 600 {terminal.folder}/.env")
    ]


# ---------------------------------------------------------------- the store


def test_a_database_of_an_older_version_is_not_brought_up_to_date_by_looking(terminal, upstream):
    terminal.run("db", "upgrade")
    tell(terminal, "PRAGMA user_version = 1")

    status, found, _ = examined(terminal)

    assert status == 1
    assert re.search(r"has schema 1 of \d+: run `aimkeeper db upgrade`\.$", found["store"][0][1])
    assert tell(terminal, "PRAGMA user_version") == [(1,)]


def test_a_database_that_is_none_is_told_and_aimharder_is_looked_at_all_the_same(terminal, upstream):
    terminal.data.mkdir()
    (terminal.data / "aimkeeper.db").write_bytes(b"no database" * 100)

    status, found, _ = examined(terminal)

    assert status == 2
    assert found["store"][0][0] == "failed"
    assert found["upstream"][0][0] == "ok"


def test_a_server_that_is_away_is_told_with_the_status_of_the_store(terminal, upstream):
    terminal.set(
        AIMKEEPER_DATABASE_URL="postgresql://ana:db-password-4711@127.0.0.1:1/kept", AIMKEEPER_SECRET_KEYS=new_key()
    )

    status, found, _ = examined(terminal)

    assert status == 3
    assert found["store"] == [("failed", "the database kept at 127.0.0.1:1 can't be reached: connection refused.")]


def test_a_key_that_is_not_the_one_is_told(terminal, upstream):
    terminal.log_in()
    terminal.set(AIMKEEPER_SECRET_KEYS=new_key())

    status, found, _ = examined(terminal)

    assert status == 2
    assert found["keys"][0][0] == "failed"
    assert "which is not among AIMKEEPER_SECRET_KEYS" in found["keys"][0][1]


def test_secrets_that_do_not_open_are_counted_with_the_key_they_need(terminal, upstream):
    terminal.log_in()
    tell(
        terminal,
        "UPDATE auth_sessions SET sealed = CAST(substr(sealed, 1, 1) || x'deadbeef' || substr(sealed, 6) AS BLOB)",
    )

    status, found, _ = examined(terminal)

    assert status == 1
    assert found["keys"] == [
        ("failed", "1 of 1 sealed values need key deadbeef, which is not here: add it."),
    ]


def test_secrets_that_are_damaged_are_told_as_such(terminal, upstream):
    terminal.log_in()
    tell(terminal, "UPDATE auth_sessions SET sealed = CAST(substr(sealed, 1, 40) AS BLOB)")

    _, found, _ = examined(terminal)

    assert found["keys"] == [("failed", "1 of 1 sealed values are damaged: restore a backup.")]


def test_what_an_older_key_sealed_is_worth_a_note(terminal, upstream):
    terminal.log_in()
    key_file = terminal.data / "secret.key"
    key_file.write_text(new_key() + "\n" + key_file.read_text())

    _, found, _ = examined(terminal)

    assert any(level == "note" and "`aimkeeper keys rotate`" in told for level, told in found["keys"])


@pytest.mark.parametrize(
    ("does_it_open", "level"), [(True, "warning"), (False, "failed")], ids=["that opens", "that no key opens"]
)
def test_a_token_in_the_spool_is_told(terminal, upstream, does_it_open, level):
    terminal.log_in()
    spool = terminal.data / "aimkeeper.db-spool"
    spool.mkdir(mode=0o700)
    from aimkeeper.store.seal import load_sealer  # noqa: PLC0415 (one use)

    sealed = load_sealer(None, terminal.data / "secret.key", store_is_sealed=True).seal("abc", "spool", b"\x90")
    (spool / "abc.spool").write_bytes(sealed if does_it_open else sealed[:-1])
    (spool / "abc.spool").chmod(0o600)

    _, found, _ = examined(terminal)

    assert found["spool"][0][0] == level


def test_a_paused_fleet_is_told_and_nobody_is_asked(terminal, upstream):
    terminal.log_in()
    terminal.run("pause")

    status, found, _ = examined(terminal)

    assert status == 1
    assert found["fleet"] == [("warning", "an operator paused everything, until `aimkeeper resume`: nothing is sent.")]
    assert found["session"][0][0] == "note"


def test_a_worker_of_another_version_is_told(terminal, upstream, tmp_path):
    terminal.log_in()
    import fcntl  # noqa: PLC0415 (one use)

    tell(
        terminal,
        "INSERT INTO owners (id, name, role, pid, version, started_at) VALUES ('w', 'night', 'worker', 1, '0.0.9', 1)",
    )
    with (terminal.data / "aimkeeper.db-owners" / "w.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _, found, _ = examined(terminal)

    assert found["workers"] == [
        ("warning", f"night (pid 1) and this command are of versions 0.0.9, {__version__}: bring all to one.")
    ]
    assert any(level == "failed" and "night (pid 1) lacks key" in told for level, told in found["keys"])


def test_nobody_to_tell_is_worth_a_note_and_one_who_can_not_be_told_a_warning(terminal, upstream):
    terminal.log_in()
    nobody = examined(terminal)[1]["notices"]
    terminal.set(DISCORD_WEBHOOK_URL="https://discord.com/api/webhooks/1/a-secret-of-discord")
    somebody = examined(terminal)[1]["notices"]
    tell(
        terminal,
        "INSERT INTO outbox (channel, epoch, place, attempt, problem, created_at)"
        " VALUES ('discord', 0, 0, 3, 'refused', 0)",
    )

    failing = examined(terminal)[1]["notices"]

    assert [level for level, _ in (*nobody, *somebody)] == ["note", "ok"]
    assert failing == [("warning", "discord could not be told 3 times (refused): `aimkeeper notify test`.")]


def test_on_postgresql_it_looks_at_the_same_things(terminal, upstream, database):
    terminal.set(AIMKEEPER_DATABASE_URL=database.url, AIMKEEPER_SECRET_KEYS=new_key())
    name = terminal.log_in()

    status, found, _ = examined(terminal)

    assert status == 1
    assert found["store"][0][1].startswith(f"database {database.name} at 127.0.0.1:")
    assert {about for about, told in found.items() if told[0][0] == "ok"} >= {"store", "keys", "size", "session"}
    assert found["session"][0][1] == f"AimHarder recognises {name}."


def test_too_small_a_rate_is_told_with_its_setting(terminal, upstream):
    terminal.log_in()
    terminal.set(AIMKEEPER_MAX_RATE="0.1", AIMKEEPER_REFRESH_EVERY="2s")

    _, found, _ = examined(terminal)

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

    _, found, _ = examined(terminal)

    assert found["clock"][0][0] == level
    assert re.fullmatch(told, found["clock"][0][1])


def test_an_address_that_is_refused_is_told_with_its_own_status(terminal, upstream):
    upstream.sim.rules = upstream.sim.rules.__class__(forbid=True)

    status, found, shown = examined(terminal)

    assert status == 6
    assert "AIMKEEPER_UPSTREAM_PROXY" in found["upstream"][0][1]
    assert shown["Is our address welcome?"] == "no: 403"


def test_an_upstream_that_is_away_is_told_with_its_own_status(terminal):
    terminal.set(AIMHARDER_URL="http://127.0.0.1:1", AIMHARDER_LOGIN_URL="http://127.0.0.1:1")

    status, found, _ = examined(terminal)

    assert status == 4
    assert found["upstream"][0] == (
        "failed",
        "AimHarder does not answer (unreachable): look at the network and the proxy.",
    )


def test_a_session_that_aimharder_does_not_know_is_told_with_what_to_do(terminal, upstream):
    name = terminal.log_in()
    upstream.sim.kill(*name.split("#"))

    _, found, _ = examined(terminal)

    assert found["session"] == [("warning", f"AimHarder does not recognise {name}: `aimkeeper rotate {name}`.")]


# ---------------------------------------------------------------- no secret


def test_whatever_is_planted_nothing_of_it_is_told(terminal, upstream):
    planted = {
        "AIMKEEPER_API_KEY": "operator-key-4711-4711", "CRON_SECRET": "cron-secret-4711",
        "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/discord-secret-4711",
        "AIMKEEPER_NOTIFY_URLS": "tgram://bot-secret-4711/1", "AIMKEEPER_WEBHOOK_URL": "https://example.com/hook-4711",
        "AIMKEEPER_WEBHOOK_SECRET": "webhook-secret-4711-4711", "AIMKEEPER_HEARTBEAT_URL": "https://example.com/beat-4711",
        "AIMKEEPER_SECRET_KEYS": new_key(),
    }  # fmt: skip
    terminal.set(**planted)
    name = terminal.log_in(EMAIL, PASSWORD, "--remember")
    truth = upstream.truth(name)
    secrets = {*planted.values(), PASSWORD, truth.token} - {""}
    proxied = "http://user:proxy-password-4711@127.0.0.1:1"

    said = [terminal.run("doctor", *more) for more in ((), ("--json",), ("--rotate",), (name, "--rotate", "--json"))]
    terminal.set(AIMKEEPER_UPSTREAM_PROXY=proxied)
    said.append(terminal.run("doctor"))
    terminal.set(AIMKEEPER_DATABASE_URL="postgresql://ana:db-password-4711@127.0.0.1:1/kept")
    said.append(terminal.run("doctor"))

    secrets |= {"discord-secret-4711", "bot-secret-4711", "hook-4711", "beat-4711"}
    secrets |= {upstream.truth(name).token, "proxy-password-4711", "db-password-4711"}
    told = "".join(ran.out + ran.err for ran in said)
    assert name in told
    assert [secret for secret in secrets if secret in told] == []
