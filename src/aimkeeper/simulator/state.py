"""What the simulated site keeps of its members and their sessions."""

from dataclasses import dataclass, field
from enum import Enum, auto


class Standing(Enum):
    """What a presented token is."""

    LIVE = auto()
    FORGIVEN = auto()  # spent, and accepted all the same
    SPENT = auto()  # refused
    FATAL = auto()  # ends the session
    DEAD = auto()  # its session is
    EXPIRED = auto()
    STRANGE = auto()
    MISMATCH = auto()  # bound to another fingerprint


class Attempt(Enum):
    """What became of a password."""

    RIGHT = auto()
    WRONG = auto()
    LOCKED_OUT = auto()


@dataclass(slots=True)
class Account:
    """
    A member.

    Attributes:
        wrong_in_a_row: Wrong passwords since the last right one or lockout.
        locked_until: In the simulator's seconds.
        credit: Bookings left; None = without end.
        owes: Whether a payment is pending.
    """

    email: str
    password: str = field(repr=False)
    user_id: int
    name: str
    wrong_in_a_row: int = 0
    locked_until: float = 0.0
    credit: int | None = None
    owes: bool = False
    sessions: "list[Session]" = field(default_factory=list, repr=False)


@dataclass(slots=True, eq=False)
class Session:
    """
    One account with one fingerprint.

    Attributes:
        serial: Of the live token; each one issued has the next.
        floor: Tokens below it belong to a login since replaced: they answer logout and harm nobody.
        opened: Times somebody logged in; also the serial of `amhrdrauth`, whose floor is `cookie_floor`.
        used_at: In the simulator's seconds, like every time here.
        spent: (serial, when) of the tokens spent within the grace.
        boxes: Hosts that a setrefresh with `redirect` named.
    """

    number: int
    account: Account = field(repr=False)
    fingerprint: str
    token: str = field(default="", repr=False)
    serial: int = 0
    floor: int = 0
    opened: int = 0
    cookie_floor: int = 0
    used_at: float = 0.0
    died_at: float | None = None
    died_of: str | None = None
    spent: list[tuple[int, float]] = field(default_factory=list, repr=False)
    boxes: frozenset[str] = frozenset()
    rotations: int = 0
    set_refreshes: int = 0
    reuse: int = 0
    concurrent: int = 0
    replies_lost: int = 0
    logins: int = 0
    in_flight: int = 0
