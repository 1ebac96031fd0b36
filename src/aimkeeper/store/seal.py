"""
Sealing: AES-256-GCM with a subkey for each session.

A sealed value is `version (1 byte) | key id (4) | nonce (12) | ciphertext and tag`. The subkey is an HMAC of the master
key and the row's id, so that random nonces never run out (one key for all would be worn out in weeks at a million
sessions), and id and column are bound in, so that a value moved to another row or column does not open.
"""

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aimkeeper.core.errors import KeyProblem, StoreUnavailable

KEY_BYTES = 32
_VERSION = b"\x01"
_ID_BYTES, _NONCE_BYTES = 4, 12
_NONCE_AT = 1 + _ID_BYTES
_TEXT_AT = _NONCE_AT + _NONCE_BYTES
_HOW_TO_MAKE = "`aimkeeper keys new` prints one"


@dataclass(frozen=True, slots=True)
class Key:
    """A master key: 32 random bytes, named by the first bytes of their hash."""

    id: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read what `keys new` prints: 32 bytes in URL-safe base64.

        Raises:
            KeyProblem: *text* is no such thing. The message does not repeat it.
        """
        try:
            secret = base64.urlsafe_b64decode(text.strip().rstrip("=") + "=")
        except (binascii.Error, ValueError):
            secret = b""
        if len(secret) != KEY_BYTES:
            raise KeyProblem(f"a secret key must be 32 bytes in URL-safe base64 (43 or 44 characters): {_HOW_TO_MAKE}.")
        return cls(hashlib.sha256(b"aimkeeper key id\0" + secret).digest()[:_ID_BYTES], secret)

    @classmethod
    def new(cls) -> Self:
        return cls.parse(new_key())


def new_key() -> str:
    """A fresh master key, as text."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


class Sealer:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: list[Key]) -> None:
        if not keys:
            raise KeyProblem(f"AIMKEEPER_SECRET_KEYS holds no key: {_HOW_TO_MAKE}.")
        self._first = keys[0]
        self._keys = {key.id: key for key in keys}

    def __repr__(self) -> str:
        return f"Sealer({', '.join(self.key_ids)})"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Names of the keys at hand, the sealing one first; no secrets."""
        return tuple(key_id.hex() for key_id in self._keys)

    def seal(self, row_id: str, column: str, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(_subkey(self._first, row_id)).encrypt(nonce, plain, _bound(row_id, column))
        return _VERSION + self._first.id + nonce + sealed

    def open(self, row_id: str, column: str, sealed: bytes) -> bytes:
        """
        The plain bytes.

        Raises:
            KeyProblem: It was sealed with a key that is not at hand, or was tampered with.
        """
        key = self._keys.get(sealed[1:_NONCE_AT])
        if sealed[:1] != _VERSION or key is None:
            raise KeyProblem(
                f"a value in the store is sealed with key {sealed[1:_NONCE_AT].hex()}, which is not among "
                f"AIMKEEPER_SECRET_KEYS or the key file ({', '.join(self.key_ids)}): add that key."
            )
        try:
            return AESGCM(_subkey(key, row_id)).decrypt(
                sealed[_NONCE_AT:_TEXT_AT], sealed[_TEXT_AT:], _bound(row_id, column)
            )
        except InvalidTag:
            raise KeyProblem("a sealed value in the store was damaged or moved: it does not open.") from None


def _subkey(key: Key, row_id: str) -> bytes:
    return hmac.digest(key.secret, b"aimkeeper row\0" + row_id.encode(), "sha256")


def _bound(row_id: str, column: str) -> bytes:
    return f"{row_id}\0{column}".encode()


def load_sealer(setting: str | None, key_file: Path | None, *, store_is_sealed: bool) -> Sealer:
    """
    The keys from the setting, else from the key file, which is made for a store that holds nothing sealed yet.

    Args:
        setting: AIMKEEPER_SECRET_KEYS: comma-separated, the first seals.
        key_file: Beside an embedded database; None for a shared one.
        store_is_sealed: Whether losing the key would lose sessions.

    Raises:
        KeyProblem: No key, and none may be made up.
    """
    if setting:
        return Sealer([Key.parse(part) for part in setting.split(",") if part.strip()])
    if key_file is None:
        raise KeyProblem(f"AIMKEEPER_SECRET_KEYS is not set: a shared database needs it. {_HOW_TO_MAKE.capitalize()}.")
    try:
        return Sealer([Key.parse(line) for line in key_file.read_text("ascii").split()])
    except FileNotFoundError:
        if store_is_sealed:
            raise KeyProblem(
                f"the key file {key_file} is gone, and the sessions in the database are sealed with it. "
                "Put it back from a backup, or set AIMKEEPER_SECRET_KEYS; without it those sessions must log in again."
            ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyProblem(f"the key file {key_file} can't be read: {_plain(error)}.") from None
    write_private(key_file, new_key() + "\n")
    return Sealer([Key.parse(key_file.read_text("ascii"))])


def write_private(path: Path, text: str) -> None:
    """
    Make a new file that only its owner may read (0600). One that exists is left alone.

    Raises:
        StoreUnavailable: The folder can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnavailable(f"{path} can't be made: {_plain(error)}.") from None
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _plain(error: Exception) -> str:
    return error.strerror or "it is unreadable" if isinstance(error, OSError) else "it is not text"
