"""
The keys of this process, and which of them seals: the first one, as soon as everybody who lives can open it.

Each process has the ids of its keys on the register of owners. One value in the store, the seal check, is sealed with
the key that may be counted on: who can't open it does not start, or stops. A process moves on to a new key in three
steps: all who live hold it; the check is sealed with it; all who live still hold it. One that starts meanwhile enrols
first and opens the check after. So either we see it on the register, or it finds a check that it can't open.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from aimkeeper.core.errors import KeyProblem
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend
from aimkeeper.store.owners import Owner, Owners
from aimkeeper.store.seal import Sealer, key_id_of

_CHECK = "seal_check"
_ROW, _PLAIN = "meta", b"aimkeeper"

# Makes the sealer from the setting or the key file, told whether the store already holds sealed values.
Sealers = Callable[[bool], Sealer]


@dataclass(slots=True)
class Sealed:
    """
    What a look at some sealed values came to.

    Attributes:
        by_key: How many each key sealed, by its id.
        unopened: How many of them can't be opened, by the id of their key.
    """

    by_key: dict[str, int] = field(default_factory=dict)
    unopened: dict[str, int] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        return sum(self.by_key.values())

    def add(self, sealer: Sealer, page: Sequence[rows.Row]) -> None:
        """Take in (id, sealed) rows, each id once; None is a wiped one."""
        for row_id, sealed in page:
            if sealed is None or row_id in self._seen:
                continue
            self._seen.add(row_id)
            key_id = key_id_of(sealed)
            self.by_key[key_id] = self.by_key.get(key_id, 0) + 1
            try:
                sealer.open(row_id, rows.SEALED_COLUMN, sealed)
            except KeyProblem:
                self.unopened[key_id] = self.unopened.get(key_id, 0) + 1


class Keyring:
    """
    Keys, for as long as the store is open.

    Args:
        sealers: Asked again and again: a key file may change while we run.

    Attributes:
        first: The id of the key that shall seal, as soon as all can open what it seals.
    """

    def __init__(self, backend: Backend, sealers: Sealers, owners: Owners) -> None:
        self._backend = backend
        self._sealers = sealers
        self._owners = owners
        self._sealer: Sealer | None = None
        self.first = ""

    @property
    def sealer(self) -> Sealer:
        """Seals with what all can open, opens with every key at hand."""
        assert self._sealer is not None, "the store is not open"
        return self._sealer

    async def open(self) -> None:
        """
        Take the keys, and prove that they open what the store holds.

        Raises:
            KeyProblem: They do not, or there are none.
            StoreUnavailable
        """
        async with self._backend.transaction() as tx:
            row = await tx.row("get_meta", key=_CHECK)
            wished = self._sealers(row is not None)
            sealed = wished.seal(_ROW, _CHECK, _PLAIN)
            if row is None and not await tx.row("add_meta", key=_CHECK, value=sealed.hex()):
                row = await tx.row("get_meta", key=_CHECK)  # another process has been quicker
            if row is not None:
                sealed = _from_hex(row[0])
                wished.open(_ROW, _CHECK, sealed)
        # The one key that everybody holds for certain.
        self._sealer = wished.led_by(key_id_of(sealed))
        self._owners.keys = self._sealer.key_ids
        await self.mind()

    async def verify(self) -> None:
        """
        Open the check, after enrolling: all others may have moved on to a key that we do not have.

        Raises:
            KeyProblem: They have.
            StoreUnavailable
        """
        async with self._backend.reading() as tx:
            row = await tx.row("get_meta", key=_CHECK)
        assert row is not None, "made when the store was first opened"
        self.sealer.open(_ROW, _CHECK, _from_hex(row[0]))

    async def mind(self) -> None:
        """
        See whether there are other keys now, and whether the first of them may seal.

        Nothing is asked of the store when all is as it was.

        Raises:
            StoreUnavailable
        """
        # Those that we had we keep: a key that was taken out of the file may still be asked for.
        wished = self._reread().with_more(self.sealer)
        self.first = first = wished.key_ids[0]
        if set(wished.key_ids) != set(self.sealer.key_ids):
            self._sealer = wished.led_by(self.sealer.key_ids[0])
            await self._owners.tell_keys(self._sealer.key_ids)
        if first == self.sealer.key_ids[0] or await self.lacking(first):
            return
        check = wished.seal(_ROW, _CHECK, _PLAIN)
        async with self._backend.transaction() as tx:
            await tx.row("set_meta", key=_CHECK, value=check.hex())
        if not await self.lacking(first):
            self._sealer = wished
            await self._owners.tell_keys(wished.key_ids)

    async def lacking(self, key_id: str) -> list[Owner]:
        """Who of those alive can't open what that key seals."""
        return [owner for owner in await self._owners.living() if key_id not in owner.keys]

    async def lagging(self, key_id: str) -> list[Owner]:
        """Who of those alive seals with another key than that."""
        return [owner for owner in await self._owners.living() if owner.keys[:1] != (key_id,)]

    async def sample(self, limit: int) -> Sealed:
        """
        Try to open up to *limit* sealed values of sessions, from anywhere in the store.

        Raises:
            StoreUnavailable
        """
        seen = Sealed()
        start = secrets.token_hex(16)
        # From a random id to the last one, then from the first.
        for after in (str(UUID(start)), ""):
            room = limit - seen.total
            if room > 0:
                async with self._backend.reading() as tx:
                    page = await tx.rows("sealed_sessions", after=after, key_id=b"", limit=room)
                seen.add(self.sealer, page)
        return seen

    def _reread(self) -> Sealer:
        try:
            return self._sealers(True)  # noqa: FBT003 (what the store holds)
        except KeyProblem:
            return self.sealer  # a key file that somebody is just moving about: those we have are still good


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""  # damaged: it will not open
