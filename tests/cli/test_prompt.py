"""On a real terminal: the password is asked for and not shown, and ctrl-C is a way out."""

import json
import os
import pty
import select
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow
PATIENCE = 60
PROMPT = b"AimHarder password: "
# Only what controls its terminal hears its ctrl-C.
IN_FRONT_OF_IT = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "aimkeeper", *sys.argv[1:]])
"""


class Typing:
    """Somebody at a terminal of his own, typing one command."""

    def __init__(self, *arguments: str) -> None:
        self.screen, line = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_FRONT_OF_IT, *arguments], stdin=line, stdout=line, stderr=line
        )
        os.close(line)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.screen)

    def until(self, text: bytes) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            self._read()

    def type(self, keys: bytes) -> None:
        os.write(self.screen, keys)

    def status(self) -> int:
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.screen], [], [], PATIENCE)
        try:
            read = os.read(self.screen, 65536) if ready else b""
        except OSError:  # the other end is closed
            read = b""
        self.seen += read
        return bool(read)


def test_a_password_is_asked_for_and_not_shown(terminal, upstream):
    with Typing("login", "ana@example.com") as member:
        member.until(PROMPT)
        member.type(b"correct horse\n")
        status = member.status()

    assert status == 0
    assert b"Logged in: ana@example.com#" in member.seen
    assert b"horse" not in member.seen


def test_control_c_at_the_prompt_is_a_way_out(terminal, upstream):
    with Typing("login", "ana@example.com") as member:
        member.until(PROMPT)
        member.type(b"\x03")
        status = member.status()

    assert status == 130
    assert b"Traceback" not in member.seen
    assert upstream.sim.totals.login_attempts == 0


def test_control_d_at_the_prompt_is_no_password(terminal, upstream):
    with Typing("login", "ana@example.com") as member:
        member.until(PROMPT)
        member.type(b"\x04")
        status = member.status()

    assert status == 2
    assert b"aimkeeper: there is no password: give it at the prompt" in member.seen


def test_work_over_many_sessions_shows_how_far_it_is(terminal, upstream):
    lines = [json.dumps(upstream.grant(f"member{number}@example.com")) for number in range(3)]
    (terminal.folder / "s.jsonl").write_text("\n".join(lines))

    with Typing("adopt", "s.jsonl") as member:
        status = member.status()

    assert status == 0
    assert b"Adopting" in member.seen
    assert b"3/3" in member.seen
    assert b"Adopted 3, refused 0." in member.seen
