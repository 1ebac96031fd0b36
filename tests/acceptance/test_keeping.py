"""Processes that keep sessions, are stopped, are killed, and go on."""

import asyncio
import re
import signal

import pytest

from aimkeeper.simulator import Faults, Rules

from .conftest import until

pytestmark = pytest.mark.slow


async def test_a_session_logged_in_is_kept_for_as_long_as_somebody_serves(machine, site):
    name = await machine.log_in()
    server, _ = await machine.serve()

    await until(lambda: site.truth(name).rotations >= 3, "three rotations")
    status = await server.stop()

    truth = site.truth(name)
    assert (status, truth.alive, truth.reuse, truth.concurrent) == (0, True, 0, 0)
    assert (await machine.held(name))["token"] == truth.token
    assert machine.claims() == []
    # What it prints is for people, and short.
    keeping, link, stopping = server.err
    assert server.out == []
    assert keeping == f"Keeping 1 session in {machine.data / 'aimkeeper.db'}"
    assert re.fullmatch(r"Open the page: http://127\.0\.0\.1:\d+/sign-in/[\w-]{32}", link)
    assert stopping == "Stopping: sent rotations finish first."


async def test_told_to_stop_in_mid_flight_it_commits_what_was_sent_and_leaves_in_good_order(machine, site):
    name = await machine.log_in()
    site.sim.faults = Faults(latency=0.8)
    server, _ = await machine.serve()
    await until(lambda: site.sim.waiting, "a rotation in flight")
    before = site.truth(name).rotations

    status = await server.stop()

    truth = site.truth(name)
    assert status == 0
    assert server.err[-1] == "Stopping: sent rotations finish first."
    assert (truth.rotations, truth.replies_lost) == (before + 1, 0)
    assert machine.claims() == []
    assert (await machine.held(name))["token"] == truth.token


async def test_a_caller_whose_rotation_is_in_flight_gets_his_answer_though_it_is_told_to_stop(machine, site, http):
    name = await machine.log_in()
    machine.set(AIMKEEPER_REFRESH_EVERY="60m", AIMKEEPER_IDLE_TIMEOUT="90m")
    server, url = await machine.serve()
    held = await machine.held(name)
    site.sim.faults = Faults(latency=0.8)
    asked = asyncio.create_task(
        http.post(f"{url}/api/tokenUpdate", json={"fingerprint": held["fingerprint"], "token": held["token"]})
    )
    await until(lambda: site.sim.waiting or asked.done(), "the caller's rotation in flight")

    status = await server.stop()

    answer = await asked
    assert (status, answer.status_code) == (0, 200)
    assert answer.json()["newToken"] in (site.truth(name).token, held["token"])
    assert machine.claims() == []


async def test_killed_in_mid_flight_whoever_starts_next_goes_on_and_nothing_is_lost(machine, site):
    site.sim.rules = Rules(idle_life=60, old_token="grace", grace=30)
    name = await machine.log_in()
    for _ in range(2):
        site.sim.faults = Faults(latency=0.3)
        server, _ = await machine.serve()
        await until(lambda: site.sim.waiting, "a rotation in flight")
        await server.stop(signal.SIGKILL)
        await until(lambda: not site.sim.in_flight, "the answer that nobody heard")
    site.sim.faults = Faults()
    rotations = site.truth(name).rotations

    last, _ = await machine.serve()
    await until(lambda: site.truth(name).rotations >= rotations + 2, "rotations after the restart")
    status = await last.stop()

    truth = site.truth(name)
    assert (status, truth.alive, truth.concurrent) == (0, True, 0)
    assert truth.reuse <= truth.replies_lost
    assert (await machine.held(name))["token"] == truth.token
    events = (await machine.run("history", name, "--json")).json()
    assert {"in_doubt", "healed"} <= {event["what"] for event in events}
    assert machine.claims() == []


async def test_killed_between_two_flights_nothing_is_even_in_doubt(machine, site):
    # So long that even on a busy machine it is killed before the first is due.
    machine.set(AIMKEEPER_REFRESH_EVERY="8s")
    name = await machine.log_in()
    server, _ = await machine.serve()
    await server.stop(signal.SIGKILL)

    again, _ = await machine.serve()
    await until(lambda: site.truth(name).rotations >= 1, "a rotation after the restart")
    await again.stop()

    assert (site.truth(name).reuse, site.truth(name).alive) == (0, True)
    assert machine.claims() == []


