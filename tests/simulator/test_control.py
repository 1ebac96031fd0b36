"""The routes by which another process plays with the simulator."""

import json
from urllib.parse import urlencode

import pytest

from aimkeeper.simulator import Faults, Rules


async def test_a_fleet_is_made_in_lines_that_adopt_reads(sim, caller):
    answer = await caller.control("POST", "sessions", {"count": 3, "prefix": "m"})

    records = [json.loads(line) for line in answer.body.splitlines()]
    assert [record["email"] for record in records] == ["m0@example.com", "m1@example.com", "m2@example.com"]
    for record in records:
        assert set(record) == {"email", "fingerprint", "token", "cookies"}
        assert sim.accepts(record["email"], record["fingerprint"], record["token"])
        assert {cookie["name"] for cookie in record["cookies"]} == {"AWSALB", "AWSALBCORS", "PHPSESSID", "amhrdrauth"}
    one = (await caller.control("POST", "sessions", {"email": "a@example.com", "fingerprint": "f"})).json()
    assert (one["email"], one["fingerprint"]) == ("a@example.com", "f")


async def test_truth_totals_and_acceptance_are_told(caller, grant, email, fingerprint):
    token = await caller.rotate(grant.token)
    where = urlencode({"email": email, "fingerprint": fingerprint})

    truth = (await caller.control("GET", f"truth?{where}")).json()
    everyone = [json.loads(line) for line in (await caller.control("GET", "truth")).body.splitlines()]
    totals = (await caller.control("GET", "totals")).json()
    live, spent = [
        (await caller.control("GET", f"accepts?{where}&{urlencode({'token': text})}")).json()["accepts"]
        for text in (token, grant.token)
    ]
    log = (await caller.control("GET", "log")).json()

    assert (truth["token"], truth["alive"], truth["rotations"]) == (token, True, 1)
    assert everyone == [truth]
    assert (totals["rotations"], totals["requests"], totals["sessions"]) == (1, {"/api/tokenUpdate": 1}, 1)
    assert (live, spent) == (True, False)
    assert (log["path"], log["status"]) == ("/api/tokenUpdate", 200)


async def test_accounts_faults_rules_and_deaths_are_ordered(*, sim, caller, grant, clock, email, fingerprint):
    made = (
        await caller.control("POST", "accounts", {"email": "new@example.com", "password": "p", "user_id": 7})
    ).json()
    assert made == {"user_id": 7}
    assert (await caller.log_in("p", email="new@example.com")).status == 200

    await caller.control("PUT", "rules", {"old_token": "strict", "idle_life": 15})
    await caller.control("PATCH", "rules", {"forbid": False, "logout_value": "1"})
    assert sim.rules == Rules(old_token="strict", idle_life=15, logout_value="1")
    assert (await caller.control("GET", "rules")).json()["idle_life"] == 15

    await caller.control("PUT", "faults", {"maintenance": 1, "paths": ["*"]})
    assert sim.faults == Faults(maintenance=1, paths=("*",))
    await caller.control("PUT", "faults?seconds=5", {"logout_all": True})
    await caller.control("PATCH", "faults", {"whoami_empty": True})
    assert (await caller.control("GET", "faults")).json() | {"paths": ()} == {
        **(await caller.control("PUT", "faults", {"logout_all": True, "whoami_empty": True})).json(),
        "paths": (),
    }
    await caller.control("PUT", "faults", {})

    await caller.control("POST", "next", {"fault": "error_500", "email": email, "fingerprint": fingerprint})
    assert (await caller.update(grant.token)).status == 500
    who = {"email": email, "fingerprint": fingerprint}
    assert (await caller.control("POST", "kill", who)).json()["died_of"] == "killed"
    assert (await caller.control("POST", "revive", who)).json()["alive"]
    clock.advance(15)
    assert (await caller.control("POST", "revive")).status == 200
    assert caller.truth().alive


async def test_faults_played_over_http_end_by_themselves(sim, caller, clock):
    await caller.control("PUT", "faults?seconds=5", {"maintenance": 1})
    assert sim.faults.maintenance == 1

    clock.advance(5)

    assert sim.faults == Faults()


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "sentence"),
    [
        ("GET", "nothing", None, 404, "no control route GET /_simulator/nothing"),
        ("GET", "truth?email=x&fingerprint=y", None, 404, "the simulator knows no session of x with that fingerprint"),
        ("POST", "kill", {"email": "x"}, 400, "fingerprint is missing, or not a text"),
        ("POST", "accounts", {"email": "x", "password": "p", "user_id": "7"}, 400, "user_id must be a whole number"),
        ("POST", "sessions", {"count": -1}, 400, "count must be a whole number, 0 or more"),
        ("POST", "next", {"fault": "hang", "times": "2"}, 400, "times must be a whole number"),
        ("POST", "next", ["hang"], 400, "the body must be a JSON object"),
        ("PUT", "rules", {"idle_life": -1}, 400, "idle_life must be a number, 0 or more, not -1"),
        ("PUT", "faults?seconds=soon", {}, 400, "seconds must be a number, 0 or more"),
    ],
)
async def test_a_request_that_makes_no_sense_gets_one_sentence(*, caller, method, path, content, status, sentence):
    answer = await caller.control(method, path, content)

    assert (answer.status, answer.json()["error"]) == (status, sentence)


async def test_control_requests_are_not_counted_nor_struck(sim, caller):
    sim.faults = Faults(error_500=1, paths=("*",))
    sim.rules = Rules(forbid=True)

    assert (await caller.control("GET", "totals")).json()["requests"] == {}
    assert len(sim.log) == 0


async def test_a_taken_user_id_is_refused_and_a_known_email_gets_a_new_password(sim, caller, email):
    first = sim.add_account(email, "one", user_id=69233)
    sim.add_account("b@example.com", "b")  # its number would have been taken

    assert sim.add_account(email, "two") == first
    assert (await caller.log_in("two")).status == 200
    with pytest.raises(ValueError, match="user id 69233 is taken"):
        sim.add_account("c@example.com", "c", user_id=69233)
