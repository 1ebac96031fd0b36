"""`credentials`: live credentials for those who may have them."""

import http.cookiejar
import json
import re
import shlex
import shutil
import socket
import subprocess
from urllib.parse import urlsplit

import pytest

from aimkeeper.cli import give
from aimkeeper.simulator import Rules

F = "f" * 50
PATIENCE = 60


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


@pytest.mark.skipif(shutil.which("curl") is None, reason="asks with curl")
def test_curl_reads_the_netscape_file_and_is_let_in(terminal, upstream, name):
    (terminal.folder / "cookies.txt").write_text(given(terminal, name, "--format", "netscape"))

    told = subprocess.run(
        ["curl", "-s", "-b", str(terminal.folder / "cookies.txt"), f"{upstream.url}/api/whoami"],
        capture_output=True, check=True, timeout=PATIENCE,
    )  # fmt: skip

    assert json.loads(told.stdout)["data"][0]["id"] == upstream.truth(name).user_id


@pytest.mark.skipif(shutil.which("curl") is None, reason="asks with curl")
def test_curl_sends_a_box_the_member_s_cookie_and_keeps_the_base_host_s_own_from_it(terminal, upstream, name):
    """The file as it is for the real hosts; `--resolve` leads them to a listener that says what it was sent."""
    upstream.sim.rules = Rules(cookie_domain="aimharder.com")
    told = json.loads(given(terminal, name, "--format", "json"))
    for cookie in told["cookies"]:
        cookie |= {"domain": "aimharder.com", "hostOnly": cookie["name"] != "amhrdrauth", "secure": False}
    (terminal.folder / "cookies.txt").write_text(give._netscape(told))

    sent = {
        host: sent_by_curl(f"http://{host}", terminal.folder / "cookies.txt")
        for host in ("aimharder.com", "box.aimharder.com", "elsewhere.example")
    }

    assert sent == {
        "aimharder.com": {"amhrdrauth", "PHPSESSID", "AWSALB", "AWSALBCORS"},
        "box.aimharder.com": {"amhrdrauth"},
        "elsewhere.example": set(),
    }


def sent_by_curl(url, cookies):
    """The names of the cookies that curl sends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        host = urlsplit(url).hostname
        asking = subprocess.Popen(
            ["curl", "-s", "-b", str(cookies), "--resolve", f"{host}:{port}:127.0.0.1", f"{url}:{port}/"],
            stdout=subprocess.DEVNULL,
        )
        connection, _ = listening.accept()
        with connection:
            heard = b""
            while b"\r\n\r\n" not in heard:
                heard += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        asking.wait(PATIENCE)
    line = re.search(rb"(?im)^cookie: (.*?)\r$", heard)
    return {part.strip().split("=")[0] for part in line[1].decode().split(";")} if line else set()


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
