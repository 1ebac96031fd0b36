"""The courier where things are many, go on and on, come undone or go wrong. On SQLite: it is not about the store."""

import asyncio

import pytest

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.events import EventKind
from aimkeeper.core.telling import LONGEST_WAIT, Problem, Told, next_try_in
from aimkeeper.notify import courier

HOUR = 3600


@pytest.fixture
def keeps_in():
    return "sqlite"


# ------------------------------------------------------------ what goes on and on


async def test_what_goes_on_for_a_session_is_told_again_only_after_six_quiet_hours(office, store, receiver):
    async with office.courier(office.webhook(receiver)):
        for pause in (0, 1, 1, 1, 1, 1, 1, 1, 7):  # hours
            office.clock.advance(pause * HOUR)
            await store.record(office.fact(EventKind.HOLDER_CONFLICT))
            await office.clock.run(15)

    assert [told.kinds for told in receiver.told] == [["holder_conflict"]] * 2


async def test_another_session_s_conflict_and_another_problem_are_news(office, store, receiver):
    conflict, failed = EventKind.HOLDER_CONFLICT, EventKind.RELOGIN_FAILED
    async with office.courier(office.webhook(receiver)):
        await store.record(office.fact(conflict, 1))
        await store.record(office.fact(conflict, 2))
        await store.record(office.fact(failed, 1, problem="unavailable"))
        await store.record(office.fact(failed, 1, problem="locked_out"))
        await store.record(office.fact(failed, 1, problem="locked_out"))
        await office.clock.run(60)

    assert [told.kinds for told in receiver.told] == [[conflict, conflict, failed, failed]]


async def test_what_a_channel_was_not_there_to_hear_makes_no_repetition_of_what_it_hears(office, store, receiver):
    await store.record(office.fact(EventKind.HOLDER_CONFLICT))
    office.clock.advance(HOUR)

    async with office.courier(office.webhook(receiver)):
        await store.record(office.fact(EventKind.HOLDER_CONFLICT))
        await office.clock.run(60)

    assert len(receiver.told) == 1


# ------------------------------------------------------------ many


async def test_a_program_gets_a_hundred_at_a_time_and_each_once(office, store, receiver):
    async with office.courier(office.webhook(receiver)):
        await store.http.feed.append([office.fact(number=number) for number in range(1, 1251)])
        await office.clock.run(60)

    emails = [[fact["email"] for fact in told.json["data"]["events"]] for told in receiver.told]
    assert [len(each) for each in emails] == [100] * 12 + [50]
    assert [email for each in emails for email in each] == [f"m{number}@example.com" for number in range(1, 1251)]


async def test_people_get_the_same_as_one_message(office, store, receiver):
    async with office.courier(office.discord(receiver)):
        await store.http.feed.append([office.fact(number=number) for number in range(1, 1251)])
        await office.clock.run(120)

    assert [told.json["embeds"][0]["title"] for told in receiver.told] == ["1250 sessions ended"]


async def test_how_far_it_has_read_is_written_down_now_and_then(office, store, receiver):
    async with office.courier(office.webhook(receiver)):
        for _ in range(4):
            await store.http.feed.append([office.fact(EventKind.HEALED) for _ in range(10)])
            await office.clock.run(200)
        box, end = await store.outbox.read("webhook"), await store.http.feed.end()

    assert (0, 20) < box.place <= end
    assert receiver.told == []


# ------------------------------------------------------------ what comes undone


async def test_an_end_that_was_undone_at_once_is_told_to_programs_and_to_no_people(office, store, receiver, other):
    async with office.courier(office.discord(receiver), office.webhook(other)):
        await store.record(office.fact())
        await store.record(office.fact(EventKind.REVIVED, by="late_rotation"))
        await office.clock.run(120)

    assert receiver.told == []
    assert [told.kinds for told in other.told] == [["ended", "revived"]]


async def test_a_session_that_is_forgotten_before_it_was_told_of_is_not_told_of(office, store, receiver):
    receiver.answers = [500]
    gone = office.fact(number=1)
    async with office.courier(office.webhook(receiver)):
        await store.record(gone)
        await office.clock.run(7)
        await store.forget(gone.session_id)
        await office.clock.run(120)
        await store.record(office.fact(number=2))
        await office.clock.run(60)

    told = [fact["email"] for told in receiver.told[1:] for fact in told.json["data"]["events"]]
    assert told == ["m2@example.com"]


# ------------------------------------------------------------ what goes wrong


async def test_while_it_can_not_be_ticked_off_nothing_is_told_twice(office, store, receiver, monkeypatch):
    mine = await office.house.open()
    write, refused = mine.outbox.write, []

    async def away(box, owner):
        if receiver.told and len(refused) < 5:
            refused.append(box)
            raise StoreUnavailable("gone for now")
        return await write(box, owner)

    monkeypatch.setattr(mine.outbox, "write", away)
    async with office.courier(office.webhook(receiver), store=mine):
        await store.record(office.fact(number=1))
        await office.clock.run(30)
        await store.record(office.fact(number=2))
        await office.clock.run(30)

    assert len(refused) == 5
    assert [told.kinds for told in receiver.told] == [["ended"], ["ended"]]
    assert len({told.headers["webhook-id"] for told in receiver.told}) == 2


