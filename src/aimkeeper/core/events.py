"""Facts worth telling, already committed. Routine rotations are not events: they stand in the session's ring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class EventKind(StrEnum):
    """Every kind of event, with what it says."""

    LOGGED_IN = "logged_in"  # a login brought a session, or a new generation of one: by hand, or remembered
    ADOPTED = "adopted"  # a session made elsewhere was taken over
    FOREIGN_WRITE = (
        "foreign_write"  # another program wrote a session's token: a new one, or an old copy, which was undone
    )
    IN_DOUBT = "in_doubt"  # a request went out and no whole answer came
    HEALED = "healed"  # a session in doubt or suspicion rotated again
    SUSPICION = "suspicion"  # the upstream answered "logout"; not yet believed
    SPARE_KEPT = "spare_kept"  # a fresh token lost its commit and was put aside
    SPARE_USED = "spare_used"  # a token put aside turned out to be the live one
    TOKEN_LOST = "token_lost"  # noqa: S105 (a name) - cookies live, the token is refused
    SUSPECTED = "suspected"  # an end held back, for too many came at once
    ENDED = "ended"  # over, with its cause and evidence
    REVIVED = "revived"  # an end undone: by a late rotation, or by hand
    WIPED = "wiped"  # the secrets of an ended session are gone
    RELOGIN_FAILED = "relogin_failed"  # the remembered password did not bring the session back
    SETREFRESH_FAILED = "setrefresh_failed"  # the login stands, its setrefresh was given up
    HOLDER_CONFLICT = "holder_conflict"  # two parties use one session's tokens
    CREDENTIALS_READ = "credentials_read"  # somebody was handed live credentials
    BEARER_ISSUED = "bearer_issued"  # a bot was lent the session's credentials: by what, and until when
    BEARERS_REVOKED = "bearers_revoked"  # and no bot is any more; how many bearers there were
    CLAIMED = "claimed"  # a browser that held the session's cookie became its member here
    OPERATOR_ACTED = "operator_acted"  # an operator did something over HTTP; what, and by bearer or page
    SIGNED_IN = "signed_in"  # the operator's page was opened, by link or by key
    # About the whole fleet:
    OUTAGE_BEGAN = "outage_began"  # AimHarder fails nearly everybody: verdicts are frozen, one probe at a time goes out
    OUTAGE_ENDED = "outage_ended"  # it answers again, and the rate is back to what is allowed
    THROTTLED = "throttled"  # AimHarder asked everybody to wait
    VERDICTS_HELD = "verdicts_held"  # too many logouts at once: no end is declared
    VERDICTS_RELEASED = "verdicts_released"  # AimHarder recovered, or an operator decided
    PAUSED = "paused"  # an operator stopped everything
    RESUMED = "resumed"  # and let it go on
    STORE_COPIED = "store_copied"  # this database was restored or copied: nothing is sent until `db take-over`
    TAKEN_OVER = "taken_over"  # somebody said that this database is the one
    STORE_MOVED = "store_moved"  # its sessions went to another database: nothing is sent from here
    AT_RISK = "at_risk"  # sessions were not rotated for 29 minutes
    SAFE_AGAIN = "safe_again"  # none is at risk any more
    RATE_TOO_LOW = "rate_too_low"  # the sessions need more rotations than are allowed
    RATE_ENOUGH = "rate_enough"  # what is allowed suffices again
    CLOCK_JUMPED = "clock_jumped"  # the clock was set, or the machine slept: what is due was judged anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    One fact, written in the transaction that made it true.

    Attributes:
        id: Its place in the store's order; 0 until it is committed.
        session_id: None for a fact about the whole fleet.
        data: Plain JSON values; hashes of tokens, never tokens.
    """

    kind: EventKind
    at: datetime
    session_id: str | None = None
    email: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    id: int = 0
