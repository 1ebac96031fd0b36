"""Seals again, with the key that seals now, whatever is sealed with another: page by page, while all others work."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aimkeeper.core.errors import KeyProblem
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend
from aimkeeper.store.seal import Sealer, key_id_of

# So many rows in one transaction: others must not wait long.
CHUNK = 250

# Which statement reads a page, which one writes a value, and to which row and column the value of an id is bound.
_PLACES: dict[str, tuple[str, str, Callable[[str], tuple[str, str]]]] = {
    "sessions": ("sealed_sessions", "reseal_session", lambda row_id: (row_id, rows.SEALED_COLUMN)),
    "spares": ("sealed_spares", "reseal_spare", rows.spare_bond),
}


@dataclass(slots=True)
class Resealed:
    """
    What a pass came to.

    Attributes:
        looked_at: Sessions and spares that were looked at.
        sessions: Sealed again.
        spares: Sealed again.
        moved: Written by somebody else at that very moment: to be looked at again.
        unreadable: Ids of the keys that were not at hand, with how many values wait for each.
    """

    looked_at: int = 0
    sessions: int = 0
    spares: int = 0
    moved: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)

    @property
    def changed_nothing(self) -> bool:
        """Whether all was sealed with the one key already, but for what does not open."""
        return not (self.sessions or self.spares or self.moved)

    def and_then(self, later: "Resealed") -> "Resealed":
        """This pass and a later one; what does not open is as the later one found it."""
        return Resealed(
            self.looked_at, self.sessions + later.sessions, self.spares + later.spares, later.moved, later.unreadable
        )


async def reseal(backend: Backend, sealer: Sealer, told: Callable[[Resealed], None]) -> Resealed:
    """
    One pass over everything. It may be broken off anywhere: what was done is done, the next pass does the rest.

    Args:
        backend: Open.
        sealer: Its first key seals.
        told: Called after each page.

    Raises:
        StoreUnavailable
    """
    result = Resealed()
    for place, (read, write, bond) in _PLACES.items():
        after = ""
        while True:
            async with backend.reading() as tx:
                key_id = bytes.fromhex(sealer.key_ids[0])
                page = await tx.rows(read, after=after, key_id=key_id, limit=CHUNK)
            if not page:
                break
            after = page[-1][0]
            changes = _changes(sealer, bond, [(row[0], row[1]) for row in page if row[1] is not None], result)
            landed: list[Any] = []
            if changes:
                async with backend.transaction() as tx:
                    landed = await tx.each(write, changes)
            done = sum(row is not None for row in landed)
            setattr(result, place, getattr(result, place) + done)
            result.moved += len(changes) - done
            result.looked_at += len(page)
            told(result)
    return result


def _changes(
    sealer: Sealer, bond: Callable[[str], tuple[str, str]], page: list[tuple[str, bytes]], result: Resealed
) -> list[dict[str, object]]:
    changes: list[dict[str, object]] = []
    for row_id, was in page:
        try:
            sealed = sealer.seal(*bond(row_id), sealer.open(*bond(row_id), was))
        except KeyProblem:
            name = key_id_of(was)
            result.unreadable[name] = result.unreadable.get(name, 0) + 1
        else:
            changes.append({"id": row_id, "was": was, "sealed": sealed})
    return changes
