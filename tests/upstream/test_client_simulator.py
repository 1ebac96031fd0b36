"""Against the simulator, a second and independent reading of the same facts: the two must agree on every question."""

import random
from datetime import timedelta

import pytest

from aimkeeper.clock import SystemClock
from aimkeeper.core.cookies import Jar
from aimkeeper.core.outcome import (
    InDoubt,
    Life,
    LoggedIn,
    LoggedOut,
    LoginProblem,
    LoginRefused,
    Reason,
    Refused,
    Rotated,
)
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.simulator import Faults, Rules, Simulator, running

EMAIL, PASSWORD, DEVICE = "ana@example.com", "correct horse", Fingerprint("f" * 50)
RULES = {
    "as suggested": Rules(),
    "login cookie for its host alone": Rules(amhrdrauth_host_only=True),
    "dated cookies, renewed each time and needed": Rules(
        amhrdrauth_attributes="dated", cookies_on_update=True, update_needs_cookie=True
    ),
    "strict, JSON, another fingerprint": Rules(
        old_token="strict", content_type="application/json", setrefresh_fingerprint="new"
    ),
    "setrefresh spends nothing": Rules(setrefresh_rotates=False),
}


@pytest.fixture
def sim():
    sim = Simulator(Rules(), clock=SystemClock(), rng=random.Random(3))
    sim.add_account(EMAIL, PASSWORD)
    return sim


@pytest.fixture
async def on_a_socket(sim, connect):
    async with running(sim) as at:
        yield await connect(at.url)


@pytest.fixture
async def in_process(sim, connect):
    return await connect("http://aimharder.test", "http://login.aimharder.test", app=sim)


@pytest.fixture(params=["on_a_socket", "in_process"])
def up(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
async def kept(up):
    """A fresh login: its token, and its jar."""
    answer = await up.log_in(EMAIL, PASSWORD, DEVICE)
    return answer.token, Jar().merge(answer.cookies)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
async def test_a_whole_life_from_login_to_logout(up, sim, rules):
    sim.rules = rules

    answer = await up.log_in(EMAIL, PASSWORD, DEVICE)
    assert isinstance(answer, LoggedIn)
    jar = Jar().merge(answer.cookies)
    refreshed = await up.set_refresh(answer.token, DEVICE, jar)
    assert isinstance(refreshed, Rotated)
    token, device, jar = refreshed.token, Fingerprint(refreshed.fingerprint), jar.merge(refreshed.cookies)
    for _ in range(3):
        outcome = await up.rotate(token, device, jar)
        assert isinstance(outcome, Rotated)
        token, jar = outcome.token, jar.merge(outcome.cookies)
    alive = await up.who_am_i(jar)
    truth = sim.truth(EMAIL, device)
    assert (alive.life, alive.user_id) == (Life.ALIVE, int(token.account_key))
    assert (truth.token, truth.rotations, truth.reuse, truth.alive) == (token.text, 3, 0, True)

    assert await up.log_out(jar) is None

    assert (await up.who_am_i(jar)).life is Life.DEAD
    assert await up.rotate(token, device, jar) == LoggedOut()
    assert await up.set_refresh(token, device, jar) == InDoubt(Reason.UNREADABLE)


@pytest.mark.parametrize("value", [1, True, "1", 0], ids=repr)
async def test_a_spent_token_is_answered_with_a_logout_however_it_is_written(up, sim, kept, value):
    sim.rules = Rules(logout_value=value)
    token, jar = kept
    await up.rotate(token, DEVICE, jar)

    assert await up.rotate(token, DEVICE, jar) == LoggedOut()


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("reset_before", InDoubt(Reason.BROKEN_OFF)),
        ("reset_after", InDoubt(Reason.BROKEN_OFF)),
        ("error_500", InDoubt(Reason.SERVER_ERROR)),
        ("html_502", InDoubt(Reason.SERVER_ERROR)),
        ("bad_json", InDoubt(Reason.UNREADABLE)),
        ("empty", InDoubt(Reason.UNREADABLE)),
        ("maintenance", InDoubt(Reason.UNREADABLE)),
        ("spurious_logout", LoggedOut()),
    ],
)
async def test_every_fault_is_heard_as_what_it_is(up, sim, kept, fault, outcome):
    token, jar = kept
    sim.next(fault)

    assert await up.rotate(token, DEVICE, jar) == outcome


async def test_a_truncated_answer_is_in_doubt_on_a_socket(on_a_socket, sim):
    answer = await on_a_socket.log_in(EMAIL, PASSWORD, DEVICE)
    sim.next("truncated")

    outcome = await on_a_socket.rotate(answer.token, DEVICE, Jar())

    assert outcome == InDoubt(Reason.BROKEN_OFF)
    assert sim.truth(EMAIL, DEVICE).replies_lost == 1


async def test_a_wish_to_wait_is_heard(up, sim, kept):
    token, jar = kept
    sim.faults = Faults(rate_limited=1, retry_after=7)

    assert await up.rotate(token, DEVICE, jar) == Refused(Reason.RATE_LIMITED, timedelta(seconds=7))


@pytest.mark.parametrize("rules", [Rules(), Rules(wrong_password="200")], ids=["401", "200"])
async def test_a_wrong_password_is_told(up, sim, rules):
    sim.rules = rules

    assert await up.log_in(EMAIL, "wrong", DEVICE) == LoginRefused(LoginProblem.BAD_CREDENTIALS, Reason.REJECTED)


async def test_a_lockout_says_how_long(up, sim):
    sim.rules = Rules(lockout_after=1, lockout=600)
    await up.log_in(EMAIL, "wrong", DEVICE)

    answer = await up.log_in(EMAIL, PASSWORD, DEVICE)

    assert answer.problem is LoginProblem.LOCKED_OUT
    assert timedelta(seconds=590) < answer.retry_after <= timedelta(seconds=601)


async def test_an_unwelcome_address_is_told_apart(up, sim):
    sim.rules = Rules(forbid=True)

    assert await up.log_in(EMAIL, PASSWORD, DEVICE) == LoginRefused(LoginProblem.FORBIDDEN, Reason.FORBIDDEN)
    assert await up.rotate(Token("1|2|x"), DEVICE, Jar()) == Refused(Reason.FORBIDDEN)
    assert (await up.who_am_i(Jar())).life is Life.UNCLEAR
