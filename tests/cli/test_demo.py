"""The demo, on a faster clock still: it tells what it does, and its last line is the simulator's truth."""

import os
import re
import signal
from contextlib import ExitStack, suppress

import pytest

from aimkeeper import demo
from aimkeeper.cli.terminal import ReaderLeft, say
from aimkeeper.core.errors import ConfigError
from aimkeeper.serving import bind

pytestmark = pytest.mark.slow


@pytest.fixture
def quick(monkeypatch, terminal):
    """A session dies after three seconds, an answer is lost in the first."""
    for name, value in {"IDLE_SECONDS": 3, "REFRESH_SECONDS": 1, "LOST_REPLY_AFTER": 0.6}.items():
        monkeypatch.setattr(demo, name, value)
    return terminal


@pytest.fixture
def until_said(quick, monkeypatch):
    """Runs the demo until it has said all of these, then presses ctrl-C."""

    def run(*phrases: str):
        missing = set(phrases)

        def say_and_listen(line=""):
            say(line)
            missing.difference_update([phrase for phrase in missing if phrase in line])
            if not missing:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr("aimkeeper.cli.play.say", say_and_listen)
        quick.set(DEMO_SECONDS="60")
        return quick.run("demo")

    return run


def test_it_heals_the_lost_reply_and_buries_the_one_nobody_kept(until_said):
    ran = until_said("asked again in time and healed; nothing is lost", "nobody rotated it, and it is dead")

    lines = ran.out.splitlines()
    assert ran.status == 0
    assert "Now the network breaks off one answer, after AimHarder did its work…" in lines
    assert "  nobody@example.com: nobody rotated it, and it is dead" in lines
    assert re.fullmatch(r"kept 3 of 3 \(\d+ rotations, 1 lost reply healed\); the unkept one died after 3 s", lines[-1])


def test_an_answer_lost_in_the_last_moment_is_healed_before_judgement(until_said):
    ran = until_said("Now the network breaks off one answer")

    assert ran.status == 0
    assert re.match(r"kept 3 of 3 \(\d+ rotations, 1 lost reply healed\)", ran.out.splitlines()[-1])


def test_it_says_so_when_a_session_was_lost(quick, monkeypatch):
    judge = demo._judge

    async def after_a_death(service, upstream, *rest):
        [berta] = [truth for truth in upstream.truths() if truth.email.startswith("berta")]
        upstream.kill(berta.email, berta.fingerprint)
        return await judge(service, upstream, *rest)

    monkeypatch.setattr(demo, "_judge", after_a_death)
    quick.set(DEMO_SECONDS="1")

    ran = quick.run("demo")

    assert ran.status == 1
    assert ran.out.splitlines()[-1].startswith("kept 2 of 3 (")


def test_a_reader_who_has_read_enough_ends_it_in_good_order(quick, monkeypatch):
    def leave(line):
        if "logged in" in line:
            raise ReaderLeft

    monkeypatch.setattr("aimkeeper.cli.play.say", leave)
    quick.set(DEMO_SECONDS="60")

    assert quick.run("demo").status == 0


def test_it_takes_another_port_when_its_own_is_taken(quick):
    quick.set(DEMO_SECONDS="1")

    with ExitStack() as held:
        with suppress(ConfigError):  # somebody else has it already: as good
            held.enter_context(bind("127.0.0.1", 8000))
        ran = quick.run("demo")

    assert ran.status == 0
    assert ":8000/" not in ran.out
