"""Commands about notifications: notify test."""

from datetime import UTC
from typing import TYPE_CHECKING, Any

import typer

from aimkeeper.cli.terminal import AsJson, print_json, say, settings
from aimkeeper.core.errors import ConfigError

if TYPE_CHECKING:
    from aimkeeper.settings import Settings

FAILED = 1
HINTS = {
    "unreachable": "no connection, or it broke: is the address right, and does this machine reach it?",
    "timed_out": "no answer in time",
    "moved": "it answered with another address: set that one",
    "refused": "it does not take this: is the address right?",
    "rate_limited": "it wants fewer messages: try again later",
    "server_error": "it failed: try again later",
    "not_delivered": "Apprise could not deliver it: is the address right?",
}

notify = typer.Typer(help="Notifications.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    app.add_typer(notify, name="notify")


@notify.command("test", help="Send a message to everybody who is to be told now.")
def notify_test(as_json: AsJson = False) -> None:
    import asyncio

    told = asyncio.run(_test(settings()))
    if as_json:
        print_json([{"channel": name, "told": not problem, "problem": problem} for name, problem in told.items()])
    else:
        for name, problem in told.items():
            say(f"{name}: {HINTS[problem] if problem else 'told'}")
    raise typer.Exit(FAILED if any(told.values()) else 0)


async def _test(chosen: "Settings") -> dict[str, str | None]:
    import asyncio

    from aimkeeper.clock import SystemClock
    from aimkeeper.notify.post import Post
    from aimkeeper.service import channels_of

    clock = SystemClock()
    async with Post(chosen.user_agent) as post:
        channels = channels_of(chosen, post, clock)
        if not channels:
            raise ConfigError(
                "nobody is to be told: set DISCORD_WEBHOOK_URL, AIMKEEPER_NOTIFY_URLS or AIMKEEPER_WEBHOOK_URL."
            )
        batch = _example(clock.now().astimezone(UTC), chosen.app_url or "")
        answers = await asyncio.gather(*(channel.tell(batch) for channel in channels))
    return {
        channel.name: answer.problem.value if answer.problem else None
        for channel, answer in zip(channels, answers, strict=True)
    }


def _example(now: Any, link: str) -> Any:
    """A batch that says it is a trial."""
    import secrets

    from aimkeeper.core.news import Level, Message, Part
    from aimkeeper.notify.channels import Batch

    text = "This is how aimkeeper tells you when a session ends or AimHarder fails."
    message = Message("A trial: all is well", Level.INFO, (Part(text),), link)
    return Batch(f"trial-{secrets.token_hex(8)}", now, message)
