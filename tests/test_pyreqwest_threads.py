"""What pyreqwest's threads may be in the middle of when the process ends."""

import subprocess
import sys

# Stands for pyreqwest's thread: Python did not start it (as `threading` knows), and at the end it is within a call.
A_LATE_CALL = """
import _thread, atexit, sys, time
import aimkeeper.upstream

ends = _thread.allocate_lock()
ends.acquire()

def call():
    ends.acquire()
    time.sleep(0.05)
    print("returned", flush=True)

_thread.start_new_thread(call, ())
atexit.register(ends.release)
"""


def test_a_process_ends_after_the_calls_it_is_within():
    ran = subprocess.run([sys.executable, "-c", A_LATE_CALL], capture_output=True, text=True, timeout=60, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "returned\n", "")


def test_a_thread_that_stays_holds_no_process_up():
    stays = A_LATE_CALL.replace("time.sleep(0.05)", "time.sleep(3600)")

    ran = subprocess.run([sys.executable, "-c", stays], capture_output=True, text=True, timeout=60, check=False)

    assert (ran.returncode, ran.stdout) == (0, "")
