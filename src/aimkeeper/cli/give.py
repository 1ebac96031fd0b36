"""Commands that hand out live credentials: credentials, exec."""

import os
import shlex
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aimkeeper.cli.terminal import Who, do, print_json
from aimkeeper.core.errors import ConfigError

if TYPE_CHECKING:
    from aimkeeper.core.session import Session
    from aimkeeper.service import Service

FORMATS = ("header", "json", "env")


def register(app: typer.Typer) -> None:
    app.command("credentials", help="Print a live token and its cookies.")(credentials)
    app.command(
        "exec",
        help="Run a command with a session's credentials in its environment.",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False},
    )(execute)


MinSlack = Annotated[str, typer.Option("--min-slack", help="Rotate first when there is less time left.")]


def credentials(
    who: Who,
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")] = "header",
    min_slack: MinSlack = "10m",
) -> None:
    if form not in FORMATS:
        raise ConfigError(f"--format must be one of {', '.join(FORMATS)}.")
    given = _fetch(who, min_slack, reader="credentials")
    match form:
        case "json":
            print_json(given)
        case "env":
            for name, value in _environment(given).items():
                typer.echo(f"{name}={shlex.quote(value)}")
        case _:
            typer.echo(f"Cookie: {given['cookie']}")


def execute(context: typer.Context, who: Who, min_slack: MinSlack = "10m") -> None:
    command = [part for index, part in enumerate(context.args) if index or part != "--"]
    if not command:
        raise ConfigError("say what to run: aimkeeper exec WHO -- COMMAND ARGUMENTS.")
    environment = {**os.environ, **_environment(_fetch(who, min_slack, reader="exec"))}
    try:
        # Nothing of ours stays behind: signals and the exit status are the command's own.
        os.execvpe(command[0], command, environment)  # noqa: S606 (running it is the command's purpose)
    except OSError as error:
        raise ConfigError(f"{command[0]} can't be run: {error.strerror}.") from None


def _fetch(who: str, min_slack: str, *, reader: str) -> dict[str, Any]:
    from aimkeeper.settings import read_duration

    try:
        slack = read_duration(min_slack)
    except ValueError as error:
        raise ConfigError(f"--min-slack {error}.") from None

    async def work(service: "Service") -> dict[str, Any]:
        # A short-lived upstream can't give ten minutes: then the default asks for what it can.
        longest = service.policy.idle_timeout - service.policy.refresh_every
        wanted = min(slack, longest) if min_slack == "10m" else slack
        session = await service.refresher.credentials(
            await service.find(who), min_slack=max(wanted, timedelta(0)), reader=reader
        )
        return _described(service, session)

    return do(work)


def _described(service: "Service", session: "Session") -> dict[str, Any]:
    now = service.store.now()
    host = service.upstream.site.base_host
    return {
        "email": session.email,
        "fingerprint": session.fingerprint,
        "token": session.token.text,
        "cookie": session.jar.header(host, now),
        "cookies": [
            {"name": c.name, "value": c.value, "domain": c.host, "hostOnly": c.host_only} for c in session.jar.cookies
        ],
        "rotatedAt": session.rotated_at.isoformat(),
        "deadlineAt": session.deadline_at.isoformat(),
        "slackSeconds": round((session.deadline_at - now).total_seconds()),
    }


def _environment(given: dict[str, Any]) -> dict[str, str]:
    return {
        "AIMHARDER_TOKEN": given["token"],
        "AIMHARDER_FINGERPRINT": given["fingerprint"],
        "AIMHARDER_COOKIE": given["cookie"],
    }
