"""The store's time on a shared database: its own, carried by our count of seconds between two looks at it."""

from datetime import UTC, datetime, timedelta

import pytest

from aimkeeper.store.database_clock import DatabaseClock
from aimkeeper.testing import ManualClock

THERE = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.fixture
def machine():
    return ManualClock()


@pytest.fixture
def clock(machine):
    return DatabaseClock(machine)


def hear(clock, machine, there, trip=0.0):
    """An answer of the database's that was *trip* seconds on its way, there and back."""
    sent_at = machine.boottime()
    machine.advance(trip)
    clock.heard((there + timedelta(seconds=trip / 2)).timestamp(), sent_at, machine.boottime())


def off(clock, there):
    return abs((clock.now() - there).total_seconds())


def test_until_the_database_was_heard_the_machine_s_clock_serves(clock, machine):
    assert clock.now() == machine.now()


def test_its_time_is_the_database_s_and_passes_with_our_seconds(clock, machine):
    hear(clock, machine, THERE)
    machine.advance(90)

    assert off(clock, THERE + timedelta(seconds=90)) < 1e-6
    assert clock.now().tzinfo is UTC


def test_somebody_who_sets_the_machine_s_clock_changes_nothing(clock, machine):
    hear(clock, machine, THERE)

    machine.set_wall(machine.now() + timedelta(days=400))

    assert off(clock, THERE) < 1e-6


def test_time_that_the_machine_slept_has_passed(clock, machine):
    hear(clock, machine, THERE)

    machine.suspend(3600)

    assert off(clock, THERE + timedelta(hours=1)) < 1e-6


@pytest.mark.parametrize("trip", [0.001, 0.2, 3.0])
def test_it_is_wrong_by_half_a_trip_at_most(clock, machine, trip):
    sent_at = machine.boottime()
    machine.advance(trip)

    for share in (0.0, 0.3, 1.0):  # wherever on the way the database looked at its clock
        fresh = DatabaseClock(machine)
        fresh.heard(THERE.timestamp(), sent_at, machine.boottime())
        assert off(fresh, THERE + timedelta(seconds=trip * (1 - share))) <= trip / 2 + 1e-6


def test_a_slow_answer_moves_nothing_that_it_does_not_contradict(clock, machine):
    hear(clock, machine, THERE)
    before = clock.now() - machine.now()
    sent_at = machine.boottime()
    machine.advance(4)

    clock.heard((THERE + timedelta(seconds=0.1)).timestamp(), sent_at, machine.boottime())

    assert abs((clock.now() - machine.now() - before).total_seconds()) < 1e-6


@pytest.mark.parametrize("hours", [-3, 3])
def test_it_follows_the_database_when_somebody_sets_that_one_s_clock(clock, machine, hours):
    hear(clock, machine, THERE)

    hear(clock, machine, THERE + timedelta(hours=hours), trip=0.01)

    assert off(clock, THERE + timedelta(hours=hours, seconds=0.01)) <= 0.01


async def test_all_else_is_the_machine_s(clock, machine):
    assert (clock.monotonic(), clock.boottime()) == (machine.monotonic(), machine.boottime())
    await machine.finish(clock.sleep(5))
    assert clock.monotonic() == 1005
