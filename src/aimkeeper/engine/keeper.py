"""Keeps one session at a time: from a claim to what was committed. The only place that spends a token."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, TypeVar, assert_never

from aimkeeper.clock import Clock
from aimkeeper.core import policy as rules
from aimkeeper.core.change import Change, Claim, Kind, SecretsEdit, touch
from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.events import Event
from aimkeeper.core.outcome import InDoubt, Life, LoggedOut, Outcome, Reason, Rotated, WhoAmI
from aimkeeper.core.policy import Exchange, Policy
from aimkeeper.core.relogin import has_hope
from aimkeeper.core.session import Handout, Session, Turn
from aimkeeper.core.token import Token
from aimkeeper.core.verdict import Step, conclude, give_back, hold, next_step, put_off, reopen, resume_at
from aimkeeper.engine.committer import Committer
from aimkeeper.engine.flight import Flights
from aimkeeper.engine.outage import Breaker
from aimkeeper.engine.pace import Pace
from aimkeeper.engine.relogin import Relogin

if TYPE_CHECKING:
    from aimkeeper.store.commits import Result
    from aimkeeper.store.store import Store
    from aimkeeper.upstream.client import AimHarder

# A claim older than this is never sent: on one machine, a process that slept may have been taken for dead
# (docs/decisions/0004).
FENCE_SECONDS = 30.0
# On one machine, an owner with a claim this much older than the upstream timeout is stopped, not busy.
STUCK_SECONDS = 60.0

Seam = Callable[[str], None]
T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Hearers:
    """
    Who hears of what was committed. They are told after, never inside a transaction, and can change nothing.

    Attributes:
        events: Of each exceptional fact.
        turns: Of each exchange, routine rotations included.
        lateness: How many seconds after its due time a session was claimed.
        faults: Of an error nobody foresaw.
    """

    events: list[Callable[[Event], None]]
    turns: list[Callable[[Turn], None]]
    lateness: list[Callable[[float], None]]
    faults: list[Callable[[Exception], None]]

    def tell(self, *facts: Event) -> None:
        for fact in facts:
            self._each(self.events, fact)

    def tell_turn(self, turn: Turn) -> None:
        self._each(self.turns, turn)

    def tell_lateness(self, seconds: float) -> None:
        self._each(self.lateness, seconds)

    def tell_fault(self, error: Exception) -> None:
        for hear in self.faults:
            with suppress(Exception):  # there is nobody left to tell
                hear(error)

    def _each(self, hearers: list[Callable[[T], None]], fact: T) -> None:
        """Whoever can't bear the news must not keep it from the others, nor from the session."""
        for hear in hearers:
            try:
                hear(fact)
            except Exception as error:  # noqa: BLE001 (whatever a subscriber does wrong)
                self.tell_fault(error)


