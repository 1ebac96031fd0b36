"""Logs a lost session in again with its remembered password: one login an account, at the fleet's pace."""

from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from aimkeeper.clock import Clock
from aimkeeper.core.change import Change, Claim, SecretsEdit, touch
from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.outcome import LoggedIn, LoginProblem
from aimkeeper.core.policy import Exchange, Policy
from aimkeeper.core.relogin import LoginBook, logged_in_again, login_refused
from aimkeeper.core.session import Session
from aimkeeper.core.verdict import put_off
from aimkeeper.engine.committer import Committer
from aimkeeper.engine.pace import Pace

if TYPE_CHECKING:
    from aimkeeper.store.store import Store
    from aimkeeper.upstream.client import AimHarder

# While another process logs the account in.
LOOK_AGAIN = timedelta(seconds=1)


class Relogin:
    """
    The way back for a session whose end is certain but for its password.

    Args:
        pace: Of automatic and public logins together.
    """

    def __init__(
        self,
        store: "Store",
        upstream: "AimHarder",
        policy: Policy,
        clock: Clock,
        *,
        committer: Committer,
        pace: Pace,
        dice: Random,
    ) -> None:
        self._store = store
        self._upstream = upstream
        self._policy = policy
        self._clock = clock
        self._committer = committer
        self._pace = pace
        self._dice = dice
        self._running: set[str] = set()

    async def attempt(self, claim: Claim) -> Change:
        """
        Log in, if it may be tried now; else put the session off until it may.

        The claim is never held while waiting for a turn: it would grow too old to be used.
        """
        if not self._pace.allowance():
            # Those who wait spread out, so that they do not all look again at once.
            wait = timedelta(seconds=self._pace.wait() * (1 + 4 * self._dice.random()))
            return put_off(claim, self._store.now() + wait)
        email = claim.session.email
        book = None if email in self._running else await self._store.logins.begin(email, claim.owner)
        if book is None:
            return put_off(claim, self._store.now() + LOOK_AGAIN)
        self._running.add(email)
        try:
            may_try_at = book.may_try_at(self._store.now())
            if may_try_at > self._store.now():
                return put_off(claim, may_try_at)
            change, book = await self._log_in(claim, book)
            return change
        finally:
            self._running.discard(email)
            # The turn is ours until the store is back, or we are gone; what the login brought must not be lost for it.
            with suppress(StoreUnavailable):
                await self._store.logins.finish(email, claim.owner, book)

    async def _log_in(self, claim: Claim, book: LoginBook) -> tuple[Change, LoginBook]:
        session, password = claim.session, claim.session.secrets.password
        assert password is not None, "only a session whose password is remembered is logged in again"
        self._pace.take()
        since = self._clock.monotonic()
        answer = await self._upstream.log_in(session.email, password, session.fingerprint)
        now = self._store.now()
        if isinstance(answer, LoggedIn):
            took = timedelta(seconds=self._clock.monotonic() - since)
            exchange = Exchange("login", now, took, self._dice.random())
            return logged_in_again(claim, answer, self._policy, exchange), LoginBook()
        if answer.problem is LoginProblem.BAD_CREDENTIALS:
            await self._forget_elsewhere(claim, password)
        book = book.after(answer, now)
        return login_refused(claim, answer, book, self._policy, now), book

    async def _forget_elsewhere(self, claim: Claim, password: str) -> None:
        """The account's other sessions must not try the refused password either."""
        others: list[Session] = []
        with suppress(StoreUnavailable):
            others = await self._store.by_email(claim.session.email, limit=100)
        for other in others:
            if other.id != claim.session.id and other.secrets.password == password:
                await self._committer.commit(touch(other, SecretsEdit(password="")))
