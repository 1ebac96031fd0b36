"""
Sealing: AES-256-GCM with a subkey for each session.

A sealed value is `version (1 byte) | key id (4) | nonce (12) | ciphertext and tag`. The subkey is an HMAC of the master
key and the row's id, so that random nonces never run out (one key for all would be worn out in weeks at a million
sessions), and id and column are bound in, so that a value moved to another row or column does not open.
"""

import base64
import hashlib
import hmac
import os
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
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
_TAG_BYTES = 16
CIPHERS = 4096
_HOW_TO_MAKE = "`aimkeeper keys new` prints one"
_SETTING = "AIMKEEPER_SECRET_KEYS"
_DAMAGED = "a sealed value in the store was damaged or moved: it does not open; restore a backup, or log in again."


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
            ValueError: *text* is no such thing. The message does not repeat it.
        """
        try:
            secret = base64.b64decode(text.strip().rstrip("=") + "=", altchars=b"-_", validate=True)
        except ValueError:
            secret = b""
        if len(secret) != KEY_BYTES:
            raise ValueError("a key must be 32 bytes in URL-safe base64 (43 or 44 characters)")
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
            raise ValueError("it holds no key")
        self._first = keys[0]
        self._keys = {key.id: key for key in keys}
        # What is opened for a rotation is sealed again a moment later. By the key's name, which is quicker to compare.
        self._cipher = lru_cache(maxsize=CIPHERS)(self._new_cipher)

    def __repr__(self) -> str:
        return f"Sealer({', '.join(self.key_ids)})"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Names of the keys at hand, the sealing one first; no secrets."""
        return tuple(key_id.hex() for key_id in self._keys)

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys at hand, the sealing one first."""
        return tuple(self._keys.values())

    def led_by(self, key_id: str) -> "Sealer":
        """The same keys, of which the one of that name seals; this one where it is not among them."""
        first = [key for key in self.keys if key.id.hex() == key_id]
        return Sealer([*first, *self.keys])

    def with_more(self, other: "Sealer") -> "Sealer":
        """These keys, and after them those of *other*."""
        return Sealer([*self.keys, *other.keys])

    def seal(self, row_id: str, column: str, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher(self._first.id, row_id).encrypt(nonce, plain, _bound(row_id, column))
        return _VERSION + self._first.id + nonce + sealed

    def open(self, row_id: str, column: str, sealed: bytes) -> bytes:
        """
        The plain bytes.

        Raises:
            KeyProblem: It was sealed with a key that is not at hand, or was tampered with.
        """
        if len(sealed) < _TEXT_AT + _TAG_BYTES or sealed[:1] != _VERSION:
            raise KeyProblem(_DAMAGED)
        key = self._keys.get(sealed[1:_NONCE_AT])
        if key is None:
            raise KeyProblem(
                f"a value in the store is sealed with key {sealed[1:_NONCE_AT].hex()}, which is not among "
                f"{_SETTING} or the key file ({', '.join(self.key_ids)}): add that key."
            )
        try:
            cipher = self._cipher(key.id, row_id)
            return cipher.decrypt(sealed[_NONCE_AT:_TEXT_AT], sealed[_TEXT_AT:], _bound(row_id, column))
        except InvalidTag:
            raise KeyProblem(_DAMAGED) from None

    def _new_cipher(self, key_id: bytes, row_id: str) -> AESGCM:
        return AESGCM(_subkey(self._keys[key_id], row_id))


def key_id_of(sealed: bytes) -> str:
    """The name of the key that *sealed* was sealed with."""
    return sealed[1:_NONCE_AT].hex()


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
        # By commas, or one a line as a key file has them.
        return _sealer(_SETTING, setting.replace(",", " ").split())
    if key_file is None:
        raise KeyProblem(f"{_SETTING} is not set: a shared database needs it. {_HOW_TO_MAKE.capitalize()}.")
    if not store_is_sealed:
        write_private(key_file, new_key() + "\n")
    try:
        texts = key_file.read_text("ascii").split()
    except FileNotFoundError:
        raise KeyProblem(
            f"the key file {key_file} is gone, and the sessions in the database are sealed with it. "
            f"Put it back from a backup, or set {_SETTING}; without it those sessions must log in again."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyProblem(f"the key file {key_file} can't be read: {_plain(error)}.") from None
    return _sealer(f"the key file {key_file}", texts)


def _sealer(source: str, texts: list[str]) -> Sealer:
    try:
        return Sealer([Key.parse(text) for text in texts])
    except ValueError as error:
        raise KeyProblem(f"{source} can't be used: {error}. {_HOW_TO_MAKE.capitalize()}.") from None


def write_private(path: Path, text: str, *, replacing: bool = False) -> None:
    """
    Make a new file that only its owner may read (0600): all of it or nothing.

    Args:
        path: One that exists is left alone, unless *replacing*.
        text: What shall stand in it.
        replacing: In place of one that exists: whoever reads meanwhile reads the old one or the new.

    Raises:
        StoreUnavailable: The folder can't be written.
    """
    whole = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and not replacing:
            return
        with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Under its name only once it is whole; and the name must outlive a power cut: what it seals may not be lost.
        if replacing:
            whole.replace(path)
        else:
            _name(whole, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreUnavailable(f"{path} can't be made: {_plain(error)}.") from None
    finally:
        with suppress(OSError):
            whole.unlink()


def _name(whole: Path, path: Path) -> None:
    try:
        os.link(whole, path)
    except FileExistsError:
        return  # another process was quicker, and what it made may be in use by now
    except OSError:
        whole.replace(path)  # a file system without links


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(error: Exception) -> str:
    return error.strerror or "it is unreadable" if isinstance(error, OSError) else "it is not text"
