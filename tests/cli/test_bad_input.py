"""What a member types wrongly: one line on standard error that says what to do, and the exit status for it."""

import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from aimkeeper.simulator import Rules

F = "f" * 50


@dataclass
class Case:
    """
    One mistake.

    Attributes:
        command: As typed, split at spaces.
        says: What the line must match.
        given: Settings.
        before: What was done to the terminal's place before.
    """

    command: str
    says: str
    status: int = 2
    given: dict[str, str] = field(default_factory=dict)
    stdin: bytes | None = b""
    before: Callable = lambda _terminal: None


def write(name, content=b""):
    def before(terminal):
        path = terminal.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return before


def foreign_table(terminal):
    terminal.data.mkdir()
    with closing(sqlite3.connect(terminal.data / "aimkeeper.db")) as other:
        other.execute("CREATE TABLE bookings (id)")


def foreign_application(terminal):
    terminal.data.mkdir()
    with closing(sqlite3.connect(terminal.data / "aimkeeper.db")) as other:
        other.execute("PRAGMA application_id = 4711")
        other.execute("CREATE TABLE t (id)")


def newer_schema(terminal):
    terminal.run("status")
    with closing(sqlite3.connect(terminal.data / "aimkeeper.db")) as other:
        other.execute("PRAGMA user_version = 999")


def lost_key(terminal):
    terminal.run("status")
    (terminal.data / "secret.key").unlink()


def other_key(terminal):
    terminal.run("status")
    key = terminal.run("keys", "new").out.strip()
    terminal.set(AIMKEEPER_SECRET_KEYS=key)


