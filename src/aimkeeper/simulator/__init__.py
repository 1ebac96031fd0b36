"""
An AimHarder to test against: a second, independent reading of the contract, with ground truth per session.

It imports nothing of aimkeeper but the clock, so that it can't share a mistake with what it tests.
"""

from aimkeeper.simulator.app import Simulator
from aimkeeper.simulator.records import Grant, Logged, Totals, Truth
from aimkeeper.simulator.rules import Faults, Rules, load
from aimkeeper.simulator.server import Running, running, serve

__all__ = ["Faults", "Grant", "Logged", "Rules", "Running", "Simulator", "Totals", "Truth", "load", "running", "serve"]
