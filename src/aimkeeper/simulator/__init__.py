"""
An AimHarder to test against: a second, independent reading of the contract, with ground truth per session.

It imports nothing of aimkeeper but the clock, so that it can't share a mistake with what it tests.
"""

from aimkeeper.simulator.app import Simulator
from aimkeeper.simulator.records import Grant, Logged, Reservation, Totals, Truth
from aimkeeper.simulator.rules import Faults, Rules, Timetable, load
from aimkeeper.simulator.server import Running, running, serve

__all__ = [
    "Faults",
    "Grant",
    "Logged",
    "Reservation",
    "Rules",
    "Running",
    "Simulator",
    "Timetable",
    "Totals",
    "Truth",
    "load",
    "running",
    "serve",
]
