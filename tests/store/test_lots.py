"""Lots: what many want at one time goes in one trip, and nobody is given what was fetched before he asked."""

import asyncio

import pytest

from aimkeeper.store.lots import MOST, Lots


class Cart:
    """Brings back what it is sent for, and remembers its trips; one that is held waits to be let go."""

    def __init__(self):
        self.trips = []
        self.free = asyncio.Event()
        self.free.set()
        self.error = None

    async def carry(self, wanted):
        self.trips.append(list(wanted))
        await self.free.wait()
        if self.error is not None:
            raise self.error
        return [f"{one} of trip {len(self.trips)}" for one in wanted]


@pytest.fixture
def cart():
    return Cart()


@pytest.fixture
def lots(cart):
    return Lots(cart.carry, "lots")


async def some_turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_one_who_comes_alone_is_carried_alone(cart, lots):
    assert await lots.bring("a") == "a of trip 1"
    assert await lots.bring("b") == "b of trip 2"
    assert cart.trips == [["a"], ["b"]]


async def test_those_who_come_at_one_time_share_a_trip_and_each_gets_his_own(cart, lots):
    assert await asyncio.gather(*map(lots.bring, "abc")) == ["a of trip 1", "b of trip 1", "c of trip 1"]
    assert cart.trips == [["a", "b", "c"]]


async def test_those_who_come_in_the_same_breath_are_waited_for(cart, lots):
    async def come(turns):
        await some_turns(turns)
        return await lots.bring(turns)

    await asyncio.gather(*(come(turns) for turns in range(1, 6)))

    assert cart.trips == [[1, 2, 3, 4, 5]]


async def test_nobody_is_waited_for_without_end(cart, lots):
    stopped = asyncio.Event()

    async def keep_coming():
        while not stopped.is_set():
            lots.bring("another")
            await asyncio.sleep(0)

    coming = asyncio.create_task(keep_coming())
    await asyncio.wait_for(lots.bring("first"), 5)
    stopped.set()
    await coming

    assert cart.trips


async def test_one_who_comes_while_a_trip_is_under_way_goes_with_the_next(cart, lots):
    cart.free.clear()
    first = lots.bring("a")
    await some_turns()
    second = lots.bring("a")
    await some_turns()

    assert cart.trips == [["a"]]
    cart.free.set()
    assert (await first, await second) == ("a of trip 1", "a of trip 2")


async def test_a_lot_has_an_end(cart, lots):
    await asyncio.gather(*(lots.bring(number) for number in range(MOST + 1)))

    assert [len(trip) for trip in cart.trips] == [MOST, 1]


async def test_what_goes_wrong_is_told_to_all_of_the_lot_and_to_nobody_after(cart, lots):
    cart.error = ZeroDivisionError()
    failed = await asyncio.gather(lots.bring("a"), lots.bring("b"), return_exceptions=True)
    cart.error = None

    assert [type(error) for error in failed] == [ZeroDivisionError, ZeroDivisionError]
    assert await lots.bring("c") == "c of trip 2"


async def test_one_who_leaves_meanwhile_keeps_nothing_from_the_others(cart, lots):
    cart.free.clear()
    leaving, staying = lots.bring("a"), lots.bring("b")
    await some_turns()

    leaving.cancel()
    cart.free.set()

    assert await staying == "b of trip 1"
    assert leaving.cancelled()
