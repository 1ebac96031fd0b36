"""`aimkeeper notify test`: everybody is told, and what came of it is said; no address is shown."""

import json
import os
import subprocess
import sys

import pytest

from .conftest import HOOK, SECRET


@pytest.fixture
def notify_test(tmp_path):
    """Runs the command in a process of its own, with these settings."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess:
        environ = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")}
        return subprocess.run(
            [sys.executable, "-m", "aimkeeper", "notify", "test", *arguments], env=environ | settings, cwd=tmp_path,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def test_everybody_is_told(notify_test, receiver, other):
    ran = notify_test(
        DISCORD_WEBHOOK_URL=f"{receiver.url}{HOOK}",
        AIMKEEPER_WEBHOOK_URL=f"{receiver.url}/hook",
        AIMKEEPER_WEBHOOK_SECRET=SECRET,
        AIMKEEPER_NOTIFY_URLS=f"json://{other.url.removeprefix('http://')}/one, json://localhost:1/s3cret",
    )

    assert ran.returncode == 1
    assert ran.stdout.splitlines() == [
        "discord: told",
        "webhook: told",
        "apprise-1: told",
        "apprise-2: Apprise could not deliver it: is the address right?",
    ]
    assert sorted(told.path for told in receiver.told) == [HOOK, "/hook"]
    assert [told.path for told in other.told] == ["/one"]
    assert ran.stderr == ""


def test_what_came_of_it_is_told_to_programs_too(notify_test, receiver):
    receiver.answers = [404]

    ran = notify_test("--json", DISCORD_WEBHOOK_URL=f"{receiver.url}{HOOK}")

    assert ran.returncode == 1
    assert json.loads(ran.stdout) == [{"channel": "discord", "told": False, "problem": "refused"}]


def test_where_nobody_is_to_be_told_it_says_what_to_set(notify_test):
    ran = notify_test()

    assert ran.returncode == 2
    assert "set DISCORD_WEBHOOK_URL, AIMKEEPER_NOTIFY_URLS or AIMKEEPER_WEBHOOK_URL" in ran.stderr


def test_nothing_is_stored_by_it(notify_test, receiver, tmp_path):
    notify_test(DISCORD_WEBHOOK_URL=receiver.url, AIMKEEPER_DATA_DIR=str(tmp_path / "data"))

    assert list(tmp_path.iterdir()) == []