async def test_a_store_that_is_away_is_waited_for(office, store, receiver, monkeypatch):
    mine = await office.house.open()
    after, refused = mine.http.feed.after, []

    async def away(place, limit):
        if len(refused) < 5:
            refused.append(place)
            raise StoreUnavailable("gone for now")
        return await after(place, limit)

    monkeypatch.setattr(mine.http.feed, "after", away)
    async with office.courier(office.webhook(receiver), store=mine):
        await store.record(office.fact())
        await office.clock.run(30)

    assert len(refused) == 5
    assert len(receiver.told) == 1


async def test_an_error_nobody_foresaw_is_told_and_the_message_tried_again(office, store, receiver, other):
    channel = office.webhook(receiver)
    real, broken = channel.tell, []

    async def tell(batch):
        if not broken:
            broken.append(batch)
            raise LookupError("of ours")
        return await real(batch)

    channel.tell = tell
    faults = []
    async with office.courier(channel, office.discord(other)) as mine:
        mine.fault = faults.append
        await store.record(office.fact())
        await office.clock.run(120)

    assert [type(error) for error in faults] == [LookupError]
    assert (len(receiver.told), len(other.told)) == (1, 1)
    assert receiver.told[0].headers["webhook-id"] == broken[0].id


async def test_each_try_is_told_by_channel_and_problem(office, store, receiver):
    receiver.answers, tries = [404], []
    async with office.courier(office.webhook(receiver)) as mine:
        mine.told = lambda channel, problem: tries.append((channel, problem))
        await store.record(office.fact())
        await office.clock.run(60)

    assert tries == [("webhook", Problem.REFUSED), ("webhook", None)]


async def test_told_to_stop_it_does_not_wait_for_one_who_never_answers(office, store, receiver, monkeypatch):
    monkeypatch.setattr(courier, "STOP_SECONDS", 0.1)
    receiver.open.clear()
    channel = office.webhook(receiver)
    async with office.process(channel) as (stopped, _, running):
        await store.record(office.fact())
        moving = asyncio.create_task(office.clock.run(6))
        while not receiver.told:
            await asyncio.sleep(0.005)
        stopped.stop()
        await asyncio.wait([running])
        receiver.open.set()
        await moving

    async with office.courier(channel):
        await office.clock.run(30)

    assert len({told.headers["webhook-id"] for told in receiver.told}) == 1


async def test_what_was_committed_here_is_heard_at_once(office, store, receiver):
    fact = office.fact()
    async with office.courier(office.webhook(receiver)) as mine:
        await office.clock.run(0.5)
        mine.hear(office.fact(EventKind.HEALED))
        await store.record(fact)
        mine.hear(fact)
        await office.clock.run(5.1)

    assert len(receiver.told) == 1


async def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_long(office, store, receiver):
    async with office.courier(office.discord(receiver)):
        await store.record(office.fact(number=1))
        await office.clock.run(10)
        office.clock.set_wall(office.clock.now().replace(year=2025))
        await store.record(office.fact(number=2))
        await office.clock.run(70)

    assert len(receiver.told) == 2


async def test_who_takes_over_waits_as_long_as_the_one_before_would_have(office, store, receiver):
    receiver.answers = [500] * 3  # then it waits a minute
    async with office.courier(office.webhook(receiver)):
        await store.record(office.fact())
        await office.clock.run(40)
    tried = len(receiver.told)

    async with office.courier(office.webhook(receiver)):
        await office.clock.run(30)
        early = len(receiver.told)
        await office.clock.run(60)

    assert (tried, early, len(receiver.told)) == (3, 3, 4)


async def test_one_who_loses_the_channel_before_he_tells_does_not_tell(office, store, receiver, monkeypatch):
    mine = await office.house.open()
    monkeypatch.setattr(mine.outbox, "write", lambda _box, _owner: asyncio.sleep(0, result=False))
    async with office.process(office.webhook(receiver), store=mine):
        await store.record(office.fact())
        for _ in range(10):
            await asyncio.sleep(0)
        office.clock.advance(6)
        for _ in range(200):
            await asyncio.sleep(0)

    assert receiver.told == []


async def test_told_to_stop_while_it_can_not_tick_off_it_stops(office, store, receiver, monkeypatch):
    mine = await office.house.open()
    write = mine.outbox.write

    async def away(box, owner):
        if receiver.told:
            raise StoreUnavailable("gone for good")
        return await write(box, owner)

    monkeypatch.setattr(mine.outbox, "write", away)
    async with office.courier(office.webhook(receiver), store=mine):
        await store.record(office.fact())
        await office.clock.run(20)

    assert len(receiver.told) == 1


async def test_where_nobody_is_to_be_told_it_waits_until_it_is_told_to_stop(office, store):
    async with office.courier() as idle:
        idle.hear(office.fact())
        await store.record(office.fact())
        await office.clock.run(60)

    assert await store.outbox.everything() == []


# ------------------------------------------------------------ how long to wait


def test_it_waits_longer_after_each_try_and_never_longer_than_a_quarter_of_an_hour():
    waits = [next_try_in(attempt, Told(Problem.SERVER_ERROR)).total_seconds() for attempt in range(1, 9)]

    assert waits == [5, 15, 60, 300, 900, 900, 900, 900]


@pytest.mark.parametrize(("asked", "waited"), [(1, 5), (60, 60), (10**6, LONGEST_WAIT.total_seconds())])
def test_who_asks_for_time_is_given_it_within_reason(asked, waited):
    told = Told(Problem.RATE_LIMITED, LONGEST_WAIT * asked / LONGEST_WAIT.total_seconds())

    assert next_try_in(1, told).total_seconds() == waited
