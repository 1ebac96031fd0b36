"""The seam between the store's verbs and the database that carries them out: SQLite, or PostgreSQL."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.store.home import Home
from aimkeeper.store.rows import Params, Row


class Collision(StoreUnavailable):
    """Another process was at the same rows at the same moment; nothing was changed, and now it is to be seen."""


class Moved(Exception):
    """Not every row was as it was taken for: nothing was changed, and they are to be looked at one by one."""


class Unwritable(Exception):
    """A value that no row can hold."""


class Transaction(Protocol):
    """
    Named statements (`sql/*.sql`) inside one transaction.

    Every one of them may raise `StoreUnavailable`, and `Collision`. A value that no row can hold raises something else,
    `Unwritable` for instance.
    """

    async def rows(self, name: str, /, **params: Any) -> list[Row]:
        """Every row of one statement."""

    async def row(self, name: str, /, **params: Any) -> Row | None:
        """The first row of one statement, None without one."""

    async def each(self, name: str, many: Sequence[Params]) -> list[Row | None]:
        """The first row of the statement for each set of parameters, in their order: one trip for all."""


class Backend(Protocol):
    """
    One database.

    Attributes:
        upkeep: Statements that its tables want now and then.
        home: Where it is, and whether it was left there.
    """

    upkeep: tuple[str, ...]
    home: Home

    @property
    def is_adopted(self) -> bool:
        """Whether another program made the table of sessions."""

    @property
    def one_per_email(self) -> bool:
        """Whether that table has room for one session of an account only."""

    async def open(self) -> None:
        """
        Connect, and bring the schema up to date.

        Raises:
            ForeignDatabase: It holds what is not ours.
            StoreUnavailable: It can't be reached or written.
        """

    async def close(self) -> None:
        """Let go of it, once what is under way is done."""

    async def schema(self) -> tuple[int, int]:
        """Its schema (0 where there is none yet) and the newest one known, without changing anything."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """
        A writing transaction: committed at the end, rolled back on any error.

        Whoever is cancelled inside it waits for the statement that runs, and for the rollback; one who is cancelled
        while it is being committed has committed.
        """

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """Statements that only read; they wait for no writer."""

    async def backup(self, target: Path) -> None:
        """
        Copy the whole database, while it is in use, into a new file that only its owner may read.

        Raises:
            ConfigError: *target* is there already, or the database has a tool of its own for that.
            StoreUnavailable: It can't be made or written.
        """

    async def record(self, many: Sequence[Params]) -> None:
        """`insert_event` for each set of parameters, in a transaction of their own: durable when this returns."""

    async def claim(self, name: str, /, **params: Any) -> list[Row]:
        """Take sessions by one statement, in a transaction of its own: durable when this returns."""

    async def change_all(self, name: str, many: Sequence[Params], tally: Params) -> None:
        """
        Change one row for each set of parameters and add *tally*, in a transaction of their own: durable when this
        returns. The quickest way there is, in one trip wherever that can be.

        Raises:
            Moved: For some of them there was no such row: nothing was changed.
        """
