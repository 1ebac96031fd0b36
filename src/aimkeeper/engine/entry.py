"""How sessions come and go: login, adoption, logout, forgetting, revival."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from aimkeeper.core.begin import Adoption, adopted, logged_in
from aimkeeper.core.errors import (
    AlreadyKept,
    BadCredentials,
    ConfigError,
    LockedOut,
    ProtocolChanged,
    StoreUnavailable,
    TooManySessions,
    UpstreamRefused,
    UpstreamUnavailable,
)
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.outcome import LoggedIn, LoginProblem, LoginRefused
from aimkeeper.core.session import Cause, Session, SessionKey, Status
from aimkeeper.core.token import Fingerprint, random_fingerprint
from aimkeeper.engine.flight import Flights, outlived
from aimkeeper.engine.keeper import Keeper

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

LOCKOUT = timedelta(minutes=15)
# Who logs in over a public page waits at most so many seconds for those before him.
LONGEST_LINE = 10.0
# So many are adopted by one commit.
GROUP = 500
# Events of sessions whose rows are gone: all there are.
SINCE_EVER, MOST_ENDS = datetime.fromtimestamp(0, UTC), 1_000_000


@dataclass(frozen=True, slots=True)
class LogIn:
    """
    A wish to log in.

    Attributes:
        remember: Seals the password, for logging in again when the session is lost.
        public: Whether anybody may have wished it: he waits no longer than a few seconds for his turn, and not at all
            during an outage.
        most: How many sessions the account may have here, this one included; None = any number.
    """

    email: str
    password: str
    fingerprint: Fingerprint | None = None
    remember: bool = False
    session_type: str | None = None
    public: bool = False
    most: int | None = None

    def __repr__(self) -> str:
        return f"LogIn({self.email!r})"


class Entry:
    """
    The door.

    Args:
        fingerprint: For sessions that carry none; None = a random one each.
        random_bytes: The operating system's.
    """

    def __init__(
        self,
        keeper: Keeper,
        *,
        fingerprint: Fingerprint | None,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._keeper = keeper
        self._store: Store = keeper.store
        self._fingerprint = fingerprint
        self._random_bytes = random_bytes
        self._logins: Flights[Session] = Flights()

    async def log_in(self, wish: LogIn) -> Session:
        """
        Log in upstream, store the session, then setrefresh. The login stands even if setrefresh fails.

        Raises:
            BadCredentials, LockedOut, UpstreamRefused, UpstreamUnavailable, ProtocolChanged, TooManySessions
        """
        fingerprint = wish.fingerprint or await self._fingerprint_for(wish.email)
        name = f"{wish.email}#{fingerprint}"
        running = self._logins.get(name)
        if running is not None:
            await asyncio.wait([running])
        task = self._logins.start(name, lambda: self._log_in(wish, fingerprint))
        return await outlived(task)

    def new_fingerprint(self) -> Fingerprint:
        """A random one, for a browser that logs in for the first time."""
        return random_fingerprint(self._random_bytes)

    async def adopt(
        self, adoptions: Sequence[Adoption], *, replacing: bool
    ) -> list[Session | AlreadyKept | ConfigError]:
        """Take over sessions made elsewhere; what became of each, in their order."""
        # Spread over the time the fleet's pace needs for them, so that the first rotations make no herd.
        spread = min(timedelta(seconds=len(adoptions) / self._keeper.pace.rate), self._keeper.policy.refresh_every)
        fates: list[Session | AlreadyKept | ConfigError] = []
        for first in range(0, len(adoptions), GROUP):
            group = adoptions[first : first + GROUP]
            drafts = [self._draft(adoption, spread if len(adoptions) > 1 else timedelta(0)) for adoption in group]
            stored = await self._store.arrivals.put_new(drafts) if len(drafts) > 1 else [False]
            for adoption, (session, fact), is_new in zip(group, drafts, stored, strict=True):
                if is_new:
                    self._keeper.hearers.tell(fact)
                fates.append(session if is_new else await self._adopt(adoption, session, fact, replacing=replacing))
        return fates

    async def log_out(self, session: Session, *, upstream: bool = False) -> Session | None:
        """
        End a session by its owner's will: final. With *upstream*, AimHarder is told too.

        Raises:
            UpstreamUnavailable: It ended here, but AimHarder could not be told.
        """
        jar, cause = session.jar, Cause.LOGGED_OUT_HERE
        ended = await self._store.end(session.id, cause, self._store.now() + self._keeper.policy.wipe_after)
        if session.cause is not cause:
            self._keeper.hearers.tell(
                Event(
                    kind=EventKind.ENDED,
                    at=self._store.now(),
                    session_id=session.id,
                    email=session.email,
                    data={"cause": cause.value},
                )
            )
        if upstream and (refused := await self._keeper.upstream.log_out(jar)):
            raise UpstreamUnavailable(
                f"the session ended here, but AimHarder could not be told ({refused.reason}); its cookies may live on."
            )
        return ended

    async def forget(self, session: Session) -> None:
        """Erase every trace of a session."""
        await self._store.forget(session.id)

    async def forget_gone(self, who: str) -> str | None:
        """Erase the events of sessions whose rows are gone, by e-mail or id; whose they were, None where none is."""
        name = who.strip().lower()
        ends = await self._store.ends_since(SINCE_EVER, limit=MOST_ENDS)
        gone = {fact.session_id: fact.email for fact in ends if name and name in (fact.email, fact.session_id)}
        for session_id in gone:
            await self._store.forget(session_id or "")
        return next(iter(gone.values()), None)

    async def _log_in(self, wish: LogIn, fingerprint: Fingerprint) -> Session:
        # A store that can't be written would lose the token a login brings: ask it first.
        await self._store.check_writable()
        await self._keeper.breaker.check_open(asked_by_operator=not wish.public)
        if wish.public and (wait := self._keeper.login_pace.wait()) > LONGEST_LINE:
            raise UpstreamUnavailable(
                "too many log in at once: try again shortly.", retry_after=timedelta(seconds=wait)
            )
        await self._keeper.login_pace.turn()
        answer = await self._keeper.upstream.log_in(wish.email, wish.password, fingerprint)
        if isinstance(answer, LoginRefused):
            raise refusal(answer)
        # Only now: whoever does not know the password learns nothing of the account's sessions.
        await self._check_room(wish, fingerprint)
        stored = await self._save(wish, fingerprint, answer)
        claim = await self._store.claim_one(self._keeper.owner, stored.id)
        if claim is None:
            return stored  # a worker was quicker: setrefresh is its affair now
        await self._keeper.pace.turn()
        return await outlived(self._keeper.launch(claim)) or stored

    async def _check_room(self, wish: LogIn, fingerprint: Fingerprint) -> None:
        if wish.most is None:
            return
        known = await self._store.by_email(wish.email, limit=10 * wish.most)
        living = [session for session in known if session.status is not Status.ENDED]
        if len(living) >= wish.most and all(session.fingerprint != fingerprint for session in known):
            raise TooManySessions(
                f"this account has {len(living)} sessions here already: log one of them out, or log in on a device "
                "that has one."
            )

    async def _save(self, wish: LogIn, fingerprint: Fingerprint, answer: LoggedIn) -> Session:
        now = self._store.now()
        key = SessionKey(wish.email, fingerprint)
        password = wish.password if wish.remember else await self._still_remembered(key, wish.password)
        session = logged_in(
            self._keeper.new_id(),
            key,
            answer,
            self._keeper.policy,
            now,
            password=password,
            session_type=wish.session_type,
        )
        fact = Event(
            kind=EventKind.LOGGED_IN,
            at=now,
            session_id=session.id,
            email=session.email,
            data={
                "remembered": password is not None,
                "token": answer.token.mark(),
                **({"by": "public login"} if wish.public else {}),
            },
        )
        try:
            stored = await self._store.put(session, fact, replacing=True)
        except StoreUnavailable:
            self._store.spool.save_login(session)
            raise StoreUnavailable(
                "the login is good, but the database is away: it lies sealed in the spool, and is stored as soon as "
                "the database is back."
            ) from None
        self._keeper.hearers.tell(replace(fact, session_id=stored.id))
        return stored

    async def _still_remembered(self, key: SessionKey, password: str) -> str | None:
        """A remembered password stays only while it is the one that works."""
        known = await self._store.by_pair(key)
        return password if known and known.secrets.password == password else None

    def _draft(self, adoption: Adoption, spread: timedelta) -> tuple[Session, Event]:
        """The session an adoption brings where nobody has it yet, due within *spread*, and what is to be told of it."""
        now, host = self._store.now(), self._keeper.upstream.site.base_host
        delay = spread * self._keeper.dice.random()
        session = adopted(self._keeper.new_id(), adoption, host, self._keeper.policy, now, delay=delay)
        fact = Event(
            kind=EventKind.ADOPTED,
            at=now,
            session_id=session.id,
            email=session.email,
            data={"token": adoption.token.mark()},
        )
        return session, fact

    async def _adopt(
        self, adoption: Adoption, session: Session, fact: Event, *, replacing: bool
    ) -> Session | AlreadyKept | ConfigError:
        if adoption.ref:
            for other in await self._store.by_ref(adoption.ref):
                if other.key != adoption.key:
                    return ConfigError(f"ref {adoption.ref!r} belongs to {other.key} already.")
        try:
            stored = await self._store.put(session, fact, replacing=replacing)
        except AlreadyKept as error:
            return error
        self._keeper.hearers.tell(replace(fact, session_id=stored.id))
        return stored

    async def _fingerprint_for(self, email: str) -> Fingerprint:
        """The account's only one, else the one set, else a random one."""
        known = await self._store.by_email(email, limit=2)
        if len(known) == 1:
            return known[0].fingerprint
        return self._fingerprint or random_fingerprint(self._random_bytes)


def refusal(
    answer: LoginRefused,
) -> BadCredentials | LockedOut | UpstreamRefused | UpstreamUnavailable | ProtocolChanged:
    """A login that brought nothing, as what a caller can be told."""
    match answer.problem:
        case LoginProblem.BAD_CREDENTIALS:
            return BadCredentials("AimHarder refused the e-mail or the password: check both and try again.")
        case LoginProblem.LOCKED_OUT:
            wait = answer.retry_after or LOCKOUT
            minutes = max(round(wait.total_seconds() / 60), 1)
            return LockedOut(
                f"AimHarder wants no further tries for this account: wait {minutes} minutes.", retry_after=wait
            )
        case LoginProblem.FORBIDDEN:
            return UpstreamRefused()
        case LoginProblem.UNAVAILABLE:
            return UpstreamUnavailable(
                f"AimHarder can't be asked now ({answer.reason}): try again in a while.",
                retry_after=answer.retry_after or timedelta(seconds=5),
            )
        case LoginProblem.UNREADABLE:
            return ProtocolChanged("AimHarder answered the login with something this version can't read.")
