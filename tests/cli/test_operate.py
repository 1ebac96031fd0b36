"""Help, version, settings, db, keys; and what the program does when its output can't be written."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from aimkeeper import __version__
from aimkeeper.cli import main

TOKEN = "69232|1766907797|f3069323e00d81750c8590bb1f5f93b6"
HEAVY = (
    "litestar",
    "pyreqwest",
    "cryptography",
    "structlog",
    "rich.progress",
    "uvicorn",
    "uvloop",
    "sqlite3",
    "msgspec",
)


def commands(group=None, path=()):
    """Every command there is, as typed."""
    group = group or typer.main.get_command(main.app)
    found = [path]
    for name, command in getattr(group, "commands", {}).items():
        found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help(terminal, path):
    ran = terminal.run(*path, "--help")

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(('aimkeeper', *path))}")
    assert "..." not in ran.out.replace("[WHO]...", "").replace("[ARGS]...", "")  # nothing is cut off
    assert not terminal.data.exists()


def test_every_command_of_the_list_says_what_it_does_in_one_line(terminal):
    listed = terminal.run("--help").out.partition("Commands:")[2].strip().splitlines()

    assert len(listed) == len(typer.main.get_command(main.app).commands)
    assert all(len(line) < 80 and line.endswith(".") for line in listed)


def test_the_version_is_told(terminal):
    assert terminal.run("--version").out == f"aimkeeper {__version__}\n"


def test_help_loads_nothing_heavy():
    script = "import sys, aimkeeper.cli.main; print('\\n'.join(sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert "aimkeeper.cli.main" in loaded
    assert [name for name in HEAVY if name in loaded] == []


# ---------------------------------------------------------------- listings

LISTINGS = [
    ("status",),
    ("sessions",),
    ("show", "ana@example.com"),
    ("history", "ana@example.com"),
    ("rotate", "ana@example.com"),
    ("check", "ana@example.com"),
    ("settings",),
    ("db", "status"),
    ("doctor",),
]


@pytest.mark.parametrize("command", LISTINGS, ids=" ".join)
def test_every_listing_can_be_had_as_json(terminal, upstream, command):
    terminal.log_in()

    ran = terminal.run(*command, "--json")

    assert ran.err == ""
    assert json.loads(ran.out)


def test_settings_are_told_with_their_source_and_secrets_hidden(terminal):
    terminal.set(AIMKEEPER_REFRESH_EVERY="10m", AIMKEEPER_API_KEY="the operator's own key")
    (terminal.folder / ".env").write_text("AIMKEEPER_IDLE_TIMEOUT=1h\nAIMKEEPER_REFRESH_EVERY=5m\n")
    (terminal.folder / "aimkeeper.toml").write_text("max_rate = 5\ncron_secret = 'the cron secret'\n")

    ran = terminal.run("settings")
    told = {
        item["name"]: (item["value"], item["source"]) for item in json.loads(terminal.run("settings", "--json").out)
    }

    assert told["AIMKEEPER_REFRESH_EVERY"] == ("10m", "environment (AIMKEEPER_REFRESH_EVERY)")
    assert told["AIMKEEPER_IDLE_TIMEOUT"] == ("1h", ".env (AIMKEEPER_IDLE_TIMEOUT)")
    assert told["AIMKEEPER_MAX_RATE"][1].startswith("aimkeeper.toml")
    assert told["AIMKEEPER_API_KEY"] == ("(hidden)", "environment (AIMKEEPER_API_KEY)")
    assert told["AIMHARDER_URL"] == ("https://aimharder.com", "default")
    assert "the operator's own key" not in ran.out
    assert "the cron secret" not in ran.out


def test_a_database_is_told_about_without_being_made(terminal):
    before = terminal.run("db", "status")
    made_by_looking = (terminal.data / "aimkeeper.db").exists()
    upgraded = terminal.run("db", "upgrade")
    after = terminal.run("db", "status")

    path = terminal.data / "aimkeeper.db"
    assert (before.status, made_by_looking) == (1, False)
    assert "run `aimkeeper db upgrade`" in before.out
    assert upgraded.out == f"{path} is up to date.\n"
    assert after.status == 0
    assert after.out.startswith(f"{path}: schema ")


def test_a_new_key_is_good_and_never_the_same(terminal):
    keys = {terminal.run("keys", "new").out.strip() for _ in range(3)}

    assert len(keys) == 3
    assert {len(base64.urlsafe_b64decode(key)) for key in keys} == {32}


# ---------------------------------------------------------------- output that can't be written


def run(*arguments, stdout, shell_redirect="", **environment):
    command = f'exec "{sys.executable}" -m aimkeeper {" ".join(arguments)} {shell_redirect}'
    return subprocess.run(
        ["sh", "-c", command],
        stdout=stdout,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("settings",), ("settings", "--json")], ids=" ".join)
def test_a_misspelt_setting_is_told_beside_the_list(terminal, arguments):
    terminal.set(AIMKEEPER_API_KEYS="planted-secret-key")

    ran = terminal.run(*arguments)

    assert ran.status == 0
    assert "AIMKEEPER_API_KEYS, in environment, is no setting (did you mean AIMKEEPER_API_KEY?)" in ran.err
    assert "planted" not in ran.out + ran.err


@pytest.mark.parametrize("arguments", [("settings",), ("settings", "--json"), ("--help",), ("sessions",)], ids=" ".join)
def test_a_reader_who_has_read_enough_is_no_trouble(terminal, arguments):
    reading, writing = os.pipe()
    os.close(reading)

    ran = run(*arguments, stdout=writing)

    os.close(writing)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.slow
def test_a_full_disk_is_told_as_one_line(terminal):
    with Path("/dev/full").open("w") as full:
        ran = run("settings", stdout=full)

    assert ran.returncode == 1
    assert ran.stderr == "aimkeeper: the output can't be written: No space left on device.\n"


@pytest.mark.slow
@pytest.mark.parametrize("redirect", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_closed_beforehand_are_no_trouble(terminal, redirect):
    ran = run("sessions", stdout=subprocess.PIPE, shell_redirect=redirect)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.slow
def test_an_old_terminal_sees_question_marks_not_a_traceback(terminal):
    ran = run("sessions --status $(printf 'caf\\303\\251')", stdout=subprocess.PIPE, PYTHONIOENCODING="ascii")

    assert ran.returncode == 2
    assert ran.stderr.startswith("aimkeeper: --status must be one of")


# ---------------------------------------------------------------- what nobody foresaw


@pytest.fixture
def broken(monkeypatch):
    def fail(*_args):
        raise KeyError(TOKEN)

    monkeypatch.setattr("aimkeeper.settings.described", fail)


def test_a_fault_of_ours_is_one_line_with_its_place_and_without_its_text(terminal, broken):
    ran = terminal.run("settings")

    assert ran.status == 1
    assert ran.complaint.startswith("aimkeeper: something went wrong inside aimkeeper (KeyError at test_operate.py:")
    assert "TOKEN_REFRESH_DEBUG=true" in ran.complaint
    assert "|" not in ran.err


def test_a_fault_is_told_at_length_to_those_who_ask_and_still_without_its_text(terminal, broken):
    terminal.set(TOKEN_REFRESH_DEBUG="true")

    ran = terminal.run("settings")

    assert "in print_settings" in ran.err
    assert ran.err.splitlines()[-1].startswith("aimkeeper: something went wrong")
    assert "69232" not in ran.err


def test_an_interrupt_is_no_traceback(terminal, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("aimkeeper.settings.described", interrupted)

    ran = terminal.run("settings")

    assert (ran.status, ran.out, ran.err) == (130, "", "")
