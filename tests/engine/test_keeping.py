"""One session kept: from login or adoption to the hundredth rotation."""

import asyncio
from datetime import timedelta

import pytest

from aimkeeper.core.errors import (
    BadCredentials,
    LockedOut,
    ProtocolChanged,
    SessionEnded,
    UnknownSession,
    UpstreamRefused,
    UpstreamUnavailable,
)
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause, Status
from aimkeeper.simulator import Faults, Rules


async def kinds(service, session):
    return [fact.kind for fact in reversed(await service.store.events_of(session.id))]


async def test_a_login_is_stored_then_refreshed_and_holds_the_live_token(stage, service):
    session = await stage.log_in(service)

    assert stage.holds_live_token(session)
    assert (session.setrefresh_count, session.setrefresh_due, session.generation) == (1, False, 2)
    assert await kinds(service, session) == [EventKind.LOGGED_IN]


async def test_a_login_stands_though_its_setrefresh_fails_and_it_is_tried_again(stage, service):
    stage.sim.next("error_500", path="/setrefresh")

    session = await stage.log_in(service)
    assert session.setrefresh_due
    async with stage.working(service):
        await stage.clock.run(3)

    kept = await service.store.get(session.id)
    assert kept.setrefresh_count == 1
    assert stage.holds_live_token(kept)


async def test_a_second_login_of_the_same_pair_is_one_more_generation_of_the_same_session(stage, service):
    first = await stage.log_in(service)

    second = await stage.log_in(service)

    assert second.id == first.id
    assert second.generation > first.generation
    assert stage.holds_live_token(second)


async def test_a_password_is_remembered_only_when_asked_and_only_while_it_is_the_one_that_works(stage, service):
    remembered = await stage.log_in(service, remember=True)
    assert remembered.secrets.password == "correct horse"

    assert (await stage.log_in(service)).secrets.password == "correct horse"
    stage.sim.add_account("ana@example.com", "a new one")
    assert (await stage.log_in(service, password="a new one")).secrets.password is None


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        (Rules(), BadCredentials),
        (Rules(login_form=True), BadCredentials),
        (Rules(forbid=True), UpstreamRefused),
    ],
    ids=["wrong password", "wrong password, legacy form", "403"],
)
async def test_a_refused_login_says_why_and_stores_nothing(stage, service, rules, error):
    stage.sim.rules = rules

    with pytest.raises(error):
        await stage.log_in(service, password="wrong")

    assert await service.store.by_email("ana@example.com") == []


async def test_a_locked_account_says_how_long_to_wait(stage, service):
    stage.sim.rules = Rules(lockout_after=1, lockout=600)
    with pytest.raises(BadCredentials):
        await stage.log_in(service, password="wrong")

    with pytest.raises(LockedOut) as caught:
        await stage.log_in(service)

    assert timedelta(seconds=595) < caught.value.retry_after < timedelta(seconds=605)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("error_500", UpstreamUnavailable), ("reset_before", UpstreamUnavailable), ("bad_json", ProtocolChanged)],
)
async def test_a_login_without_a_clear_answer_is_no_verdict_on_the_password(stage, service, fault, error):
    stage.sim.next(fault, path="*")

    with pytest.raises(error):
        await stage.log_in(service)


async def test_an_adopted_session_is_rotated_at_once_and_then_about_every_fifteen_minutes(stage, service, brief):
    [session] = await stage.adopt(service)

    async with stage.working(service):
        await stage.clock.run(3 * 3600 * brief)

    kept = await service.store.get(session.id)
    truth = stage.truth(kept)
    assert stage.holds_live_token(kept)
    assert 3 * 4 * brief <= kept.rotations <= 3 * 5 * brief + 2
    assert (truth.rotations, truth.reuse, truth.concurrent) == (kept.rotations, 0, 0)


