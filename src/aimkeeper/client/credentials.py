"""What opens a session, frozen at one moment."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aimkeeper.core.cookies import Cookie


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """
    A snapshot: it never changes, and none of its parts is of another moment than the others.

    Attributes:
        token: For programs that must present it to aimkeeper. Never spend it: aimkeeper does.
        cookies: Those that were alive then.
        over_tls_only: Whether they must not travel in the clear.
        rotated_at, deadline_at: When the upstream last accepted a rotation, and when it is believed to forget the
            session; aware, by the clock of whoever keeps it.
        slack: From then to the deadline.
        generation: Counts what this program was given, from 1: higher is newer.
    """

    email: str
    fingerprint: str
    token: str = field(repr=False)
    cookies: tuple[Cookie, ...] = field(repr=False)
    over_tls_only: bool
    rotated_at: datetime
    deadline_at: datetime
    slack: timedelta
    generation: int = 0

    def cookie(self, host: str) -> str:
        """The `Cookie` header for a request to *host*; empty when nothing of ours belongs there."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies_for(host).items())

    def cookies_for(self, host: str) -> dict[str, str]:
        """Name and value of each cookie that a request to *host* carries."""
        return {cookie.name: cookie.value for cookie in self.cookies if cookie.goes_to(host.lower())}
