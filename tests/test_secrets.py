"""What opens a door is in no log line, repr, error, listing, metric or database file."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import read_adoption
from aimkeeper.core.change import SecretsEdit
from aimkeeper.core.errors import AimkeeperError
from aimkeeper.engine.entry import LogIn
from aimkeeper.service import Surroundings, open_service
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Simulator, running
from aimkeeper.simulator.world import World
from aimkeeper.store.seal import Key, Sealer, new_key
from aimkeeper.testing import ManualClock
from aimkeeper.upstream import protocol
from aimkeeper.upstream.client import Transport
from tests.notify.conftest import Receiver

RIGHT, WRONG, BROKEN = "correct horse battery", "hunter2 is wrong", "a token that has spaces"
OPERATOR, CRON = "the operator's own key 4711", "the cron's own secret 4711"
HOOK = "w3bh00k-4711"
PROXY = "http://user:proxy-password-4711@127.0.0.1:1"
F, G, H = "f" * 50, "e" * 50, "d" * 50


@pytest.fixture
def minted(monkeypatch) -> set[str]:
    """Every token and cookie the simulated site ever makes."""
    made: set[str] = set()
    for name in ("_mint", "php_session", "balancer_cookie"):
        real = getattr(World, name)

        def mint(*arguments, real=real):
            value = real(*arguments)
            made.add(value)
            return value

        monkeypatch.setattr(World, name, mint)
    return made


class Evidence:
    """Everything that was said or written, by where; and what must not be in it."""

    def __init__(self, minted: set[str]) -> None:
        self.minted = minted
        self.planted = {RIGHT, WRONG, BROKEN, OPERATOR, CRON, HOOK, "proxy-password-4711"}
        self.said: dict[str, str] = {}

    def add(self, where: str, what: str) -> None:
        self.said[f"{len(self.said)} {where}"] = what

    def leaks(self) -> list[tuple[str, str]]:
        secrets = self.minted | self.planted
        secrets |= {quote(secret, safe="") for secret in secrets}
        return [(where, secret) for where, text in self.said.items() for secret in secrets if secret in text]


class Upstream(threading.Thread):
    """The simulator on a socket, in a thread of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.sim = Simulator(Rules(old_token="grace", grace=60), Faults(), clock=SystemClock())
        self.ready = threading.Event()

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        async with running(self.sim) as where:
            self.url = where.url
            self.ready.set()
            await self.stopping.wait()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.stopping.set)
        self.join(10)


@pytest.fixture
def upstream(minted) -> Iterator[Upstream]:
    site = Upstream()
    site.start()
    assert site.ready.wait(10)
    site.sim.add_account("ana@example.com", RIGHT)
    yield site
    site.stop()


class Program:
    """The command line in processes of its own, all it says kept as evidence, at its most talkative."""

    def __init__(self, folder: Path, url: str, evidence: Evidence) -> None:
        self.data, self.evidence = folder / "data", evidence
        key = new_key()
        evidence.planted.add(key)
        self.environ = {name: value for name, value in os.environ.items() if not name.upper().endswith("_PROXY")} | {
            "AIMKEEPER_DATA_DIR": str(self.data),
            "AIMHARDER_URL": url,
            "AIMHARDER_LOGIN_URL": url,
            "AIMKEEPER_SECRET_KEYS": key,
            "AIMKEEPER_API_KEY": OPERATOR,
            "CRON_SECRET": CRON,
            "AIMKEEPER_REFRESH_EVERY": "1s",
            "AIMKEEPER_IDLE_TIMEOUT": "60s",
            "AIMKEEPER_MAX_RATE": "1000",
            "AIMKEEPER_LOGIN_RATE": "100",
            "TOKEN_REFRESH_DEBUG": "true",
        }

    def run(self, *arguments: str, stdin: str = "", secret_output: bool = False, **variables: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "aimkeeper", *arguments], input=stdin, env=self.environ | variables,
            capture_output=True, text=True, timeout=60, check=False, cwd=self.data.parent,
        )  # fmt: skip
        self.evidence.add(f"{arguments} errors", ran.stderr)
        if not secret_output:
            self.evidence.add(f"{arguments} output", ran.stdout)
        return ran.stdout

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "aimkeeper", *arguments], env=self.environ, stderr=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, cwd=self.data.parent,
        )  # fmt: skip


