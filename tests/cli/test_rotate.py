"""`rotate`: one pass now, its counts, and its exit status."""

import json

import pytest

from aimkeeper.cli import terminal as shared
from aimkeeper.simulator import Rules

F = "f" * 50


@pytest.fixture
def three(terminal, upstream):
    """Three sessions made elsewhere, due."""
    grants = [upstream.grant(f"{name}@example.com") for name in ("ana", "berta", "carlos")]
    terminal.set(AIMKEEPER_MAX_RATE="1000")
    terminal.run("adopt", "-", stdin="\n".join(map(json.dumps, grants)).encode())
    return [f"{grant['email']}#{F}" for grant in grants]


def counts(ran):
    return json.loads(ran.out)


def test_named_sessions_are_rotated_due_or_not_and_each_once(terminal, upstream, three):
    ran = terminal.run("rotate", three[0], three[0], "berta@example.com")

    assert (ran.status, ran.err) == (0, "")
    assert ran.out == "processed 2, successful 2, failed 0, loggedOut 0, skipped 0\n"
    assert [upstream.truth(name).rotations for name in three] == [1, 1, 0]


@pytest.mark.parametrize("typed", [(), ("--due",)])
def test_without_a_name_what_is_due_is_rotated(terminal, upstream, three, typed):
    terminal.run("rotate", *typed, "--json")
    again = terminal.run("rotate", *typed, "--json")

    assert counts(again) == {
        "processed": 0,
        "successful": 0,
        "failed": 0,
        "loggedOut": 0,
        "skipped": 0,
        "errors": [],
    }
    assert sum(upstream.truth(name).rotations for name in three) == 3


def test_all_means_all_that_live(terminal, upstream, three):
    terminal.run("logout", three[2])

    ran = terminal.run("rotate", "--all", "--json")

    assert ran.status == 0
    assert (counts(ran)["processed"], counts(ran)["successful"]) == (2, 2)


def test_all_asks_above_a_hundred_and_where_nobody_can_be_asked_wants_yes(terminal, upstream):
    terminal.set(AIMKEEPER_MAX_RATE="10000")
    grants = [upstream.grant(f"member{number}@example.com") for number in range(101)]
    terminal.run("adopt", "-", stdin="\n".join(map(json.dumps, grants)).encode())

    asked = terminal.run("rotate", "--all")
    rotations = upstream.sim.totals.rotations
    told = terminal.run("rotate", "--all", "--yes")

    assert (asked.status, rotations) == (2, 0)
    assert asked.complaint == "aimkeeper: that is 101 sessions: add --yes to rotate them all."
    assert told.out == "processed 101, successful 101, failed 0, loggedOut 0, skipped 0\n"


@pytest.mark.parametrize(("said", "rotated"), [("y", 101), ("n", 0)])
def test_on_a_terminal_a_question_is_answered(terminal, upstream, monkeypatch, said, rotated):
    terminal.set(AIMKEEPER_MAX_RATE="10000")
    grants = [upstream.grant(f"member{number}@example.com") for number in range(101)]
    terminal.run("adopt", "-", stdin="\n".join(map(json.dumps, grants)).encode())
    monkeypatch.setattr(shared, "on_terminal", lambda _stream: True)

    ran = terminal.run("rotate", "--all", stdin=f"{said}\n".encode())

    assert ran.status == 0
    assert "Rotate 101 sessions now?" in ran.out
    assert ("Nothing was rotated." in ran.out) is (rotated == 0)
    assert upstream.sim.totals.rotations == rotated


@pytest.mark.slow
def test_one_that_has_ended_is_told_with_why_and_what_to_do_and_its_own_status(terminal, upstream, three):
    upstream.sim.kill("ana@example.com", F)

    ran = terminal.run("rotate", three[0])

    assert ran.status == 5
    assert ran.out == "processed 1, successful 0, failed 0, loggedOut 1, skipped 0\n"
    assert ran.err.startswith(f"{three[0]}: Ended 0 s ago: ")
    assert f"Log in again: aimkeeper login ana@example.com --fingerprint {F} (`aimkeeper revive` undoes it" in ran.err


@pytest.mark.slow
def test_among_several_one_that_has_ended_is_a_failure_like_any_other(terminal, upstream, three):
    upstream.sim.kill("ana@example.com", F)

    ran = terminal.run("rotate", *three, "--json")

    assert ran.status == 1
    assert (counts(ran)["successful"], counts(ran)["loggedOut"]) == (2, 1)
    assert [error["code"] for error in counts(ran)["errors"]] == ["session_ended"]


@pytest.mark.slow
def test_an_address_that_aimharder_refuses_is_told_once_for_each_with_its_own_status(terminal, upstream, three):
    upstream.sim.rules = Rules(forbid=True)

    ran = terminal.run("rotate", three[0])

    assert ran.status == 6
    assert "AimHarder refuses this machine's address (403)" in ran.err


@pytest.mark.slow
def test_an_upstream_in_trouble_goes_before_a_session_that_failed(terminal, upstream, three):
    upstream.sim.kill("ana@example.com", F)
    upstream.sim.next("error_500", times=1000, session=("berta@example.com", F))

    ran = terminal.run("rotate", *three)

    assert ran.status == 4
    assert len(ran.err.splitlines()) == 2
