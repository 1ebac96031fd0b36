"""What every store must show of its outbox and its alarms."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.events import Event, EventKind
from aimkeeper.store.feed import Place

MINUTE = timedelta(minutes=1)


def fact(store, kind=EventKind.AT_RISK):
    return Event(kind=kind, at=store.now(), data={"count": 3})


async def written(store):
    return [fact.kind for _, fact in await store.http.feed.after(Place(0, 0), 100)]


# ------------------------------------------------------------ channels


async def test_a_channel_begins_with_what_happens_from_now_on(house, store):
    await store.record(fact(store))

    box = await store.outbox.enter("discord")
    await store.record(fact(store, EventKind.SAFE_AGAIN))

    assert [fact.kind for _, fact in await store.http.feed.after(box.place, 10)] == [EventKind.SAFE_AGAIN]
    assert (box.owner, box.until, box.attempt, box.problem, box.created_at) == (None, None, 0, None, store.now())


async def test_a_channel_that_is_known_goes_on_where_it_was(house, store, worker):
    first = await store.outbox.enter("discord")
    await store.record(fact(store))
    house.clock.advance(60)

    again = await (await house.open()).outbox.enter("discord")

    assert again == first


async def test_what_is_written_is_read_by_every_process(house, store, worker):
    box = await store.outbox.enter("webhook")
    await store.outbox.take("webhook", worker)
    now = store.now()
    told = replace(
        box, owner=worker, until=box.place, attempt=2, not_before=now + MINUTE, told_at=now, problem="refused"
    )

    assert await store.outbox.write(told, worker)
    other = await house.open()
    assert await other.outbox.read("webhook") == told
    assert await other.outbox.everything() == [told]


async def test_a_channel_nobody_heard_of_has_no_row(store):
    assert await store.outbox.read("discord") is None
    assert await store.outbox.everything() == []


async def test_of_many_who_want_to_tell_one_does(house, store, worker):
    await store.outbox.enter("discord")
    others = [await house.open() for _ in range(3)]
    owners = [await other.owners.enrol("another", "visitor") for other in others]

    taken = await asyncio.gather(
        *(other.outbox.take("discord", owner) for other, owner in zip(others, owners, strict=True))
    )

    assert sum(taken) == 1
    assert not await store.outbox.take("discord", worker)


async def test_whoever_tells_may_take_it_again_and_others_may_when_he_leaves(store, worker, rival):
    box = await store.outbox.enter("discord")

    taken = [await store.outbox.take("discord", owner) for owner in (worker, worker, rival)]
    written_by_rival = await store.outbox.write(box, rival)
    await store.outbox.leave("discord", rival)  # it is not his to give up
    still = [await store.outbox.take("discord", rival)]
    await store.outbox.leave("discord", worker)
    after = [await store.outbox.take("discord", rival), await store.outbox.write(box, worker)]

    assert (taken, written_by_rival, still, after) == ([True, True, False], False, [False], [True, False])


async def test_one_who_dies_tells_no_more_and_another_does(house, store):
    dead = await store.owners.enrol("an office", "visitor")
    other = await house.open()
    heir = await other.owners.enrol("its heir", "visitor")
    await store.outbox.enter("discord")
    await store.outbox.take("discord", dead)
    await house.watch()
    before = await other.outbox.take("discord", heir)

    house.die(store, dead)
    await house.bury(other)

    assert (before, await other.outbox.take("discord", heir)) == (False, True)


async def test_one_who_leaves_in_good_order_leaves_his_channels(store, worker, rival):
    await store.outbox.enter("discord")
    await store.outbox.take("discord", worker)

    await store.owners.retire(worker)

    assert await store.outbox.take("discord", rival)


async def test_what_is_told_at_intervals_is_told_by_one_in_each(house, store):
    await store.outbox.enter("heartbeat")
    others = [store, await house.open(), await house.open()]

    async def beats():
        return sum(await asyncio.gather(*(each.outbox.beat("heartbeat", store.now() - 5 * MINUTE) for each in others)))

    told = []
    for _ in range(12):
        told.append(await beats())
        house.clock.advance(60)

    assert told == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


async def test_a_place_beyond_the_end_of_the_feed_is_set_back_to_it(house, store, worker):
    """As in a database that came back from a dump, and counts its transactions anew."""
    box = await store.outbox.enter("discord")
    await store.outbox.take("discord", worker)
    beyond = Place(box.place.epoch + 10**12, box.place.id + 10**12)
    await store.outbox.write(replace(box, place=beyond, until=beyond), worker)

    again = await store.outbox.enter("discord")
    await store.record(fact(store))

    assert len(await store.http.feed.after(again.place, 10)) == 1
    assert again.until is not None
    assert again.until <= (await store.http.feed.end())


# ------------------------------------------------------------ alarms


async def test_an_alarm_is_raised_once_by_any_number_and_told_once(house, store):
    others = [store, *[await house.open() for _ in range(3)]]

    raised = await asyncio.gather(*(each.alarms.sound("at_risk", fact(store)) for each in others))

    assert sum(raised) == 1
    assert await written(store) == [EventKind.AT_RISK]
    assert await store.alarms.raised() == {"at_risk": store.now()}


async def test_it_is_cleared_once_and_may_be_raised_again(house, store):
    others = [store, await house.open()]
    over = fact(store, EventKind.SAFE_AGAIN)
    await store.alarms.sound("at_risk", fact(store))

    cleared = await asyncio.gather(*(each.alarms.clear("at_risk", over) for each in others))

    assert sum(cleared) == 1
    assert await store.alarms.raised() == {}
    assert await store.alarms.sound("at_risk", fact(store))
    assert await written(store) == [EventKind.AT_RISK, EventKind.SAFE_AGAIN, EventKind.AT_RISK]


async def test_an_alarm_that_nobody_raised_is_not_cleared_nor_told(store):
    assert not await store.alarms.clear("at_risk", fact(store, EventKind.SAFE_AGAIN))
    assert await written(store) == []


async def test_one_alarm_is_not_another(store):
    await store.alarms.sound("at_risk", fact(store))

    assert await store.alarms.sound("rate_too_low", fact(store, EventKind.RATE_TOO_LOW))
    assert set(await store.alarms.raised()) == {"at_risk", "rate_too_low"}


async def test_an_alarm_whose_fact_can_not_be_written_is_not_raised(house, store):
    with pytest.raises(house.unwritable):
        await store.alarms.sound("at_risk", replace(fact(store), email="\ud800"))

    assert await store.alarms.raised() == {}
