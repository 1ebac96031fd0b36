"""The recipes of docs/github-actions.md for other schedulers, taken from the page and run."""

import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest

from .conftest import CRON, PATIENCE, Receiver
from .runner import ROOT

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "github-actions.md").read_text("utf-8")
ADDRESS, SECRET = "https://keeper.example.com", "a-long-one-of-your-own"


def blocks(heading: str, kind: str) -> list[str]:
    """The blocks of *kind* below *heading*, up to the next one."""
    _, _, below = PAGE.partition(f"\n### {heading}\n")
    assert below, heading
    return re.findall(
        rf"^```{kind}\n(.*?)^```$", re.split(r"^### ", below, flags=re.MULTILINE)[0], re.DOTALL | re.MULTILINE
    )


@pytest.fixture
def home(tmp_path):
    """A home folder with the secret in its file, made as the page says."""
    folder = tmp_path / "home"
    folder.mkdir()
    commands = re.search(r"```console\n(\$ mkdir .*?)```", PAGE, re.DOTALL)[1]
    for command in re.findall(r"^\$ (.+)$", commands, re.MULTILINE):
        assert SECRET in command or command.startswith("mkdir")
        quoted = CRON.replace("\\", r"\\").replace('"', r"\"").replace("$", r"\$").replace("`", r"\`")
        # bash's own echo takes a backslash as it is; sh's does not.
        run(command.replace(SECRET, quoted), folder, shell="bash")
    header = folder / ".config" / "aimkeeper" / "cron-header"
    assert header.stat().st_mode & 0o777 == 0o600
    assert header.read_text() == f"Authorization: Bearer {CRON}\n"
    return folder