def ask(evidence: Evidence, url: str, *, by: str = "", body: dict | None = None, secret_answer: bool = False) -> str:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {by}"} if by else {})
    request = Request(url, headers=headers, data=None if body is None else json.dumps(body).encode())
    try:
        with urlopen(request, timeout=30) as answer:
            head, text = str(answer.headers), answer.read().decode()
    except OSError as error:
        head, text = str(getattr(error, "headers", "")), getattr(error, "fp", None).read().decode()
    evidence.add(f"{url} head", head)
    if not secret_answer:
        evidence.add(f"{url} body", text)
    return text


@pytest.mark.slow
def test_whatever_is_done_and_whatever_goes_wrong_no_secret_is_told_or_written(tmp_path, minted, upstream):
    evidence = Evidence(minted)
    program, sim = Program(tmp_path, upstream.url, evidence), upstream.sim

    # Logins: good, refused, answered with rubbish, and with a setrefresh that breaks (its URL holds the token).
    login = ("login", "ana@example.com", "--password-stdin", "--fingerprint")
    assert "Logged in" in program.run(*login, F, "--remember", stdin=RIGHT)
    program.run(*login, F, stdin=WRONG)
    for fault in ("reset_after", "truncated", "bad_json"):
        sim.next(fault, path="/setrefresh")
        program.run(*login, G, stdin=RIGHT)
        sim.next(fault, path="/api/login")
        program.run(*login, G, stdin=RIGHT)
    program.run(*login, G, stdin=RIGHT, AIMHARDER_LOGIN_URL="http://127.0.0.1:1")
    program.run("status", AIMKEEPER_UPSTREAM_PROXY=PROXY)
    program.run("login", RIGHT, "--password-stdin", stdin=RIGHT)
    program.run("login", "ana@example.com", RIGHT)

    # Lines to adopt: good, known already, and wrong in ways that hold a secret.
    good = sim.open_session("berta@example.com", H).record()
    lines = [good, good, good | {"token": BROKEN}, good | {"fingerprint": BROKEN}, good | {"colour": BROKEN}]
    lines += [good | {"cookies": [{"name": "a;b", "value": good["token"]}]}, good | {"cookies": good["token"]}]
    text = "\n".join([*map(json.dumps, lines), f'{{"token": "{good["token"]}'])
    assert "Adopted 1" in program.run("adopt", "-", stdin=text)

    # Rotations: good, lost, and every kind of broken.
    for fault in (None, "reset_after", "bad_json", "html_502", "rate_limited"):
        if fault:
            sim.next(fault)
        program.run("rotate", f"ana@example.com#{F}", "--json")
    assert sim.truth("ana@example.com", F).token in minted

    # Looking at it from all sides.
    looks = [["sessions"], ["status"], ["settings"], ["db", "status"]]
    looks += [["doctor"], ["doctor", f"ana@example.com#{F}", "--rotate"]]
    looks += [[command, f"ana@example.com#{F}"] for command in ("show", "history", "check")]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda look: program.run(*look), [*looks, *([*look, "--json"] for look in looks)]))

    # Those who may have them get them; what else they are told holds none.
    given = program.run("credentials", f"ana@example.com#{F}", "--format", "json", secret_output=True)
    assert json.loads(given)["token"] in minted
    program.run("exec", f"ana@example.com#{F}", "--", "true")
    program.run("credentials", f"ana@example.com#{F}", "--min-slack", "2h")
    lent = json.loads(program.run("lend", f"ana@example.com#{F}", "--json", secret_output=True))
    evidence.planted.add(lent["bearer"])
    assert "bearer_issued" in program.run("history", f"ana@example.com#{F}")

    serve_for_a_while(program, sim, evidence, json.loads(given), lent)
    assert "Revoked 2 bearers" in program.run("lend", f"ana@example.com#{F}", "--revoke")

    # What is left on the disk; positive first: the search does see what lies there.
    stored = {path: path.read_bytes().decode("latin-1") for path in program.data.rglob("*") if path.is_file()}
    assert any("berta@example.com" in text for text in stored.values())
    for path, text in stored.items():
        evidence.add(str(path), text)
    assert len(minted) > 30
    assert evidence.leaks() == []


