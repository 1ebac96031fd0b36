"""The rotating token and the fingerprint it is bound to: opaque, yet readable where the site lets us read."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import NewType

from aimkeeper.core.frozen import value

Fingerprint = NewType("Fingerprint", str)

# Seen: 49 characters (docs/upstream.md, "Token"). The bound only keeps rubbish out.
MAX_TOKEN = 1024
# Seen: 50 characters; other lengths log in too (docs/upstream.md, "Fingerprint").
MAX_FINGERPRINT = 200
FINGERPRINT_BYTES = 25  # 50 hex digits, like the site's own

# The second field is an expiry, this long after issue; it is not the idle life.
TOKEN_LIFETIME = timedelta(days=90)


def _is_sane(text: object, longest: int) -> bool:
    return (
        isinstance(text, str) and 0 < len(text) <= longest and text.isascii() and text.isprintable() and " " not in text
    )


@value(frozen=True, slots=True)
class Token:
    """
    The single rotating credential, `userId|expiry|md5` as far as anyone has seen.

    Source: docs/upstream.md, "Token". Nothing here requires that form.
    """

    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: object) -> "Token":
        """
        Accept any short run of printable ASCII without spaces.

        Raises:
            ValueError: *text* is no such thing. The message does not repeat it.
        """
        if not _is_sane(text, MAX_TOKEN):
            raise ValueError("not a token: it must be 1 to 1024 printable ASCII characters without spaces")
        assert isinstance(text, str)
        return cls(text)

    @property
    def account_key(self) -> str:
        """The text before the first `|`: the user id, by which a session is looked up."""
        return self.text.partition("|")[0]

    @property
    def expires_at(self) -> datetime | None:
        """The instant in the second field, None when it can't be read as one."""
        parts = self.text.split("|")
        if len(parts) != 3 or not parts[1].isdigit() or len(parts[1]) > 11:  # noqa: PLR2004 (three fields; a year below 5138)
            return None
        return datetime.fromtimestamp(int(parts[1]), UTC)

    @property
    def issued_at(self) -> datetime | None:
        """When it was issued, to within an hour or so; None when it can't be read."""
        expires_at = self.expires_at
        return expires_at - TOKEN_LIFETIME if expires_at else None

    def digest(self) -> bytes:
        """SHA-256 of the token: names it without giving it away."""
        return hashlib.sha256(self.text.encode()).digest()

    def mark(self) -> str:
        """The first 12 hex digits of the digest, for histories and events."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def equals(self, other: "Token") -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.text.encode(), other.text.encode())


def parse_fingerprint(text: object) -> Fingerprint:
    """
    Accept what AimHarder was seen to accept: any short printable ASCII without spaces.

    Raises:
        ValueError: *text* is no such thing.
    """
    stripped = text.strip() if isinstance(text, str) else text
    if not _is_sane(stripped, MAX_FINGERPRINT):
        raise ValueError("not a fingerprint: it must be 1 to 200 printable ASCII characters without spaces")
    assert isinstance(stripped, str)
    return Fingerprint(stripped)


def random_fingerprint(random_bytes: Callable[[int], bytes]) -> Fingerprint:
    """Fifty hex digits, like the site's own front end makes."""
    return Fingerprint(random_bytes(FINGERPRINT_BYTES).hex())
