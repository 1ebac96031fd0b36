"""Commands that hand out live credentials: credentials, exec."""

import os
import shlex
import sys
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import typer

from aimkeeper.cli.fetched import USUAL_SLACK, fetch, slack_of
from aimkeeper.cli.terminal import Who, do, offered, print_json, say
from aimkeeper.core.errors import AimkeeperError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from aimkeeper.core.session import Session

# What opens every session; who runs in the name of one must not find it.
NOT_HANDED_ON = {f"AIMKEEPER_{name}{place}" for name in ("SECRET_KEYS", "API_KEY") for place in ("", "_FILE")}

FORMATS = ("header", "json", "env", "netscape", "playwright")


def register(app: typer.Typer) -> None:
    app.command("credentials", help="Print a live token and its cookies.")(credentials)
    app.command(
        "exec",
        help="Run a command with live credentials in its environment.",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False},
    )(execute)


MinSlack = Annotated[
    str, typer.Option("--min-slack", help="Rotate first when there is less time left, like 90s or 10m.")
]


def credentials(
    who: Who,
    form: Annotated[
        str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.", autocompletion=offered(FORMATS))
    ] = "header",
    min_slack: MinSlack = USUAL_SLACK,
) -> None:
    if form not in FORMATS:
        raise ConfigError(f"--format must be one of {', '.join(FORMATS)}, not {form!r}.")
    _, given = _fetch(who, min_slack, reader="credentials")
    match form:
        case "json":
            print_json(given)
        case "env":
            for name, value in _environment(given).items():
                say(f"{name}={shlex.quote(value)}")
        case "netscape":
            say(_netscape(given))
        case "playwright":
            print_json(_playwright(given))
        case _:
            say(f"Cookie: {given['cookie']}")


def execute(
    context: typer.Context,
    who: Annotated[str, typer.Argument(metavar="WHO -- COMMAND", help="E-mail, email#fingerprint or id; what to run.")],
    min_slack: MinSlack = USUAL_SLACK,
    url: Annotated[
        bool,
        typer.Option(
            "--url/--no-url",
            help="Whether the command can ask for fresh credentials at AIMKEEPER_CREDENTIALS_URL as long as it runs.",
        ),
    ] = True,
) -> None:
    command = [part for index, part in enumerate(context.args) if index or part != "--"]
    if not command:
        raise ConfigError("say what to run: aimkeeper exec WHO -- COMMAND ARGUMENTS.")
    with ExitStack() as stack:
        # Started first: it gets ready while we fetch.
        lender = stack.enter_context(_lender()) if url else None
        session, given = _fetch(who, min_slack, reader="exec")
        environment = {name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON}
        environment |= _environment(given) | (_lent(lender, session.id) if lender else {})
        try:
            # Signals and the exit status are the command's own: it takes our place.
            os.execvpe(command[0], command, environment)  # noqa: S606 (running it is the command's purpose)
        except OSError as error:
            raise ConfigError(f"{command[0]} can't be run: {error.strerror}.") from None


@contextmanager
def _lender() -> "Iterator[Popen[bytes]]":
    """
    The small server that answers the command as long as it runs (docs/decisions/0018).

    Whoever leaves the block alive did not become the command: then it is told to stop.
    """
    from subprocess import DEVNULL, PIPE, Popen

    from aimkeeper.cli.beside import STOP

    # -P: what lies in the folder we are called from is not ours to import.
    ourselves = [sys.executable, "-P", "-m", "aimkeeper.cli.beside", str(os.getpid())]
    with Popen(  # noqa: S603
        ourselves, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True, bufsize=0
    ) as started:
        try:
            yield started
        finally:
            with suppress(BrokenPipeError):
                cast("IO[bytes]", started.stdin).write(STOP)


def _lent(lender: "Popen[bytes]", session_id: str) -> dict[str, str]:
    """What the command must know of the server that lends it this session."""
    import secrets

    from aimkeeper.cli.beside import BEARER_PREFIX, path_of

    bearer = BEARER_PREFIX + secrets.token_urlsafe(32)
    with suppress(BrokenPipeError):
        cast("IO[bytes]", lender.stdin).write(f"{bearer} {session_id}\n".encode())
    port = cast("IO[bytes]", lender.stdout).readline().strip().decode()
    if not port:
        raise AimkeeperError("no server can be started on 127.0.0.1 for the command: run it with --no-url.")
    lender.wait()  # what goes on is its child, and not ours: the command shall find none that it did not make
    return {
        "AIMKEEPER_CREDENTIALS_URL": f"http://127.0.0.1:{port}{path_of(session_id)}",
        "AIMKEEPER_CREDENTIALS_BEARER": bearer,
    }


def _fetch(who: str, min_slack: str, *, reader: str) -> "tuple[Session, dict[str, Any]]":
    slack_of(min_slack, "--min-slack")  # before anything is opened
    return do(lambda service: fetch(service, who, min_slack, reader=reader))


def _environment(given: dict[str, Any]) -> dict[str, str]:
    return {
        "AIMHARDER_TOKEN": given["token"],
        "AIMHARDER_FINGERPRINT": given["fingerprint"],
        "AIMHARDER_COOKIE": given["cookie"],
    }


def _netscape(given: dict[str, Any]) -> str:
    """
    The file that curl, wget and many libraries read.

    A session cookie gets the session's deadline for its expiry: some take 0 for "until the browser ends", others for
    long ago.
    """
    lines = ["# Netscape HTTP Cookie File"]
    deadline = datetime.fromisoformat(given["deadlineAt"]).timestamp()
    for cookie in given["cookies"]:
        domain = cookie["domain"] if cookie["hostOnly"] else f".{cookie['domain']}"
        fields = (
            domain,
            "FALSE" if cookie["hostOnly"] else "TRUE",
            "/",
            "TRUE" if cookie["secure"] else "FALSE",
            f"{_seconds(cookie) or deadline:.0f}",
            cookie["name"],
            cookie["value"],
        )
        lines.append("\t".join(fields))
    return "\n".join(lines)


def _playwright(given: dict[str, Any]) -> dict[str, Any]:
    """
    The `storage_state` of a browser context.

    Cookies only: with the token in its local storage the page would spend it, behind the back of whoever keeps it.
    """
    cookies = [
        {
            "name": cookie["name"],
            "value": cookie["value"],
            "domain": cookie["domain"] if cookie["hostOnly"] else f".{cookie['domain']}",
            "path": "/",
            "expires": _seconds(cookie) or -1,
            "httpOnly": True,
            "secure": cookie["secure"],
            "sameSite": "Lax",
        }
        for cookie in given["cookies"]
    ]
    return {"cookies": cookies, "origins": []}


def _seconds(cookie: dict[str, Any]) -> float | None:
    """When it expires, in seconds since 1970; None for a session cookie."""
    return datetime.fromisoformat(cookie["expiresAt"]).timestamp() if cookie["expiresAt"] else None
