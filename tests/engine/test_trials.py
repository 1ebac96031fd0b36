"""
The rows of `make prove`, small and on a clock moved by hand; one of them for real.

The whole table, 500 sessions on real sockets, is `make prove`: docs/how-a-session-is-kept.md shows its last result.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause, Status
from aimkeeper.engine.entry import LogIn
from aimkeeper.simulator import Faults, Rules
from prove.field import Setup
from prove.order import best_possible, first_in_first_out
from prove.trials import Trial, killed_again_and_again

SESSIONS, IDLE, INTERVAL = 50, 30, 5
PASSWORD = "correct horse"
HOSTILE = Faults(
    reset_before=0.05,
    reset_after=0.05,
    error_500=0.05,
    html_502=0.05,
    truncated=0.05,
    bad_json=0.05,
    rate_limited=0.02,
    retry_after=1,
    hang=0.005,
    hang_for=10,
    latency=0.01,
    jitter=0.05,
)


def rules(old_token, *, idle=IDLE, grace=25.0):
    return Rules(idle_life=idle, old_token=old_token, grace=grace, after_grace="strict")


@pytest.fixture
def opened(stage):
    async def open_one(**changes):
        known = {"refresh_every": timedelta(seconds=INTERVAL), "idle_timeout": timedelta(seconds=IDLE)}
        known["upstream_timeout"] = timedelta(seconds=2)
        return await stage.open(**{**known, **changes})

    return open_one


async def all_of(service):
    return await service.store.page(None, 500)


async def play(stage, service, seconds, faults):
    """A worker for so long under *faults*, and then until all doubts are settled."""
    async with stage.working(service):
        stage.sim.faults = faults
        await stage.clock.run(seconds)
        stage.sim.faults = Faults()
        await stage.clock.run(INTERVAL + 5)


@pytest.mark.parametrize("old_token", ["grace", "stateless"])
async def test_every_fault_of_the_network_loses_nobody(stage, opened, old_token):
    stage.sim.rules = rules(old_token)
    service = await opened()
    await stage.adopt(service, SESSIONS)

    await play(stage, service, 90, HOSTILE)

    assert all(stage.holds_live_token(session) for session in await all_of(service))
    assert stage.sim.totals.replies_lost > 50
    assert stage.sim.totals.concurrent == 0


async def test_an_upstream_that_forgives_nothing_takes_no_more_than_it_lost_replies_of(stage, opened):
    stage.sim.rules = rules("strict")
    service = await opened()
    await stage.adopt(service, SESSIONS)

    async with stage.working(service):
        stage.sim.faults = HOSTILE
        await stage.clock.run(60)
        stage.sim.faults = Faults()
        await stage.clock.run(INTERVAL + 5)
        await stage.clock.finish(service.verdicts.accept())

    ended = [session for session in await all_of(service) if session.status is Status.ENDED]
    dead = [truth for truth in stage.sim.truths() if not truth.alive]
    assert 0 < len(dead) <= stage.sim.totals.replies_lost
    assert len(ended) == len(dead)
    assert {session.cause for session in ended} <= {Cause.DOUBLE_SPENT, Cause.UNKNOWN}


async def test_remembered_passwords_bring_back_what_lost_replies_killed(stage, opened):
    stage.sim.rules = rules("strict")
    service = await opened()
    for number in range(20):
        email = f"member{number}@example.com"
        stage.sim.add_account(email, PASSWORD)
        await stage.clock.finish(service.entry.log_in(LogIn(email, PASSWORD, remember=True)))

    await play(stage, service, 60, Faults(reset_after=0.02))

    assert stage.sim.totals.died["reuse"] > 0
    assert stage.sim.totals.wrong_passwords == 0
    assert all(stage.holds_live_token(session) for session in await all_of(service))


async def test_three_workers_and_two_callers_a_session_never_spend_a_token_twice(stage, opened):
    stage.sim.rules = rules("strict")
    services = [await opened() for _ in range(3)]
    callers = [await opened() for _ in range(2)]
    sessions = await stage.adopt(services[0], SESSIONS)

    async with AsyncExitStack() as stack:
        for service in services:
            await stack.enter_async_context(stage.working(service))
        for _ in range(6):
            asked = [caller.refresher.refresh(session) for caller in callers for session in sessions]
            answers = await stage.clock.finish(asyncio.gather(*asked))
            sessions = answers[: len(sessions)]
            await stage.clock.run(3)

    totals = stage.sim.totals
    assert (totals.reuse, totals.concurrent, totals.died.total()) == (0, 0, 0)
    assert totals.rotations >= 6 * SESSIONS


async def test_an_outage_for_four_fifths_of_their_lives_saves_whom_the_best_order_would(stage):
    idle, interval, count = 900, 150, 300
    rate = 0.4 * count / (0.9 * interval)
    stage.sim.rules = rules("stateless", idle=idle)
    known = {"refresh_every": timedelta(seconds=interval), "idle_timeout": timedelta(seconds=idle)}
    quick = await stage.open(role="visitor", **known)
    await stage.adopt(quick, count)
    async with stage.working(quick):
        await stage.clock.run(2 * interval)

    slow = await stage.open(max_rate=rate, **known)
    stage.sim.faults = Faults(error_500=1.0)
    async with stage.working(slow):
        await stage.clock.run(0.8 * idle)
        stage.sim.faults = Faults()
        by_due = sorted(await all_of(slow), key=lambda session: session.rotated_at)
        now = stage.clock.boottime()
        deaths = [stage.sim.dies_at(session.email, session.fingerprint) - now for session in by_due]
        await stage.clock.run(0.25 * idle)

    saved = sum(truth.alive for truth in stage.sim.truths())
    assert saved >= 0.97 * best_possible(deaths, 1 / rate)
    assert saved >= 2 * first_in_first_out(deaths, 1 / rate)


async def test_odd_answers_end_nobody(stage, opened):
    stage.sim.rules = rules("grace")
    service = await opened()
    await stage.adopt(service, SESSIONS)

    async with stage.working(service):
        stage.sim.faults = Faults(spurious_logout=0.02)
        await stage.clock.run(30)
        stage.sim.play(Faults(maintenance=1.0, paths=("*",)), seconds=10)
        await stage.clock.run(30)
        stage.sim.play(Faults(empty=1.0, paths=("*",)), seconds=5)
        await stage.clock.run(20)
        stage.sim.faults = Faults()
        await stage.clock.run(INTERVAL + 5)

    assert all(stage.holds_live_token(session) for session in await all_of(service))
    told = [fact.kind for session in await all_of(service) for fact in await service.store.events_of(session.id)]
    assert EventKind.ENDED not in told


async def test_everybody_logged_out_for_twenty_seconds_is_one_piece_of_news_and_no_end(stage, opened):
    stage.sim.rules = rules("stateless")
    service = await opened()
    await stage.adopt(service, SESSIONS)

    async with stage.working(service):
        await stage.clock.run(10)
        stage.sim.play(Faults(logout_all=True, whoami_empty=True), seconds=20)
        await stage.clock.run(60)

    fleet = [fact.kind for fact in await service.store.fleet.events()]
    told = {fact.kind for session in await all_of(service) for fact in await service.store.events_of(session.id)}
    assert fleet.count(EventKind.VERDICTS_HELD) == 1
    assert told.isdisjoint({EventKind.ENDED, EventKind.WIPED})
    assert all(stage.holds_live_token(session) for session in await all_of(service))


@pytest.mark.slow
async def test_a_worker_killed_every_two_seconds_for_real_loses_nobody():
    # Longer lives than in `make prove`: here the machine is busy with other tests.
    setup = Setup(sessions=50, rules=rules("grace", idle=30, grace=30), refresh_every=3, idle=30)
    trial = Trial("kill -9 every 2 s", "grace 30 s", "0 lost", setup, 20, killed_again_and_again)

    good, score = await killed_again_and_again(trial)

    assert good, score
    assert score.rotations > 100
