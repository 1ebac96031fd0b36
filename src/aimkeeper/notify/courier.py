"""
The courier: reads the events behind each channel's place in the feed, and tells what is news.

Of all processes over one store, one tells a channel; the others look now and then whether it lives. What is to be told
is written down first, told then, and ticked off last: who dies in between is followed by one who tells the same again,
under the same id. Nothing here is waited for by a rotation.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aimkeeper.clock import Clock
from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.events import Event
from aimkeeper.core.news import QUIET, REPEATING, Digest, is_news
from aimkeeper.core.telling import LONGEST_WAIT, Problem, next_try_in
from aimkeeper.notify.channels import Batch, Channel

if TYPE_CHECKING:
    from aimkeeper.store.feed import Place
    from aimkeeper.store.outbox import Box
    from aimkeeper.store.store import Store

# Other processes write events too: the feed is looked at this often.
LOOK_SECONDS = 2.0
# Who does not tell looks this often whether somebody does.
TAKE_SECONDS = 5.0
# What happens shortly after one another is told together.
GATHER = timedelta(seconds=5)
# Older news is none: the process was away, or a channel could not be reached for days.
STALE = timedelta(days=3)
PAGE = 500
# How far it has read is written down this often, where there was nothing to tell.
NOTE_EVERY = timedelta(minutes=10)
# Something went wrong that nobody foresaw.
FAULT_SECONDS = 60.0
# When it is to stop, what is being sent may take so long.
STOP_SECONDS = 5.0


class Courier:
    """
    Tells every channel.

    Args:
        owner: This process's id on the register of owners; it may change.
        link: Where people can look.

    Attributes:
        telling: How many messages are on their way; a clock that is moved by hand may wait for them.
        told: Told of each try: the channel's name, and what was the matter.
        fault: Told of an error nobody foresaw.
        bury: Takes from the dead what they held.
    """

    def __init__(
        self, store: "Store", clock: Clock, channels: Sequence[Channel], *, owner: Callable[[], str], link: str = ""
    ) -> None:
        self._store = store
        self._clock = clock
        self._channels = channels
        self._owner = owner
        self._link = link
        self._stopping = asyncio.Event()
        self._news = {channel.name: asyncio.Event() for channel in channels}
        self._read_to: dict[str, Place] = {}
        self._noted_at: dict[str, datetime] = {}
        self.telling = 0
        self.told: Callable[[str, Problem | None], None] = lambda _channel, _problem: None
        self.fault: Callable[[Exception], None] = lambda _error: None
        self.bury: Callable[[], Awaitable[None]] | None = None

    def hear(self, fact: Event) -> None:
        """An event was committed here: look at once."""
        if is_news(fact):
            for news in self._news.values():
                news.set()

    def stop(self) -> None:
        """Begin nothing more; `run` returns soon."""
        self._stopping.set()

    async def run(self) -> None:
        """Tell until `stop`."""
        tasks = [asyncio.create_task(self._serve(channel), name=channel.name) for channel in self._channels]
        await self._stopping.wait()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks)

    async def _serve(self, channel: Channel) -> None:
        while not self._stopping.is_set():
            self._news[channel.name].clear()
            try:
                wait, may_wake = await self._round(channel)
            except StoreUnavailable:
                wait, may_wake = LOOK_SECONDS, False
            except Exception as error:  # noqa: BLE001 (whatever it is, sessions must be kept)
                self.fault(error)
                wait, may_wake = FAULT_SECONDS, False
            await self._nap(channel, wait, may_wake=may_wake)
        with suppress(StoreUnavailable):
            await self._store.outbox.leave(channel.name, self._owner())

    async def _round(self, channel: Channel) -> tuple[float, bool]:
        """One look, and whatever it asks for; the seconds until the next, and whether news cut them short."""
        box = await self._box(channel)
        if box is None:
            return TAKE_SECONDS, False
        now = self._store.now()
        if box.not_before is not None and now < box.not_before:
            # A clock that was set must not make it wait for long.
            return min(box.not_before - now, LONGEST_WAIT).total_seconds(), False
        if box.until is not None:
            return await self._tell(channel, box)
        first = await self._first_news(channel, box)
        if first is None:
            return LOOK_SECONDS, True
        wait = first.at + GATHER - now
        if box.told_at is not None:
            wait = max(wait, box.told_at + channel.gap - now)
        if timedelta(0) < wait <= max(GATHER, channel.gap):
            return wait.total_seconds(), False
        return await self._tell(channel, replace(box, until=await self._end_of_batch(channel, box)))

    async def _box(self, channel: Channel) -> "Box | None":
        """The channel's row, when it is this process that tells it."""
        box = await self._store.outbox.read(channel.name) or await self._store.outbox.enter(channel.name)
        if box.owner == self._owner():
            return box
        if box.owner is not None and self.bury is not None:
            await self.bury()
        if not await self._store.outbox.take(channel.name, self._owner()):
            return None
        self._read_to.pop(channel.name, None)
        return await self._store.outbox.enter(channel.name)

    async def _first_news(self, channel: Channel, box: "Box") -> Event | None:
        """The first event after the channel's place that is worth telling."""
        at = max(box.place, self._read_to.get(channel.name, box.place))
        found: Event | None = None
        while found is None:
            page = await self._store.http.feed.after(at, PAGE)
            for place, fact in page:
                if self._counts(fact):
                    found = fact
                    break
                at = place
            if len(page) < PAGE:
                break
        self._read_to[channel.name] = at
        await self._note(box, at)
        return found

    async def _note(self, box: "Box", at: "Place") -> None:
        """Write down now and then how far was read, so that the next process need not read it again."""
        now = self._store.now()
        since = self._noted_at.setdefault(box.channel, now)
        if at > box.place and now - since >= NOTE_EVERY:
            self._noted_at[box.channel] = now
            await self._store.outbox.write(replace(box, place=at), self._owner())

    async def _end_of_batch(self, channel: Channel, box: "Box") -> "Place":
        """Where what is told at a time ends: with the feed, or with so many events as the channel takes."""
        at, count = max(box.place, self._read_to.get(channel.name, box.place)), 0
        while page := await self._store.http.feed.after(at, PAGE):
            for place, fact in page:
                at = place
                count += self._counts(fact)
                if count == channel.most:
                    return at
            if len(page) < PAGE:
                break
        return at

    async def _tell(self, channel: Channel, box: "Box") -> tuple[float, bool]:
        """Tell what lies between the channel's place and the end of the batch."""
        assert box.until is not None
        batch = await self._batch(channel, box)
        done = replace(box, place=box.until, until=None, attempt=0, not_before=None, problem=None)
        if batch is None:
            await self._store.outbox.write(done, self._owner())
            return 0, False
        if not await self._store.outbox.write(box, self._owner()):
            return 0, False
        self.telling += 1
        try:
            told = await channel.tell(batch)
        finally:
            self.telling -= 1
        self.told(channel.name, told.problem)
        now, attempt = self._store.now(), box.attempt + 1
        if told.problem is None:
            await self._tick_off(replace(done, told_at=now))
            return 0, False
        wait = next_try_in(attempt, told)
        await self._tick_off(replace(box, attempt=attempt, not_before=now + wait, problem=told.problem.value))
        return wait.total_seconds(), False

    async def _tick_off(self, box: "Box") -> None:
        """Write down what was done. Until it stands there nothing else is told: it would be told twice."""
        while True:
            try:
                await self._store.outbox.write(box, self._owner())
            except StoreUnavailable:
                if self._stopping.is_set():
                    return
                await self._clock.sleep(LOOK_SECONDS)
            else:
                return

    async def _batch(self, channel: Channel, box: "Box") -> Batch | None:
        """What there is to tell; None when nothing is left of it."""
        assert box.until is not None
        digest, events, last = Digest(), [], None
        at = box.place
        while page := await self._store.http.feed.after(at, PAGE):
            for place, fact in page:
                if place > box.until:
                    break
                if self._counts(fact) and not await self._is_repeated(fact, box):
                    digest.add(fact)
                    last = fact.at
                    if channel.most is not None:
                        events.append((str(place), fact))
            at = page[-1][0]
            if at >= box.until or len(page) < PAGE:
                break
        is_empty = not len(digest) if channel.most is None else not events
        if last is None or is_empty:
            return None
        identity = f"{int(box.created_at.timestamp() * 1000):x}-{box.channel}-{box.until}"
        message = digest.message(self._link) if len(digest) else None
        return Batch(identity, last, message, tuple(events))

    def _counts(self, fact: Event) -> bool:
        return is_news(fact) and self._store.now() - fact.at < STALE

    async def _is_repeated(self, fact: Event, box: "Box") -> bool:
        """Whether the same was told of the same session before, and has gone on since."""
        if fact.kind not in REPEATING or fact.session_id is None:
            return False
        before = await self._store.events_of(fact.session_id, limit=50, before=fact.id)
        since = max(fact.at - QUIET, box.created_at)
        return any(
            was.kind is fact.kind and was.at >= since and was.data.get("problem") == fact.data.get("problem")
            for was in before
        )

    async def _nap(self, channel: Channel, seconds: float, *, may_wake: bool) -> None:
        if seconds <= 0 or self._stopping.is_set():
            await asyncio.sleep(0)
            return
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._stopping.wait())]
        if may_wake:
            waits.append(asyncio.ensure_future(self._news[channel.name].wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
