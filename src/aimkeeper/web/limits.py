"""How often: the numbers, and who counts against which. Failed logins are counted in the store, for all processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aimkeeper.clock import Clock
from aimkeeper.core.session import Session
from aimkeeper.store.limits import Limit, Limits, Try
from aimkeeper.web.errors import Refused, minutes
from aimkeeper.web.taps import Tap

# Failed logins within the window: of one address for one e-mail, of one address, of all. The last protects AimHarder
# from being asked for others' passwords by us, and us from being turned away for it.
WINDOW = timedelta(minutes=15)
FAILURES_OF_PAIR, FAILURES_OF_ADDRESS, FAILURES_OF_ALL = 5, 20, 100
# The operator's key on the sign-in page, and claims: wrong ones of one address within the window.
FAILURES_OF_KEY, FAILURES_OF_CLAIM = 10, 20

# Exchanges within a minute that make this process ask AimHarder; sharing another's, and a young answer, are free.
EXCHANGES_OF_SESSION, EXCHANGES_OF_ADDRESS = 10, 300
# Exchanges of one address within a minute that were of no use: no token, an unknown one, a conflict.
USELESS_OF_ADDRESS = 60
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try that may go wrong; it counts until somebody says that it did not."""

    limits: tuple[Limit, ...]
    taken: Try

    @property
    def left(self) -> int:
        """How many more may go wrong."""
        return self.taken.left


class Limiter:
    """Counts, and turns away."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._sessions = Tap(clock, EXCHANGES_OF_SESSION, MINUTE)
        self._addresses = Tap(clock, EXCHANGES_OF_ADDRESS, MINUTE)
        self._useless = Tap(clock, USELESS_OF_ADDRESS, MINUTE)

    # ------------------------------------------------------------ exchanges

    def admit(self, address: str) -> Callable[[Session], None]:
        """What lets a caller from *address* have AimHarder asked for a session, or raises `Refused`."""

        def check(session: Session) -> None:
            _refuse_if(max(self._sessions.wait(session.id), self._addresses.wait(address)))
            self._sessions.draw(session.id)
            self._addresses.draw(address)

        return check

    def check_useful(self, address: str) -> None:
        """
        Turn away whoever asked in vain too often.

        Raises:
            Refused
        """
        _refuse_if(self._useless.wait(address))

    def note_useless(self, address: str) -> None:
        """He asked in vain."""
        self._useless.draw(address)

    # ------------------------------------------------------------ secrets that may be guessed

    async def login(self, address: str, email: str) -> Attempt:
        """
        Count a login before it is tried, so that many at once can't outrun the count.

        Raises:
            Refused: Too many went wrong.
        """
        pair = Limit(f"login\0{address}\0{email}", FAILURES_OF_PAIR)
        everybody = Limit("login", FAILURES_OF_ALL)
        return await self._begin((pair, Limit(f"login\0{address}", FAILURES_OF_ADDRESS), everybody))

    async def key(self, address: str) -> Attempt:
        """The same for the operator's key on the sign-in page."""
        return await self._begin((Limit(f"key\0{address}", FAILURES_OF_KEY),))

    async def claim(self, address: str) -> Attempt:
        """The same for a claim."""
        return await self._begin((Limit(f"claim\0{address}", FAILURES_OF_CLAIM),))

    async def was_good(self, attempt: Attempt) -> None:
        """It went well: it does not count, and what went wrong before it is forgotten."""
        await self._limits.give_back(attempt.limits, attempt.taken)
        await self._limits.clear(attempt.limits[0])

    async def was_neither(self, attempt: Attempt) -> None:
        """Nobody judged it: it does not count."""
        await self._limits.give_back(attempt.limits, attempt.taken)

    async def _begin(self, limits: Sequence[Limit]) -> Attempt:
        taken = await self._limits.take(limits, WINDOW)
        if taken.wait is not None:
            seconds = taken.wait.total_seconds()
            raise Refused(
                "too_many_attempts",
                f"Too many failed attempts. Please try again in {minutes(seconds)} minutes.",
                retry_after=seconds,
                rateLimited=True,
                minutesRemaining=minutes(seconds),
            )
        return Attempt(tuple(limits), taken)


def _refuse_if(wait: float) -> None:
    if wait > 0:
        raise Refused("too_many_requests", "too many requests: wait a little.", retry_after=wait)
