"""What every store must show of what the page asks of it: tallies, samples, who would die first, the latest."""

from aimkeeper.core.events import Event, EventKind
from aimkeeper.store.board import SAMPLE
from aimkeeper.store.feed import Place


async def test_tallies_are_added_up_by_slot_and_word(store):
    board = store.http.board
    await board.add_tallies(600, {"rotated": 2, "took 0.1": 2})
    await board.add_tallies(600, {"rotated": 3})
    await board.add_tallies(604, {"rotated": 1})
    await board.add_tallies(605, {"unreachable": 4})

    by_minute, by_five = await board.tallies(600, 1), await board.tallies(120, 5)

    assert sorted(by_minute) == [
        (600, "rotated", 5),
        (600, "took 0.1", 2),
        (604, "rotated", 1),
        (605, "unreachable", 4),
    ]
    assert sorted(by_five) == [(120, "rotated", 6), (120, "took 0.1", 2), (121, "unreachable", 4)]


async def test_tallies_before_the_first_slot_are_left_out(store):
    await store.http.board.add_tallies(599, {"rotated": 2})

    assert await store.http.board.tallies(600, 1) == []
    assert await store.http.board.tallies(120, 5) == []


async def test_those_that_would_die_first_come_first(house, store):
    first = await house.fleet(store, 3)
    house.clock.advance(60)
    then = await house.keep(store, *(house.session(number) for number in range(4, 7)))

    found = await store.http.board.nearest_deadline(5)

    assert {session.id for session in found[:3]} == {session.id for session in first}
    assert {session.id for session in found[3:]} < {session.id for session in then}
    assert [session.deadline_at for session in found] == sorted(session.deadline_at for session in found)


async def test_a_sample_that_begins_anywhere_goes_on_at_the_other_end(house, store):
    sessions = await house.fleet(store, 7)
    deadlines = sorted(session.deadline_at for session in sessions)
    middle = sorted(session.id for session in sessions)[4]

    assert sorted(await store.http.board.sample_deadlines(None)) == deadlines
    assert sorted(await store.http.board.sample_deadlines(middle)) == deadlines
    assert len(deadlines) < SAMPLE


async def test_the_latest_events_come_in_their_order(store):
    for number in range(5):
        await store.record(Event(kind=EventKind.OPERATOR_ACTED, at=store.now(), data={"act": number}))

    last = await store.http.feed.last(3)

    assert [fact.data["act"] for _, fact in last] == [2, 3, 4]
    assert [place for place, _ in last] == [place for place, _ in await store.http.feed.after(Place(0, 0), 9)][2:]
