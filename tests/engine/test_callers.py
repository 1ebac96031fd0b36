"""What callers over HTTP may ask of the engine: a token handed out, a setrefresh, a line in the record; how soon."""

import asyncio
import sqlite3
from contextlib import contextmanager
from datetime import timedelta

import pytest

from aimkeeper.core.errors import SessionEnded, StoreUnavailable, TooManySessions, UpstreamUnavailable
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Status
from aimkeeper.engine.entry import LogIn
from aimkeeper.simulator import Faults, Rules
from aimkeeper.store.feed import Place

EMAIL, PASSWORD = "ana@example.com", "correct horse"


@pytest.fixture
async def session(stage, service):
    """Kept, rotated once, and past the time in which a rotation counts as young."""
    kept = await stage.log_in(service)
    stage.clock.advance(120)
    return kept


@pytest.fixture
def store_away(service):
    """Somebody else's transaction holds the database file for as long as the block lasts."""

    @contextmanager
    def away():
        service.store._backend._writer.execute("PRAGMA busy_timeout = 0")
        other = sqlite3.connect(service.settings.database_path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    return away


async def exchange(stage, service, session, token=None, **what):
    work = service.holders.exchange(token or session.token, session.fingerprint, **what)
    return await stage.clock.finish(work)


# ---------------------------------------------------------------- handed out


async def test_a_newer_token_that_was_rotated_in_while_the_older_one_was_presented_counts_as_handed_out(
    stage, service, session, monkeypatch
):
    real = service.keeper.hand_out

    async def hand_out(known, *handouts):
        # Between the look and the record of it, somebody's rotation lands.
        monkeypatch.setattr(service.keeper, "hand_out", real)
        await service.refresher.refresh(known, forced=True)
        return await real(known, *handouts)

    monkeypatch.setattr(service.keeper, "hand_out", hand_out)
    given = await exchange(stage, service, session)
    stage.clock.advance(900)
    await stage.clock.finish(service.refresher.refresh(given, forced=True))

    later = await exchange(stage, service, session, given.token)

    assert given.token != session.token
    assert stage.holds_live_token(later)


async def test_an_ended_session_s_token_is_given_to_nobody(stage, service, session):
    stage.sim.kill(session.email, session.fingerprint)
    with pytest.raises(SessionEnded):
        await exchange(stage, service, session)
    ended = await service.store.get(session.id)

    with pytest.raises(SessionEnded):
        await service.holders.give(ended)

    assert ended.secrets.token is not None, "it is kept for second thoughts"


async def test_only_the_one_for_whom_the_site_is_asked_must_be_admitted(stage, service, session):
    stage.sim.faults = Faults(latency=0.5)
    admitted = []

    answers = await stage.clock.finish(
        asyncio.gather(
            *(
                service.holders.exchange(session.token, session.fingerprint, admit=lambda one: admitted.append(one.id))
                for _ in range(20)
            )
        )
    )
    young = await exchange(stage, service, session, answers[0].token, admit=lambda one: admitted.append(one.id))

    assert admitted == [session.id]
    assert {answer.token for answer in answers} == {young.token}


async def test_whoever_is_not_admitted_has_nothing_done_for_him(stage, service, session):
    def nobody(_):
        raise PermissionError

    with pytest.raises(PermissionError):
        await exchange(stage, service, session, admit=nobody)

    assert stage.truth(session).rotations == 0
    assert (await exchange(stage, service, session)).token != session.token


# ---------------------------------------------------------------- while the store is away


async def test_a_holder_is_told_at_once_that_the_store_is_away_and_nothing_is_spent(
    stage, service, session, store_away
):
    began = stage.clock.monotonic()

    with store_away(), pytest.raises(StoreUnavailable):
        await service.holders.exchange(session.token, session.fingerprint)

    assert stage.clock.monotonic() == began
    assert stage.truth(session).rotations == 0
    assert (await exchange(stage, service, session)).token != session.token


async def test_a_holder_in_line_behind_a_fresh_token_that_waits_for_the_store_is_told_too_and_the_token_is_kept(
    stage, service, session, store_away
):
    [other] = await service.entry.adopt([stage.grant("berta@example.com", "e" * 50)], replacing=True)
    claim = await service.store.claim_one(service.keeper.owner, session.id)
    stage.sim.faults = Faults(latency=1.0)
    flight = service.keeper.launch(claim)
    await stage.clock.run(0.5)

    with store_away():
        await stage.clock.run(2)  # the answer is here, and can't be committed
        waiting = asyncio.create_task(service.holders.exchange(other.token, other.fingerprint))
        await stage.clock.run(2)
        told = waiting.exception()

    assert isinstance(told, StoreUnavailable)
    await stage.clock.finish(flight)
    assert stage.holds_live_token(await service.store.get(session.id))


# ---------------------------------------------------------------- setrefresh


async def test_a_setrefresh_spends_the_token_once_and_is_counted_apart(stage, service, session):
    after = await stage.clock.finish(service.refresher.refresh(session, setrefresh=True))

    assert stage.holds_live_token(after)
    assert (after.setrefresh_count, after.rotations, after.setrefresh_due) == (2, 0, False)
    assert stage.truth(session).reuse == 0


async def test_a_setrefresh_and_a_rotation_asked_for_at_once_are_done_one_after_the_other(stage, service, session):
    stage.sim.faults = Faults(latency=0.5)

    rotated, refreshed = await stage.clock.finish(
        asyncio.gather(service.refresher.refresh(session), service.refresher.refresh(session, setrefresh=True))
    )

    truth = stage.truth(session)
    assert (truth.concurrent, truth.reuse) == (0, 0)
    assert refreshed.setrefresh_count == 2
    assert max(rotated.generation, refreshed.generation) == (await service.store.get(session.id)).generation


async def test_a_process_that_dies_during_a_setrefresh_leaves_a_session_that_heals(stage, service, session):
    stage.sim.rules = Rules(old_token="grace", grace=60)
    stage.sim.next("reset_after", path="/setrefresh")

    after = await stage.clock.finish(service.refresher.refresh(session, setrefresh=True))

    assert stage.holds_live_token(after)
    assert after.status is Status.ACTIVE


async def test_a_setrefresh_that_fails_again_and_again_is_given_up_and_asked_for_no_more(stage, service, session):
    stage.sim.rules = Rules(old_token="grace", grace=600)
    stage.sim.faults = Faults(error_500=1.0, paths=("/setrefresh",))

    with pytest.raises(UpstreamUnavailable, match="server_error"):
        await stage.clock.finish(service.refresher.refresh(session, setrefresh=True))
    async with stage.working(service):
        await stage.clock.run(30)

    kept = await service.store.get(session.id)
    assert stage.sim.totals.requests["/setrefresh"] == 1 + 3  # the login's, and three tries
    assert (kept.status, kept.setrefresh_due) == (Status.ACTIVE, False)
    assert stage.holds_live_token(kept)


# ---------------------------------------------------------------- logging in for anybody


async def test_an_account_has_no_more_sessions_than_it_may_and_a_known_device_always_may(stage, service):
    wish = LogIn(EMAIL, PASSWORD, most=2)
    for device in ("one", "two"):
        await stage.log_in(service, most=2, fingerprint=device)

    with pytest.raises(TooManySessions):
        await stage.log_in(service, most=2, fingerprint="three")
    again = await stage.log_in(service, most=2, fingerprint="one")

    assert wish.most == 2
    assert stage.holds_live_token(again)
    assert len(await service.store.by_email(EMAIL)) == 2


async def test_sessions_that_have_ended_do_not_count(stage, service):
    first = await stage.log_in(service, most=1, fingerprint="one")
    await service.entry.log_out(first)

    second = await stage.log_in(service, most=1, fingerprint="two")

    assert stage.holds_live_token(second)


async def test_during_an_outage_nobody_but_the_operator_logs_in(stage, service):
    await stage.adopt(service, 60)
    stage.clock.advance(10)
    stage.sim.faults = Faults(error_500=1.0, paths=("/api/tokenUpdate",))
    now = service.store.now()
    await stage.clock.finish(service.passes.rotate_due(until=now, at_most=timedelta(seconds=20)))
    assert (await service.keeper.breaker.look(afresh=True)).is_out

    with pytest.raises(UpstreamUnavailable):
        await stage.log_in(service, public=True)
    asked = stage.sim.totals.requests["/api/login"]
    await stage.log_in(service)

    assert (asked, stage.sim.totals.requests["/api/login"]) == (0, 1)


# ---------------------------------------------------------------- the record


async def recorded(service):
    return [fact for _, fact in await service.store.http.feed.after(Place(0, 0), 1000)]


async def test_many_facts_at_once_are_each_written_and_told(service):
    heard = []
    service.keeper.hearers.events.append(heard.append)

    await asyncio.gather(*(service.audit.record(EventKind.OPERATOR_ACTED, act=str(n)) for n in range(50)))

    assert sorted(int(fact.data["act"]) for fact in await recorded(service)) == list(range(50))
    assert len(heard) == 50


async def test_what_could_not_be_written_is_told_to_nobody_and_everybody_who_waited_hears_why(service, store_away):
    heard = []
    service.keeper.hearers.events.append(heard.append)

    with store_away():
        told = await asyncio.gather(
            *(service.audit.record(EventKind.OPERATOR_ACTED, act=str(n)) for n in range(5)), return_exceptions=True
        )
    await service.audit.record(EventKind.OPERATOR_ACTED, act="later")

    assert {type(error) for error in told} == {StoreUnavailable}
    assert [fact.data["act"] for fact in heard] == ["later"]


async def test_whoever_leaves_while_his_fact_is_written_keeps_nobody_waiting(service):
    writing = [asyncio.create_task(service.audit.record(EventKind.OPERATOR_ACTED, act=str(n))) for n in range(3)]
    await asyncio.sleep(0)

    writing[1].cancel()
    await asyncio.gather(*writing, return_exceptions=True)
    await service.audit.record(EventKind.OPERATOR_ACTED, act="later")

    assert {fact.data["act"] for fact in await recorded(service)} == {"0", "1", "2", "later"}


async def test_a_pass_takes_from_the_dead_what_they_held_where_no_worker_does(stage, service, session):
    victim = await stage.open(role="visitor")
    stage.clock.advance(900)
    held = await victim.store.claim_one(victim.keeper.owner, session.id)
    victim.store.owners.abandon(victim.keeper.owner)

    result = await stage.clock.finish(
        service.passes.rotate_due(until=service.store.now(), at_most=timedelta(seconds=20))
    )

    assert held is not None
    assert (result.successful, result.skipped) == (1, 0)


async def test_a_pass_tells_of_each_session_as_it_lands(stage):
    service = await stage.open(concurrency=4)
    await stage.adopt(service, 40)
    stage.clock.advance(900)
    told = []

    def progress(result):
        told.append((result.processed, stage.sim.totals.requests["/api/tokenUpdate"]))

    result = await stage.clock.finish(
        service.passes.rotate_due(until=service.store.now(), at_most=timedelta(seconds=20), progress=progress)
    )

    assert result.successful == 40
    assert [processed for processed, _ in told] == list(range(1, 41))
    # Never is more than what may be in flight sent beyond what was told of.
    assert all(sent <= processed + 4 for processed, sent in told)


async def test_a_session_that_a_pass_gave_back_and_took_again_counts_once(stage, monkeypatch):
    service = await stage.open(concurrency=4)
    await stage.adopt(service, 6)
    stage.clock.advance(900)
    asked, real = [], service.keeper._may_send

    def may_send(claim):
        asked.append(claim.session.id)
        return len(asked) > 3 and real(claim)

    monkeypatch.setattr(service.keeper, "_may_send", may_send)

    result = await stage.clock.finish(
        service.passes.rotate_due(until=service.store.now(), at_most=timedelta(seconds=20))
    )

    assert len(asked) == 9
    assert (result.successful, result.processed, result.remaining, result.errors) == (6, 6, 0, [])
