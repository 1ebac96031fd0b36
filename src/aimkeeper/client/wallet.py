"""Holds one session's credentials for a whole program: asked for once, whoever needs them, in whatever thread."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

from aimkeeper.client.credentials import Credentials
from aimkeeper.clock import Clock
from aimkeeper.core.errors import StoreUnavailable, UpstreamUnavailable

# A box that says "logout" to everybody must not make us rotate at each request. But a rotation that overtook the
# logout brings what is as dead, so the second renewal may come at once; each one after it waits twice as long.
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 1.0, 30.0
# While credentials still serve, a source that can't be asked is left alone so long.
ASK_AGAIN_SECONDS = 5.0


class Source(Protocol):
    """Where credentials come from."""

    def fetch(self, min_slack: timedelta, *, renews: bool) -> Credentials:
        """
        Ask, and wait for the answer; called from a thread of its own, never twice at once.

        Args:
            min_slack: What must be left before the deadline.
            renews: Whether AimHarder refused the last ones, so that only a new rotation will do.

        Raises:
            AimkeeperError: They can't be had.
        """


@dataclass(slots=True)
class _Flight:
    renews: bool
    landed: "Future[Credentials]" = field(default_factory=Future)


class Wallet:
    """
    Fresh enough credentials, at once where possible.

    Args:
        min_slack: Ask again when less than this is left before the deadline.
        clock: For slack: this machine's own, so that no two machines' clocks are compared.
    """

    def __init__(self, source: Source, min_slack: timedelta, clock: Clock) -> None:
        self._source = source
        self._min_slack = min_slack
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: Credentials | None = None
        self._count = 0
        self._dies_at = self._ask_at = float("-inf")
        self._flight: _Flight | None = None
        self._refused = 0
        self._renewed = 0
        self._renewed_at = float("-inf")
        self._rest = 0.0

    def at_hand(self) -> Credentials | None:
        """Credentials that need not be waited for; None when somebody must ask."""
        with self._lock:
            return self._good()

    def get(self) -> Credentials:
        """
        Credentials that serve now; asked for when those at hand do not.

        Raises:
            AimkeeperError: There are none.
        """
        while True:
            with self._lock:
                if kept := self._good():
                    return kept
                renews = self._must_renew()
                flight = self._flight or self._take_off(renews=renews)
            credentials = flight.landed.result()
            # One that took off before the refusal may bring again what was refused.
            if flight.renews or not renews:
                return credentials

    def refuse(self, generation: int) -> None:
        """AimHarder answered "logout" to a request with the credentials of that *generation*: the next are new ones."""
        with self._lock:
            self._refused = max(self._refused, generation)

    def _good(self) -> Credentials | None:
        kept = self._kept
        if kept is None or self._must_renew():
            return None
        now = self._clock.boottime()
        enough = self._dies_at - now >= self._min_slack.total_seconds()
        return kept if enough or now < min(self._ask_at, self._dies_at) else None

    def _must_renew(self) -> bool:
        rested = self._clock.boottime() - self._renewed_at >= self._rest
        return self._refused >= max(self._renewed, 1) and rested

    def _take_off(self, *, renews: bool) -> _Flight:
        flight = self._flight = _Flight(renews)
        # A thread of its own: it must end well whatever becomes of the caller's loop, thread or patience.
        threading.Thread(target=self._fly, args=(flight,), name="aimkeeper credentials").start()
        return flight

    def _fly(self, flight: _Flight) -> None:
        began_at = self._clock.boottime()
        try:
            fetched = self._source.fetch(self._min_slack, renews=flight.renews)
        except BaseException as error:  # noqa: BLE001 (whatever it is, those who wait must hear of it)
            self._land(flight, error, began_at)
        else:
            self._land(flight, fetched, began_at)

    def _land(self, flight: _Flight, brought: Credentials | BaseException, began_at: float) -> None:
        with self._lock:
            self._flight = None
            now = self._clock.boottime()
            if isinstance(brought, Credentials):
                self._count += 1
                brought = self._kept = replace(brought, generation=self._count)
                self._dies_at = began_at + brought.slack.total_seconds()
                if flight.renews:
                    self._rest = self._next_rest(now)
                    self._renewed, self._renewed_at = self._count, now
            elif self._kept and not flight.renews and self._serves_still(brought):
                self._ask_at = now + ASK_AGAIN_SECONDS
                brought = self._kept
            elif not _is_passing(brought):
                self._kept = None
        if isinstance(brought, Credentials):
            flight.landed.set_result(brought)
        else:
            flight.landed.set_exception(brought)

    def _next_rest(self, now: float) -> float:
        """Seconds from a renewal at *now* to the next: growing while AimHarder goes on refusing what they bring."""
        if now - self._renewed_at > 2 * LONGEST_REST_SECONDS:
            return 0.0
        return min(max(2 * self._rest, FIRST_REST_SECONDS), LONGEST_REST_SECONDS)

    def _serves_still(self, error: BaseException) -> bool:
        """Whether what we hold is good enough to go on with, though no more can be had now."""
        return _is_passing(error) and self._clock.boottime() < self._dies_at


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, UpstreamUnavailable | StoreUnavailable)