async def test_two_workers_on_one_file_share_the_work_and_never_a_token(machine, site):
    machine.set(TOKEN_REFRESH_DEBUG="true", AIMKEEPER_LOG_FORMAT="json", AIMKEEPER_CONCURRENCY="2")
    site.sim.faults = Faults(latency=0.02)
    assert (await machine.run("adopt", "-", stdin=site.grants(20))).status == 0
    workers = [await machine.start("worker", "--name", name) for name in ("one", "two")]

    await until(lambda: all(truth.rotations >= 3 for truth in site.truths()), "three rotations of each")
    status = (await machine.run("status", "--json")).json()
    ends = [await worker.stop() for worker in workers]

    assert ends == [0, 0]
    assert {keeper["name"] for keeper in status["kept_by"]} == {"one", "two"}
    assert [truth.email for truth in site.truths() if not truth.alive] == []
    assert (site.sim.totals.reuse, site.sim.totals.concurrent) == (0, 0)
    assert all(any('"exchange"' in line for line in worker.err) for worker in workers)
    assert machine.claims() == []


async def test_when_one_of_two_workers_is_killed_the_other_keeps_them_all(machine, site):
    site.sim.rules = Rules(idle_life=60, old_token="grace", grace=30)
    site.sim.faults = Faults(latency=0.05)
    await machine.run("adopt", "-", stdin=site.grants(10))
    doomed, other = [await machine.start("worker", "--name", name) for name in ("doomed", "other")]
    await until(lambda: all(truth.rotations >= 1 for truth in site.truths()), "a rotation of each")

    await doomed.stop(signal.SIGKILL)
    so_far = {truth.email: truth.rotations for truth in site.truths()}
    await until(lambda: all(truth.rotations >= so_far[truth.email] + 2 for truth in site.truths()), "two more of each")
    status = await other.stop()

    assert status == 0
    assert [truth.email for truth in site.truths() if not truth.alive] == []
    assert site.sim.totals.concurrent == 0
    assert machine.claims() == []


async def test_callers_at_two_processes_share_one_rotation(machine, site, http):
    # Long enough for two programs to start on a busy machine.
    site.sim.rules = Rules(idle_life=600, old_token="strict")
    machine.set(AIMKEEPER_REFRESH_EVERY="60m", AIMKEEPER_IDLE_TIMEOUT="90m")
    await machine.run("adopt", "-", stdin=site.grants(1))
    [truth] = site.truths()
    (first, here), (second, there) = [await machine.serve("--no-worker") for _ in range(2)]
    site.sim.faults = Faults(latency=0.3)
    asked = {"fingerprint": truth.fingerprint, "token": truth.token}

    answers = await asyncio.gather(*(http.post(f"{url}/api/tokenUpdate", json=asked) for url in [here, there] * 10))

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["newToken"] for answer in answers} == {site.truths()[0].token}
    assert (site.truths()[0].rotations, site.truths()[0].concurrent, site.truths()[0].reuse) == (1, 0, 0)
    assert [await program.stop() for program in (first, second)] == [0, 0]


async def test_a_login_beside_a_process_that_serves_says_who_keeps_it_and_it_is_kept(machine, site):
    server, url = await machine.serve()

    ran = await machine.run("login", "ana@example.com", "--password-stdin", stdin=b"correct horse\n")

    name = ran.out.splitlines()[0].removeprefix("Logged in: ")
    assert ran.out.splitlines()[1] == f"Kept by serve (pid {server.pid})."
    await until(lambda: site.truth(name).rotations >= 2, "two rotations")
    status = await machine.run("status")
    link = await machine.run("open")
    assert (status.status, f"serve (pid {server.pid}," in status.out) == (0, True)
    assert link.out.startswith(f"{url}/sign-in/")
    assert link.err == ""
    assert await server.stop() == 0


async def test_processes_that_start_at_once_in_an_empty_folder_agree_on_one_key(machine, site):
    logins = await asyncio.gather(
        *(
            machine.run(
                "login", "ana@example.com", "--fingerprint", letter * 50, "--password-stdin", stdin=b"correct horse\n"
            )
            for letter in "abcd"
        )
    )

    assert [(ran.status, ran.err) for ran in logins] == [(0, "")] * 4
    for letter in "abcd":
        name = f"ana@example.com#{letter * 50}"
        assert (await machine.held(name))["token"] == site.truth(name).token
