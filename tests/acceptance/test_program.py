"""The other things the program does, from outside: demo, simulate, exec, worker --listen."""

import asyncio
import re
import signal

import pytest

from .conftest import until

pytestmark = pytest.mark.slow


async def test_the_demo_keeps_three_and_says_so_in_its_last_line(machine):
    ran = await machine.run("demo", DEMO_SECONDS="3")

    lines = ran.out.splitlines()
    assert (ran.status, ran.err) == (0, "")
    assert re.fullmatch(r"Watch it: http://127\.0\.0\.1:\d+/sign-in/[\w-]{32}", lines[1])
    assert re.fullmatch(r"kept 3 of 3 \(\d+ rotations\)", lines[-1])


async def test_the_demo_stops_when_told_and_is_still_right(machine):
    demo = await machine.start("demo", DEMO_SECONDS="60")
    await demo.says("carlos@example.com: logged in")

    status = await demo.stop(signal.SIGINT)

    assert (status, demo.err) == (0, [])
    assert re.fullmatch(r"kept 3 of 3 \(\d+ rotations\)", demo.out[-1])


async def test_the_simulator_serves_and_does_as_it_is_told(machine, http, tmp_path):
    (tmp_path / "plan.toml").write_text("[rules]\nidle_life = 60\n[faults]\nlatency = 0.01\n")
    simulator = await machine.start("simulate", "--port", "0", "--faults", str(tmp_path / "plan.toml"))
    url = (await simulator.says(r"AimHarder, simulated, at (http://127\.0\.0\.1:\d+) "))[1]
    control = f"{url}/_simulator"

    account = await http.post(f"{control}/accounts", json={"email": "zoe@example.com", "password": "pw"})
    rules = (await http.get(f"{control}/rules")).json()
    await http.patch(f"{control}/rules", json={"old_token": "strict"})
    lines = await http.post(f"{control}/sessions", json={"count": 3})
    adopted = await machine.run("adopt", "-", stdin=lines.content, AIMHARDER_URL=url)
    rotated = await machine.run("rotate", "--all", AIMHARDER_URL=url)
    totals = (await http.get(f"{control}/totals")).json()
    nothing = await http.get(f"{control}/nothing")

    assert account.json()["user_id"] > 0
    assert (rules["idle_life"], (await http.get(f"{control}/rules")).json()["old_token"]) == (60, "strict")
    assert adopted.out.startswith("Adopted 3, refused 0.")
    assert rotated.out == "processed 3, successful 3, failed 0, loggedOut 0, skipped 0"
    assert (totals["rotations"], totals["reuse"], nothing.status_code) == (3, 0, 404)
    assert await simulator.stop() == 0


async def test_exec_runs_a_command_with_live_credentials_and_leaves_nothing_of_itself_behind(machine, site, http):
    name = await machine.log_in()
    script = 'printf "%s\\n" "$AIMHARDER_TOKEN" "$AIMHARDER_FINGERPRINT" "$AIMHARDER_COOKIE" "$1"; cat; exit 7'

    ran = await machine.run("exec", name, "--", "sh", "-c", script, "sh", "--json", stdin=b"from standard input")

    token, fingerprint, cookie, argument, standard_input = ran.out.splitlines()
    whoami = await http.get(f"{site.url}/api/whoami", headers={"cookie": cookie})
    assert (ran.status, argument, standard_input) == (7, "--json", "from standard input")
    assert (token, fingerprint) == (site.truth(name).token, site.truth(name).fingerprint)
    assert whoami.json()["data"][0]["id"] == site.truth(name).user_id


async def test_a_command_run_by_exec_gets_signals_itself(machine, site):
    name = await machine.log_in()
    child = await machine.start(
        "exec", name, "--", "sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    )
    await child.says("ready")

    assert await child.stop() == 9


async def test_the_header_of_credentials_opens_what_the_site_shows_its_members(machine, site, http):
    name = await machine.log_in()

    header = (await machine.run("credentials", name)).out.removeprefix("Cookie: ")

    whoami = await http.get(f"{site.url}/api/whoami", headers={"cookie": header})
    assert whoami.json()["data"][0]["name"] == "Member"


async def test_a_worker_alone_answers_for_its_health(machine, site, http):
    await machine.run("adopt", "-", stdin=site.grants(2))
    worker = await machine.start("worker", "--listen", "127.0.0.1:0", "--name", "night shift")
    url = (await worker.says(r"Health and metrics: (http://127\.0\.0\.1:\d+)"))[1]
    await until(lambda: site.sim.totals.rotations >= 2, "both rotated")

    ready = await http.get(f"{url}/readyz")
    metrics = await http.get(f"{url}/metrics")
    page = await http.get(url)
    status = await machine.run("status")

    assert (ready.status_code, ready.json()["worker"]) == (200, "ok")
    assert 'aimkeeper_sessions{status="active"} 2.0' in metrics.text
    assert page.status_code == 404
    assert "night shift (pid" in status.out
    assert await worker.stop() == 0


async def test_many_who_come_at_once_are_all_answered(machine, site, http):
    machine.set(AIMKEEPER_REFRESH_EVERY="60m", AIMKEEPER_IDLE_TIMEOUT="90m")
    await machine.run("adopt", "-", stdin=site.grants(1))
    server, url = await machine.serve("--no-worker")
    [truth] = site.truths()
    asked = {"fingerprint": truth.fingerprint, "token": truth.token}

    answers = await asyncio.gather(*(http.post(f"{url}/api/tokenUpdate", json=asked) for _ in range(50)))

    assert {answer.json()["newToken"] for answer in answers} == {site.truths()[0].token}
    assert site.truths()[0].rotations == 1
    assert await server.stop() == 0


async def test_a_service_that_only_answers_goes_over_to_a_new_key_too(machine, site, http):
    name = await machine.log_in()
    server = await machine.start("serve", "--no-worker", "--port", "0")
    url = (await server.says(r"Open the page: (http://127\.0\.0\.1:\d+)/"))[1]
    key = (machine.data / "operator.key").read_text().strip()

    rotated = await machine.run("keys", "rotate")
    exchanged = await http.post(
        f"{url}/api/tokenUpdate", json={"fingerprint": site.truth(name).fingerprint, "token": site.truth(name).token}
    )
    sealed = await machine.run("doctor", "--json")

    assert (rotated.status, exchanged.status_code) == (0, 200)
    assert exchanged.json()["newToken"] == site.truth(name).token
    told = [each["told"] for each in sealed.json()["findings"] if each["about"] == "keys"]
    assert len(told) == 1, told  # nothing was sealed with the old one any more
    assert (await http.get(f"{url}/api/sessions", headers={"authorization": f"Bearer {key}"})).status_code == 200
    assert await server.stop() == 0
