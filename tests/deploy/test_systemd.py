"""The units for systemd: what they run exists, and systemd itself finds nothing amiss."""

import configparser
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from aimkeeper.cli.unit import unit
from aimkeeper.core.errors import ConfigError

from .conftest import ROOT, SETTINGS, invoked

UNITS = sorted(path.name for path in (ROOT / "deploy" / "systemd").iterdir())
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


def read(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def verified(folder: Path, name: str, *options: str) -> str:
    """What systemd has to say about a unit, whose program stands in for ours."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *options, folder / name],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
    )  # fmt: skip
    return done.stderr + ("" if done.returncode == 0 else f"exit status {done.returncode}")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_runs_a_command_there_is_and_sets_what_is_a_setting(name):
    service = read((ROOT / "deploy" / "systemd" / name).read_text("utf-8"))["Service"]

    program, *arguments = shlex.split(service["ExecStart"].replace("%i", "9101"))
    named = {word.partition("=")[0] for word in shlex.split(service["Environment"])}

    assert Path(program).name == "aimkeeper"
    assert invoked(arguments).name == ("worker" if "@" in name else "serve")
    assert named <= SETTINGS
    assert int(service["TimeoutStopSec"]) >= 60
    assert service["RestartPreventExitStatus"] == "2"


def test_the_users_own_unit_serves_from_the_folder_it_is_given_and_starts_again():
    service = read(unit(Path("/home/ana/kept"), Path("/opt/python")))["Service"]

    env, python, module, program, *arguments = shlex.split(service["ExecStart"])

    assert (env, python, module, program) == ("/usr/bin/env", "/opt/python", "-m", "aimkeeper")
    assert invoked(arguments).name == "serve"
    assert (service["WorkingDirectory"], service["Restart"]) == ("/home/ana/kept", "always")
    assert int(service["TimeoutStopSec"]) >= 60


def test_a_server_and_its_workers_differ_in_what_they_run_only():
    server, worker = (read((ROOT / "deploy" / "systemd" / name).read_text("utf-8")) for name in UNITS)

    del server["Service"]["ExecStart"], worker["Service"]["ExecStart"]

    assert server["Service"] == worker["Service"]


@needs_systemd
@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_amiss_in_a_units_file(name, tmp_path):
    text = (ROOT / "deploy" / "systemd" / name).read_text("utf-8")
    whole = name.replace("@.", "@9101.")
    (tmp_path / whole).write_text(text.replace("/opt/aimkeeper/bin/aimkeeper", "/bin/true"))

    assert verified(tmp_path, whole) == ""


@needs_systemd
def test_systemd_would_say_so(tmp_path):
    (tmp_path / "wrong.service").write_text("[Service]\nExecStart=/bin/true\nRestartSec=soon\nNoSuchThing=yes\n")

    told = verified(tmp_path, "wrong.service")

    assert "Failed to parse sec value, ignoring: soon" in told
    assert "Unknown key 'NoSuchThing'" in told


@needs_systemd
@pytest.mark.parametrize("folder", ["home", "a folder with blanks", "100 % sure", 'it"s', "back\\slash", "$HOME"])
def test_the_users_own_unit_is_good_wherever_it_is_installed_from(tmp_path, folder):
    here = tmp_path / folder
    here.mkdir()
    python = here / "python"
    shutil.copy("/bin/true", python)
    (tmp_path / "aimkeeper.service").write_text(unit(here, python))

    assert verified(tmp_path, "aimkeeper.service", "--user") == ""


def test_a_folder_that_no_unit_can_name_is_refused():
    with pytest.raises(ConfigError, match="line break"):
        unit(Path("/tmp/two\nlines"), Path("/usr/bin/python3"))
