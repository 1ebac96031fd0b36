"""An operator decides: pause and resume, held verdicts, ends undone."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.cli.terminal import a_service
from aimkeeper.core.change import Change, Kind
from aimkeeper.core.policy import Policy
from aimkeeper.core.session import Cause, Status, Suspicion
from aimkeeper.core.verdict import conclude, hold

F = "f" * 50
HOURS = Policy(
    refresh_every=timedelta(minutes=15), idle_timeout=timedelta(minutes=90), upstream_timeout=timedelta(seconds=10)
)


@pytest.fixture
def name(terminal, upstream):
    return terminal.log_in("ana@example.com", "correct horse", "--fingerprint", F)


def decide(who, judge):
    """Bring a session to a verdict, without waiting for AimHarder to say it twice."""

    async def work():
        async with a_service() as service:
            claim = await service.store.claim_one(service.keeper.owner, (await service.find(who)).id)
            now = service.store.now()
            suspicion = Suspicion(now - timedelta(seconds=5), now - timedelta(seconds=2), logouts=2)
            accused = replace(claim.session, suspicion=suspicion)
            change: Change = judge(replace(claim, session=accused), HOURS, now)
            assert change.kind is Kind.ATTEMPT
            [result] = await service.store.commit([change])
            return result.session

    return asyncio.run(work())


def status(terminal):
    return json.loads(terminal.run("status", "--json").out)


def test_a_pause_is_told_and_stops_even_a_rotation_asked_for(terminal, upstream, name):
    paused = terminal.run("pause", "--for", "30m")
    refused = terminal.run("rotate", name)
    told = status(terminal)

    assert paused.out.startswith("Paused until ")
    assert "The first session dies in 90 min if that lasts." in paused.out
    assert (refused.status, upstream.truth(name).rotations) == (4, 0)
    assert told["upstream"].startswith("paused until ")
    assert not told["well"]


def test_resuming_lets_it_go_on_and_says_when_nothing_was_paused(terminal, upstream, name):
    terminal.run("pause")

    resumed = terminal.run("resume")
    rotated = terminal.run("rotate", name)
    again = terminal.run("resume")

    assert (resumed.out, again.out) == ("Resumed.\n", "Nothing was paused.\n")
    assert (rotated.status, upstream.truth(name).rotations) == (0, 1)


@pytest.mark.parametrize("lasting", ["soon", "0", "-5m"])
def test_a_pause_of_no_length_is_refused(terminal, upstream, lasting):
    ran = terminal.run("pause", f"--for={lasting}")

    assert ran.status == 2
    assert ran.complaint.startswith("aimkeeper: --for must be")


def test_held_verdicts_are_listed_and_shown_in_words(terminal, upstream, name):
    decide(name, hold)

    listed, shown = terminal.run("verdicts", "list"), terminal.run("show", name)
    as_json = json.loads(terminal.run("verdicts", "list", "--json").out)

    assert name in listed.out
    assert "aimkeeper verdicts accept" in listed.out
    assert "the verdict is held back" in shown.out.replace("\n", " ")
    assert [item["status"] for item in as_json] == ["suspected"]
    assert status(terminal)["held_verdicts"] == 1


def test_without_held_verdicts_the_list_says_so(terminal, upstream, name):
    assert terminal.run("verdicts", "list").out == "No verdict is held back.\n"
    assert json.loads(terminal.run("verdicts", "list", "--json").out) == []


def test_an_accepted_verdict_ends_the_session_with_its_cause(terminal, upstream, name):
    upstream.sim.kill(*name.split("#"))
    decide(name, hold)

    accepted = terminal.run("verdicts", "accept", name)

    assert (accepted.status, accepted.out) == (0, "Accepted 1 verdict.\n")
    assert json.loads(terminal.run("show", name, "--json").out)["status"] == "ended"


def test_a_verdict_tried_again_is_lifted_when_the_session_lives(terminal, upstream, name):
    decide(name, hold)

    tried = terminal.run("verdicts", "retry")
    rotated = terminal.run("rotate", name)

    assert tried.out == "Trying 1 session again.\n"
    assert rotated.status == 0
    assert json.loads(terminal.run("show", name, "--json").out)["status"] == "active"


def test_an_end_is_undone_and_the_session_lives_on(terminal, upstream, name):
    ended = decide(name, conclude)
    shown = terminal.run("show", name)

    revived = terminal.run("revive", name)
    rotated = terminal.run("rotate", name)

    assert (ended.status, ended.cause) == (Status.ENDED, Cause.SERVER_ENDED)
    assert "`aimkeeper revive` undoes it until its secrets are wiped" in shown.out
    assert revived.out == f"Revived {name}: it is tried at once.\n"
    assert rotated.status == 0


def test_what_has_not_ended_or_was_ended_by_its_owner_can_not_be_revived(terminal, upstream, name):
    alive = terminal.run("revive", name)
    terminal.run("logout", name)
    gone = terminal.run("revive", name)

    assert (alive.status, "has not ended" in alive.complaint) == (2, True)
    assert (gone.status, "log in again" in gone.complaint) == (5, True)


def test_status_tells_what_is_needed_allowed_and_was_made(terminal, upstream, name):
    terminal.set(AIMKEEPER_MAX_RATE="0.1")
    enough = status(terminal)["capacity"]
    words = terminal.run("status").out

    assert enough == {"due_per_second": 0.001, "allowed_per_second": 0.1, "measured_per_second": 0.0, "enough": True}
    assert "Capacity   0.001 rotations a second are needed, 0.1 allowed, 0 made lately" in words
    assert "Upstream   as usual" in words
