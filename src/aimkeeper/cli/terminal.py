"""What all commands share: lines out, lines in, the open service, tables, durations in words."""

import errno
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import IO, TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from aimkeeper.core.errors import AimkeeperError, ConfigError

if TYPE_CHECKING:
    from aimkeeper.service import Service
    from aimkeeper.settings import Settings

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Who = Annotated[str, typer.Argument(metavar="WHO", help="E-mail, email#fingerprint or id.")]


def offered(values: Iterable[str]) -> Callable[[str], list[str]]:
    """What the tab key offers where only *values* can stand."""
    known = [str(value) for value in values]
    return lambda incomplete: [value for value in known if value.startswith(incomplete)]  # typer wants that name


class ReaderLeft(Exception):
    """Whoever read our output has read enough (`| head`): the command ends, and all is well."""


def say(line: object = "", *, err: bool = False, bold: bool = False) -> None:
    """
    Print one line; nothing when the stream is closed.

    Raises:
        ReaderLeft: The other end of the pipe is closed.
        AimkeeperError: It can't be written, e.g. to a full disk.
    """
    try:
        typer.secho(_writable(str(line), sys.stderr if err else sys.stdout), err=err, bold=bold)
    except BrokenPipeError:
        raise ReaderLeft from None
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.EBADF):
            raise ReaderLeft from None
        raise AimkeeperError(f"the output can't be written: {error.strerror}.") from None


def complain(sentence: str) -> None:
    """Print an error: one line on standard error, whatever is quoted in it."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in f"aimkeeper: {sentence}")
    try:
        say(line, err=True)
    except (ReaderLeft, AimkeeperError):
        return  # nobody is there to be told


def on_terminal(stream: IO[str] | None) -> bool:
    """Whether somebody looks; a stream that was closed before we began is None."""
    return stream is not None and stream.isatty()


def settings(*, tells_strangers: bool = False) -> "Settings":
    """The settings of this process. Where *tells_strangers*, variables that look like one and are none are told."""
    from aimkeeper.settings import load

    loaded = load()
    for sentence in loaded.strangers if tells_strangers else ():
        complain(sentence)
    return loaded.settings


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

    say(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Aligned columns; the same in a pipe as on a terminal."""
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    for line in (head, *lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        say(text, bold=line is head and on_terminal(sys.stdout))


def counted(count: int, thing: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def ask_password(*, from_stdin: bool) -> str:
    """
    The password, from a prompt or the first line of standard input; never from an argument.

    Raises:
        ConfigError: There is none, or it is no text.
    """
    try:
        if from_stdin or not on_terminal(sys.stdin):
            password = (sys.stdin.readline() if sys.stdin is not None else "").rstrip("\r\n")
        else:
            import getpass

            password = getpass.getpass("AimHarder password: ")
    except UnicodeDecodeError:
        # From None: the error itself would repeat the password's bytes.
        raise ConfigError("the password is not UTF-8 text: type it again in a UTF-8 terminal.") from None
    except EOFError:
        password = ""
    if not password:
        raise ConfigError("there is no password: give it at the prompt, or as one line by --password-stdin.")
    return password


def confirmed(question: str, otherwise: str) -> bool:
    """
    Whether somebody says yes.

    Args:
        question: Asked on a terminal.
        otherwise: What to say where nobody can be asked.

    Raises:
        ConfigError: Nobody is there.
    """
    if not on_terminal(sys.stdin):
        raise ConfigError(otherwise)
    return typer.confirm(question)


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
def progress(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, nothing in a pipe; call it with how many are done. *total* may be unknown."""
    if not on_terminal(sys.stderr) or (total is not None and total < 2):  # noqa: PLR2004 (one needs no bar)
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _writable(line: str, stream: IO[str] | None) -> str:
    """*line* as the stream's encoding can hold it: an old terminal shows `?`, it gets no traceback."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return line.encode(encoding, "replace").decode(encoding)
