"""Many sessions stored at once: whoever is new is stored with others, and all others are told apart."""

import asyncio
from dataclasses import replace

import pytest

from aimkeeper.core.session import Status


def drafts(house, sessions):
    return [(session, house.fact(session)) for session in sessions]


async def test_those_whom_nobody_knows_are_stored_each_with_its_event(house):
    store = await house.open()
    sessions = [house.session(number) for number in (3, 1, 2)]

    stored = await store.arrivals.put_new(drafts(house, sessions))

    assert stored == [True, True, True]
    for session in sessions:
        kept = await store.get(session.id)
        assert (kept.key, kept.token, kept.jar) == (session.key, session.token, session.jar)
        assert (kept.status, kept.generation, kept.due_at) == (Status.ACTIVE, 1, session.due_at)
        assert [fact.kind for fact in await store.events_of(session.id)] == ["adopted"]
    assert (await store.standing(house.clock.now())).living == 3


async def test_a_pair_that_is_known_is_left_as_it_is_and_the_others_are_stored(house):
    store = await house.open()
    [known] = await house.keep(store, house.session(1))
    again = replace(house.session(1), id=house.session(9).id)

    stored = await store.arrivals.put_new(drafts(house, [again, house.session(2)]))

    assert stored == [False, True]
    assert await store.get(again.id) is None
    assert (await store.get(known.id)).token == known.token
    assert await store.events_of(again.id) == []


async def test_a_ref_that_another_session_has_stores_nothing(house):
    store = await house.open()
    await house.keep(store, house.session(1, ref="user 7"))

    stored = await store.arrivals.put_new(
        drafts(house, [house.session(2, ref="user 7"), house.session(3, ref="user 8")])
    )

    assert stored == [False, True]
    assert await store.get(house.session(2).id) is None


async def test_of_one_pair_that_comes_twice_the_first_is_stored(house):
    store = await house.open()
    first, second = house.session(1), replace(house.session(1), id=house.session(2).id)

    stored = await store.arrivals.put_new(drafts(house, [first, second]))

    assert stored == [True, False]
    assert (await store.by_pair(first.key)).id == first.id


async def test_two_who_store_the_same_ones_at_once_store_each_once(house):
    one, other = await house.open(), await house.open()
    sessions = [house.session(number) for number in range(1, 30)]
    again = [replace(session, id=house.session(number).id) for number, session in enumerate(reversed(sessions), 100)]

    told = await asyncio.gather(
        one.arrivals.put_new(drafts(house, sessions)), other.arrivals.put_new(drafts(house, again))
    )

    by_pair = [mine + theirs for mine, theirs in zip(told[0], reversed(told[1]), strict=True)]
    assert (await one.standing(house.clock.now())).living == sum(by_pair)
    assert max(by_pair) == 1


@pytest.mark.parametrize("count", [0, 1])
async def test_few_are_stored_like_many(house, count):
    store = await house.open()
    sessions = [house.session(number) for number in range(count)]

    assert await store.arrivals.put_new(drafts(house, sessions)) == [True] * count
