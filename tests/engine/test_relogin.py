"""A lost session with a remembered password logs in again: at the fleet's pace, and never with a refused one."""

from datetime import timedelta
from itertools import pairwise

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause, Status
from aimkeeper.core.token import Fingerprint
from aimkeeper.engine.entry import LogIn
from aimkeeper.simulator import Faults, Rules

ANA, PASSWORD = "ana@example.com", "correct horse"


async def kinds(service, session):
    return [fact.kind for fact in reversed(await service.store.events_of(session.id))]


async def test_a_session_that_died_logs_in_again_and_keeps_its_identity_and_history(stage, service):
    session = await stage.log_in(service, remember=True)
    stage.sim.kill(session.email, session.fingerprint)

    async with stage.working(service):
        await stage.clock.run(16 * 60)

    kept = await service.store.get(session.id)
    assert kept.status is Status.ACTIVE
    assert stage.holds_live_token(kept)
    assert kept.generation > session.generation
    assert kept.secrets.password == PASSWORD
    assert (await kinds(service, session))[-2:] == [EventKind.SUSPICION, EventKind.LOGGED_IN]
    assert [turn.via for turn in kept.ring].count("login") == 2


async def test_a_lost_token_is_put_right_by_logging_in_again(stage, service):
    stage.sim.rules = Rules(old_token="refuse")
    session = await stage.log_in(service, remember=True)
    stage.sim.next("reset_after")

    async with stage.working(service):
        await stage.clock.run(16 * 60)

    kept = await service.store.get(session.id)
    assert kept.status is Status.ACTIVE
    assert stage.holds_live_token(kept)


async def test_a_refused_password_is_forgotten_everywhere_and_never_tried_again(stage, service):
    first = await stage.log_in(service, remember=True)
    second = await stage.log_in(service, remember=True, fingerprint=Fingerprint("e" * 50))
    stage.sim.add_account(ANA, "changed behind our back")
    for session in (first, second):
        stage.sim.kill(session.email, session.fingerprint)

    async with stage.working(service):
        await stage.clock.run(3600)

    kept = [await service.store.get(session.id) for session in (first, second)]
    assert stage.sim.totals.wrong_passwords == 1
    assert all(session.status is Status.ENDED for session in kept)
    assert Cause.BAD_CREDENTIALS in [session.cause for session in kept]
    assert [session.secrets.password for session in kept] == [None, None]


async def test_a_lockout_is_waited_out_and_told_once(stage, service):
    session = await stage.log_in(service, remember=True)
    stage.sim.rules = Rules(lockout_after=1, lockout=1200)
    stage.sim.kill(session.email, session.fingerprint)
    # Somebody else tries a wrong password, and AimHarder locks the account.
    await stage.clock.finish(service.upstream.log_in(ANA, "wrong", session.fingerprint))

    async with stage.working(service):
        await stage.clock.run(14 * 60)
        attempts = stage.sim.totals.login_attempts
        await stage.clock.run(10 * 60)

    kept = await service.store.get(session.id)
    assert attempts <= 4
    assert kept.status is Status.ACTIVE
    assert (await kinds(service, session)).count(EventKind.RELOGIN_FAILED) == 1


async def test_no_more_than_two_tries_fail_in_an_hour(stage, service):
    session = await stage.log_in(service, remember=True)
    stage.sim.faults = Faults(bad_json=1.0, paths=("/api/login",))
    stage.sim.kill(session.email, session.fingerprint)
    before = stage.sim.totals.requests["/api/login"]

    async with stage.working(service):
        await stage.clock.run(15 * 60)
        start = stage.sim.totals.requests["/api/login"]
        await stage.clock.run(3 * 3600)

    assert start > before
    assert stage.sim.totals.requests["/api/login"] - before <= 2 * 4


async def test_logins_keep_to_the_fleets_pace(stage):
    service = await stage.open(login_rate=0.5)
    for number in range(8):
        email = f"member{number}@example.com"
        stage.sim.add_account(email, PASSWORD)
        session = await stage.clock.finish(service.entry.log_in(LogIn(email, PASSWORD, remember=True)))
        stage.sim.kill(session.email, session.fingerprint)

    async with stage.working(service):
        await stage.clock.run(20 * 60)
        logins = [entry.at for entry in stage.sim.log if entry.path == "/api/login"][8:]

    gaps = [later - earlier for earlier, later in pairwise(logins)]
    assert len(logins) == 8
    assert min(gaps) >= 1.9
    assert all(session.status is Status.ACTIVE for session in await service.store.page(None, 50))


async def test_two_sessions_of_one_account_are_not_logged_in_at_once(stage):
    service = await stage.open(login_rate=100.0)
    sessions = [await stage.log_in(service, remember=True, fingerprint=Fingerprint(letter * 50)) for letter in "abcd"]
    stage.sim.faults = Faults(latency=3, paths=("/api/login",))
    for session in sessions:
        stage.sim.kill(session.email, session.fingerprint)

    async with stage.working(service):
        await stage.clock.run(20 * 60)

    assert all(stage.holds_live_token(session) for session in await service.store.page(None, 50))
    spans = sorted(entry.at for entry in stage.sim.log if entry.path == "/api/login")[4:]
    assert all(later - earlier >= 3 for earlier, later in pairwise(spans))


async def test_nobody_is_logged_in_again_while_verdicts_are_held(stage):
    service = await stage.open(refresh_every=timedelta(seconds=60), idle_timeout=timedelta(seconds=300))
    for number in range(20):
        email = f"member{number}@example.com"
        stage.sim.add_account(email, PASSWORD)
        await stage.clock.finish(service.entry.log_in(LogIn(email, PASSWORD, remember=True)))
    logins = stage.sim.totals.login_attempts
    stage.sim.faults = Faults(logout_all=True, whoami_empty=True)

    async with stage.working(service):
        await stage.clock.run(100)
        during = stage.sim.totals.login_attempts
        stage.sim.faults = Faults()
        await stage.clock.run(100)

    # The first few may have gone before it was seen how many there are.
    assert during - logins <= 9
    assert all(session.status is Status.ACTIVE for session in await service.store.page(None, 50))


async def test_after_a_day_of_lockouts_the_session_ends_with_its_first_cause(stage):
    service = await stage.open(wipe_after=timedelta(hours=2))
    session = await stage.log_in(service, remember=True)
    stage.sim.faults = Faults(bad_json=1.0, paths=("/api/login",))
    stage.sim.kill(session.email, session.fingerprint)

    async with stage.working(service):
        await stage.clock.run(3.5 * 3600)

    ended = await service.store.get(session.id)
    assert (ended.status, ended.cause) == (Status.ENDED, Cause.SERVER_ENDED)


@pytest.mark.parametrize("fault", ["error_500", "reset_before"])
async def test_a_login_that_aimharder_could_not_judge_is_tried_again_in_a_minute(stage, service, fault):
    session = await stage.log_in(service, remember=True)
    stage.sim.kill(session.email, session.fingerprint)
    stage.sim.next(fault, path="/api/login")

    async with stage.working(service):
        await stage.clock.run(17 * 60)

    kept = await service.store.get(session.id)
    assert kept.status is Status.ACTIVE
    assert await service.store.logins.book(ANA) == type(await service.store.logins.book(ANA))()
