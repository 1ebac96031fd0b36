"""Counted tries, shared by every process on the store: so many within a window, and no more."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from aimkeeper.clock import Clock
from aimkeeper.store import rows
from aimkeeper.store.backend import Backend, Transaction

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


@dataclass(frozen=True, slots=True)
class Limit:
    """
    At most so many tries for one thing.

    Attributes:
        name: What they are counted for; stored as a hash.
        most: How many within the window.
    """

    name: str
    most: int

    @property
    def bucket(self) -> str:
        return hashlib.sha256(b"aimkeeper limit\0" + self.name.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Try:
    """
    A try that was counted, or was not.

    Attributes:
        at: Its mark, to give it back by.
        left: How many more there are, by the tightest of the limits.
        wait: How long until another is possible; None when this one may go on.
    """

    at: int
    left: int
    wait: timedelta | None = None


class Limits:
    """Sliding windows: a try counts for exactly as long as the window is."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock

    async def take(self, limits: Sequence[Limit], window: timedelta) -> Try:
        """Count a try against all of *limits*; against none of them when one is used up."""
        now = self._clock.now()
        since = rows.micros(now - window)
        async with self._backend.transaction() as tx:
            await tx.row("prune_limits", now=rows.micros(now))
            hits = await self._lock(tx, limits, now + window)
            young = {bucket: [hit for hit in found if hit > since] for bucket, found in hits.items()}
            # Two tries of one microsecond are two tries.
            mark = max([rows.micros(now), *(found[-1] + 1 for found in young.values() if found)])
            full = [young[limit.bucket] for limit in limits if len(young[limit.bucket]) >= limit.most]
            if not full:
                for found in young.values():
                    found.append(mark)
            for bucket, found in young.items():
                await tx.row("write_limit", bucket=bucket, hits=_encode(found))
        left = min(limit.most - len(young[limit.bucket]) for limit in limits)
        if not full:
            return Try(mark, left)
        opens = max(rows.instant(found[0]) for found in full) + window
        return Try(mark, 0, max(opens - now, timedelta(seconds=1)))

    async def give_back(self, limits: Sequence[Limit], taken: Try) -> None:
        """It does not count after all."""
        async with self._backend.transaction() as tx:
            for bucket, found in (await self._lock(tx, limits, None)).items():
                left = [hit for hit in found if hit != taken.at]
                if left:
                    await tx.row("write_limit", bucket=bucket, hits=_encode(left))
                else:
                    await tx.row("delete_limit", bucket=bucket)

    async def clear(self, limit: Limit) -> None:
        """Whatever was counted is forgotten."""
        async with self._backend.transaction() as tx:
            await tx.row("delete_limit", bucket=limit.bucket)

    async def _lock(self, tx: Transaction, limits: Sequence[Limit], until: datetime | None) -> dict[str, list[int]]:
        """The hits of each bucket, whose rows are ours until the transaction ends; in one order, against deadlocks."""
        expires_at = rows.micros(until or self._clock.now() + timedelta(days=1))
        found = {}
        for bucket in sorted(limit.bucket for limit in limits):
            row = await tx.row("take_limit", bucket=bucket, nothing=_encode([]), expires_at=expires_at)
            assert row is not None, "an upsert brings its row"
            found[bucket] = _decode(row[0])
        return found
