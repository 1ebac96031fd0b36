"""Commands by which sessions come and go: login, adopt, logout, forget."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from aimkeeper.cli.terminal import Who, ask_password, do, progress, say, settings
from aimkeeper.cli.words import who_keeps
from aimkeeper.core.errors import AimkeeperError, ConfigError, UnknownSession

if TYPE_CHECKING:
    from aimkeeper.core.token import Fingerprint
    from aimkeeper.service import Service

CHUNK = 500


def register(app: typer.Typer) -> None:
    app.command("login", help="Log in upstream and keep the session.")(login)
    app.command("adopt", help="Take over sessions made elsewhere, from JSON Lines.")(adopt)
    app.command("logout", help="End a session here.")(logout)
    app.command("forget", help="Erase every trace of a session.")(forget)


def login(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The AimHarder account.")],
    fingerprint: Annotated[str | None, typer.Option(help="Device id; default: the account's, or a new one.")] = None,
    remember: Annotated[bool, typer.Option("--remember", help="Seal the password, to log in again by itself.")] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
) -> None:
    from aimkeeper.core.session import normal_email
    from aimkeeper.core.token import parse_fingerprint
    from aimkeeper.engine.entry import LogIn

    try:
        address = normal_email(email)
    except ValueError:
        # Not repeated: it may be the password, typed too early.
        raise ConfigError("that is not an e-mail address: give the one you use at AimHarder.") from None
    try:
        device = parse_fingerprint(fingerprint) if fingerprint is not None else None
    except ValueError as error:
        raise ConfigError(f"--fingerprint is {error}.") from None
    settings()  # a setting that makes no sense is told before the password is asked for
    password = ask_password(from_stdin=password_stdin)

    async def work(service: "Service") -> str:
        session = await service.entry.log_in(LogIn(address, password, device, remember))
        say(f"Logged in: {session.key}")
        if session.setrefresh_due:
            say(f"The session stands; its setrefresh failed ({session.setrefresh_error}) and is tried again.")
        return await who_keeps(service)

    say(do(work))


def adopt(
    file: Annotated[str, typer.Argument(metavar="FILE.jsonl", help="One session a line; - for standard input.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace sessions that are kept already.")] = False,
) -> None:
    from aimkeeper.service import default_fingerprint

    async def work(service: "Service") -> tuple[int, int, str]:
        fallback = default_fingerprint(service.settings)
        adopted, refused = 0, 0
        with progress(total, "Adopting") as done:
            while chunk := list(islice(lines, CHUNK)):
                good, bad = await _adopt(service, chunk, fallback, replacing=replace)
                adopted += good
                refused += len(bad)
                for number, problem in bad:
                    say(f"line {number}: {problem}.", err=True)
                done(chunk[-1][0])
        return adopted, refused, await who_keeps(service)

    with _opened(file) as (lines, total):
        adopted, refused, keepers = do(work)
    say(f"Adopted {adopted}, refused {refused}.")
    if adopted:
        say(keepers)
    raise typer.Exit(1 if refused else 0)


def logout(
    who: Who,
    upstream: Annotated[
        bool, typer.Option("--upstream", help="At AimHarder too: believed to end all of the account's sessions.")
    ] = False,
) -> None:
    async def work(service: "Service") -> str:
        session = await service.find(who)
        await service.entry.log_out(session, upstream=upstream)
        return str(session.key)

    where = "here and at AimHarder" if upstream else "here; AimHarder was not told"
    say(f"Ended {do(work)} {where}.")


def forget(who: Who) -> None:
    async def work(service: "Service") -> str:
        try:
            session = await service.find(who)
        except UnknownSession:
            # Its row may be gone already; its events stay for a while.
            found = await service.entry.forget_gone(who)
            if not found:
                raise
            return found
        await service.entry.forget(session)
        return str(session.key)

    say(f"Forgot {do(work)}: no trace is left.")


async def _adopt(
    service: "Service", lines: Iterable[tuple[int, bytes]], fallback: "Fingerprint | None", *, replacing: bool
) -> tuple[int, list[tuple[int, str]]]:
    """How many were adopted, and what is wrong with the others, by line number."""
    from aimkeeper.core.begin import Adoption, read_adoption_line

    good: list[tuple[int, Adoption]] = []
    bad: list[tuple[int, str]] = []
    for number, line in lines:
        try:
            good.append((number, read_adoption_line(line.decode("utf-8-sig"), fallback)))
        except UnicodeDecodeError:
            bad.append((number, "not UTF-8 text"))
        except ValueError as error:
            bad.append((number, str(error)))
    fates = await service.entry.adopt([adoption for _, adoption in good], replacing=replacing)
    refused = [
        (number, str(fate).rstrip("."))
        for (number, _), fate in zip(good, fates, strict=True)
        if isinstance(fate, AimkeeperError)
    ]
    return len(good) - len(refused), sorted([*bad, *refused])


@contextmanager
def _opened(name: str) -> Iterator[tuple[Iterator[tuple[int, bytes]], int | None]]:
    """
    The numbered lines of a file or of standard input that hold anything, and how many lines there are, where known.

    Raises:
        ConfigError: It can't be read.
    """
    try:
        if name == "-":
            yield _numbered(sys.stdin.buffer if sys.stdin is not None else ()), None
            return
        with Path(name).open("rb") as file:
            total = None
            if file.seekable():
                total = sum(1 for _ in file)
                file.seek(0)
            yield _numbered(file), total
    except OSError as error:
        raise ConfigError(f"{name} can't be read: {error.strerror}.") from None


def _numbered(lines: IO[bytes] | Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())
