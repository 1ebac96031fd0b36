"""The only place that knows AimHarder."""

from aimkeeper.pyreqwest_threads import load_pyreqwest

load_pyreqwest()
