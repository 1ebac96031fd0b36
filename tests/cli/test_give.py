"""`credentials` and `exec`: live credentials for those who may have them."""

import http.cookiejar
import json
import os
import re
import shlex

import pytest

F = "f" * 50


@pytest.fixture
def name(terminal, upstream):
    return terminal.log_in("ana@example.com", "correct horse", "--fingerprint", F)


def given(terminal, name, *more):
    ran = terminal.run("credentials", name, *more)
    assert (ran.status, ran.err) == (0, "")
    return ran.out


def test_a_header_is_ready_for_curl(terminal, upstream, name):
    header = given(terminal, name)

    assert re.fullmatch(r"Cookie: [^\n]*amhrdrauth=[^\n]+\n", header)
    assert "PHPSESSID=" in header
    assert upstream.sim._world.session_of_cookie(re.search(r"amhrdrauth=([^;\n]+)", header)[1]).account.email


def test_json_tells_all_there_is(terminal, upstream, name):
    told = json.loads(given(terminal, name, "--format", "json"))

    assert (told["email"], told["fingerprint"]) == ("ana@example.com", F)
    assert told["token"] == upstream.truth(name).token
    assert {cookie["name"] for cookie in told["cookies"]} == {"amhrdrauth", "PHPSESSID", "AWSALB", "AWSALBCORS"}
    assert 5300 < told["slackSeconds"] <= 5400


def test_env_can_be_read_by_a_shell(terminal, upstream, name):
    lines = dict(line.split("=", 1) for line in given(terminal, name, "--format", "env").splitlines())

    values = {variable: shlex.split(value) for variable, value in lines.items()}
    assert values["AIMHARDER_TOKEN"] == [upstream.truth(name).token]
    assert values["AIMHARDER_FINGERPRINT"] == [F]
    assert values["AIMHARDER_COOKIE"] == [given(terminal, name).removeprefix("Cookie: ").rstrip("\n")]


def test_netscape_can_be_read_by_others(terminal, name):
    (terminal.folder / "cookies.txt").write_text(given(terminal, name, "--format", "netscape"))

    jar = http.cookiejar.MozillaCookieJar()
    jar.load(str(terminal.folder / "cookies.txt"), ignore_discard=True)

    told = json.loads(given(terminal, name, "--format", "json"))["cookies"]
    assert {cookie.name: cookie.value for cookie in jar} == {cookie["name"]: cookie["value"] for cookie in told}
    assert {cookie.path for cookie in jar} == {"/"}


def test_playwright_gets_a_state_with_cookies_and_without_the_token_its_page_would_spend(terminal, upstream, name):
    state = json.loads(given(terminal, name, "--format", "playwright"))

    assert set(state) == {"cookies", "origins"}
    assert state["origins"] == []
    assert {"name", "value", "domain", "path", "expires", "httpOnly", "secure", "sameSite"} == set(state["cookies"][0])
    assert upstream.truth(name).token not in json.dumps(state)


@pytest.mark.parametrize(("slack", "rotations"), [("10m", 0), ("0", 0), ("89m59s", 0), ("90m", 1)])
def test_what_has_less_slack_than_asked_is_rotated_first(terminal, upstream, name, slack, rotations):
    token = json.loads(given(terminal, name, "--format", "json", "--min-slack", slack))["token"]

    assert upstream.truth(name).rotations == rotations
    assert token == upstream.truth(name).token


def test_the_default_asks_no_more_of_a_short_lived_upstream_than_it_can_give(terminal, upstream, name):
    terminal.set(AIMKEEPER_REFRESH_EVERY="2s", AIMKEEPER_IDLE_TIMEOUT="8s")

    assert terminal.run("credentials", name).status == 0


def test_whoever_reads_credentials_leaves_an_event(terminal, name):
    given(terminal, name)

    last = json.loads(terminal.run("history", name, "--json").out)[-1]
    assert (last["what"], last["by"]) == ("credentials_read", "credentials")


# ---------------------------------------------------------------- exec


@pytest.fixture
def executed(monkeypatch):
    """What the process would have become; the real thing is in tests/acceptance."""
    become = []

    def exec_(file, arguments, environment):
        become.append((file, arguments, environment))
        raise SystemExit(0)

    monkeypatch.setattr(os, "execvpe", exec_)
    return become


@pytest.mark.parametrize(
    "typed",
    [
        ("--", "tool", "--json", "-x", "--", "y"),
        ("tool", "--json", "-x", "--", "y"),
    ],
    ids=["with dashes between", "without"],
)
def test_a_command_gets_its_arguments_untouched_and_the_credentials_in_its_environment(
    terminal, upstream, name, executed, typed
):
    terminal.set(OTHER="as it was")

    terminal.run("exec", name, *typed)

    [(file, arguments, environment)] = executed
    assert (file, arguments) == ("tool", ["tool", "--json", "-x", "--", "y"])
    assert environment["AIMHARDER_TOKEN"] == upstream.truth(name).token
    assert (environment["AIMHARDER_FINGERPRINT"], environment["OTHER"]) == (F, "as it was")
    assert "amhrdrauth=" in environment["AIMHARDER_COOKIE"]


def test_a_command_that_is_not_there_is_told(terminal, name):
    ran = terminal.run("exec", name, "--", "no-such-command")

    assert ran.status == 2
    assert ran.complaint == "aimkeeper: no-such-command can't be run: No such file or directory."


def test_the_keys_to_all_other_sessions_are_not_handed_on(terminal, upstream, executed):
    terminal.set(AIMKEEPER_SECRET_KEYS=terminal.run("keys", "new").out.strip())
    terminal.set(AIMKEEPER_API_KEY="the operator's own key", AIMKEEPER_API_KEY_FILE="/nowhere")
    name = terminal.log_in()

    terminal.run("exec", name, "--", "tool")

    [(_, _, environment)] = executed
    assert not [variable for variable in environment if "API_KEY" in variable or "SECRET_KEYS" in variable]
    assert environment["AIMKEEPER_DATA_DIR"] == str(terminal.data)
