"""Whoever presents a token that was handed out gets the present one; a second party is told so."""

import asyncio
from datetime import timedelta

import pytest

from aimkeeper.core.errors import HolderConflict, SessionEnded, UnknownSession, UpstreamUnavailable
from aimkeeper.core.events import EventKind
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.simulator import Faults


@pytest.fixture
async def session(stage, service):
    """Kept, rotated once, and past the time in which a rotation counts as young."""
    kept = await stage.log_in(service)
    stage.clock.advance(120)
    return kept


async def present(stage, service, token, fingerprint):
    return await stage.clock.finish(service.holders.exchange(token, fingerprint))


async def test_a_holder_gets_a_new_token_for_the_present_one(stage, service, session):
    got = await present(stage, service, session.token, session.fingerprint)

    assert got.token != session.token
    assert stage.holds_live_token(got)


async def test_a_rotation_younger_than_a_fifteenth_of_the_interval_is_answered_without_a_new_one(
    stage, service, session
):
    first = await present(stage, service, session.token, session.fingerprint)
    stage.clock.advance(59)

    again = await present(stage, service, first.token, session.fingerprint)

    assert again.token == first.token
    assert stage.truth(session).rotations == 1


async def test_an_adopted_token_is_rotated_however_lately_it_was_adopted(stage, service):
    [session] = await stage.adopt(service)

    got = await present(stage, service, session.token, session.fingerprint)

    assert got.token != session.token


async def test_an_older_token_handed_out_heals_without_asking_upstream(stage, service, session):
    await present(stage, service, session.token, session.fingerprint)
    rotations = stage.truth(session).rotations

    # The answer never reached the caller, who asks again with what it has.
    again = await present(stage, service, session.token, session.fingerprint)
    once_more = await present(stage, service, session.token, session.fingerprint)

    assert again.token == once_more.token == (await service.store.get(session.id)).token
    assert stage.truth(session).rotations == rotations
    assert stage.truth(session).reuse == 0


async def test_once_the_successor_is_in_use_the_older_token_is_a_second_party(stage, service, session):
    first = await present(stage, service, session.token, session.fingerprint)
    stage.clock.advance(120)
    await present(stage, service, first.token, session.fingerprint)

    for _ in range(3):
        with pytest.raises(HolderConflict):
            await present(stage, service, session.token, session.fingerprint)

    told = [fact.kind for fact in await service.store.events_of(session.id)]
    assert told.count(EventKind.HOLDER_CONFLICT) == 1


async def test_a_token_the_worker_rotated_away_meanwhile_still_brings_the_present_one(stage, service, session):
    mine = await present(stage, service, session.token, session.fingerprint)
    async with stage.working(service):
        await stage.clock.run(3600)

    got = await present(stage, service, mine.token, session.fingerprint)

    assert stage.holds_live_token(got)


async def test_an_older_token_heals_only_within_the_window(stage):
    service = await stage.open(heal_window=timedelta(minutes=5))
    session = await stage.log_in(service)
    stage.clock.advance(120)
    await present(stage, service, session.token, session.fingerprint)
    stage.clock.advance(400)

    with pytest.raises(UnknownSession):
        await present(stage, service, session.token, session.fingerprint)


@pytest.mark.parametrize("what", ["another token", "another fingerprint", "another account"])
async def test_a_stranger_gets_nothing(stage, service, session, what):
    token, fingerprint = session.token, session.fingerprint
    if what == "another token":
        token = Token(f"{token.account_key}|1893456000|{'0' * 32}")
    elif what == "another fingerprint":
        fingerprint = Fingerprint("e" * 50)
    else:
        token = Token("999|1893456000|" + "0" * 32)

    with pytest.raises(UnknownSession):
        await present(stage, service, token, fingerprint)


async def test_an_ended_session_says_so_to_every_token_it_ever_handed_out(stage, service, session):
    older, newer = session.token, (await present(stage, service, session.token, session.fingerprint)).token
    await service.entry.log_out(await service.store.get(session.id))

    for token in (older, newer):
        with pytest.raises(SessionEnded):
            await present(stage, service, token, session.fingerprint)


async def test_twenty_holders_at_once_share_one_rotation(stage, service, session):
    answers = await stage.clock.finish(
        asyncio.gather(*(service.holders.exchange(session.token, session.fingerprint) for _ in range(20)))
    )

    assert {answer.token for answer in answers} == {(await service.store.get(session.id)).token}
    truth = stage.truth(session)
    assert (truth.rotations, truth.concurrent, truth.reuse) == (1, 0, 0)


async def test_a_holder_is_told_to_come_back_while_the_upstream_is_away(stage, service, session):
    stage.sim.faults = Faults(error_500=1.0)

    with pytest.raises(UpstreamUnavailable) as caught:
        await present(stage, service, session.token, session.fingerprint)

    assert caught.value.retry_after >= timedelta(seconds=1)


async def test_credentials_are_rotated_first_when_there_is_less_slack_and_leave_a_trace(stage, service, session):
    same = await stage.clock.finish(
        service.refresher.credentials(session, min_slack=timedelta(minutes=10), reader="a test")
    )
    fresh = await stage.clock.finish(
        service.refresher.credentials(session, min_slack=timedelta(minutes=89), reader="a test")
    )

    assert same.token == session.token
    assert fresh.token != session.token
    told = [fact for fact in await service.store.events_of(session.id) if fact.kind is EventKind.CREDENTIALS_READ]
    assert [fact.data["by"] for fact in told] == ["a test", "a test"]