def serve_for_a_while(program: Program, sim: Simulator, evidence: Evidence, held: dict, lent: dict) -> None:
    """The HTTP API beside a worker at its most talkative; faults in between; a death."""
    server = program.start("serve", "--port", "0")
    written: list[str] = []
    url = ""
    while not url:
        written.append(server.stderr.readline())
        found = re.search(r"Open the page: (http://[^/]+)/sign-in/(\S+)", written[-1])
        url = found[1] if found else ""
    written.clear()  # the line with the link is for whoever started it
    code = found[2]
    evidence.planted.add(code)

    pair = {"fingerprint": held["fingerprint"], "token": held["token"]}
    told = json.loads(ask(evidence, f"{url}/api/tokenUpdate", body=pair, secret_answer=True))
    assert told["newToken"] in evidence.minted
    ask(evidence, f"{url}/api/tokenUpdate", body=pair | {"fingerprint": "0" * 50})
    ask(evidence, f"{url}/api/tokenUpdate", body=pair | {"token": [held["token"]]})
    ask(evidence, f"{url}/api/tokenUpdate?action={quote(held['token'])}", by=CRON)
    ask(evidence, f"{url}/api/nothing/{quote(held['token'])}")
    ask(evidence, f"{url}/sign-in/{code}")
    ask(evidence, f"{url}/api/cron/refresh-tokens", by=CRON, body={})
    ask(evidence, f"{url}/api/cron/refresh-tokens", by=OPERATOR + "x", body={})
    own = url + urlsplit(lent["url"]).path
    second = ask(evidence, own.replace("/credentials", "/bearers"), by=OPERATOR, body={}, secret_answer=True)
    evidence.planted.add(json.loads(second)["bearer"])
    assert json.loads(ask(evidence, own, by=lent["bearer"], secret_answer=True))["success"]
    ask(evidence, f"{own}?min_slack={lent['bearer']}", by=lent["bearer"])
    ask(evidence, own.replace("/credentials", "/bearers"), by=lent["bearer"], body={})
    for fault in ("reset_after", "truncated", "rate_limited", "bad_json"):
        sim.next(fault, times=2)
    sim.kill("berta@example.com", H)
    for path in ("/api/sessions", "/api/sessions?limit=x", "/api/tokenUpdate?action=stats", "/metrics", "/readyz"):
        ask(evidence, url + path, by=OPERATOR)
    rotations = sim.totals.rotations
    while sim.totals.rotations < rotations + 4 or "ended" not in ask(evidence, f"{url}/api/sessions", by=OPERATOR):
        assert server.poll() is None
    server.terminate()
    out, err = server.communicate(timeout=30)
    evidence.add("serve", "".join(written) + out + err)
    assert "token_update" in err
    assert server.returncode == 0


@pytest.mark.slow
def test_nobody_who_is_told_hears_a_secret_and_his_own_address_is_told_to_nobody(tmp_path, minted, upstream):
    evidence = Evidence(minted)
    program, sim = Program(tmp_path, upstream.url, evidence), upstream.sim
    assert "Logged in" in program.run("login", "ana@example.com", "--password-stdin", "--remember", stdin=RIGHT)
    berta = sim.open_session("berta@example.com", H).record()
    assert "Adopted 1" in program.run("adopt", "-", stdin=json.dumps(berta))
    with Receiver(answers=[500, 404]) as receiver:  # the first tries fail
        program.environ |= {
            "DISCORD_WEBHOOK_URL": f"{receiver.url}/discord/{HOOK}",
            "AIMKEEPER_WEBHOOK_URL": f"{receiver.url}/webhook/{HOOK}",
            "AIMKEEPER_WEBHOOK_SECRET": f"{HOOK} signs",
            "AIMKEEPER_NOTIFY_URLS": f"json://{receiver.url.removeprefix('http://')}/apprise/{HOOK}",
            "AIMKEEPER_HEARTBEAT_URL": f"{receiver.url}/heartbeat/{HOOK}",
        }
        program.run("notify", "test")
        program.run("settings")
        server = program.start("worker")
        try:
            # A death; and one that the remembered password does not undo, for it is another's by now.
            sim.add_account("ana@example.com", "another one by now")
            for truth in sim.truths():
                sim.kill(truth.email, truth.fingerprint)
            everybody = {(who, name) for who in ("discord", "webhook", "apprise") for name in (b"ana", b"berta")}
            while not {(told.path.split("/")[1], name) for told in receiver.told for _, name in everybody
                       if name in told.body} >= everybody:  # fmt: skip
                assert server.poll() is None
                time.sleep(0.05)
        finally:
            server.terminate()
            out, err = server.communicate(timeout=30)
        for told in receiver.told:
            evidence.add(f"what {told.path} was told".replace(HOOK, ""), f"{told.headers} {told.body.decode()}")
    evidence.add("worker", out + err)
    for path in program.data.rglob("*"):
        if path.is_file():
            evidence.add(str(path), path.read_bytes().decode("latin-1"))

    assert {told.path.split("/")[1] for told in receiver.told} == {"discord", "webhook", "apprise", "heartbeat"}
    assert evidence.leaks() == []


