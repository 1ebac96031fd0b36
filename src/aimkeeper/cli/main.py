"""The commands, and what becomes of errors."""

import os
import sys
from typing import Annotated

import typer

from aimkeeper import __version__
from aimkeeper.cli import give, keep, operate, play, sessions
from aimkeeper.core import errors

# SPEC, "Command line": 0 all well; 1 some session failed; 2 usage or settings; 3 store; 4 upstream; 5 ended; 6 refused.
EXIT_STATUS: dict[type[errors.AimkeeperError], int] = {
    errors.AimkeeperError: 1,
    errors.ConfigError: 2,
    errors.UnknownSession: 2,
    errors.AmbiguousSession: 2,
    errors.AlreadyKept: 2,
    errors.StoreUnavailable: 3,
    errors.UpstreamUnavailable: 4,
    errors.ProtocolChanged: 4,
    errors.SessionEnded: 5,
    errors.BadCredentials: 6,
    errors.LockedOut: 6,
    errors.UpstreamRefused: 6,
}

app = typer.Typer(
    name="aimkeeper",
    help="Keeps AimHarder sessions alive.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aimkeeper {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for family in (keep, sessions, give, play, operate):
    family.register(app)


def exit_status(error: errors.AimkeeperError) -> int:
    """The exit status of *error*."""
    return next(EXIT_STATUS[kind] for kind in type(error).__mro__ if kind in EXIT_STATUS)


def run() -> None:
    """The console script."""
    sys.exit(_run())


def _run() -> int:
    try:
        return app(standalone_mode=False) or 0
    except errors.AimkeeperError as error:
        typer.echo(f"aimkeeper: {error}", err=True)
        return exit_status(error)
    except typer.exceptions.TyperException as error:
        # A mistake in the command itself; typer says which.
        show = getattr(error, "show", None)
        if show:
            show()
        return getattr(error, "exit_code", 2)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # Whoever read us has read enough; the interpreter must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
