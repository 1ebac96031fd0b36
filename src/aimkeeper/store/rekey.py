"""The change of the key that seals, while all others work: they get it first, then everything is sealed again."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aimkeeper.clock import Clock
from aimkeeper.core.errors import ConfigError
from aimkeeper.store.backend import Backend
from aimkeeper.store.keyring import Keyring
from aimkeeper.store.owners import Owner, Owners
from aimkeeper.store.reseal import Resealed, reseal
from aimkeeper.store.seal import new_key, write_private

# Workers look at their key file by the second; who died without a word is found out after five.
PATIENCE_SECONDS = 8.0
LOOK_EVERY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """
    What a change of key came to.

    Attributes:
        key_id: The key that seals now.
        is_new: Whether it was made for this.
        old_key_ids: The other keys at hand. Nothing in the store is sealed with them.
        done: What was sealed again, and what could not be.
    """

    key_id: str
    is_new: bool
    old_key_ids: tuple[str, ...]
    done: Resealed


class Rekeying:
    """
    Changes the key of an open store.

    Args:
        key_file: Where the keys stand; None = in a setting, which only the operator can change.
    """

    def __init__(self, backend: Backend, keys: Keyring, owners: Owners, clock: Clock, key_file: Path | None) -> None:
        self._backend = backend
        self._keys = keys
        self._owners = owners
        self._clock = clock
        self._key_file = key_file

    async def run(self, told: Callable[[Resealed], None] = lambda _so_far: None) -> Rekeyed:
        """
        Seal everything with the first key. Where a key file's first key does so already: with a new one, made here.

        It may be killed at any moment, and run again: it goes on where it was.

        Args:
            told: Called with what the pass under way has done so far.

        Raises:
            ConfigError: A process that runs lacks the key, or seals with another; or there is but one.
            StoreUnavailable
        """
        if self._key_file is None:
            rekeyed = await self._change(told, is_new=False)
            if rekeyed.done.changed_nothing and not rekeyed.old_key_ids:
                raise ConfigError(
                    f"everything is sealed with key {rekeyed.key_id}, the only one there is: put one that `aimkeeper "
                    "keys new` prints before it in AIMKEEPER_SECRET_KEYS of every process, restart them one by one, "
                    "then run this again."
                )
            return rekeyed
        with _alone(self._key_file):
            if len(self._keys.sealer.key_ids) > 1:
                rekeyed = await self._change(told, is_new=False)
                if not rekeyed.done.changed_nothing:
                    return rekeyed  # one that was begun earlier, and broken off
            _add_key(self._key_file)
            return await self._change(told, is_new=True)

    async def _change(self, told: Callable[[Resealed], None], *, is_new: bool) -> Rekeyed:
        await self._wait_for_all()
        done = later = await reseal(self._backend, self._keys.sealer, told)
        while not later.changed_nothing:
            # What others were writing at that very moment.
            later = await reseal(self._backend, self._keys.sealer, told)
            done = done.and_then(later)
        first, *others = self._keys.sealer.key_ids
        return Rekeyed(first, is_new, tuple(others), done)

    async def _wait_for_all(self) -> None:
        """
        Until everybody who lives holds our first key, and seals with it.

        Raises:
            ConfigError: Somebody does not.
        """
        until = self._clock.monotonic() + PATIENCE_SECONDS
        while True:
            await self._keys.mind()
            lacking = await self._keys.lacking(self._keys.first)
            lagging = lacking or await self._keys.lagging(self._keys.first)
            if not lagging:
                return
            # One whose keys stand in a setting gets no other; where beats prove life, it may have died just now.
            hopeless = [] if self._key_file else [owner for owner in lacking if owner.silent is None]
            if hopeless or self._clock.monotonic() >= until:
                raise ConfigError(self._refusal((hopeless or lagging)[0], lacks=bool(lacking)))
            await self._clock.sleep(LOOK_EVERY_SECONDS)
            await self._owners.reap(stuck_before=0.0)

    def _refusal(self, owner: Owner, *, lacks: bool) -> str:
        first = self._keys.first
        who = f"{owner.name} (pid {owner.pid})"
        what = f"lacks key {first}" if lacks else f"seals with another key than {first}"
        if self._key_file:
            return f"{who} {what}, and does not read the key file again: restart it, then run this again."
        return f"{who} {what}: put that one first in its AIMKEEPER_SECRET_KEYS, restart it, then run this again."


def _add_key(path: Path) -> None:
    """Put a fresh key before those that stand in the file: on the disk before anything is sealed with it."""
    try:
        known = path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"the key file {path} can't be read any more: put it back, then run this again.") from None
    write_private(path, f"{new_key()}\n{known}", replacing=True)


@contextmanager
def _alone(key_file: Path) -> Iterator[None]:
    """One at a time: of two that add a key at once, one would lose it, and with it what is sealed with it."""
    folder = os.open(key_file.parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError("another `aimkeeper keys rotate` is at it: wait until it is done.") from None
        yield
    finally:
        os.close(folder)