async def test_no_repr_of_anything_that_holds_a_secret_shows_it(tmp_path, minted):
    clock, dice = ManualClock(), Random(7)
    sim = Simulator(Rules(), Faults(), clock=clock, rng=Random(1))
    sim.add_account("ana@example.com", RIGHT)
    key = new_key()
    settings = Settings(
        data_dir=tmp_path, aimharder_url="http://aimharder.test", aimharder_login_url="http://aimharder.test",
        secret_keys=key, api_keys=(OPERATOR,), cron_secret=CRON, login_rate=100.0,
    )  # fmt: skip
    around = Surroundings(clock=clock, dice=dice, random_bytes=dice.randbytes, app=sim, inline=True)
    evidence = Evidence(minted)
    evidence.planted.add(key)
    async with open_service(settings, surroundings=around) as service:
        clock.busy.append(lambda: service.upstream.in_flight > sim.waiting)
        wish = LogIn("ana@example.com", RIGHT, remember=True)
        session = await clock.finish(service.entry.log_in(wish))
        claim = await service.store.claim_one(service.keeper.owner, session.id)
        outcome = await clock.finish(service.upstream.rotate(session.token, session.fingerprint, session.jar))
        answer = await clock.finish(service.upstream.log_in("ana@example.com", RIGHT, session.fingerprint))
        site, token, header = service.upstream.site, session.token, session.jar.header("aimharder.test", clock.now())
        things = [
            wish, session, session.secrets, token, session.jar, session.jar.cookies, session.ring,
            claim, outcome, answer, SecretsEdit(token=token, password=RIGHT), settings, service, service.store,
            service.upstream, Key.parse(key), Sealer([Key.parse(key)]),
            read_adoption(sim.open_session("berta@example.com", F).record()),
            Transport(timeout=session.deadline_at - session.rotated_at, connections=1, user_agent="x", proxy=PROXY),
            protocol.token_update(site, token, session.fingerprint, header),
            protocol.set_refresh(site, token, session.fingerprint, header),
            protocol.log_in(site, "ana@example.com", RIGHT, session.fingerprint),
            sim.truth("ana@example.com", session.fingerprint), sim.log,
            *await service.store.events_of(session.id),
        ]  # fmt: skip
    for thing in things:
        evidence.add(type(thing).__name__, f"{thing!r} {thing} {[thing]}")

    assert "ana@example.com" in repr(session)
    assert session.token.text in minted
    assert evidence.leaks() == []


ERRORS_OF_A_LOGIN = [("password", None), ("reset_after", "/api/login"), ("bad_json", "/api/login"), ("forbid", None)]


@pytest.mark.parametrize(("what", "path"), ERRORS_OF_A_LOGIN, ids=[what for what, _ in ERRORS_OF_A_LOGIN])
async def test_no_error_of_a_login_holds_the_password_nor_does_anything_it_came_from(tmp_path, minted, what, path):
    clock, dice = ManualClock(), Random(7)
    sim = Simulator(Rules(forbid=what == "forbid"), Faults(), clock=clock, rng=Random(1))
    sim.add_account("ana@example.com", RIGHT)
    if path:
        sim.next(what, path=path)
    settings = Settings(data_dir=tmp_path, aimharder_url="http://aimharder.test", aimharder_login_url="http://a.test")
    around = Surroundings(clock=clock, dice=dice, random_bytes=dice.randbytes, app=sim, inline=True)
    evidence = Evidence(minted)
    async with open_service(settings, surroundings=around) as service:
        clock.busy.append(lambda: service.upstream.in_flight > sim.waiting)
        password = WRONG if what == "password" else RIGHT

        with pytest.raises(AimkeeperError) as caught:
            await clock.finish(service.entry.log_in(LogIn("ana@example.com", password)))

    error: BaseException | None = caught.value
    while error is not None:
        evidence.add(type(error).__name__, f"{error!r} {error} {error.args}")
        error = error.__cause__ or error.__context__
    assert evidence.said
    assert evidence.leaks() == []
