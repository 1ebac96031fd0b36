"""A caller for the simulator, in-process: just enough HTTP to read what it says."""

import json
import random
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

from aimkeeper.simulator import Faults, Grant, Rules, Simulator
from aimkeeper.testing import ManualClock

FINGERPRINT = "my0pz7di4kr8nuq718uecu4ev23fbosfp20z1q6smntm42ideb"
EMAIL = "ana@example.com"


@dataclass
class Heard:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return next((value for key, value in self.headers if key == name), None)

    def cookies(self):
        """Name -> the whole Set-Cookie."""
        return {value.partition("=")[0]: value for key, value in self.headers if key == "set-cookie"}


class Caller:
    def __init__(self, sim: Simulator) -> None:
        self.sim = sim

    def truth(self):
        """Of the one session most tests are about."""
        return self.sim.truth(EMAIL, FINGERPRINT)

    async def ask(self, method, path, *, body=b"", headers=()) -> Heard:
        path, _, query = path.partition("?")
        sent = []

        async def receive():
            return {"type": "http.request", "body": body}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers],
        }
        await self.sim(scope, receive, send)
        heard = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        return Heard(sent[0]["status"], heard, sent[1]["body"])

    async def update(self, token, fingerprint=FINGERPRINT, cookie=None) -> Heard:
        body = urlencode({"token": token, "ciclo": 1, "fingerprint": fingerprint}).encode()
        headers = [("content-type", "application/x-www-form-urlencoded")]
        headers += [("cookie", cookie)] if cookie else []
        return await self.ask("POST", "/api/tokenUpdate", body=body, headers=headers)

    async def rotate(self, token, fingerprint=FINGERPRINT) -> str:
        return (await self.update(token, fingerprint)).json()["newToken"]

    async def set_refresh(self, token, fingerprint=FINGERPRINT, **more) -> Heard:
        return await self.ask("GET", "/setrefresh?" + urlencode({"token": token, "fingerprint": fingerprint, **more}))

    async def log_in(self, password, *, email=EMAIL, fingerprint=FINGERPRINT, host="login.aimharder.com") -> Heard:
        asked = {"username": email, "password": password, "fingerprint": fingerprint, "iniframe": 0}
        headers = [("content-type", "application/json"), ("host", host)]
        return await self.ask("POST", "/api/login", body=json.dumps(asked).encode(), headers=headers)

    async def who_am_i(self, grant: Grant):
        headers = [("cookie", f"PHPSESSID=x; amhrdrauth={grant.cookies['amhrdrauth']}")]
        return (await self.ask("GET", "/api/whoami", headers=headers)).json()["data"]

    async def control(self, method, path, content=None) -> Heard:
        body = b"" if content is None else json.dumps(content).encode()
        return await self.ask(method, "/_simulator/" + path, body=body)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def sim(clock):
    return Simulator(Rules(), Faults(), clock=clock, rng=random.Random(7))


@pytest.fixture
def caller(sim):
    return Caller(sim)


@pytest.fixture
def grant(sim):
    return sim.open_session(EMAIL, FINGERPRINT)


@pytest.fixture
def fingerprint():
    return FINGERPRINT


@pytest.fixture
def email():
    return EMAIL
