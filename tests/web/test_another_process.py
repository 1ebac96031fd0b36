"""What another process did with a session or its bearers is seen by the very next reading of its credentials."""

import os
import subprocess
import sys
from datetime import timedelta
from random import Random

import httpx
import pytest

from aimkeeper.core.begin import read_adoption
from aimkeeper.service import Surroundings, open_service

DAY = timedelta(days=1)


@pytest.fixture
async def session(house):
    return await house.log_in()


@pytest.fixture
async def other(house):
    """A second process's service, on the same database."""
    dice = Random(8)
    around = Surroundings(clock=house.clock, dice=dice, random_bytes=dice.randbytes, app=house.sim, inline=True)
    async with open_service(house.service.settings, surroundings=around) as service:
        yield service


async def read(house, session, by):
    return await house.ask("GET", f"/api/sessions/{session.id}/credentials", by=by)


async def revoke(house, other, session):
    await other.bots.revoke(session, by="another process")


async def log_out(house, other, session):
    await other.entry.log_out(session)


async def forget(house, other, session):
    await other.entry.forget(session)


async def rotate(house, other, session):
    await house.clock.finish(other.refresher.refresh(session))


async def replace(house, other, session):
    grant = house.sim.open_session(session.email, session.fingerprint)
    await other.entry.adopt([read_adoption(grant.record())], replacing=True)


@pytest.mark.parametrize(
    ("act", "then"),
    [(revoke, [401, 200]), (log_out, [401, 410]), (forget, [401, 404]), (rotate, [200, 200]), (replace, [200, 200])],
    ids=["its bearers revoked", "logged out", "forgotten", "rotated", "replaced"],
)
async def test_the_next_reading_sees_what_another_process_did(house, session, other, act, then):
    bearer = (await house.service.bots.lend(session, DAY, by="a test")).bearer
    before = [(await read(house, session, by)).json()["token"] for by in (bearer, house.operator)]

    await act(house, other, session)
    answers = [await read(house, session, by) for by in (bearer, house.operator)]

    assert before == [session.token.text] * 2
    assert [answer.status_code for answer in answers] == then
    good = [answer.json()["token"] for answer in answers if answer.status_code == 200]
    assert good == [house.truth(session).token] * len(good)
    assert act not in (rotate, replace) or session.token.text not in good


def test_the_command_line_revokes_and_logs_out_under_a_running_server(site):
    session_id = site.session(number=31)
    session = site.call(site.service.store.get(session_id))
    bearer = site.call(site.service.bots.lend(session, DAY, by="a test")).bearer
    environ = os.environ | {"AIMKEEPER_DATA_DIR": str(site.folder), "AIMKEEPER_AIMHARDER_URL": "http://127.0.0.1:9"}

    def aimkeeper(*arguments):
        subprocess.run([sys.executable, "-m", "aimkeeper", *arguments], env=environ, check=True, capture_output=True)

    def status(headers):
        return httpx.get(f"{site.url}/api/sessions/{session_id}/credentials", headers=headers).status_code

    bot = {"authorization": f"Bearer {bearer}"}
    told = [(status(bot), status(site.operator))]
    aimkeeper("lend", session_id, "--revoke")
    told.append((status(bot), status(site.operator)))
    aimkeeper("logout", session_id)
    told.append((status(bot), status(site.operator)))

    assert told == [(200, 200), (401, 200), (401, 410)]
