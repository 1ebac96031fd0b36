"""What every store must show of facts that change no session: whole, durable, and many at one time."""

import asyncio
from dataclasses import replace

import pytest

from aimkeeper.core.events import Event, EventKind
from aimkeeper.store.feed import Place


def act(store, name):
    return Event(kind=EventKind.OPERATOR_ACTED, at=store.now(), data={"act": name})


async def told(store):
    return [fact.data["act"] for _, fact in await store.http.feed.after(Place(0, 0), 1000)]


async def test_facts_that_are_written_together_are_written_whole_or_not_at_all(house, store):
    unwritable = replace(act(store, "b"), email=object())

    with pytest.raises(Exception, match=r"(?i)encoding objects|be written"):
        await store.http.feed.append([act(store, "a"), unwritable, act(store, "c")])
    await store.http.feed.append([act(store, "d"), act(store, "e")])

    assert await told(store) == ["d", "e"]


async def test_facts_that_are_recorded_at_one_time_are_all_there_when_they_are_said_to_be(house, store):
    await asyncio.gather(*(store.http.feed.record(act(store, number)) for number in range(50)))

    assert sorted(await told(await house.open())) == list(range(50))
