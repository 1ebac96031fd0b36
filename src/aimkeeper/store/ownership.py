"""
Who lives, on one machine: a kernel file lock held by each owner.

The kernel frees the lock the instant its process is gone, however it went; so whoever can take it knows that the owner
is dead, and takes over at once. (On a shared database this is done by beats.)
"""

import fcntl
import os
from pathlib import Path

from aimkeeper.core.errors import StoreUnavailable


class FileLocks:
    """One lock file for each owner, in a folder beside the database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def hold(self, owner: str) -> None:
        """Take *owner*'s lock until `drop`, or until this process is gone."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path(owner), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"{self._folder} can't be written: {error.strerror}.") from None
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._held[owner] = descriptor

    def drop(self, owner: str) -> None:
        """Give the lock back and remove its file."""
        descriptor = self._held.pop(owner, None)
        if descriptor is not None:
            self._path(owner).unlink(missing_ok=True)
            os.close(descriptor)

    def abandon(self, owner: str) -> None:
        """Let go as a killed process would: the file stays."""
        os.close(self._held.pop(owner))

    def is_alive(self, owner: str) -> bool:
        """Whether somebody holds *owner*'s lock."""
        if owner in self._held:
            return True
        try:
            descriptor = os.open(self._path(owner), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def forget(self, owner: str) -> None:
        """Remove a dead owner's file."""
        self._path(owner).unlink(missing_ok=True)

    def _path(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"
