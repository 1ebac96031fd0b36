"""Imports pyreqwest where it may be imported from: in a thread that lasts."""

import sys
import threading
from importlib import import_module


def load_pyreqwest() -> None:
    """
    Import pyreqwest, from whatever thread. Called before any file of ours imports it.

    Version 0.15.1 takes the whole process down (SIGSEGV) once the thread that imported it first has ended. The main
    thread lasts; a program that comes here first from another one must not die of it.
    """
    if threading.current_thread() is threading.main_thread() or "pyreqwest" in sys.modules:
        return  # the main thread lasts, and its own import follows at once
    loaded = threading.Event()

    def load() -> None:
        try:
            import_module("pyreqwest.client")
        finally:
            loaded.set()
        threading.Event().wait()

    threading.Thread(target=load, name="pyreqwest", daemon=True).start()
    loaded.wait()
