"""The accounts' automatic logins: one at a time each, and a short memory of what the last ones came to."""

from datetime import datetime

import msgspec

from aimkeeper.core.relogin import LoginBook
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, ...]).decode


class Logins:
    """Who is being logged in, by which process."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def begin(self, email: str, owner: str) -> LoginBook | None:
        """Take the account's turn; None while another login of it is under way."""
        async with self._backend.transaction() as tx:
            row = await tx.row("begin_login", email=email, owner=owner, nothing=_encode(()))
        return _book(row[0], row[1]) if row else None

    async def finish(self, email: str, owner: str, book: LoginBook) -> None:
        """Give the turn back, and remember what it came to."""
        async with self._backend.transaction() as tx:
            await tx.row(
                "finish_login",
                email=email,
                owner=owner,
                failed_at=_encode([rows.micros(at) for at in book.failed_at]),
                not_before=rows.maybe_micros(book.not_before),
            )

    async def book(self, email: str) -> LoginBook:
        """What is remembered of the account's logins."""
        async with self._backend.reading() as tx:
            row = await tx.row("login_book", email=email)
        return _book(row[1], row[2]) if row else LoginBook()


def _book(failed_at: bytes, not_before: int | None) -> LoginBook:
    failed: tuple[datetime, ...] = tuple(rows.instant(micro) for micro in _decode(failed_at))
    return LoginBook(failed, rows.maybe_instant(not_before))
