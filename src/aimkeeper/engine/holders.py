"""Holders: callers who present a session's token. Whoever comes with one that was handed out gets the present one."""

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

    async def exchange(self, token: Token, fingerprint: Fingerprint) -> Session:
        """
        The session with the token to use from now on, recorded as handed out.

        Raises:
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
            if self._is_young(session, now):
                return session
            session = await self._refresher.refresh(session)
        else:
            await self._judge_older(session, presented, now)
            session = await self._keeper.hand_out(session, presented)
        return await self._keeper.hand_out(session, Handout(session.token.digest(), self._store.now().timestamp()))

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
