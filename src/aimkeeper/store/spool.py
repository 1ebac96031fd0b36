"""
Tokens that outlive an unreachable store: sealed files in a folder of this machine, on the disk before anything else
happens. Whoever opens the store next commits them first.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from aimkeeper.core.change import Change
from aimkeeper.core.cookies import Cookie, CookieDelta
from aimkeeper.core.errors import KeyProblem, StoreUnavailable
from aimkeeper.core.session import Session
from aimkeeper.core.token import Token
from aimkeeper.store import rows
from aimkeeper.store.seal import Sealer

_SUFFIX = ".spool"
_COLUMN = "spool"


class _Fresh(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    token: str
    cookies: tuple[Cookie, ...]
    deleted: list[tuple[str, str]]
    fingerprint: str
    at: int

    def __repr__(self) -> str:
        return type(self).__name__

    @property
    def settled_at(self) -> datetime:
        return rows.instant(self.at)

    @property
    def fresh_token(self) -> Token:
        return Token(self.token)

    @property
    def cookie_delta(self) -> CookieDelta:
        return CookieDelta(self.cookies, tuple(self.deleted))


class SpooledRotation(_Fresh, tag="rotation", frozen=True, kw_only=True):
    """
    A rotation that was not committed.

    Attributes:
        generation: The one that was held.
        claim_id: Tells whether its commit arrived after all.
        at: When the answer was settled.
        via: See `Turn.via`.
    """

    session_id: str
    generation: int
    owner: str
    claim_id: str
    via: str


class SpooledLogin(_Fresh, tag="login", frozen=True, kw_only=True):
    """A login that was not stored."""

    email: str
    password: str | None
    session_type: str | None


Spooled = SpooledRotation | SpooledLogin

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Spooled]).decode


class Spool:
    """
    The folder.

    Args:
        sealer: Asked for when needed: the keys are known only once the store is open.
    """

    def __init__(self, folder: Path, sealer: Callable[[], Sealer]) -> None:
        self._folder = folder
        self._sealer = sealer

    def __len__(self) -> int:
        return len(self._files())

    def save(self, changes: Sequence[Change]) -> Path | None:
        """
        Put the fresh tokens of *changes* on the disk; None when they hold none.

        Raises:
            StoreUnavailable: Not even that can be done.
        """
        records = [_record(change) for change in changes if change.edit.token is not None and change.claim is not None]
        if not records:
            return None
        return self._save(records)

    def save_login(self, session: Session) -> Path:
        """
        Put a login on the disk that could not be stored.

        Raises:
            StoreUnavailable: Not even that can be done.
        """
        return self._save([_login_record(session)])

    def _save(self, records: Sequence[Spooled]) -> Path:
        path = self._folder / f"{secrets.token_hex(8)}{_SUFFIX}"
        sealed = self._sealer().seal(path.stem, _COLUMN, _encode(records))
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_durably(path, sealed)
        except OSError as error:
            raise StoreUnavailable(f"{self._folder} can't be written: {error.strerror}.") from None
        return path

    def remove(self, path: Path) -> None:
        """What it holds is in the store now."""
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

    def left_behind(self) -> Iterator[tuple[Path, list[Spooled]]]:
        """Every file with what it holds. One that can't be opened is left where it is."""
        for path in self._files():
            try:
                yield path, _decode(self._sealer().open(path.stem, _COLUMN, path.read_bytes()))
            except (OSError, KeyProblem, msgspec.DecodeError):
                continue

    def _files(self) -> list[Path]:
        try:
            with os.scandir(self._folder) as entries:
                return sorted(Path(entry.path) for entry in entries if entry.name.endswith(_SUFFIX))
        except OSError:
            return []


def _login_record(session: Session) -> SpooledLogin:
    return SpooledLogin(
        token=session.token.text,
        cookies=session.jar.cookies,
        deleted=[],
        fingerprint=session.fingerprint,
        at=rows.micros(session.rotated_at),
        email=session.email,
        password=session.secrets.password,
        session_type=session.session_type,
    )


def _record(change: Change) -> SpooledRotation:
    claim, edit, held = change.claim, change.edit, change.before
    assert claim is not None
    assert edit.token is not None
    return SpooledRotation(
        session_id=held.id,
        generation=held.generation,
        owner=claim.owner,
        claim_id=claim.claim_id,
        token=edit.token.text,
        cookies=edit.cookies.stored,
        deleted=list(edit.cookies.deleted),
        fingerprint=change.after.fingerprint,
        at=rows.micros(change.after.rotated_at),
        via=change.turn.via if change.turn else "token_update",
    )


def _write_durably(path: Path, content: bytes) -> None:
    """Whole or not at all: written aside, synced, renamed, and the folder synced too."""
    aside = path.with_suffix(".part")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    aside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