async def test_a_fleet_adopted_at_one_moment_spreads_out(stage, keeps_in):
    service = await stage.open(max_rate=20.0)
    await stage.adopt(service, 200)

    async with stage.working(service):
        await stage.clock.run(1800 if keeps_in == "sqlite" else 720)
        before = stage.sim.totals.rotations
        await stage.clock.run(60)
        in_a_minute = stage.sim.totals.rotations - before

    # 200 sessions over 13.5 minutes on average: some 15 a minute, were they spread evenly.
    assert in_a_minute < 40
    assert stage.sim.totals.reuse == 0


async def test_a_rotation_whose_reply_was_lost_is_repeated_within_the_reuse_interval(stage, service):
    stage.sim.rules = Rules(old_token="grace", grace=5)
    [session] = await stage.adopt(service)
    stage.sim.next("reset_after")

    async with stage.working(service):
        await stage.clock.run(3)

    kept = await service.store.get(session.id)
    assert stage.holds_live_token(kept)
    assert await kinds(service, session) == [EventKind.ADOPTED, EventKind.IN_DOUBT, EventKind.HEALED]


async def test_a_refusal_is_tried_again_and_harms_nothing(stage, service):
    [session] = await stage.adopt(service)
    stage.sim.faults = Faults(retry_after=2)
    stage.sim.next("rate_limited", times=2)

    async with stage.working(service):
        await stage.clock.run(10)

    kept = await service.store.get(session.id)
    assert (kept.attempt, kept.rotations) == (0, 1)
    assert stage.truth(kept).reuse == 0


async def test_a_session_dead_upstream_ends_with_cause_and_evidence_after_two_logouts_apart(stage, service):
    [session] = await stage.adopt(service)
    async with stage.working(service):
        await stage.clock.run(1)
        stage.sim.kill(session.email, session.fingerprint)
        await stage.clock.run(16 * 60)

    ended = await service.store.get(session.id)
    fact = (await service.store.events_of(session.id))[0]
    assert (ended.status, ended.cause) == (Status.ENDED, Cause.SERVER_ENDED)
    assert fact.kind is EventKind.ENDED
    assert [step["what"] for step in fact.data["evidence"]] == ["logged_out", "dead", "logged_out"]
    assert ended.token.text not in str(fact)


async def test_a_spurious_logout_ends_nothing(stage, service):
    [session] = await stage.adopt(service)
    stage.sim.next("spurious_logout")

    async with stage.working(service):
        await stage.clock.run(5)

    kept = await service.store.get(session.id)
    assert kept.status is Status.ACTIVE
    assert stage.holds_live_token(kept)


async def test_cookies_alive_but_token_refused_is_a_lost_token_not_an_end(stage, service):
    stage.sim.rules = Rules(old_token="refuse")
    [session] = await stage.adopt(service)
    stage.sim.next("reset_after")

    async with stage.working(service):
        await stage.clock.run(60)

    kept = await service.store.get(session.id)
    assert kept.status is Status.TOKEN_LOST
    assert EventKind.TOKEN_LOST in await kinds(service, session)


async def test_a_spare_is_tried_before_a_token_is_given_up(stage, service):
    [session] = await stage.adopt(service)
    async with stage.working(service):
        await stage.clock.run(1)
    # A slip: somebody adopts an older token over the live one, which thereby becomes a spare.
    stale = stage.grant()
    live = stage.grant()
    await service.entry.adopt([live], replacing=True)
    await service.entry.adopt([stale], replacing=True)
    again = await stage.open()

    async with stage.working(again):
        await stage.clock.run(10)

    kept = await again.store.get(session.id)
    assert stage.holds_live_token(kept)
    assert EventKind.SPARE_USED in await kinds(again, session)


