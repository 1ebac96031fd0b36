"""
Who lives, on one machine: a kernel file lock held by each owner.

The kernel frees the lock the instant its process is gone, however it went; so whoever can take it knows that the owner
is dead, and takes over at once. On a shared database this is done by beats; there the lock only tells processes of the
same machine sooner.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from aimkeeper.core.errors import StoreUnavailable


class FileLocks:
    """One lock file for each owner, in a folder beside the database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    @property
    def held(self) -> list[str]:
        """The owners whose locks this process holds."""
        return list(self._held)

    def hold(self, owner: str) -> None:
        """
        Take *owner*'s lock until `drop`, or until this process is gone.

        Raises:
            StoreUnavailable: Its file can't be made, or can't be locked.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path(owner), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise StoreUnavailable(f"no lock can be taken in {self._folder}: {error.strerror}.") from None
        self._held[owner] = descriptor

    def drop(self, owner: str) -> None:
        """Give the lock back and remove its file."""
        descriptor = self._held.pop(owner, None)
        if descriptor is not None:
            self.forget(owner)
            os.close(descriptor)

    def abandon(self, owner: str) -> None:
        """Let go as a killed process would: the file stays."""
        descriptor = self._held.pop(owner, None)
        if descriptor is not None:
            os.close(descriptor)

    def is_alive(self, owner: str) -> bool:
        """
        Whether somebody holds *owner*'s lock.

        Raises:
            StoreUnavailable: Nobody can say now.
        """
        if owner in self._held:
            return True
        try:
            descriptor = os.open(self._path(owner), os.O_RDWR | os.O_CLOEXEC)
            try:
                # Shared: two who look at the same moment must not take one another for the holder.
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except OSError as error:
            raise StoreUnavailable(f"the locks in {self._folder} can't be looked at: {error.strerror}.") from None
        return False

    def was_let_go(self, owner: str) -> bool:
        """Whether *owner* held its lock here and does not any more; False where nobody can say."""
        if owner in self._held or not self._path(owner).exists():
            return False
        with suppress(StoreUnavailable):
            return not self.is_alive(owner)
        return False

    def forget(self, owner: str) -> None:
        """Remove a dead owner's file; one that can't be removed does no harm."""
        with suppress(OSError):
            self._path(owner).unlink()

    def _path(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"


def this_boot() -> str | None:
    """What names this machine's run of its kernel, whose locks it knows; None where the kernel does not tell."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return None
