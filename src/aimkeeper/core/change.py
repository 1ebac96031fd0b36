"""What a holder may do to a session, as values: the claim it speaks from and the change it asks the store to commit."""

from dataclasses import field, replace
from datetime import datetime
from enum import Enum

from aimkeeper.core.cookies import NO_CHANGE, CookieDelta
from aimkeeper.core.events import Event
from aimkeeper.core.frozen import value
from aimkeeper.core.session import Handout, Secrets, Session, Turn
from aimkeeper.core.token import Token

MAX_HANDOUTS = 8


@value(frozen=True, slots=True)
class Claim:
    """
    The right to spend a session's token once, durable before it is used.

    Attributes:
        session: The session as it was when claimed.
        owner: The process that claimed it: a random id per process start.
        claim_id: The rotation id; a later look at the row tells by it whether our commit arrived.
        taken_at: When it was claimed, in `Clock.boottime` seconds; the fence measures its age.
    """

    session: Session
    owner: str
    claim_id: str
    taken_at: float


@value(frozen=True, slots=True)
class SecretsEdit:
    """
    A change to the sealed part that can be applied to whatever the row holds by then.

    Attributes:
        token: The new token; None keeps the one there is.
        cookies: What one answer did to the jar.
        handouts: Tokens handed out or presented since.
        password: The password to remember; None keeps what there is, `""` forgets it.
    """

    token: Token | None = None
    cookies: CookieDelta = NO_CHANGE
    handouts: tuple[Handout, ...] = ()
    password: str | None = field(repr=False, default=None)

    def apply(self, secrets: Secrets) -> Secrets:
        return Secrets(
            token=self.token or secrets.token,
            jar=secrets.jar.merge(self.cookies),
            password=secrets.password if self.password is None else (self.password or None),
            handouts=merge_handouts(secrets.handouts, self.handouts) if self.handouts else secrets.handouts,
        )

    def __bool__(self) -> bool:
        return bool(self.token or self.cookies or self.handouts or self.password is not None)


NO_EDIT = SecretsEdit()


class Kind(Enum):
    """With what authority a change speaks."""

    ROTATION = "rotation"  # asks only that nobody rotated first
    ATTEMPT = "attempt"  # anything less: speaks only for the holder of the claim
    TOUCH = "touch"  # only adds to the secrets: asks only that the generation stands


@value(frozen=True, slots=True, kw_only=True)
class Change:
    """
    One step from a session to its next state.

    Attributes:
        before: The session it was decided on.
        after: The session as it shall be. Its secrets already hold `edit`.
        edit: The same, for a row that moved meanwhile.
        claim: None for a `TOUCH`.
        turn: The new entry of the ring, if any.
        release: Whether the claim ends with it.
        tried_spare: The id of a spare this change disproves or uses up, if any.
    """

    kind: Kind
    before: Session
    after: Session
    edit: SecretsEdit = NO_EDIT
    claim: Claim | None = None
    turn: Turn | None = None
    events: tuple[Event, ...] = ()
    release: bool = True
    tried_spare: str | None = None


def merge_handouts(old: tuple[Handout, ...], new: tuple[Handout, ...]) -> tuple[Handout, ...]:
    """Both, by digest, oldest first; one that was ever presented stays so; at most `MAX_HANDOUTS`, the youngest."""
    merged = {handout.digest: handout for handout in old}
    for handout in new:
        known = merged.get(handout.digest)
        merged[handout.digest] = known._replace(presented=known.presented or handout.presented) if known else handout
    return tuple(merged.values())[-MAX_HANDOUTS:]


def touch(session: Session, edit: SecretsEdit, *, alive_at: datetime | None = None) -> Change:
    """
    The change that edits the sealed part and nothing else: handouts, cookies, a password to forget.

    Args:
        session: As last seen; the row may have moved since.
        edit: Applied to whatever it holds by then.
        alive_at: When whoami recognised the cookies, if it just did.
    """
    after = replace(session, secrets=edit.apply(session.secrets), alive_at=alive_at or session.alive_at)
    return Change(kind=Kind.TOUCH, before=session, after=after, edit=edit)
