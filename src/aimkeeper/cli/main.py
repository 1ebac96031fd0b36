"""The commands, and what becomes of errors."""

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from aimkeeper import __version__
from aimkeeper.cli import (
    database,
    decide,
    doctor,
    enter,
    foreign,
    give,
    keep,
    keys,
    lend,
    look,
    operate,
    play,
    rotate,
    tell,
    unit,
    workers,
)
from aimkeeper.cli.terminal import ReaderLeft, complain, say
from aimkeeper.core import errors

# As docs/reference/cli.md has it: 0 well; 1 some failed; 2 usage or settings; 3 store; 4 upstream; 5 ended; 6 refused.
EXIT_STATUS: dict[type[errors.AimkeeperError], int] = {
    errors.AimkeeperError: 1,
    errors.ConfigError: 2,
    errors.UnknownSession: 2,
    errors.AmbiguousSession: 2,
    errors.AlreadyKept: 2,
    errors.HolderConflict: 1,
    errors.Superseded: 1,
    errors.StoreUnavailable: 3,
    errors.UpstreamUnavailable: 4,
    errors.ProtocolChanged: 4,
    errors.SessionEnded: 5,
    errors.BadCredentials: 6,
    errors.LockedOut: 6,
    errors.UpstreamRefused: 6,
}
FAULT, USAGE, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="aimkeeper",
    help="Keeps AimHarder sessions alive.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"aimkeeper {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for family in (
    keep,
    enter,
    look,
    rotate,
    decide,
    give,
    lend,
    play,
    unit,
    workers,
    tell,
    operate,
    keys,
    database,
    foreign,
    doctor,
):
    family.register(app)


def exit_status(error: errors.AimkeeperError) -> int:
    """The exit status of *error*."""
    return next(EXIT_STATUS[kind] for kind in type(error).__mro__ if kind in EXIT_STATUS)


def run() -> None:
    """The console script."""
    sys.exit(_run())


def _run() -> int:
    try:
        _check_arguments(sys.argv[1:])
        return app(standalone_mode=False) or 0
    except errors.AimkeeperError as error:
        complain(str(error))
        return exit_status(error)
    except typer.exceptions.TyperException as error:
        return _explain_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (ReaderLeft, SystemExit):
        # The latter is typer's own way out when its help meets a closed pipe.
        return 0
    except Exception as error:  # noqa: BLE001 (a traceback is not for the people who run this)
        _confess(error)
        return FAULT
    finally:
        _flush()


def _flush() -> None:
    """What can't be written any more is dropped: the interpreter must not complain about it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _check_arguments(arguments: list[str]) -> None:
    for argument in arguments:
        # What is not UTF-8 arrives as lone surrogates, which neither a database nor a request can hold.
        if any("\ud800" <= char <= "\udfff" for char in argument):
            raise errors.ConfigError(f"{argument!a} is not UTF-8 text: type it again in a UTF-8 terminal.")


def _explain_usage(error: typer.exceptions.TyperException) -> int:
    """A mistake in the command itself: typer's sentence, and where to read on."""
    if type(error).__name__ == "NoArgsIsHelpError":
        say(error.format_message(), err=True)
        return USAGE
    context = getattr(error, "ctx", None)
    sentence = " ".join(error.format_message().split()).rstrip(".")
    command = context.command_path if context is not None else "aimkeeper"
    if sentence.startswith("Got unexpected extra argument"):
        # Not repeated: people type passwords there.
        sentence = "That is an argument too many"
        if command.endswith("login"):
            sentence += ", and the password is never one: it is asked for, or read by --password-stdin"
    complain(f"{sentence[:1].lower()}{sentence[1:]}: `{command} --help` says what there is.")
    return USAGE


def _confess(error: Exception) -> None:
    """One line about something nobody foresaw: where, not what, for an exception's text may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    if os.environ.get("TOKEN_REFRESH_DEBUG", "").lower() in ("1", "true", "yes", "on"):
        with suppress(ReaderLeft):
            say("".join(traceback.format_list(frames)).rstrip(), err=True)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    complain(
        f"something went wrong inside aimkeeper ({type(error).__name__}{where}): please report it, "
        "with what TOKEN_REFRESH_DEBUG=true shows."
    )
