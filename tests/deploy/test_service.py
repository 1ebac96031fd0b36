"""`aimkeeper service`, with a stand-in for systemd that notes what it was told."""

import os
import sys
from pathlib import Path

import pytest

from aimkeeper.cli.unit import NAME
from tests.cli.conftest import Terminal

STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> {notes}
case "$*" in
    "{failing}") echo "no such luck" >&2; exit 1;;
    *is-active*) echo {active}; [ {active} = active ];;
    *is-enabled*) echo enabled;;
    *--unit*) echo "one line of its log";;
esac
"""


class Systemd:
    """As much of it as is asked for."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.programs = folder / "bin"
        self.unit = folder / "home" / ".config" / "systemd" / "user" / NAME
        self._notes = folder / "notes"
        self.programs.mkdir()
        monkeypatch.setenv("HOME", str(folder / "home"))
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        monkeypatch.setenv("PATH", f"{self.programs}{os.pathsep}{os.environ['PATH']}")
        self.answer()

    def answer(self, *, failing: str = "nothing", active: str = "active") -> None:
        for name in ("systemctl", "journalctl"):
            program = self.programs / name
            program.write_text(STAND_IN.format(notes=self._notes, failing=failing, active=active))
            program.chmod(0o755)

    def told(self) -> list[str]:
        """What it was told since it was asked last; the question whether it is there at all left out."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        self._notes.unlink(missing_ok=True)
        return [line for line in lines if not line.endswith("show-environment")]


@pytest.fixture
def terminal(tmp_path, monkeypatch, capsys) -> Terminal:
    made = Terminal(tmp_path, monkeypatch, capsys)
    monkeypatch.delenv("AIMKEEPER_DATA_DIR")
    return made


@pytest.fixture
def systemd(tmp_path, monkeypatch, terminal) -> Systemd:
    return Systemd(tmp_path, monkeypatch)


def test_install_writes_the_unit_and_starts_it_now_and_at_every_start(terminal, systemd):
    ran = terminal.run("service", "install")

    assert (ran.status, ran.err) == (0, "")
    assert systemd.told() == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable {NAME}",
        f"systemctl --user restart {NAME}",
    ]
    unit = systemd.unit.read_text()
    assert f"\nWorkingDirectory={terminal.folder}\n" in unit
    assert f'\nExecStart=/usr/bin/env "{sys.executable}" -m aimkeeper serve\n' in unit
    first, lingers, _ = ran.out.splitlines()
    assert first == f"Installed as {systemd.unit}. It reads .env and aimkeeper.toml in {terminal.folder}."
    assert "enable-linger" in lingers


def test_install_again_takes_the_folder_it_is_called_in(terminal, systemd, monkeypatch):
    terminal.run("service", "install")
    (terminal.folder / "elsewhere").mkdir()
    monkeypatch.chdir(terminal.folder / "elsewhere")

    assert terminal.run("service", "install").status == 0

    assert f"\nWorkingDirectory={terminal.folder / 'elsewhere'}\n" in systemd.unit.read_text()


def test_what_is_set_in_the_shell_only_is_told(terminal, systemd):
    terminal.set(AIMKEEPER_MAX_RATE="5", AIMKEEPER_API_KEY_FILE="key")
    (terminal.folder / "key").write_text("a key of the operator's")

    ran = terminal.run("service", "install")

    assert "unknown to the service: AIMKEEPER_API_KEY_FILE, AIMKEEPER_MAX_RATE. " in ran.out
    assert "operator's" not in ran.out


def test_settings_that_make_no_sense_are_not_installed(terminal, systemd):
    (terminal.folder / ".env").write_text("AIMKEEPER_MAX_RATE=fast\n")

    ran = terminal.run("service", "install")

    assert ran.status == 2
    assert "AIMKEEPER_MAX_RATE" in ran.complaint
    assert not systemd.unit.exists()


def test_a_unit_that_somebody_else_wrote_is_left_alone(terminal, systemd):
    systemd.unit.parent.mkdir(parents=True)
    systemd.unit.write_text("[Service]\n")

    ran = terminal.run("service", "install")

    assert ran.status == 2
    assert "was not written by aimkeeper" in ran.complaint
    assert systemd.unit.read_text() == "[Service]\n"


def test_what_systemd_refuses_is_told_in_its_own_words(terminal, systemd):
    systemd.answer(failing=f"--user enable {NAME}")

    ran = terminal.run("service", "install")

    assert ran.status == 1
    assert ran.complaint == f"aimkeeper: `systemctl --user enable {NAME}` failed: no such luck."


@pytest.mark.parametrize(("active", "status"), [("active", 0), ("failed", 1)])
def test_status_says_whether_it_runs(terminal, systemd, active, status):
    terminal.run("service", "install")
    systemd.answer(active=active)

    ran = terminal.run("service", "status")

    assert (ran.status, ran.out) == (status, f"{NAME}: {active}, enabled.\n")


def test_logs_shows_its_own(terminal, systemd):
    terminal.run("service", "install")
    systemd.told()

    assert terminal.run("service", "logs", "--lines", "7").status == 0

    assert systemd.told() == [f"journalctl --user --unit {NAME} --no-pager --lines 7"]


def test_remove_stops_it_and_leaves_no_unit(terminal, systemd):
    terminal.run("service", "install")
    systemd.told()

    ran = terminal.run("service", "remove")

    assert (ran.status, ran.err) == (0, "")
    assert systemd.told() == [f"systemctl --user disable --now {NAME}", "systemctl --user daemon-reload"]
    assert not systemd.unit.exists()


@pytest.mark.parametrize("word", ["status", "logs", "remove"])
def test_where_nothing_is_installed_each_says_how_to(terminal, systemd, word):
    ran = terminal.run("service", word)

    assert ran.status == 2
    assert "`aimkeeper service install` makes it" in ran.complaint


def test_without_systemd_it_says_what_to_do(terminal, systemd):
    systemd.answer(failing="--user show-environment")

    ran = terminal.run("service", "install")

    assert (ran.status, ran.err) == (1, "")
    assert f"run         {sys.executable} -m aimkeeper serve" in ran.out
    assert f"in          {terminal.folder}," in ran.out
    assert not systemd.unit.exists()