CASES = {
    # what is typed
    "an unknown command": Case("nosuch", r"no such command 'nosuch': `aimkeeper --help`"),
    "an unknown command of db": Case("db nosuch", r"no such command 'nosuch': `aimkeeper db --help`"),
    "an unknown option": Case("show --nosuch x", r"no such option: --nosuch: `aimkeeper show --help`"),
    "an option before the command": Case("--json sessions", r"no such option: --json .*`aimkeeper --help`"),
    "an argument too many": Case("show a b", r"that is an argument too many: `aimkeeper show --help`"),
    "a password for an argument": Case(
        "login a@b.c hunter2", r"that is an argument too many, and the password is never one: it is asked for, or"
    ),
    "an argument too few": Case("show", r"missing argument 'WHO': `aimkeeper show --help`"),
    "an option without its value": Case("sessions --status", r"option '--status' requires an argument"),
    "a port out of range": Case("serve --port 99999", r"'--port': .*65535.*`aimkeeper serve --help`"),
    "a port that is a word": Case("serve --port http", r"'--port'.*`aimkeeper serve --help`"),
    "a status that is none": Case("sessions --status alive", r"--status must be one of active, in_doubt, "),
    "rotate in two ways": Case("rotate --due --all", r"name sessions, or --due, or --all: only one of them"),
    "exec of nothing": Case("exec a@b.c", r"say what to run: aimkeeper exec WHO -- COMMAND"),
    "a format that is none": Case("credentials a@b.c --format xml", r"--format must be one of header, json, .*'xml'"),
    "a duration of rubbish": Case("credentials a@b.c --min-slack soon", r"--min-slack must be a duration like 90s"),
    "a duration without a unit": Case("exec --min-slack 10 a@b.c -- true", r"--min-slack must be a duration like"),
    "too short a time to lend for": Case("lend a@b.c --for 59s", r"--for must be from 1m to 365d\."),
    "too long a time to lend for": Case("lend a@b.c --for 366d", r"--for must be from 1m to 365d\."),
    "a time to lend for without a unit": Case("lend a@b.c --for 30", r"--for must be a duration like 90s"),
    "an address to lend at with a password": Case(
        "lend a@b.c --url https://u:p@keeper.example.com", r"--url must be an http or https address, without a password"
    ),
    "to lend and to end it at once": Case("lend a@b.c --revoke --for 1h", r"--revoke ends what was lent: leave --for"),
    "an endless duration": Case("credentials a@b.c --min-slack 99999999999d", r"--min-slack is too long"),
    "an address to listen on": Case("worker --listen 9100", r"--listen must be HOST:PORT, like .*'9100'"),
    "a port to listen on": Case("worker --listen h:99999", r"--listen must be HOST:PORT, like .*'h:99999'"),
    "an e-mail of rubbish": Case("login rubbish", r"that is not an e-mail address: give the one you use"),
    "an e-mail with two lines": Case("login a\n@b.c", r"that is not an e-mail address"),
    "a fingerprint of rubbish": Case("login a@b.c --fingerprint f\tf", r"--fingerprint is not a fingerprint: it must"),
    "an empty fingerprint": Case("login a@b.c --fingerprint=", r"--fingerprint is not a fingerprint: it must"),
    "bytes that are no text": Case("show \udcff@b.c", r"'\\udcff@b.c' is not UTF-8 text: type it again"),
    "a password of nothing": Case("login a@b.c --password-stdin", r"there is no password: give it at the prompt"),
    "a password that is not asked for": Case("login a@b.c", r"there is no password: give it at the prompt"),
    "a password from a closed stdin": Case("login a@b.c --password-stdin", r"there is no password", stdin=None),
    "a password that is no text": Case(
        "login a@b.c --password-stdin", r"the password is not UTF-8 text: type it again", stdin=b"\xff\xfesecret\n"
    ),
    "a file that is not there": Case("adopt nosuch.jsonl", r"nosuch.jsonl can't be read: No such file or directory\."),
    "a folder for a file": Case("adopt data", r"data can't be read: Is a directory\.", before=write("data/x")),
    "a plan that is not there": Case("simulate --faults nosuch", r"nosuch can't be read: No such file"),
    "a plan of rubbish": Case("simulate --faults p", r"p is not TOML: .*: mend it", before=write("p", b"[[[")),
    "a plan with a mistake": Case(
        "simulate --faults p", r"p: \[faults\] hang must be a probability", before=write("p", b"[faults]\nhang = 2\n")
    ),
    "an address of nobody": Case("simulate --host 203.0.113.1", r"can't listen on 203.0.113.1, port 8900: "),
    # who is meant
    "nobody": Case("show nobody@example.com", r"no session answers to 'nobody@example.com': `aimkeeper sessions`"),
    "nothing": Case("show ", r"no session answers to ''"),
    "half a name": Case("show #", r"no session answers to '#'"),
    "a name with quotes": Case("show '--", r"no session answers to "),
    "an id of nobody": Case("forget 00000000-0000-4000-8000-000000000000", r"no session answers to '00000000-"),
    "one nobody among several": Case("rotate nobody@example.com x", r"no session answers to 'nobody@example.com'"),
    # settings
    "an interval out of range": Case(
        "status", r"AIMKEEPER_REFRESH_EVERY must be from 1s to 60m\.", given={"AIMKEEPER_REFRESH_EVERY": "2h"}
    ),
    "an interval of rubbish": Case(
        "status", r"AIMKEEPER_REFRESH_EVERY must be a duration like", given={"AIMKEEPER_REFRESH_EVERY": "often"}
    ),
    "the original feature's interval": Case(
        "status", r"TOKEN_BULK_UPDATE_INTERVAL_MINUTES ", given={"TOKEN_BULK_UPDATE_INTERVAL_MINUTES": "0"}
    ),
    "an interval not below the idle timeout": Case(
        "status",
        r"AIMKEEPER_REFRESH_EVERY \(15m\) must be below AIMKEEPER_IDLE_TIMEOUT \(15m\)",
        given={"AIMKEEPER_IDLE_TIMEOUT": "15m"},
    ),
    "an upstream timeout too long": Case(
        "status", r"AIMKEEPER_UPSTREAM_TIMEOUT \(1m\) must be at most ",
        given={"AIMKEEPER_UPSTREAM_TIMEOUT": "60s", "AIMKEEPER_IDLE_TIMEOUT": "16m"},
    ),
    "a port in the settings": Case("serve", r"AIMKEEPER_PORT must be a whole number", given={"AIMKEEPER_PORT": "x"}),
    "an operator's key too short": Case("serve", r"AIMKEEPER_API_KEY must be ", given={"AIMKEEPER_API_KEY": "short"}),
    "an address that is none": Case("status", r"AIMHARDER_URL must be ", given={"AIMHARDER_URL": "aimharder.com"}),
    "a database that is none": Case("status", r"AIMKEEPER_DATABASE_URL ", given={"AIMKEEPER_DATABASE_URL": "mysql:x"}),
    "a proxy that is none": Case(
        "status", r"AIMKEEPER_UPSTREAM_PROXY must be the address", given={"AIMKEEPER_UPSTREAM_PROXY": "rubbish"}
    ),
    "a name that can't be sent": Case(
        "status", r"AIMKEEPER_USER_AGENT holds a character", given={"AIMKEEPER_USER_AGENT": "a\x01b"}
    ),
    "a home of nobody's": Case("status", r"AIMKEEPER_DATA_DIR ", given={"AIMKEEPER_DATA_DIR": "~nosuchuser/x"}),
    "a secret that is no key": Case(
        "status", r"AIMKEEPER_SECRET_KEYS can't be used: .*`aimkeeper keys new`", given={"AIMKEEPER_SECRET_KEYS": "hi"}
    ),
    "a secret in a file that is not there": Case(
        "status", r"CRON_SECRET_FILE names a file that can't be read", given={"CRON_SECRET_FILE": "/nosuch"}
    ),
    "a setting nobody knows": Case("status", r"'colour', which is not a setting",
                                   before=write("aimkeeper.toml", b"colour = 'red'")),
    "a settings file of rubbish": Case("status", r"toml can't be read", before=write("aimkeeper.toml", b"[[")),
    "a settings file that is no text": Case("status", r"can't be read", before=write("aimkeeper.toml", b"\xff")),
    "a demo of no length": Case("demo", r"DEMO_SECONDS must be a whole number", given={"DEMO_SECONDS": "0"}),
    "a demo of rubbish": Case("demo", r"DEMO_SECONDS must be a whole number", given={"DEMO_SECONDS": "\u0661"}),
    # the store
    "a database of somebody else's": Case("status", r"holds tables that aimkeeper did not make", before=foreign_table),
    "a database of another program": Case("status", r"a database of another program's", before=foreign_application),
    "a database of a newer aimkeeper": Case("status", r"made by a newer aimkeeper .*upgrade", before=newer_schema),
    "a file that is no database": Case("status", r"is not a database of aimkeeper's",
                                       before=write("data/aimkeeper.db", b"Dear diary, " * 500)),
    "a lost key file": Case("status", r"the key file .*secret.key is gone.*Put it back from a backup", before=lost_key),
    "another key": Case("status", r"sealed with key [0-9a-f]{8}, which is not among .*: add", before=other_key),
    "a key file of rubbish": Case("status", r"secret.key can't be used: ", before=write("data/secret.key", b"hi")),
    "a file where the folder should be": Case("status", r"data/aimkeeper.db can't be opened or made: ", 3,
                                              before=write("data")),
    "a device for a folder": Case("sessions", r"can't be opened or made: Not a directory", 3,
                                  given={"AIMKEEPER_DATA_DIR": "/dev/null/x"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_mistake_gets_one_line_that_says_what_to_do(terminal, case):
    case.before(terminal)
    terminal.set(**case.given)

    ran = terminal.run(*case.command.split(" "), stdin=case.stdin)

    assert re.match(r"aimkeeper: .*" + case.says, ran.complaint), ran.err
    assert ran.status == case.status
    assert ran.complaint.endswith((".", "--help` says what there is."))
    assert ran.complaint.isprintable()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "keys new", "login a@b.c --password-stdin"])
def test_a_folder_that_may_not_be_written_is_told_by_those_who_need_it(terminal, command):
    locked = terminal.folder / "locked"
    locked.mkdir(mode=0o500)
    script = "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1); os.execv(sys.executable, sys.argv[1:])"
    typed = [sys.executable, "-m", "aimkeeper", *command.split()]
    if os.geteuid() == 0:
        # Root may write everywhere: without that capability it is like anybody else.
        typed = [sys.executable, "-c", script, *typed]

    ran = subprocess.run(
        typed,
        env={**os.environ, "AIMKEEPER_DATA_DIR": str(locked / "data")},
        input="pw\n",
        capture_output=True,
        text=True,
        check=False,
    )

    if command == "keys new":
        assert (ran.returncode, ran.stderr) == (0, "")
    else:
        assert ran.returncode == 3
        assert re.fullmatch(r"aimkeeper: the database .* can't be opened or made: Permission denied\.\n", ran.stderr)


def test_no_command_is_answered_with_all_there_are(terminal):
    ran = terminal.run()

    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("Usage: aimkeeper")
    assert "login " in ran.err


def test_a_port_in_use_is_told_before_anything_else_is_touched(terminal):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        runs = [
            terminal.run("serve", "--port", str(port)),
            terminal.run("worker", "--listen", f"127.0.0.1:{port}"),
            terminal.run("simulate", "--port", str(port)),
        ]

    for ran in runs:
        assert ran.status == 2
        assert ran.complaint == f"aimkeeper: port {port} is in use: choose another with --port or AIMKEEPER_PORT."
    assert not terminal.data.exists()


# ---------------------------------------------------------------- what the upstream says


def test_a_refused_password_is_told_without_repeating_it(terminal, upstream):
    ran = terminal.run("login", "ana@example.com", "--password-stdin", stdin=b"hunter2\n")

    assert ran.status == 6
    assert ran.complaint == "aimkeeper: AimHarder refused the e-mail or the password: check both and try again."


def test_a_lockout_says_how_long_to_wait(terminal, upstream):
    upstream.sim.rules = Rules(lockout_after=1, lockout=600)
    terminal.run("login", "ana@example.com", "--password-stdin", stdin=b"hunter2\n")

    ran = terminal.run("login", "ana@example.com", "--password-stdin", stdin=b"correct horse\n")

    assert ran.status == 6
    assert ran.complaint == "aimkeeper: AimHarder wants no further tries for this account: wait 10 minutes."


def test_a_refused_address_is_no_judgement_on_the_password(terminal, upstream):
    upstream.sim.rules = Rules(forbid=True)

    ran = terminal.run("login", "ana@example.com", "--password-stdin", stdin=b"correct horse\n")

    assert ran.status == 6
    assert ran.complaint == (
        "aimkeeper: AimHarder refuses this machine's address (403): it turns away some data centres and countries. "
        "Run aimkeeper from a home connection or set AIMKEEPER_UPSTREAM_PROXY. Your password was not judged."
    )


@pytest.mark.parametrize("command", ["login", "check", pytest.param("rotate", marks=pytest.mark.slow)])
def test_an_upstream_that_can_not_be_reached_is_told_as_such(terminal, upstream, command):
    name = terminal.log_in()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    terminal.set(AIMHARDER_URL=url, AIMHARDER_LOGIN_URL=url)

    typed = ("login", "ana@example.com", "--password-stdin") if command == "login" else (command, name)

    ran = terminal.run(*typed, stdin=b"correct horse\n")

    assert ran.status == 4
    assert "unreachable" in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize("fault", ["bad_json", "maintenance"])
def test_a_login_answered_with_something_unreadable_is_no_verdict_either(terminal, upstream, fault):
    upstream.sim.next(fault, path="/api/login")

    ran = terminal.run("login", "ana@example.com", "--password-stdin", stdin=b"correct horse\n")

    assert ran.status == 4
    assert ran.complaint == "aimkeeper: AimHarder answered the login with something this version can't read."


# ---------------------------------------------------------------- who is meant


def test_an_ambiguous_name_lists_those_it_may_mean(terminal, upstream):
    names = [terminal.log_in("ana@example.com", "correct horse", "--fingerprint", letter * 50) for letter in "ab"]

    ran = terminal.run("show", "ana@example.com")

    assert ran.status == 2
    assert ran.complaint == f"aimkeeper: ana@example.com has 2 sessions: say which, as {' or '.join(names)}."
    assert terminal.run("show", names[1]).status == 0


@pytest.mark.parametrize("command", ["check", "credentials", "exec", "lend"])
def test_a_session_that_has_ended_is_told_as_such(terminal, upstream, command):
    name = terminal.log_in()
    terminal.run("logout", name)

    ran = terminal.run(command, name, *(["--", "true"] if command == "exec" else []))

    assert ran.status == 5
    assert ran.complaint == "aimkeeper: the session has ended (logged_out_here): log in again."


def test_more_slack_than_a_rotation_gives_can_not_be_had(terminal, upstream):
    name = terminal.log_in()

    ran = terminal.run("credentials", name, "--min-slack", "2h")

    assert ran.status == 2
    assert ran.complaint == "aimkeeper: a fresh rotation gives 5400 s of slack: more can't be asked for."
