"""
Everything that can keep a caller from getting what was asked.

* AimkeeperError
  x ConfigError             a setting, file or argument makes no sense
    x KeyProblem            the store's secrets can't be opened with the keys at hand
    x ForeignDatabase       the database holds a table that aimkeeper did not make
  x StoreUnavailable        the store can't be reached or written now
  x UnknownSession          no such session in the store
  x AmbiguousSession        several sessions answer to that name
  x AlreadyKept             adopting a pair that is kept already
    x TooManySessions       the account has as many sessions as it may
  x SessionEnded            over for good: log in again
  x UpstreamUnavailable     not now: `retry_after` says when to ask again
    x RateLimited           the upstream wants us slower
    x Paused                an operator stopped everything
  x UpstreamRefused         AimHarder refuses this machine's address
  x BadCredentials          AimHarder refused the e-mail or password
  x LockedOut               AimHarder wants no further tries for a while
  x ProtocolChanged         AimHarder answered something we cannot read
  x HolderConflict          two parties use one session's tokens
  x Superseded              someone else rotated this generation first

Expected answers of the upstream are values (`outcome.py`), not exceptions.
"""

from datetime import timedelta

REFUSED_ADDRESS = (
    "AimHarder refuses this machine's address (403): it turns away some data centres and countries. "
    "Run aimkeeper from a home connection or set AIMKEEPER_UPSTREAM_PROXY. Your password was not judged."
)


class AimkeeperError(Exception):
    """The root; `str()` is one sentence that says what to do next and holds no secret."""

    code = "error"
    retryable = False


class ConfigError(AimkeeperError):
    """A setting, file or argument makes no sense."""

    code = "bad_config"


class KeyProblem(ConfigError):
    """The store's secrets can't be opened with the keys at hand."""

    code = "key_problem"


class ForeignDatabase(ConfigError):
    """The database holds something that aimkeeper did not make."""

    code = "foreign_database"


class StoreUnavailable(AimkeeperError):
    """The store can't be reached or written now; nothing was changed."""

    code = "store_unavailable"
    retryable = True


class UnknownSession(AimkeeperError):
    """No such session in the store."""

    code = "unknown_session"


class AmbiguousSession(AimkeeperError):
    """
    Several sessions answer to that name.

    Attributes:
        candidates: Their full names, `email#fingerprint`.
    """

    code = "ambiguous_session"

    def __init__(self, message: str, *, candidates: tuple[str, ...]) -> None:
        super().__init__(message)
        self.candidates = candidates


class AlreadyKept(AimkeeperError):
    """That account and fingerprint are kept already."""

    code = "already_kept"


class TooManySessions(AlreadyKept):
    """The account has as many sessions here as it may."""

    code = "too_many_sessions"


class SessionEnded(AimkeeperError):
    """
    Over for good: log in again.

    Attributes:
        cause: Why it ended, a `Cause` value, where known.
    """

    code = "session_ended"

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class UpstreamUnavailable(AimkeeperError):
    """The upstream cannot serve this now; the session itself is unharmed."""

    code = "upstream_unavailable"
    retryable = True

    def __init__(self, message: str, *, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(UpstreamUnavailable):
    """The upstream wants us slower."""

    code = "rate_limited"


class Paused(UpstreamUnavailable):
    """An operator stopped everything, or the store may not spend what it holds."""

    code = "paused"

    def __init__(
        self,
        message: str = "aimkeeper is paused: an operator lets it go on with `aimkeeper resume`.",
        *,
        retry_after: timedelta,
    ) -> None:
        super().__init__(message, retry_after=retry_after)


class UpstreamRefused(AimkeeperError):
    """AimHarder refuses this machine's address (403)."""

    code = "upstream_refused"

    def __init__(self, message: str = REFUSED_ADDRESS) -> None:
        super().__init__(message)


class BadCredentials(AimkeeperError):
    """AimHarder refused the e-mail or password."""

    code = "bad_credentials"


class LockedOut(AimkeeperError):
    """AimHarder wants no further tries for this account for a while."""

    code = "locked_out"
    retryable = True

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProtocolChanged(AimkeeperError):
    """AimHarder answered something we cannot read."""

    code = "protocol_changed"


class HolderConflict(AimkeeperError):
    """An older token came back after its successor was already in use: two parties share one session."""

    code = "holder_conflict"


class Superseded(AimkeeperError):
    """Someone else rotated this generation first; what we got is kept as a spare."""

    code = "superseded"
    retryable = True
