"""Tells people and programs elsewhere what happened: from the events, after they were committed."""

from aimkeeper.lasting_import import load_pyreqwest

load_pyreqwest()
