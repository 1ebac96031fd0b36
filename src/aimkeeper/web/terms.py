"""On what terms the HTTP API is open: what the operator decided, as values."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    What the operator decided about the HTTP API.

    Attributes:
        public_login: Whether anybody may log in.
        public_remember: Whether anybody may have his password kept.
        refresh_threshold: A setrefresh older than this is due again, for `needsRefresh`.
        trusted_proxies: Addresses and networks whose word on who asks, and by which scheme, is taken.
        allowed_hosts: Host names that are answered to; none = any. `*.example.com` names all below it.
        cors_origins: Origins whose pages may call the routes of members and holders.
    """

    public_login: bool = False
    public_remember: bool = False
    refresh_threshold: timedelta = timedelta(minutes=60)
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
