"""How the package comes into a program."""

import subprocess
import sys

import pytest

PATIENCE = 60

# Once from a thread that ends, then from others and the main one: each fetch makes a client of its own.
IN_THREADS = """
import threading
from datetime import timedelta

def first():
    FIRST

def then():
    from aimkeeper.upstream.client import Transport, _client
    _client(Transport(timeout=timedelta(seconds=1), connections=1, user_agent="test"))

for work in (first, then, then):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
then()
print("alive")
"""

WITHOUT_HTTPX = """
import sys
sys.modules["httpx"] = None
import aimkeeper
aimkeeper.errors
try:
    aimkeeper.KeptAuth
except ImportError as error:
    print(error)
"""


def run(program):
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "first", ["import aimkeeper; aimkeeper.KeptAuth", "import aimkeeper.service", "import aimkeeper.notify.post"]
)
def test_a_program_may_first_come_to_it_in_a_thread_that_ends(first):
    ran = run(IN_THREADS.replace("FIRST", first))

    # pyreqwest alone would take the process down here.
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "alive\n", "")


@pytest.mark.slow
def test_where_httpx_is_not_installed_it_says_what_to_install():
    ran = run(WITHOUT_HTTPX)

    assert ran.stdout == "KeptAuth and RequestsAuth need httpx: pip install 'aimkeeper[client]'.\n"