def run(command: str, home, shell: str = "sh") -> subprocess.CompletedProcess:
    """As cron does it: sh, and hardly any environment."""
    return subprocess.run(
        [shell, "-c", command],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        cwd=home, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def crontab() -> tuple[str, str]:
    """When, and what: cron turns each percent sign into a line end, so there must be none."""
    [line] = blocks("cron", "text")
    schedule, command = re.fullmatch(r"((?:\S+ ){4}\S+) (.+)\n", line).groups()
    assert "%" not in line
    return schedule, command


def execution() -> str:
    """What systemd starts, with `%h` in its place; it needs no shell."""
    [service, _] = blocks("systemd", "ini")
    return re.search(r"^ExecStart=(.+)$", service, re.MULTILINE)[1].replace("%h", "$HOME")


COMMANDS = {"cron": lambda: crontab()[1], "systemd": execution}


@pytest.mark.parametrize("scheduler", COMMANDS)
def test_its_command_rotates_what_is_due_and_says_nothing(keeper, home, scheduler):
    keeper.adopt(2)

    done = run(COMMANDS[scheduler]().replace(ADDRESS, keeper.url), home)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert keeper.rotations() == [1, 1]


@pytest.mark.parametrize("scheduler", COMMANDS)
def test_its_command_fails_with_a_word_when_the_service_refuses_and_shows_no_secret(home, scheduler):
    with Receiver() as refusing:
        refusing.status = 401

        done = run(COMMANDS[scheduler]().replace(ADDRESS, refusing.url), home)

    assert done.returncode == 22
    assert "401" in done.stderr
    assert CRON not in done.stderr
    assert [(told.method, told.path, told.headers["Authorization"]) for told in refusing.told] == [
        ("POST", "/api/cron/refresh-tokens", f"Bearer {CRON}")
    ]


def test_cron_asks_every_fifteen_minutes_as_the_workflow_does():
    assert crontab()[0] == "*/15 * * * *"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not on this machine")
def test_systemd_understands_both_units_and_asks_every_fifteen_minutes(tmp_path):
    paths = []
    for name, text in zip(("service", "timer"), blocks("systemd", "ini"), strict=True):
        paths.append(tmp_path / f"aimkeeper-refresh.{name}")
        paths[-1].write_text(text, "utf-8")
    calendar = re.search(r"^OnCalendar=(.+)$", paths[1].read_text("utf-8"), re.MULTILINE)[1]

    # Where no user's manager runs, its folder is missing; the units are read all the same.
    environ = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_LEVEL": "warning"}
    verified = subprocess.run(
        ["systemd-analyze", "--user", "--man=no", "verify", *paths],
        env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    next_ones = subprocess.run(
        ["systemd-analyze", "calendar", "--iterations=2", calendar],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip

    assert (verified.returncode, verified.stderr) == (0, "")
    minutes = [int(minute) for minute in re.findall(r"\d\d:(\d\d):00", next_ones.stdout)]
    assert {minute % 15 for minute in minutes} == {0}
    assert len(set(minutes)) >= 2


# What the recipe calls, with the signatures and the refusals of Supabase's own; what is asked of the network is kept.
STAND_INS = """
CREATE SCHEMA vault; CREATE SCHEMA cron; CREATE SCHEMA net;
CREATE TABLE vault.secrets (name text UNIQUE, secret text);
CREATE VIEW vault.decrypted_secrets AS SELECT name, secret AS decrypted_secret FROM vault.secrets;
CREATE FUNCTION vault.create_secret(new_secret text, new_name text DEFAULT NULL, new_description text DEFAULT '')
  RETURNS uuid LANGUAGE sql AS $$
  INSERT INTO vault.secrets VALUES (new_name, new_secret) RETURNING gen_random_uuid() $$;
CREATE TABLE cron.job (jobid bigint GENERATED ALWAYS AS IDENTITY, jobname text, schedule text, command text);
CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO cron.job (jobname, schedule, command) VALUES (job_name, schedule, command) RETURNING jobid $$;
CREATE TABLE net.asked (id bigint GENERATED ALWAYS AS IDENTITY, url text, headers jsonb, body jsonb, timeout int);
CREATE TABLE net._http_response (id bigint, status_code int, error_msg text, created timestamptz DEFAULT now());
CREATE FUNCTION net.http_post(
    url text, body jsonb DEFAULT '{}', params jsonb DEFAULT '{}',
    headers jsonb DEFAULT '{"Content-Type": "application/json"}', timeout_milliseconds int DEFAULT 5000)
  RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE asked bigint;
  BEGIN
    IF headers ->> 'Content-Type' IS DISTINCT FROM 'application/json' OR body IS NULL THEN
      RAISE EXCEPTION 'Content-Type header must be "application/json", and body must not be null';
    END IF;
    INSERT INTO net.asked (url, headers, body, timeout) VALUES (url, headers, body, timeout_milliseconds)
      RETURNING id INTO asked;
    RETURN asked;
  END $$;
"""


def test_the_supabase_job_asks_for_what_is_due_with_the_secret_from_the_vault(keeper, database):
    keeper.adopt(2)
    making, reading = blocks("Supabase", "sql")
    database.script(STAND_INS)
    database.script(making.replace(ADDRESS, keeper.url).replace(SECRET, CRON.replace("'", "''")))
    [(name, schedule, command)] = database.ask("SELECT jobname, schedule, command FROM cron.job")
    assert (name, schedule) == ("aimkeeper-refresh", "*/15 * * * *")
    assert CRON not in command

    # What pg_cron does when the time has come, and pg_net with what it was asked.
    database.script(command)
    [(url, headers, body, timeout)] = database.ask("SELECT url, headers, body, timeout FROM net.asked")
    request = urllib.request.Request(url, data=body.encode(), headers=json.loads(headers), method="POST")
    with urllib.request.urlopen(request, timeout=timeout / 1000) as answer:
        told = json.load(answer)

    assert (told["results"]["processed"], told["results"]["successful"]) == (2, 2)
    assert keeper.rotations() == [1, 1]
    assert timeout == 100_000
    assert database.ask(reading) == []
