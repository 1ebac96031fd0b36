"""Live credentials of one session, from the store of this machine, as they are told."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aimkeeper.core.errors import ConfigError
from aimkeeper.core.values import read_duration

if TYPE_CHECKING:
    from aimkeeper.core.session import Session
    from aimkeeper.service import Service

# What is asked for when nobody says how much.
USUAL_SLACK = "10m"


def slack_of(text: str, name: str = "min_slack") -> timedelta:
    """
    How much slack *text* asks for; *name* is how whoever asked calls it.

    Raises:
        ConfigError: It is no duration.
    """
    try:
        return read_duration(text)
    except ValueError as error:
        raise ConfigError(f"{name} {error}.") from None


async def fetch(service: "Service", who: str, min_slack: str, *, reader: str) -> "tuple[Session, dict[str, Any]]":
    """
    The session, and its credentials as JSON; rotated first when there is less slack than *min_slack*.

    Raises:
        AimkeeperError: They can't be had.
    """
    from aimkeeper.web.described import credentials_of

    slack = slack_of(min_slack)
    if min_slack == USUAL_SLACK:
        # A short-lived upstream can't give ten minutes: then the default asks for what it can.
        slack = max(min(slack, service.policy.idle_timeout - service.policy.refresh_every), timedelta(0))
    session = await service.refresher.credentials(await service.find(who), min_slack=slack, reader=reader)
    return session, credentials_of(session, service.upstream.site, service.store.now())
