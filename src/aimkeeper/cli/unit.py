"""The command that lets systemd run `serve` for this user: install, status, logs, remove."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from aimkeeper.cli.terminal import say
from aimkeeper.core.errors import AimkeeperError, ConfigError

service = typer.Typer(help="Let systemd run `serve`.", no_args_is_help=True, rich_markup_mode=None)

NAME = "aimkeeper.service"
_OURS = "# Written by `aimkeeper service install`, which writes it anew."
# A setting that makes no sense stays one: there is no use in starting again and again. By `env`, for the first word of
# a command may hold fewer signs than a folder's name.
_UNIT = """{ours}
[Unit]
Description=aimkeeper keeps AimHarder sessions alive

[Service]
WorkingDirectory={folder}
ExecStart=/usr/bin/env {python} -m aimkeeper serve
Restart=always
RestartSec=2
RestartPreventExitStatus=2
TimeoutStopSec=60
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""


def register(app: typer.Typer) -> None:
    app.add_typer(service, name="service")


@service.command("install", help="Run `serve` from this folder on, now and at every start.")
def install() -> None:
    from aimkeeper.settings import load

    load()  # what would stop the service is better said here
    folder = Path.cwd()
    if not _has_systemd():
        _say_what_to_do(folder)
        raise typer.Exit(1)
    path = _path()
    if path.exists() and not path.read_text("utf-8").startswith(_OURS):
        raise ConfigError(f"{path} is there already, and was not written by aimkeeper: move it away first.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(unit(folder, Path(sys.executable)), "utf-8")
    _systemctl("daemon-reload")
    _systemctl("enable", NAME)
    # Not "start": one that runs already shall run what is written now.
    _systemctl("restart", NAME)
    say(f"Installed as {path}. It reads .env and aimkeeper.toml in {folder}.")
    for line in _warnings(folder):
        say(line)
    say("`aimkeeper service logs` shows what it does; `aimkeeper open` prints a link to its page.")


@service.command("status", help="Whether it runs; exit status 1 when not.")
def status() -> None:
    _check_installed()
    is_active, is_enabled = (_asked(word, NAME) for word in ("is-active", "is-enabled"))
    say(f"{NAME}: {is_active}, {is_enabled}.")
    raise typer.Exit(0 if is_active == "active" else 1)


@service.command("logs", help="What it wrote.")
def logs(
    follow: Annotated[bool, typer.Option("--follow", help="Go on until ctrl-C.")] = False,
    lines: Annotated[int, typer.Option(help="How many, from the end.", min=1)] = 100,
) -> None:
    _check_installed()
    words = ["--unit", NAME, "--no-pager", "--lines", str(lines), *(["--follow"] if follow else [])]
    raise typer.Exit(_run("journalctl", *words, shown=True).returncode)


@service.command("remove", help="Stop it, and start it no more; sessions and settings stay.")
def remove() -> None:
    _check_installed()
    _systemctl("disable", "--now", NAME)
    _path().unlink()
    _systemctl("daemon-reload")
    say("Removed. Nobody keeps the sessions now, unless you run `aimkeeper serve` yourself.")


def unit(folder: Path, python: Path) -> str:
    """The unit that serves from *folder*."""
    return _UNIT.format(ours=_OURS, folder=_escaped(folder), python=_quoted(python))


def _quoted(path: Path) -> str:
    """A path as a word of a command: whatever systemd would take for something else is written twice."""
    text = _escaped(path).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{text}"'


def _escaped(path: Path) -> str:
    text = str(path)
    if "\n" in text:
        raise ConfigError("a folder whose name has a line break in it can't be a service's: rename it.")
    return text.replace("%", "%%")


def _path() -> Path:
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "systemd" / "user" / NAME


def _has_systemd() -> bool:
    # Without a manager of this user's, as in a container or over `su`, it can't be reached.
    return shutil.which("systemctl") is not None and _run("systemctl", "show-environment").returncode == 0


def _check_installed() -> None:
    if not _path().exists():
        raise ConfigError("there is no such service yet: `aimkeeper service install` makes it.")
    if not _has_systemd():
        raise AimkeeperError("systemd can't be asked from here: try again where you are logged in yourself.")


def _systemctl(*words: str) -> None:
    done = _run("systemctl", *words)
    if done.returncode:
        raise AimkeeperError(f"`systemctl --user {' '.join(words)}` failed: {_one_line(done.stderr)}.")


def _asked(*words: str) -> str:
    return _run("systemctl", *words).stdout.strip() or "unknown"


def _run(program: str, *words: str, shown: bool = False) -> "subprocess.CompletedProcess[str]":
    """One of systemd's own programs, wherever it is on the path; what it prints is read, or goes by us."""
    command = [program, "--user", *words]
    return subprocess.run(command, capture_output=not shown, text=True, check=False)  # noqa: S603 (no shell, our words)


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".") or "it said nothing"


def _warnings(folder: Path) -> list[str]:
    """What is so here, and will not be so for the service."""
    from dataclasses import fields

    from aimkeeper.settings import Settings

    names = [name for item in fields(Settings) for name in item.metadata["names"]]
    here_only = [name for known in names for name in (known, f"{known}_FILE") if os.environ.get(name)]
    told = []
    if here_only:
        told.append(
            f"Set in this shell only, and unknown to the service: {', '.join(here_only)}. Write them into "
            f"{folder / '.env'}, then `aimkeeper service install` again."
        )
    told.append("It stops when you log out, unless `loginctl enable-linger` was said once.")
    return told


def _say_what_to_do(folder: Path) -> None:
    say("systemd does not run programs for you here. Let whatever does so on this machine")
    say(f"  run         {sys.executable} -m aimkeeper serve")
    say(f"  in          {folder}, where it reads .env and aimkeeper.toml")
    say("  again       whenever it ends, but not after exit status 2: then a setting makes no sense")
    say("  stop it by  SIGTERM, and wait 60 seconds: sent rotations finish first")
