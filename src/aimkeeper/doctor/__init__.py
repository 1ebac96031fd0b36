"""
The examination: what could keep this aimkeeper from keeping, looked at in turn, from the settings to AimHarder itself.

It changes nothing, sends nothing that spends a token unless it is told to, and what it tells holds no secret.
"""

from collections.abc import Callable

from aimkeeper.core.errors import AimkeeperError, KeyProblem, StoreUnavailable
from aimkeeper.core.outcome import Glimpse
from aimkeeper.core.session import Session, Status
from aimkeeper.doctor import files, within, without
from aimkeeper.doctor.findings import STORE, USAGE, Finding, Level, exit_status, failed, fine, note, warning
from aimkeeper.doctor.questions import Shown, shown
from aimkeeper.service import Surroundings, open_service, store_of, upstream_of
from aimkeeper.settings import Loaded

__all__ = ["Finding", "Level", "Shown", "examine", "exit_status"]


async def examine(
    loaded: Loaded, around: Surroundings, *, who: str | None, rotates: bool, told: Callable[[Finding], None]
) -> list[Shown]:
    """
    Look at everything.

    Args:
        loaded: The settings, with where each came from.
        around: The machine's clock, dice and network.
        who: Which session AimHarder is asked about; None = one that is alive.
        rotates: Whether that session is rotated too, to see what such an answer holds.
        told: Called with each finding at once.

    Returns:
        What AimHarder shows of what is not known about it.

    Raises:
        UnknownSession, AmbiguousSession: *who* is no session here.
    """
    for finding in [*_settings(loaded), *files.look(loaded)]:
        told(finding)
    glimpses: list[Glimpse] = []
    refusal = await _refusal(loaded, around)
    if refusal is None:
        try:
            async with open_service(loaded.settings, name="doctor", surroundings=around) as service:
                service.upstream.glimpsed = glimpses.append
                asked = await service.find(who) if who else None
                sample = await service.store.page(None, within.SAMPLE)
                async for finding in within.look(service, sample):
                    told(finding)
                async for finding in without.knock(service.upstream, glimpses):
                    told(finding)
                async for finding in without.ask_for(service, asked or _healthiest(sample), rotates=rotates):
                    told(finding)
                return shown(await service.store.page(None, within.SAMPLE), glimpses)
        except StoreUnavailable as error:
            refusal = failed("store", str(error), STORE)
        except KeyProblem as error:
            refusal = failed("keys", str(error), USAGE)
    told(refusal)
    async with upstream_of(loaded.settings, around) as upstream:
        upstream.glimpsed = glimpses.append
        async for finding in without.knock(upstream, glimpses):
            told(finding)
    return shown([], glimpses)


def _healthiest(sample: list[Session]) -> Session | None:
    living = [session for session in sample if session.status is Status.ACTIVE and session.secrets.token]
    return max(living, key=lambda session: session.rotated_at, default=None)


def _settings(loaded: Loaded) -> list[Finding]:
    places = sorted({source.partition(" (")[0] for source in loaded.sources.values()})
    origin = f"{len(loaded.sources)} set, in {', '.join(places)}" if places else "none set"
    return [
        fine("settings", f"{origin}; the others have their defaults."),
        *(warning("settings", sentence) for sentence in loaded.strangers),
    ]


async def _refusal(loaded: Loaded, around: Surroundings) -> Finding | None:
    """What keeps the store from being opened without changing it; None = nothing."""
    store = store_of(loaded.settings, around)
    try:
        have, known = await store.schema()
    except StoreUnavailable as error:
        return failed("store", str(error), STORE)
    except AimkeeperError as error:
        return failed("store", str(error), USAGE)
    if have == 0:
        return note("store", f"nothing is stored in {store} yet: `aimkeeper login` makes it.")
    if have < known:
        return warning("store", f"{store} has schema {have} of {known}: run `aimkeeper db upgrade`.")
    return None
