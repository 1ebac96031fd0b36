"""The only place that knows AimHarder."""

from aimkeeper.lasting_import import load_pyreqwest

load_pyreqwest()
