"""What AimHarder shows: whether it answers, whether our clocks agree, whether it knows one of our sessions."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

from aimkeeper.core.errors import REFUSED_ADDRESS, AimkeeperError
from aimkeeper.core.outcome import Glimpse, Life
from aimkeeper.core.session import Session
from aimkeeper.doctor.findings import REFUSED, UPSTREAM, Finding, failed, fine, note, warning
from aimkeeper.service import Service
from aimkeeper.upstream.client import AimHarder

# A date has whole seconds, and an answer travels: less than this says nothing.
UNCERTAIN = timedelta(seconds=2)
# From here on due times, and the lives of cookies and tokens, are off by what matters.
WRONG = timedelta(seconds=30)
_FORBIDDEN = 403
_SERVER_ERRORS = 500
_WORDS = {"whoami": "AimHarder", "login_door": "its login"}


async def knock(upstream: AimHarder, glimpses: list[Glimpse]) -> AsyncIterator[Finding]:
    """
    Ask both hosts for what anybody may see.

    Args:
        upstream: To ask.
        glimpses: To which each exchange of *upstream* is added.
    """
    before = len(glimpses)
    await upstream.knock()
    heard = glimpses[before:]
    for glimpse in heard:
        yield _answered(glimpse)
    for finding in _clock(heard):
        yield finding


def _answered(glimpse: Glimpse) -> Finding:
    who, took = _WORDS[glimpse.via], f"{glimpse.took.total_seconds():.2f} s"
    if glimpse.status is None:
        return failed(
            "upstream", f"{who} does not answer ({glimpse.reason}): look at the network and the proxy.", UPSTREAM
        )
    if glimpse.status == _FORBIDDEN:
        return failed("upstream", f"{who} answers 403. {REFUSED_ADDRESS}", REFUSED)
    if glimpse.status >= _SERVER_ERRORS:
        return failed("upstream", f"{who} answers {glimpse.status}: it has trouble of its own; wait.", UPSTREAM)
    return fine("upstream", f"{who} answers {glimpse.status} after {took}.")


def _clock(heard: list[Glimpse]) -> Iterator[Finding]:
    ahead = next((glimpse.clock_ahead for glimpse in heard if glimpse.clock_ahead is not None), None)
    if ahead is None:
        return
    seconds = abs(ahead.total_seconds())
    told = f"this machine's clock is {seconds:.0f} s {'ahead of' if ahead > timedelta(0) else 'behind'} AimHarder's"
    if abs(ahead) <= UNCERTAIN:
        yield fine("clock", "this machine's clock and AimHarder's agree, as far as whole seconds tell.")
    elif abs(ahead) < WRONG:
        yield note("clock", f"{told}.")
    else:
        yield warning("clock", f"{told}: set it, best by NTP.")


async def ask_for(service: Service, session: Session | None, *, rotates: bool) -> AsyncIterator[Finding]:
    """Whether AimHarder recognises one session; and, where that is wanted, rotate it."""
    if session is None:
        yield note("session", "no session is alive here that AimHarder could be asked about.")
        return
    try:
        await service.keeper.breaker.check_open(asked_by_operator=True)
        answer = await service.keeper.who_am_i(session)
        yield _recognised(session, answer.life)
        if rotates:
            result = await service.passes.rotate_these([session], lambda _told: None)
            failures = ", ".join(failure.code for failure in result.errors)
            done = f"{session.key} was not rotated ({failures}): `aimkeeper show {session.key}` says more."
            yield warning("rotation", done) if failures else fine("rotation", f"{session.key} was rotated.")
    except AimkeeperError as error:
        yield note("session", f"nobody was asked: {error}")


def _recognised(session: Session, life: Life) -> Finding:
    match life:
        case Life.ALIVE:
            return fine("session", f"AimHarder recognises {session.key}.")
        case Life.DEAD:
            return warning("session", f"AimHarder does not recognise {session.key}: `aimkeeper rotate {session.key}`.")
        case Life.UNCLEAR:
            return note("session", f"AimHarder gave no clear answer about {session.key}.")