async def test_a_secret_is_wiped_a_day_after_the_end_and_the_event_stays(stage, service):
    [session] = await stage.adopt(service)
    stage.sim.kill(session.email, session.fingerprint)

    async with stage.working(service):
        await stage.clock.run(60)
        assert (await service.store.get(session.id)).secrets.token is not None
        stage.clock.advance(24 * 3600)
        await stage.clock.run(61)

    assert await service.store.get(session.id) is None
    assert [fact.data["cause"] for fact in await service.store.ends_since(session.created_at)] == ["unknown"]


async def test_a_logout_here_is_final_even_for_a_rotation_in_flight(stage, service):
    [session] = await stage.adopt(service)
    stage.sim.faults = Faults(latency=3, paths=("/api/tokenUpdate",))

    async with stage.working(service):
        await stage.clock.run(1)
        await service.entry.log_out(await service.store.get(session.id))
        await stage.clock.run(60)

    ended = await service.store.get(session.id)
    assert (ended.status, ended.cause) == (Status.ENDED, Cause.LOGGED_OUT_HERE)
    assert ended.secrets.token is None
    assert ended.spares == 0


async def test_a_logout_upstream_is_told_and_says_so_when_it_can_not_be(stage, service):
    session = await stage.log_in(service)
    await stage.clock.finish(service.entry.log_out(session, upstream=True))
    assert not stage.truth(session).alive

    again = await stage.log_in(service)
    stage.sim.next("reset_before", path="/logout")
    with pytest.raises(UpstreamUnavailable, match="ended here"):
        await stage.clock.finish(service.entry.log_out(again, upstream=True))
    assert (await service.store.get(again.id)).status is Status.ENDED


async def test_forgetting_erases_row_and_events(stage, service):
    session = await stage.log_in(service)

    await service.entry.forget(session)

    assert await service.store.get(session.id) is None
    assert await service.store.events_of(session.id) == []
    with pytest.raises(UnknownSession):
        await service.find("ana@example.com")


async def test_callers_at_once_share_one_rotation(stage, service):
    session = await stage.log_in(service)

    answers = await stage.clock.finish(asyncio.gather(*(service.refresher.refresh(session) for _ in range(20))))

    assert len({answer.token.text for answer in answers}) == 1
    assert stage.truth(session).rotations == 1


async def test_a_caller_who_leaves_cancels_nothing(stage, service):
    session = await stage.log_in(service)
    stage.sim.faults = Faults(latency=2)
    caller = asyncio.create_task(service.refresher.refresh(session))
    await stage.clock.run(1)

    caller.cancel()
    await stage.clock.run(5)

    kept = await service.store.get(session.id)
    assert kept.generation == session.generation + 1
    assert stage.holds_live_token(kept)


async def test_a_caller_waits_for_a_session_another_process_holds(stage, service):
    session = await stage.log_in(service)
    other = await stage.open(role="visitor")
    stage.sim.faults = Faults(latency=2)
    ours = asyncio.create_task(service.refresher.refresh(session))
    await stage.clock.run(0.5)

    theirs = await stage.clock.finish(other.refresher.refresh(session))

    assert theirs.token == (await ours).token
    assert (stage.truth(session).rotations, stage.truth(session).concurrent) == (1, 0)


async def test_a_caller_loses_patience_with_a_holder_that_never_ends(stage, service):
    session = await stage.log_in(service)
    other = await stage.open(role="visitor")
    await other.store.claim_one(other.keeper.owner, session.id)

    with pytest.raises(UpstreamUnavailable, match="another process"):
        await stage.clock.finish(service.refresher.refresh(session))


async def test_a_caller_is_told_why_there_is_no_new_token(stage, service):
    session = await stage.log_in(service)
    stage.sim.rules = Rules(forbid=True)
    with pytest.raises(UpstreamRefused):
        await stage.clock.finish(service.refresher.refresh(session))
    stage.sim.rules = Rules()
    stage.sim.kill(session.email, session.fingerprint)
    with pytest.raises(SessionEnded):
        await stage.clock.finish(service.refresher.refresh(await service.store.get(session.id)))
