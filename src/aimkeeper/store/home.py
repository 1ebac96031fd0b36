"""
Where a store is at home: by that, a restored or copied database is told from the one it comes from.

A copy holds tokens that the other one may have spent since, or may be about to spend. So whoever enters a database
looks whether it still stands where it was left, as it was left; if not, it is marked, and no session of it can be
claimed until somebody says by `db take-over` that it is the one (docs/decisions/0021).
"""

import hashlib
import os
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from aimkeeper.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from aimkeeper.store.backend import Transaction

HOME, _MARK = "home", "home_mark"
# What a backup bears: it is at home nowhere, so whatever starts on it finds that out.
NOWHERE = ""


class Home(ABC):
    """Asked inside a writing transaction of the database it speaks of."""

    async def is_strange(self, tx: "Transaction") -> bool:
        """Whether the database stands elsewhere, or is older, than where and as it was left."""
        known = await _meta(tx, HOME)
        if known is None:
            return False  # nobody has entered yet who knows of homes
        return not (self._is_same(known, await self._here(tx)) and await self._vouches(tx))

    async def settle(self, tx: "Transaction") -> None:
        """Be at home here from now on, whatever was known before."""
        await tx.row("set_meta", key=HOME, value=await self._here(tx))
        await self.note_use(tx)

    async def enter(self, tx: "Transaction") -> None:
        """Be at home here, where nothing else is known."""
        await tx.row("add_meta", key=HOME, value=await self._here(tx))
        await self.note_use(tx)

    @abstractmethod
    async def note_use(self, tx: "Transaction") -> None:
        """Leave a trace beside the database by which an older state of it can be told from this one."""

    @abstractmethod
    async def _here(self, tx: "Transaction") -> str: ...

    @abstractmethod
    async def _vouches(self, tx: "Transaction") -> bool: ...

    def _is_same(self, known: str, here: str) -> bool:
        return known == here


class ServerHome(Home):
    """On a PostgreSQL server, which gives every cluster, database and table it makes a number of its own."""

    async def note_use(self, tx: "Transaction") -> None:
        """Nothing can be left outside of the database; one that is restored is made anew, and known by that."""

    async def _here(self, tx: "Transaction") -> str:
        row = await tx.row("here")
        assert row is not None, "it always brings a row"
        return str(row[0])

    async def _vouches(self, tx: "Transaction") -> bool:  # noqa: ARG002 (where a file lies beside it, it is asked)
        return True

    def _is_same(self, known: str, here: str) -> bool:
        (cluster, *tables), (this_cluster, *these_tables) = known.split("/"), here.split("/")
        return tables == these_tables and (cluster == this_cluster or "-" in (cluster, this_cluster))


class FileHome(Home):
    """
    On a disk: the machine, the file's own number there, and a mark that changes with use.

    The mark stands in the database and in a file beside it. An older state that is copied over the database bears one
    that is no longer there.
    """

    def __init__(self, path: Path, *, machine: Path = Path("/etc/machine-id")) -> None:
        self._path = path
        self._machine = machine
        self._beside = path.with_name(f"{path.name}-mark")

    async def note_use(self, tx: "Transaction") -> None:
        old, new = await _meta(tx, _MARK), secrets.token_hex(8)
        # The file first, with both: whether or not this transaction commits, the one it leaves in force is there.
        self._write(f"{old or ''} {new}\n")
        await tx.row("set_meta", key=_MARK, value=new)

    async def _here(self, tx: "Transaction") -> str:  # noqa: ARG002 (the file is looked at, not what is in it)
        try:
            machine = self._machine.read_bytes().strip()
        except OSError:
            machine = b""  # a container, or another system: then the file's number must do
        # Hashed, as those who make the id ask for.
        named = hashlib.sha256(b"aimkeeper machine\0" + machine).hexdigest()[:16] if machine else "-"
        return f"{named} {self._path.stat().st_ino}"

    async def _vouches(self, tx: "Transaction") -> bool:
        mark = await _meta(tx, _MARK)
        try:
            return mark is None or mark in self._beside.read_text("ascii").split()
        except (OSError, UnicodeDecodeError):
            return False

    def _is_same(self, known: str, here: str) -> bool:
        if known == NOWHERE:
            return False
        (machine, number), (this_machine, this_number) = known.split(), here.split()
        return number == this_number and (machine == this_machine or "-" in (machine, this_machine))

    def _write(self, text: str) -> None:
        whole = self._beside.with_name(f"{self._beside.name}.new")  # one writer at a time: we are in a transaction
        try:
            with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            whole.replace(self._beside)
            folder = os.open(self._beside.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreUnavailable(f"{self._beside} can't be written: {error.strerror}.") from None


async def _meta(tx: "Transaction", key: str) -> str | None:
    row = await tx.row("get_meta", key=key)
    return None if row is None else str(row[0])
