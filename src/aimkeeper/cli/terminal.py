"""What all commands share: the open service, tables, durations in words, questions."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from aimkeeper.core.errors import ConfigError

if TYPE_CHECKING:
    from aimkeeper.service import Service
    from aimkeeper.settings import Settings

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Who = Annotated[str, typer.Argument(metavar="WHO", help="E-mail, email#fingerprint or id.")]


def settings() -> "Settings":
    """The settings of this process."""
    from aimkeeper.settings import load

    return load().settings


@asynccontextmanager
async def a_service(chosen: "Settings | None" = None) -> "AsyncIterator[Service]":
    """The service, for one command."""
    from aimkeeper.service import open_service

    async with open_service(chosen or settings()) as service:
        yield service


def do(work: "Callable[[Service], Awaitable[T]]") -> T:
    """Open the service, do *work* with it, close it."""
    import asyncio

    async def whole() -> T:
        async with a_service() as service:
            return await work(service)

    return asyncio.run(whole())


def print_json(value: Any) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Aligned columns; the same in a pipe as on a terminal."""
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    for line in (head, *lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        typer.secho(text, bold=line is head and sys.stdout.isatty())


def ask_password(*, from_stdin: bool) -> str:
    """The password, from a prompt or the first line of standard input; never from an argument."""
    if from_stdin or not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
        if not from_stdin and not password:
            raise ConfigError("no password: give it at the prompt, or by --password-stdin.")
    else:
        import getpass

        password = getpass.getpass("AimHarder password: ")
    if not password:
        raise ConfigError("the password is empty.")
    return password


def span(moment: datetime | None, now: datetime) -> str:
    """`in 12 min` or `3 h ago`."""
    if moment is None:
        return "-"
    seconds = (moment - now).total_seconds()
    size = abs(seconds)
    if size < 120:  # noqa: PLR2004 (two minutes read better in seconds)
        text = f"{size:.0f} s"
    elif size < 2 * 3600:
        text = f"{size / 60:.0f} min"
    elif size < 2 * 86400:
        text = f"{size / 3600:.0f} h"
    else:
        text = f"{size / 86400:.0f} days"
    return f"in {text}" if seconds >= 0 else f"{text} ago"


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing in a pipe; call it with how many are done."""
    if not sys.stderr.isatty() or total < 2:  # noqa: PLR2004 (one needs no bar)
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
