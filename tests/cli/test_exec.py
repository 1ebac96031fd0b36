"""`exec`: a command with live credentials in its environment, and a place to ask for more as long as it runs."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from aimkeeper.cli import beside
from aimkeeper.simulator import Rules

F = "f" * 50
PATIENCE = 60


@pytest.fixture
def name(terminal, upstream):
    return terminal.log_in("ana@example.com", "correct horse", "--fingerprint", F)


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

    terminal.run("exec", "--no-url", name, *typed)

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


def test_without_a_url_nothing_is_lent_and_nothing_stays_behind(terminal, name, executed, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))

    terminal.run("exec", "--no-url", name, "--", "tool")

    [(_, _, environment)] = executed
    assert not [variable for variable in environment if "CREDENTIALS" in variable]


# ---------------------------------------------------------------- exec: what is lent to the command


@pytest.fixture
def lent(terminal, upstream, name):
    """A command of ours that runs under `exec`: it tells what it was lent, and goes on until its input is closed."""
    told = "os.environ['AIMKEEPER_CREDENTIALS_URL'], os.environ['AIMKEEPER_CREDENTIALS_BEARER']"
    program = f"import os, sys; print({told}, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-m", "aimkeeper", "exec", name, "--", sys.executable, "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        url, bearer = process.stdout.readline().decode().split()
        yield Lent(process, url, bearer)
        if process.poll() is None:
            process.kill()


class Lent:
    def __init__(self, process, url, bearer):
        self.process, self.url, self.bearer = process, url, bearer

    def ask(self, *, bearer=None, url=None, method="GET", **asked):
        bearer = self.bearer if bearer is None else bearer
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        return httpx.request(method, url or self.url, params=asked, headers=headers, timeout=PATIENCE, trust_env=False)

    def is_there(self):
        where = urlsplit(self.url)
        with socket.socket() as asking:
            return asking.connect_ex((where.hostname, where.port)) == 0


def until(truth, what):
    end = time.monotonic() + PATIENCE
    while not truth():
        assert time.monotonic() < end, f"still not: {what}"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_command_can_ask_for_its_credentials_as_long_as_it_runs(terminal, upstream, name, lent):
    told = lent.ask()

    assert told.status_code == 200
    assert told.headers["cache-control"] == "no-store"
    assert (told.json()["email"], told.json()["token"]) == ("ana@example.com", upstream.truth(name).token)
    assert told.json()["cookie"] == terminal.run("credentials", name).out.removeprefix("Cookie: ").rstrip("\n")


@pytest.mark.slow
def test_what_it_is_lent_is_rotated_when_it_asks_for_more_slack_than_there_is(upstream, name, lent):
    first = lent.ask(min_slack="10m").json()
    second = lent.ask(min_slack="90m").json()

    assert (upstream.truth(name).rotations, upstream.truth(name).reuse) == (1, 0)
    assert first["token"] != second["token"] == upstream.truth(name).token


@pytest.mark.slow
def test_many_who_ask_at_once_get_the_same(upstream, name, lent):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: lent.ask(), range(24)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["token"] for answer in answers}) == 1
    assert upstream.truth(name).concurrent == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"bearer": ""}, 401, "unauthorized"),
        ({"bearer": "aimkeeper-exec-" + "x" * 43}, 401, "unauthorized"),
        ({"bearer": "\u00fc"}, 401, "unauthorized"),
        ({"url": "/"}, 404, "not_found"),
        ({"url": "/api/sessions/another/credentials"}, 404, "not_found"),
        ({"min_slack": "soon"}, 400, "bad_request"),
        ({"min_slack": "3h"}, 400, "bad_config"),
        ({"method": "POST"}, 501, None),
    ],
    ids=[
        "nothing",
        "another bearer",
        "no bearer at all",
        "no address",
        "another session",
        "rubbish",
        "too much",
        "post",
    ],
)
def test_whoever_asks_for_anything_else_gets_nothing(lent, asked, status, code):
    if asked.get("url"):
        asked = asked | {"url": "{0.scheme}://{0.netloc}".format(urlsplit(lent.url)) + asked["url"]}
    if asked.get("bearer") == "\u00fc":
        where = urlsplit(lent.url)
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=PATIENCE)
        connection.request("GET", where.path, headers={"authorization": b"Bearer \xc3\xbc"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["code"]) == (status, code)
        connection.close()
        return

    answer = lent.ask(**asked)

    assert answer.status_code == status
    assert lent.bearer not in answer.text
    assert "token" not in answer.text
    if code:
        assert (answer.json()["success"], answer.json()["code"]) == (False, code)


@pytest.mark.slow
def test_a_session_that_has_ended_is_told_with_the_service_s_own_words(terminal, name, lent):
    assert terminal.run("logout", name).status == 0

    answer = lent.ask()

    assert (answer.status_code, answer.json()["code"]) == (410, "session_ended")


@pytest.mark.slow
def test_an_upstream_that_is_away_is_told_with_when_to_ask_again(terminal, upstream, name, lent):
    lent.ask()
    upstream.sim.rules = Rules(forbid=True)

    answer = lent.ask(min_slack="90m")

    assert (answer.status_code, answer.json()["code"]) == (403, "upstream_refused")


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["by itself", "killed"])
def test_what_lends_to_a_command_is_gone_when_the_command_is(lent, ending):
    assert lent.is_there()

    if ending == "killed":
        lent.process.send_signal(signal.SIGKILL)
    else:
        lent.process.stdin.close()
    lent.process.wait(PATIENCE)

    until(lambda: not lent.is_there(), "gone")


@pytest.mark.slow
def test_a_command_finds_no_child_that_it_did_not_make_and_no_pipe_is_held_open(terminal, upstream, name):
    program = (
        "import os\ntry:\n    os.wait()\nexcept ChildProcessError:\n"
        "    print('none', os.environ['AIMKEEPER_CREDENTIALS_URL'])\n"
    )

    ran = subprocess.run(
        [sys.executable, "-m", "aimkeeper", "exec", name, "--", sys.executable, "-c", program],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert (ran.returncode, ran.stdout.split()[0], ran.stderr) == (0, "none", "")


@pytest.mark.slow
def test_signals_and_the_exit_status_are_the_command_s_own(terminal, upstream, name):
    script = "trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [sys.executable, "-m", "aimkeeper", "exec", name, "--", "sh", "-c", script], stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)

        assert process.wait(PATIENCE) == 9


@pytest.mark.slow
def test_a_command_that_is_not_there_leaves_no_server_behind(terminal, upstream, name, monkeypatch):
    started = []
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(real(*a, **k)) or started[-1])

    ran = terminal.run("exec", name, "--", "no-such-command")

    assert ran.complaint == "aimkeeper: no-such-command can't be run: No such file or directory."
    assert [process.returncode for process in started] == [0]
    until(lambda: not lenders_for(os.getpid()), "gone")


@pytest.mark.slow
def test_a_session_that_can_t_be_had_is_told_as_ever_and_no_server_is_left(terminal, upstream):
    ran = terminal.run("exec", "nobody@example.com", "--", "true")

    assert ran.status == 2
    assert "no session answers to" in ran.complaint
    until(lambda: not lenders_for(os.getpid()), "gone")


def lenders_for(pid):
    """Processes that lend to *pid*."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.endswith(f"-m aimkeeper.cli.beside {pid}")]


# ---------------------------------------------------------------- how the end of a process is noticed


@pytest.mark.parametrize("has_descriptors", [True, False], ids=["by its descriptor", "by looking now and then"])
def test_the_end_of_a_process_is_noticed(monkeypatch, has_descriptors):
    if not has_descriptors:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(beside, "LOOK_MS", 5)
    process = subprocess.Popen(["sleep", "60"])
    descriptor = beside.descriptor_of(process.pid)
    orders, giver = os.pipe()
    os.close(giver)  # whoever started us became the command
    assert (descriptor is not None) == (has_descriptors and hasattr(os, "pidfd_open"))

    process.kill()
    process.wait()
    beside.wait_for_end(process.pid, descriptor, orders)

    os.close(orders)
    if descriptor is not None:
        os.close(descriptor)


def test_an_order_to_stop_is_obeyed_though_the_process_lives():
    orders, giver = os.pipe()
    os.write(giver, beside.STOP)

    beside.wait_for_end(os.getpid(), beside.descriptor_of(os.getpid()), orders)

    for descriptor in (orders, giver):
        os.close(descriptor)
