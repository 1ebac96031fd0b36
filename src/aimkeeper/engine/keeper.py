"""Keeps one session at a time: from a claim to what was committed. The only place that spends a token."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, assert_never

from aimkeeper.clock import Clock
from aimkeeper.core import policy as rules
from aimkeeper.core.change import Change, Claim, Kind, SecretsEdit, touch
from aimkeeper.core.errors import AimkeeperError
from aimkeeper.core.events import Event
from aimkeeper.core.outcome import InDoubt, LoggedOut, Outcome, Reason, Rotated, WhoAmI
from aimkeeper.core.policy import Exchange, Policy
from aimkeeper.core.session import Handout, Session, Turn
from aimkeeper.core.token import Token
from aimkeeper.core.verdict import Step, conclude, next_step, reopen, resume_at
from aimkeeper.engine.committer import Committer
from aimkeeper.engine.flight import Flights
from aimkeeper.engine.pace import Pace

if TYPE_CHECKING:
    from aimkeeper.store.commits import Result
    from aimkeeper.store.store import Store
    from aimkeeper.upstream.client import AimHarder

# A claim older than this is never sent: on one machine, a process that slept may have been taken for dead
# (docs/decisions/0004).
FENCE_SECONDS = 30.0

Seam = Callable[[str], None]


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
            for hear in self.events:
                hear(fact)


class Keeper:
    """
    Rotates claimed sessions, one flight each.

    Args:
        owner: This process's id on the register of owners.
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
        owner: str,
        dice: Random,
        seam: Seam = lambda _point: None,
    ) -> None:
        self.store = store
        self.upstream = upstream
        self.policy = policy
        self.clock = clock
        self.pace = pace
        self.owner = owner
        self.dice = dice
        self.committer = Committer(store, clock)
        self.flights: Flights[Session | None] = Flights()
        self.hearers = Hearers(events=[], turns=[], lateness=[], faults=[])
        self.draining = False
        self._seam = seam

    def launch(self, claim: Claim) -> asyncio.Task[Session | None]:
        """Start keeping a claimed session; the task brings what it became, None when it was forgotten meanwhile."""
        self._seam("after_claim")
        return self.flights.start(claim.session.id, lambda: self._keep(claim))

    async def hand_out(self, session: Session, *handouts: Handout) -> Session:
        """Record tokens that callers were given, or came with."""
        known = {handout.digest: handout for handout in session.secrets.handouts}
        news = [h for h in handouts if h.digest not in known or (h.presented and not known[h.digest].presented)]
        if not news:
            return session
        result = await self.committer.commit(touch(session, *news))
        return result.session or session

    async def who_am_i(self, session: Session) -> WhoAmI:
        """Ask upstream whose the cookies are; the answer's cookies are kept."""
        self.pace.take()
        answer = await self.upstream.who_am_i(session.jar)
        if answer.cookies:
            edit = SecretsEdit(cookies=answer.cookies)
            after = replace(session, secrets=edit.apply(session.secrets))
            await self.committer.commit(Change(kind=Kind.TOUCH, before=session, after=after, edit=edit))
        return answer

    async def _keep(self, claim: Claim) -> Session | None:
        """Climb as many rungs as can be climbed now: mostly one, a rotation."""
        held = claim
        try:
            claim = replace(claim, session=reopen(claim.session))
            while True:
                held = claim
                change = await self._step(claim)
                if change is None:
                    await self.store.free(claim)
                    return await self.store.get(claim.session.id)
                result = await self._commit(change)
                if change.release or result.session is None or not result.holds:
                    return result.session
                claim = replace(claim, session=result.session)
        except AimkeeperError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the session must not stay claimed for ever)
            for hear in self.hearers.faults:
                hear(error)
            return await self._give_up(held)

    async def _step(self, claim: Claim) -> Change | None:
        """The next rung's change; None when the claim may no longer be used."""
        now = self.store.now()
        step = next_step(claim.session, now)
        match step:
            case Step.SPEND:
                via = "setrefresh" if claim.session.setrefresh_due and not claim.session.suspicion else "token_update"
                return await self._spend(claim, claim.session.token, via)
            case Step.ASK:
                return await self._ask(claim)
            case Step.WAIT:
                waiting = replace(claim.session, due_at=resume_at(claim.session))
                return Change(kind=Kind.ATTEMPT, before=claim.session, after=waiting, claim=claim)
            case Step.SPARE:
                return await self._try_spare(claim)
            case Step.CONCLUDE:
                return conclude(claim, self.policy, now)
            case _:
                assert_never(step)

    async def _spend(self, claim: Claim, token: Token, via: str, spare: str | None = None) -> Change | None:
        self._seam("before_send")
        if not self._may_send(claim):
            return None
        session = claim.session
        since = self.clock.monotonic()
        ask = self.upstream.set_refresh if via == "setrefresh" else self.upstream.rotate
        outcome = await ask(token, session.fingerprint, session.jar)
        self._seam("after_answer")
        return self._settle(claim, outcome, self._exchange(via, since), spare)

    def _settle(self, claim: Claim, outcome: Outcome, exchange: Exchange, spare: str | None) -> Change:
        if spare and isinstance(outcome, Rotated):
            return rules.settle_rotation(claim, outcome, self.policy, exchange, spare)
        if spare and isinstance(outcome, LoggedOut):
            return rules.settle_spare_refused(claim, spare, exchange)
        change = rules.settle(claim, outcome, self.policy, exchange)
        # A logout is only the first rung: the ladder is climbed on under the same claim.
        return replace(change, release=not isinstance(outcome, LoggedOut))

    async def _ask(self, claim: Claim) -> Change | None:
        if not self._may_send(claim):
            return None
        self.pace.take()
        since = self.clock.monotonic()
        answer = await self.upstream.who_am_i(claim.session.jar)
        change = rules.settle_whoami(claim, answer, self.policy, self._exchange("whoami", since))
        return replace(change, release=False)

    async def _try_spare(self, claim: Claim) -> Change | None:
        found = await self.store.spare(claim.session.id)
        if found is None:
            suspicion = claim.session.suspicion
            assert suspicion is not None
            after = replace(claim.session, suspicion=replace(suspicion, spares_tried=True))
            return Change(kind=Kind.ATTEMPT, before=claim.session, after=after, claim=claim, release=False)
        spare, token = found
        self.pace.take()
        return await self._spend(claim, token, "spare", spare)

    async def _commit(self, change: Change) -> "Result":
        self._seam("before_commit")
        result = await self.committer.commit(change)
        self._seam("after_commit")
        if change.turn:
            for hear in self.hearers.turns:
                hear(change.turn)
        self.hearers.tell(*result.events)
        return result

    async def _give_up(self, claim: Claim) -> Session | None:
        """Something nobody foresaw: the token may have been spent, so the session is in doubt."""
        exchange = self._exchange("token_update", self.clock.monotonic())
        change = rules.settle(claim, InDoubt(Reason.BROKEN_OFF), self.policy, exchange)
        return (await self._commit(change)).session

    def _may_send(self, claim: Claim) -> bool:
        """The fence: directly before the bytes leave, is the claim still ours to use?"""
        age = self.clock.boottime() - claim.taken_at
        return not self.draining and claim.owner == self.owner and age < FENCE_SECONDS

    def _exchange(self, via: str, since: float) -> Exchange:
        took = timedelta(seconds=self.clock.monotonic() - since)
        return Exchange(via, self.store.now(), took, self.dice.random())
