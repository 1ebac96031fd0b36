"""The only place that knows AimHarder."""

import sys
import threading
from importlib import import_module


def _load_pyreqwest_for_good() -> None:
    """
    Import pyreqwest in a thread that never ends.

    Version 0.15.1 takes the whole process down (SIGSEGV) once the thread that imported it first has ended. The main
    thread lasts; a program that comes here first from another one must not die of it.
    """
    loaded = threading.Event()

    def load() -> None:
        try:
            import_module("pyreqwest.client")
        finally:
            loaded.set()
        threading.Event().wait()

    threading.Thread(target=load, name="pyreqwest", daemon=True).start()
    loaded.wait()


if threading.current_thread() is not threading.main_thread() and "pyreqwest" not in sys.modules:
    _load_pyreqwest_for_good()
