"""What the files that deploy aimkeeper name, held against what the program offers."""

from dataclasses import dataclass, fields
from pathlib import Path

import click
import pytest
import typer
import yaml

from aimkeeper.cli.main import app
from aimkeeper.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PLAIN = {name for item in fields(Settings) for name in item.metadata["names"]}
SECRET = {name for item in fields(Settings) if item.metadata["secret"] for name in item.metadata["names"]}
SETTINGS = PLAIN | {f"{name}_FILE" for name in SECRET}


@dataclass(frozen=True)
class Invocation:
    """A command as it would be called: its name and the options that were given."""

    name: str
    options: dict[str, object]

    @property
    def port(self) -> int:
        """Where it answers."""
        listen = self.options.get("listen")
        return int(str(listen).rpartition(":")[2]) if listen else Settings().port


def invoked(arguments: list[str]) -> Invocation:
    """Parse *arguments* as the program would; what it does not know fails."""
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command)
    while hasattr(command, "commands"):
        word, *arguments = arguments
        assert word in command.commands, f"there is no command {word!r}"
        command = command.commands[word]
    context = command.make_context(word, list(arguments))
    return Invocation(word, {name: value for name, value in context.params.items() if value})


def documents(path: str) -> list[dict]:
    return list(yaml.safe_load_all((ROOT / path).read_text("utf-8")))


@pytest.fixture
def root() -> Path:
    return ROOT
