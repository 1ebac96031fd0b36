"""Holders: callers who present a session's token. Whoever comes with one that was handed out gets the present one."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aimkeeper.core.errors import HolderConflict, UnknownSession
from aimkeeper.core.events import EventKind
from aimkeeper.core.policy import event
from aimkeeper.core.session import Handout, Session, Status
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.engine.keeper import Keeper
from aimkeeper.engine.refresh import Refresher, alive

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

NOT_FOUND = "No active session found for provided token"
CONFLICT = (
    "two programs use this session's tokens: this one came with an older token whose successor is already in use. "
    "Give each its own session (its own fingerprint)."
)
# A conflict is told once in this time: the second party may ask every second.
CONFLICT_EVERY = timedelta(hours=1)


class Holders:
    """Answers whoever presents a token with its fingerprint."""

    def __init__(self, keeper: Keeper, refresher: Refresher) -> None:
        self._keeper = keeper
        self._store: Store = keeper.store
        self._refresher = refresher
        self._asking: Counter[str] = Counter()

    async def exchange(
        self, token: Token, fingerprint: Fingerprint, *, admit: Callable[[Session], None] = lambda _session: None
    ) -> Session:
        """
        The session with the token to use from now on, recorded as handed out.

        Args:
            token: What the caller has.
            fingerprint: Which the session is bound to.
            admit: Called before AimHarder is asked for this caller's sake; what it raises keeps him out. Not called for
                one who shares a flight, or whose token is young.

        Raises:
            StoreUnavailable: The store is away.
            UnknownSession: No session has, or lately had, that token.
            SessionEnded: It is over.
            HolderConflict: The token is old, and its successor is in use by somebody else.
            UpstreamUnavailable: A new token is needed and can't be had now.
        """
        session, handout = await self._find(token, fingerprint)
        now = self._store.now()
        if session.status is Status.ENDED:
            alive(session)
        presented = (handout or Handout(token.digest(), now.timestamp()))._replace(presented=True)
        if session.secrets.token is not None and session.token.equals(token):
            session = await self._keeper.hand_out(session, presented)
            if not self._is_young(session, now):
                session = await self._refresh(session, admit)
        else:
            await self._judge_older(session, presented, now)
            session = await self._keeper.hand_out(session, presented)
        return await self.give(session)

    async def give(self, session: Session) -> Session:
        """
        *session*, its present token recorded as handed out: whoever comes back with it later gets the newer one.

        Raises:
            SessionEnded: It is over.
            StoreUnavailable: The store is away.
        """
        alive(session)
        return await self._keeper.hand_out(session, Handout(session.token.digest(), self._store.now().timestamp()))

    async def _refresh(self, session: Session, admit: Callable[[Session], None]) -> Session:
        # Whoever comes while another waits for the same shares what that one gets.
        if self._keeper.flights.get(session.id) is None and not self._asking[session.id]:
            admit(session)
        self._asking[session.id] += 1
        try:
            return await self._refresher.refresh(session)
        finally:
            self._asking[session.id] -= 1
            if not self._asking[session.id]:
                del self._asking[session.id]

    def _is_young(self, session: Session, now: datetime) -> bool:
        # A session just adopted was not rotated by us: its age is unknown.
        fresh = session.rotations > 0 or session.setrefresh_count > 0
        # Below zero by a little: it landed while we looked. By much: the clock was set back since.
        age = abs(now - session.rotated_at)
        return fresh and session.status is Status.ACTIVE and age < self._keeper.policy.young

    async def _find(self, token: Token, fingerprint: Fingerprint) -> tuple[Session, Handout | None]:
        digest = token.digest()
        for session in await self._store.by_account(token, fingerprint):
            handout = next((known for known in session.secrets.handouts if known.digest == digest), None)
            is_present = session.secrets.token is not None and session.token.equals(token)
            if is_present or (handout and self._heals(session, handout)):
                return session, handout
        raise UnknownSession(NOT_FOUND)

    def _heals(self, session: Session, handout: Handout) -> bool:
        if session.status is Status.ENDED:
            return True  # it is told that the session is over, however old its token
        age = self._store.now().timestamp() - handout.at
        return age < self._keeper.policy.heal_window.total_seconds()

    async def _judge_older(self, session: Session, presented: Handout, now: datetime) -> None:
        """An older token is a retry while none that was handed out after it came back; then it is a second party."""
        digests = [known.digest for known in session.secrets.handouts]
        later = session.secrets.handouts[digests.index(presented.digest) + 1 :]
        if not any(known.presented for known in later):
            return
        told = await self._store.events_of(session.id, limit=16)
        if not any(fact.kind is EventKind.HOLDER_CONFLICT and now - fact.at < CONFLICT_EVERY for fact in told):
            fact = event(EventKind.HOLDER_CONFLICT, session, now)
            await self._store.record(fact)
            self._keeper.hearers.tell(fact)
        raise HolderConflict(CONFLICT)
