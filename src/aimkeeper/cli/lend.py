"""The command that lets a bot on another machine have one session's credentials: lend."""

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aimkeeper.cli.terminal import AsJson, Who, counted, do, print_json, say, settings
from aimkeeper.core.errors import ConfigError
from aimkeeper.core.values import is_here, web_address

if TYPE_CHECKING:
    from aimkeeper.service import Service

# Of this command, for the record.
BY = "command line"


def register(app: typer.Typer) -> None:
    app.command("lend", help="Let a bot elsewhere have one session, over HTTP.")(lend)


def lend(
    who: Who,
    lasting: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="For so long, 1m to 365d; without, 30d.")
    ] = "",
    url: Annotated[
        str, typer.Option(metavar="URL", help="Where the bot reaches `serve`; without, APP_URL, else as for `open`.")
    ] = "",
    revoke: Annotated[bool, typer.Option("--revoke", help="End all that was lent of this session.")] = False,
    as_json: AsJson = False,
) -> None:
    if revoke and (lasting or url):
        raise ConfigError("--revoke ends what was lent: leave --for and --url away.")
    if revoke:
        _revoke(who, as_json=as_json)
    else:
        _lend(who, lasting, url, as_json=as_json)


def _lend(who: str, lasting: str, url: str, *, as_json: bool) -> None:
    from aimkeeper.cli.beside import path_of
    from aimkeeper.engine.bots import USUAL_LIFETIME, read_lifetime
    from aimkeeper.serving import served_at

    try:
        lifetime = read_lifetime(lasting or USUAL_LIFETIME)
    except ValueError as error:
        raise ConfigError(f"--for {error}.") from None
    try:
        base = web_address(url) if url else served_at(settings())
    except ValueError as error:
        raise ConfigError(f"--url {error}.") from None

    async def work(service: "Service") -> dict[str, Any]:
        session = await service.find(who)
        lent = await service.bots.lend(session, lifetime, by=BY)
        return {
            "session": str(session.key),
            "url": base + path_of(session.id),
            "bearer": lent.bearer,
            "expires_at": lent.until.isoformat(),
        }

    told = do(work)
    if as_json:
        print_json(told)
    else:
        say(f"AIMKEEPER_CREDENTIALS_URL={shlex.quote(told['url'])}")
        say(f"AIMKEEPER_CREDENTIALS_BEARER={told['bearer']}")
        until = told["expires_at"][:16].replace("T", " ")
        say(f"Good until {until} UTC, and not shown again. `aimkeeper lend {who} --revoke` ends it.", err=True)
    if is_here(base):
        say(f"{base} is this machine's own: for a bot on another one, set APP_URL or give --url.", err=True)


def _revoke(who: str, *, as_json: bool) -> None:
    async def work(service: "Service") -> tuple[str, int]:
        session = await service.find(who)
        return str(session.key), await service.bots.revoke(session, by=BY)

    session, count = do(work)
    if as_json:
        print_json({"session": session, "revoked": count})
    else:
        say(f"Revoked {counted(count, 'bearer')} of {session}.")
