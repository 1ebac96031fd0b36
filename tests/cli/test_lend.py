"""`lend`: one session's credentials for a bot on another machine."""

import json
import re

import pytest

ADDRESS = r"https://keeper\.example\.com/api/sessions/[0-9a-f-]{36}/credentials"


@pytest.fixture
def name(terminal, upstream):
    terminal.set(APP_URL="https://keeper.example.com")
    return terminal.log_in()


def bearer_of(terminal, name, *more):
    return json.loads(terminal.run("lend", name, "--json", *more).out)["bearer"]


def test_a_bot_is_given_an_address_and_a_bearer_as_lines_of_an_environment(terminal, name):
    ran = terminal.run("lend", name)

    assert ran.status == 0
    assert re.fullmatch(
        rf"AIMKEEPER_CREDENTIALS_URL={ADDRESS}\nAIMKEEPER_CREDENTIALS_BEARER=aimkeeper-bot-[\w-]{{43}}\n", ran.out
    )
    assert re.fullmatch(
        rf"Good until [\d-]{{10}} \d\d:\d\d UTC, and not shown again\. `aimkeeper lend {name} --revoke` ends it\.\n",
        ran.err,
    )


def test_as_json_it_is_the_same(terminal, name):
    ran = terminal.run("lend", name, "--for", "1h30m", "--json")

    told = json.loads(ran.out)
    assert (ran.status, ran.err) == (0, "")
    assert set(told) == {"session", "url", "bearer", "expires_at"}
    assert told["session"] == name
    assert re.fullmatch(ADDRESS, told["url"])


def test_an_address_given_by_hand_goes_before_the_one_that_is_set(terminal, name):
    told = json.loads(terminal.run("lend", name, "--url", "https://other.example.com/behind/", "--json").out)

    assert told["url"].startswith("https://other.example.com/behind/api/sessions/")


def test_an_address_that_is_this_machine_s_own_is_said_to_be(terminal, name, monkeypatch):
    monkeypatch.delenv("APP_URL")
    terminal.set(AIMKEEPER_PORT="8123")

    ran = terminal.run("lend", name, "--json")

    assert json.loads(ran.out)["url"].startswith("http://127.0.0.1:8123/api/sessions/")
    assert ran.err == (
        "http://127.0.0.1:8123 is this machine's own: for a bot on another one, set APP_URL or give --url.\n"
    )


def test_what_was_lent_is_ended_all_at_once(terminal, name):
    bearers = {bearer_of(terminal, name) for _ in range(2)}

    ran, again = terminal.run("lend", name, "--revoke"), terminal.run("lend", name, "--revoke", "--json")

    assert len(bearers) == 2
    assert (ran.status, ran.out, ran.err) == (0, f"Revoked 2 bearers of {name}.\n", "")
    assert json.loads(again.out) == {"session": name, "revoked": 0}


@pytest.mark.parametrize("ending", ["logout", "forget"])
def test_nothing_lent_outlives_a_session_that_is_logged_out_or_forgotten(terminal, name, ending):
    bearer_of(terminal, name)

    terminal.run(ending, name)

    if ending == "forget":
        terminal.log_in()
        name = json.loads(terminal.run("sessions", "--json").out)[0]["session"]
    assert terminal.run("lend", name, "--revoke").out == f"Revoked 0 bearers of {name}.\n"


def test_each_is_an_event_without_what_opens_anything(terminal, name):
    bearer = bearer_of(terminal, name)

    ran = terminal.run("history", name, "--json")

    last = json.loads(ran.out)[-1]
    assert (last["what"], last["by"]) == ("bearer_issued", "command line")
    assert bearer not in ran.out
