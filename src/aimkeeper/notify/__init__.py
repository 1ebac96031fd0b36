"""Tells people and programs elsewhere what happened: from the events, after they were committed."""

from aimkeeper.pyreqwest_threads import load_pyreqwest

load_pyreqwest()
