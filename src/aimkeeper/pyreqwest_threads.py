"""Keeps the threads of pyreqwest from taking the process down, at its start and at its end."""

import atexit
import sys
import threading
import time
from importlib import import_module

# Of a process that ends, in seconds. What waits is a single call, which wakes an event loop.
PATIENCE = 1.0


def load_pyreqwest() -> None:
    """
    Import pyreqwest, from whatever thread. Called before any file of ours imports it.

    Version 0.15.1 takes the whole process down (SIGSEGV) once the thread that imported it first has ended. The main
    thread lasts; a program that comes here first from another one must not die of it.
    """
    atexit.unregister(_let_calls_end)
    atexit.register(_let_calls_end)
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


def _let_calls_end() -> None:
    """
    Wait until no thread that Python did not start is within Python.

    An answer is handed over by a thread of pyreqwest, which then wakes the event loop. The loop may be done, and the
    interpreter at its end, before that call has returned; Python up to 3.13 then ends the thread in the middle of it,
    and the whole process aborts (SIGABRT) with its work done and its exit status lost.
    """
    until = time.monotonic() + PATIENCE
    while True:
        time.sleep(0.001)  # whoever waits for the interpreter has it meanwhile
        ours = {thread.ident for thread in threading.enumerate()}
        within = sys._current_frames().keys() - ours  # noqa: SLF001 (public but for its name: it is documented)
        if not within or time.monotonic() > until:
            return
