"""What was committed is told: once, by one process of all, and after a crash too."""

import asyncio
from contextlib import suppress

from aimkeeper.core.events import EventKind

HOUR = 3600


async def test_what_was_committed_is_told_within_seconds(office, store, receiver):
    async with office.courier(office.discord(receiver)):
        await store.record(office.fact())
        await office.clock.run(10)

    assert len(receiver.told) == 1


async def test_of_many_processes_one_tells(office, store, receiver):
    async with (
        office.courier(office.webhook(receiver)),
        office.courier(office.webhook(receiver)),
        office.courier(office.webhook(receiver)),
    ):
        for number in range(1, 6):
            await store.record(office.fact(number=number))
            await office.clock.run(60)

    assert [told.kinds for told in receiver.told] == [["ended"]] * 5
    assert len({told.headers["webhook-id"] for told in receiver.told}) == 5


async def test_what_happens_at_once_is_told_together(office, store, receiver):
    async with office.courier(office.discord(receiver)):
        for number in range(1, 31):
            await store.record(office.fact(number=number))
        await office.clock.run(120)

    [told] = receiver.told
    assert "30 sessions ended" in told.json["content"]
    assert "and 22 more" in told.json["embeds"][0]["description"]


async def test_people_are_told_at_most_once_a_minute_and_then_of_all(office, store, receiver):
    async with office.courier(office.discord(receiver)):
        for number in range(1, 121):
            await store.record(office.fact(number=number))
            await office.clock.run(1)
        await office.clock.run(120)

    counts = [int(told.json["content"].split("**")[1].split()[0].replace("A", "1")) for told in receiver.told]
    assert sum(counts) == 120
    assert len(counts) <= 4


async def test_what_happened_before_a_channel_was_set_up_is_not_told(office, store, receiver):
    await store.record(office.fact(number=1))
    office.clock.advance(10)

    async with office.courier(office.webhook(receiver)):
        await office.clock.run(60)
        await store.record(office.fact(number=2))
        await office.clock.run(60)

    assert [fact["email"] for told in receiver.told for fact in told.json["data"]["events"]] == ["m2@example.com"]


async def test_what_happened_while_nobody_ran_is_told_when_somebody_does(office, store, receiver):
    async with office.courier(office.webhook(receiver)):
        await office.clock.run(10)
    await store.record(office.fact())
    office.clock.advance(8 * HOUR)

    async with office.courier(office.webhook(receiver)):
        await office.clock.run(10)

    assert [told.kinds for told in receiver.told] == [["ended"]]


async def test_news_that_is_days_old_is_none(office, store, receiver):
    async with office.courier(office.webhook(receiver)):
        await office.clock.run(10)
    await store.record(office.fact())
    office.clock.advance(80 * HOUR)

    async with office.courier(office.webhook(receiver)):
        await office.clock.run(60)

    assert receiver.told == []


async def test_what_is_no_news_is_not_told(office, store, receiver):
    async with office.courier(office.discord(receiver), office.webhook(receiver)):
        for kind in (EventKind.ADOPTED, EventKind.IN_DOUBT, EventKind.HEALED, EventKind.SUSPECTED):
            await store.record(office.fact(kind))
        await store.record(office.fact(cause="logged_out_here"))
        await office.clock.run(120)

    assert receiver.told == []


# ------------------------------------------------------------ tries again


async def test_one_who_can_not_be_told_is_tried_again_with_the_same_under_the_same_id(office, store, receiver):
    receiver.answers = [500, 503, 404]
    async with office.courier(office.webhook(receiver)):
        await store.record(office.fact())
        await office.clock.run(100)

    assert len(receiver.told) == 4
    assert len({told.body for told in receiver.told}) == 1
    assert len({told.headers["webhook-id"] for told in receiver.told}) == 1


async def test_what_comes_meanwhile_waits_its_turn(office, store, receiver):
    receiver.answers = [500]
    async with office.courier(office.webhook(receiver)):
        await store.record(office.fact(number=1))
        await office.clock.run(7)
        await store.record(office.fact(number=2))
        await office.clock.run(60)

    emails = [[fact["email"] for fact in told.json["data"]["events"]] for told in receiver.told]
    assert emails == [["m1@example.com"], ["m1@example.com"], ["m2@example.com"]]


async def test_one_channel_s_trouble_is_not_another_s(office, store, receiver, other):
    receiver.answers = [500] * 100
    async with office.courier(office.discord(receiver), office.webhook(other)):
        await store.record(office.fact())
        await office.clock.run(120)

    assert len(receiver.told) > 2
    assert len(other.told) == 1


async def test_who_asks_for_time_gets_it(office, store, receiver):
    receiver.answers, receiver.headers = [429], {"retry-after": "120.5"}
    async with office.courier(office.discord(receiver)):
        await store.record(office.fact())
        await office.clock.run(100)
        early = len(receiver.told)
        await office.clock.run(60)

    assert (early, len(receiver.told)) == (1, 2)


# ------------------------------------------------------------ crashes


async def test_what_was_committed_before_a_crash_is_told_after_it_once(office, house, store, receiver):
    channel = office.webhook(receiver)
    async with office.process(channel) as (_, owner, running):
        await house.watch()
        await store.record(office.fact())
        running.cancel()
        house.die(house.opened[-1], owner)
    await house.watch()

    async with office.courier(channel):
        await office.clock.run(60)

    assert [told.kinds for told in receiver.told] == [["ended"]]


async def test_a_crash_while_it_was_told_repeats_it_under_the_same_id(office, house, receiver, store):
    channel = office.webhook(receiver)
    receiver.open.clear()
    async with office.process(channel) as (_, owner, running):
        await house.watch()
        await store.record(office.fact())
        moving = asyncio.create_task(office.clock.run(20))
        while not receiver.told:
            await asyncio.sleep(0.005)
        running.cancel()
        telling = [task for task in asyncio.all_tasks() if task.get_name() == channel.name]
        for task in telling:
            task.cancel()
        # Answered only once it is gone: where answer and end come together, the library may give the answer.
        await asyncio.wait(telling)
        house.die(house.opened[-1], owner)
        receiver.open.set()
        with suppress(asyncio.CancelledError):
            await moving
    await house.watch()

    async with office.courier(channel):
        await office.clock.run(60)

    first, second = receiver.told
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


async def test_one_who_was_taken_for_dead_tells_no_more(office, house, store, receiver):
    mine, other = await house.open(), await house.open()
    rival = await other.owners.enrol("a rival", "visitor")
    async with office.process(office.webhook(receiver), store=mine) as (_, owner, _running):
        await office.clock.run(10)
        # As those do who bury the dead.
        await mine.outbox.leave("webhook", owner)
        taken = await other.outbox.take("webhook", rival)
        await store.record(office.fact())
        await office.clock.run(60)

    assert taken
    assert receiver.told == []