class Keeper:
    """
    Rotates claimed sessions, one flight each.

    Args:
        pace: Of all requests.
        login_pace: Of automatic and public logins.
        owner: This process's id on the register of owners.
        new_id: Makes the ids of sessions.
        seam: Called with the name of each point at which a crash is interesting; for tests.
    """

    def __init__(
        self,
        store: "Store",
        upstream: "AimHarder",
        policy: Policy,
        clock: Clock,
        *,
        pace: Pace,
        login_pace: Pace,
        owner: str,
        dice: Random,
        new_id: Callable[[], str],
        seam: Seam = lambda _point: None,
    ) -> None:
        self.store = store
        self.upstream = upstream
        self.policy = policy
        self.clock = clock
        self.pace = pace
        self.login_pace = login_pace
        self.owner = owner
        self.dice = dice
        self.new_id = new_id
        self.committer = Committer(store, clock)
        self.breaker = Breaker(store, clock, policy, pace)
        self.relogin = Relogin(store, upstream, policy, clock, committer=self.committer, pace=login_pace, dice=dice)
        self.flights: Flights[Session | None] = Flights()
        self.hearers = Hearers(events=[], turns=[], lateness=[], faults=[])
        self.breaker.hear = self.hearers.tell
        self.draining = False
        self._seam = seam

    def launch(self, claim: Claim, *, accepted: bool = False) -> asyncio.Task[Session | None]:
        """
        Start keeping a claimed session; the task brings what it became, None when it was forgotten meanwhile.

        Args:
            claim: Ours, and not yet used.
            accepted: An operator accepted the verdict that is held back: it is carried out, whatever the fleet's state.
        """
        self._seam("after_claim")
        return self.flights.start(claim.session.id, lambda: self._keep(claim, accepted=accepted))

    async def bury(self) -> None:
        """Take from the dead what they held."""
        stuck_before = self.clock.monotonic() - self.policy.upstream_timeout.total_seconds() - STUCK_SECONDS
        self.hearers.tell(*await self.store.owners.reap(stuck_before=stuck_before))

    def drain(self) -> None:
        """Send nothing more, and do not wait long for a store that is away; what was sent still commits."""
        self.draining = True
        self.committer.hurry()

    async def hand_out(self, session: Session, *handouts: Handout) -> Session:
        """
        Record tokens that callers were given, or came with.

        Raises:
            StoreUnavailable: The store is away now. The caller is told at once: nothing is lost by it.
        """
        known = {handout.digest: handout for handout in session.secrets.handouts}
        news = [h for h in handouts if h.digest not in known or (h.presented and not known[h.digest].presented)]
        if not news:
            return session
        result = await self.committer.commit(touch(session, SecretsEdit(handouts=tuple(news))), patient=False)
        return result.session or session

    async def who_am_i(self, session: Session) -> WhoAmI:
        """Ask upstream whose the cookies are; that they were recognised, and the answer's cookies, are kept."""
        self.pace.take()
        answer = rules.believed(await self.upstream.who_am_i(session.jar), session)
        if answer.life is Life.ALIVE:
            edit = SecretsEdit(cookies=answer.cookies)
            await self.committer.commit(touch(session, edit, alive_at=self.store.now()))
        return answer

    async def _keep(self, claim: Claim, *, accepted: bool) -> Session | None:
        """Climb as many rungs as can be climbed now: mostly one, a rotation."""
        held = claim
        try:
            if claim.session.suspicion and not accepted:
                claim = replace(claim, session=reopen(claim.session, self.store.now()))
            while True:
                held = claim
                change = await self._step(claim, accepted=accepted)
                result = await self._commit(change)
                if change.release or result.session is None or not result.holds:
                    return result.session
                claim = replace(claim, session=result.session)
        except StoreUnavailable:
            # Only while we stop: otherwise the committer waits for the store. Fresh tokens are in the spool.
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the session must not stay claimed for ever)
            self.hearers.tell_fault(error)
            return await self._give_up(held)

    async def _step(self, claim: Claim, *, accepted: bool) -> Change:
        """The next rung's change; the claim is given back as it was when it may not be used."""
        try:
            return await self._climb(claim, next_step(claim.session, self.store.now()), accepted=accepted)
        except StoreUnavailable:
            # The store is asked only before anything is sent.
            return give_back(claim)

    async def _climb(self, claim: Claim, step: Step, *, accepted: bool) -> Change:
        match step:
            case Step.SPEND:
                via = "setrefresh" if claim.session.setrefresh_due and not claim.session.suspicion else "token_update"
                return await self._spend(claim, claim.session.token, via)
            case Step.ASK:
                return await self._ask(claim)
            case Step.WAIT:
                return put_off(claim, resume_at(claim.session))
            case Step.SPARE:
                return await self._try_spare(claim)
            case Step.CONCLUDE:
                return await self._conclude(claim, accepted=accepted)
            case _:
                assert_never(step)

    async def _spend(self, claim: Claim, token: Token, via: str, spare: str | None = None) -> Change:
        self._seam("before_send")
        if not self._may_send(claim):
            return give_back(claim)
        session = claim.session
        since = self.clock.monotonic()
        ask = self.upstream.set_refresh if via == "setrefresh" else self.upstream.rotate
        outcome = await ask(token, session.fingerprint, session.jar)
        self._seam("after_answer")
        exchange = self._exchange(via, since)
        if not (isinstance(outcome, LoggedOut) and rules.was_stale(session, exchange.now)):
            self.breaker.note(session.id, outcome, exchange.now)
        return self._settle(claim, outcome, exchange, spare)

    def _settle(self, claim: Claim, outcome: Outcome, exchange: Exchange, spare: str | None) -> Change:
        if spare and isinstance(outcome, Rotated):
            return rules.settle_rotation(claim, outcome, self.policy, exchange, spare)
        if spare and isinstance(outcome, LoggedOut):
            return rules.settle_spare_refused(claim, spare, exchange)
        change = rules.settle(claim, outcome, self.policy, exchange)
        # A logout is only the first rung: the ladder is climbed on under the same claim.
        return replace(change, release=False) if isinstance(outcome, LoggedOut) else change

    async def _ask(self, claim: Claim) -> Change:
        if not self._may_send(claim):
            return give_back(claim)
        self.pace.take()
        since = self.clock.monotonic()
        answer = rules.believed(await self.upstream.who_am_i(claim.session.jar), claim.session)
        change = rules.settle_whoami(claim, answer, self._exchange("whoami", since))
        return replace(change, release=False)

    async def _try_spare(self, claim: Claim) -> Change:
        found = await self.store.spare(claim.session.id)
        if found is None:
            suspicion = claim.session.suspicion
            assert suspicion is not None
            after = replace(claim.session, suspicion=replace(suspicion, spares_tried=True))
            return Change(kind=Kind.ATTEMPT, before=claim.session, after=after, claim=claim, release=False)
        spare, token = found
        self.pace.take()
        return await self._spend(claim, token, "spare", spare)

    async def _conclude(self, claim: Claim, *, accepted: bool) -> Change:
        """The verdict: held back while the upstream is in trouble, put right by a new login where that is possible."""
        fleet = await self.breaker.look(afresh=True)
        now = self.store.now()
        if fleet.freezes_verdicts and not accepted:
            return hold(claim, self.policy, now)
        if not has_hope(claim.session, self.policy, now):
            return conclude(claim, self.policy, now)
        return await self.relogin.attempt(claim) if self._may_send(claim) else give_back(claim)

    async def _commit(self, change: Change) -> "Result":
        self._seam("before_commit")
        result = await self.committer.commit(change)
        self._seam("after_commit")
        if change.turn:
            self.hearers.tell_turn(change.turn)
        self.hearers.tell(*result.events)
        return result

    async def _give_up(self, claim: Claim) -> Session | None:
        """Something nobody foresaw: the token may have been spent, so the session is in doubt."""
        exchange = self._exchange("token_update", self.clock.monotonic())
        change = rules.settle(claim, InDoubt(Reason.BROKEN_OFF), self.policy, exchange)
        return (await self._commit(change)).session

    def rename(self, old: str, new: str) -> None:
        """We were taken for dead under the *old* name and go on under the *new* one: what we held is not ours now."""
        if self.owner == old:
            self.owner = new

    def _may_send(self, claim: Claim) -> bool:
        """The fence: directly before the bytes leave, is the claim still ours to use?"""
        age = self.clock.boottime() - claim.taken_at
        ours = not self.draining and claim.owner == self.owner and age < FENCE_SECONDS
        return ours and self.store.owners.may_send(claim)

    def _exchange(self, via: str, since: float) -> Exchange:
        took = timedelta(seconds=self.clock.monotonic() - since)
        return Exchange(via, self.store.now(), took, self.dice.random())
