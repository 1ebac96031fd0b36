"""Commands that hand out live credentials: credentials, exec."""

import os
import shlex
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aimkeeper.cli.terminal import Who, do, print_json, say
from aimkeeper.core.errors import ConfigError

if TYPE_CHECKING:
    from aimkeeper.core.session import Session
    from aimkeeper.service import Service

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
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")] = "header",
    min_slack: MinSlack = "10m",
) -> None:
    if form not in FORMATS:
        raise ConfigError(f"--format must be one of {', '.join(FORMATS)}, not {form!r}.")
    given = _fetch(who, min_slack, reader="credentials")
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
    min_slack: MinSlack = "10m",
) -> None:
    command = [part for index, part in enumerate(context.args) if index or part != "--"]
    if not command:
        raise ConfigError("say what to run: aimkeeper exec WHO -- COMMAND ARGUMENTS.")
    given = _environment(_fetch(who, min_slack, reader="exec"))
    environment = {name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON} | given
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
    site = service.upstream.site
    return {
        "email": session.email,
        "fingerprint": session.fingerprint,
        "token": session.token.text,
        "cookie": session.jar.header(site.base_host, now),
        "cookies": [
            {
                "name": cookie.name,
                "value": cookie.value,
                "domain": cookie.host,
                "hostOnly": cookie.host_only,
                "secure": site.base_url.startswith("https:"),
                "expiresAt": cookie.expires_at.isoformat() if cookie.expires_at else None,
            }
            for cookie in session.jar.cookies
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
