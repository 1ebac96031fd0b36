"""What the simulator tells its tests: grants, ground truth, counts."""

from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Grant:
    """A session logged in without HTTP, to be adopted."""

    email: str
    user_id: int
    fingerprint: str
    token: str = field(repr=False)
    cookies: dict[str, str] = field(repr=False)

    def record(self) -> dict[str, Any]:
        """One line of what `aimkeeper adopt` reads, before it is made JSON."""
        return {
            "email": self.email,
            "fingerprint": self.fingerprint,
            "token": self.token,
            "cookies": [{"name": name, "value": value} for name, value in self.cookies.items()],
        }


@dataclass(frozen=True, slots=True)
class Truth:
    """
    What is really so with one session, judged at the moment of asking.

    Attributes:
        token: The newest one issued, live as long as the session is.
        died_of: `idle`, `reuse`, `logout`, `login` (another took its place) or `killed`; None while alive.
        last_used_at: Last login, tokenUpdate or setrefresh that was accepted: the idle life counts from here.
        rotations: By tokenUpdate; those of setrefresh are `set_refreshes`.
        reuse: Times a token already spent was presented, accepted or not.
        concurrent: Times a tokenUpdate or setrefresh arrived while another of this session was in flight.
        replies_lost: Times the work was done and its answer did not arrive whole and readable.
        logins: Over HTTP.
    """

    email: str
    user_id: int
    fingerprint: str
    token: str = field(repr=False)
    alive: bool
    died_at: datetime | None
    died_of: str | None
    last_used_at: datetime
    rotations: int
    set_refreshes: int
    reuse: int
    concurrent: int
    replies_lost: int
    logins: int
    in_flight: int

    def as_json(self) -> dict[str, Any]:
        told = asdict(self)
        told["died_at"] = self.died_at.isoformat() if self.died_at else None
        told["last_used_at"] = self.last_used_at.isoformat()
        return told


@dataclass(frozen=True, slots=True)
class Reservation:
    """
    One place in one class, given or waited for: the truth behind what a booking bot was told.

    Attributes:
        number: What the site calls `idres`.
        host: The box's, as the request's Host named it.
        day: `YYYYMMDD`.
        slot: The class's id on that day.
        time: When the class begins, `HH:MM`.
        waiting: Whether it is a place on the waiting list only.
        cancelled_at: None while it stands.
    """

    number: int
    email: str
    host: str
    day: str
    slot: int
    time: str
    made_at: datetime
    waiting: bool = False
    cancelled_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        told = asdict(self)
        told["made_at"] = self.made_at.isoformat()
        told["cancelled_at"] = self.cancelled_at.isoformat() if self.cancelled_at else None
        return told


@dataclass(slots=True)
class Totals:
    """
    Counts over all sessions since the simulator began.

    Attributes:
        requests: By path; unknown paths together as `other`.
        died: By cause, as in `Truth.died_of`.
        faults: By name.
        sessions: How many there are, dead ones included.
        in_flight: Requests being handled now, control requests apart.
        strange_tokens: Presented tokens that were never issued, or only to a login since replaced.
        mismatches: Tokens presented with a fingerprint they are not bound to.
    """

    requests: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    rotations: int = 0
    set_refreshes: int = 0
    reuse: int = 0
    concurrent: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    replies_lost: int = 0
    strange_tokens: int = 0
    mismatches: int = 0
    died: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    login_attempts: int = 0
    logins: int = 0
    wrong_passwords: int = 0
    locked_out: int = 0

    def as_json(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Logged(NamedTuple):
    """
    One request, without secrets.

    Attributes:
        at: Seconds on the clock that counts suspend, when the request arrived.
        status: 0 when the connection was broken instead of answered.
        fault: What struck it, if anything.
    """

    at: float
    method: str
    path: str
    user_id: int | None
    status: int
    fault: str | None
