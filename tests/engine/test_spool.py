"""A fresh token that an unreachable store could not take lies sealed on the disk, and is committed first."""

import asyncio
from pathlib import Path

import pytest

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.session import Status
from aimkeeper.engine.committer import LAST_PATIENCE, PATIENCE
from aimkeeper.serving import serving
from aimkeeper.simulator import Faults, Rules


@pytest.fixture
def away(monkeypatch):
    """Takes one verb of a service's store away."""

    def take(service, name):
        async def gone(*_args, **_kwargs):
            raise StoreUnavailable("the store is away.")

        monkeypatch.setattr(service.store, name, gone)

    return take


def files(service) -> list[Path]:
    return sorted(service.settings.database_path.parent.glob("*-spool/*.spool"))


async def left_behind(stage, away):
    """A session whose fresh token lies in the spool of a process that is gone, and how long that one took to stop."""
    first = await stage.open()
    [session] = await stage.adopt(first)
    async with stage.working(first) as worker:
        away(first, "commit")
        await stage.clock.run(3)
        stopped_at = stage.clock.monotonic()
        worker.stop()
    first.store.owners._locks.abandon(first.keeper.owner)
    return session, stage.clock.monotonic() - stopped_at


async def test_a_token_is_in_the_spool_while_the_store_is_away_and_gone_once_it_is_committed(
    stage, service, away, monkeypatch
):
    [session] = await stage.adopt(service)
    async with stage.working(service):
        away(service, "commit")
        await stage.clock.run(3)
        during = files(service)
        monkeypatch.undo()
        await stage.clock.run(3)

    assert len(during) == 1
    assert files(service) == []
    assert stage.holds_live_token(await service.store.get(session.id))


async def test_who_must_stop_while_the_store_is_away_leaves_the_token_behind_and_the_next_one_commits_it(stage, away):
    session, patience = await left_behind(stage, away)
    truth = stage.truth(session).token

    second = await stage.open()
    async with stage.working(second):
        await stage.clock.run(3)

    kept = await second.store.get(session.id)
    assert kept.token.text == truth
    assert kept.status is Status.ACTIVE
    assert files(second) == []
    assert stage.truth(session).reuse == 0
    assert PATIENCE <= patience <= PATIENCE + 2


async def test_where_no_worker_runs_the_process_that_answers_commits_what_was_left_behind(stage, away):
    session, _ = await left_behind(stage, away)

    second = await stage.open()
    async with serving(second, None, with_worker=False, stopping=asyncio.Event()):
        await stage.clock.run(3)

    assert (files(second), (await second.store.get(session.id)).token.text) == ([], stage.truth(session).token)


async def test_the_spool_holds_no_secret_that_a_reader_could_use(stage, service, away):
    await stage.adopt(service)
    async with stage.working(service):
        away(service, "commit")
        await stage.clock.run(3)
        [path] = files(service)
        content = path.read_bytes()

    truth = stage.sim.truths()[0]
    assert path.stat().st_mode & 0o077 == 0
    assert truth.token.encode() not in content
    assert b"amhrdrauth" not in content


async def test_a_token_spooled_though_it_was_committed_after_all_changes_nothing(stage, service):
    [session] = await stage.adopt(service)
    [claim] = await service.store.claim_due(service.keeper.owner, 1, until=service.store.now())
    changes = []
    true_commit = service.store.commit

    async def watched(group):
        changes.extend(group)
        return await true_commit(group)

    service.store.commit = watched
    await stage.clock.finish(service.keeper.launch(claim))
    before = await service.store.get(session.id)
    service.store.spool.save(changes)

    async with stage.working(service):
        await stage.clock.run(1)

    after = await service.store.get(session.id)
    assert (after.generation, after.token, after.spares) == (before.generation, before.token, 0)
    assert files(service) == []


async def test_a_spooled_token_that_came_too_late_becomes_a_spare(stage, service, away, monkeypatch):
    stage.sim.rules = Rules(old_token="stateless")
    first, second = service, await stage.open()
    [session] = await stage.adopt(first)
    async with stage.working(first) as worker:
        away(first, "commit")
        await stage.clock.run(3)
        worker.stop()
    first.store.owners._locks.abandon(first.keeper.owner)
    [path] = files(first)
    hidden = path.rename(path.with_suffix(".hidden"))
    async with stage.working(second):
        await stage.clock.run(5)
        assert (await second.store.get(session.id)).generation == 2
        hidden.rename(path)
        await stage.clock.run(2)

    kept = await second.store.get(session.id)
    assert kept.spares == 1
    assert stage.holds_live_token(kept)


async def test_a_login_that_could_not_be_stored_is_stored_when_the_store_is_back(stage, service, away, monkeypatch):
    away(service, "put")
    with pytest.raises(StoreUnavailable, match="login is good"):
        await stage.log_in(service, remember=True)
    monkeypatch.undo()

    async with stage.working(service):
        await stage.clock.run(3)

    [kept] = await service.store.page(None, 10)
    assert stage.holds_live_token(kept)
    assert kept.secrets.password == "correct horse"
    assert files(service) == []


async def test_without_store_and_spool_the_stop_waits_longer_for_the_fresh_token(stage, away, monkeypatch):
    service = await stage.open()
    await stage.adopt(service)
    troubles = []
    service.keeper.committer.trouble = troubles.append

    def full(*_):
        raise StoreUnavailable("the disk is full.")

    async with stage.working(service) as worker:
        away(service, "commit")
        monkeypatch.setattr(service.store.spool, "save", full)
        await stage.clock.run(3)
        since = stage.clock.monotonic()
        worker.stop()

    assert LAST_PATIENCE <= stage.clock.monotonic() - since <= LAST_PATIENCE + 2
    assert "the disk is full." in {str(trouble) for trouble in troubles}


async def test_a_file_that_can_not_be_opened_is_left_where_it_is(stage, service):
    folder = service.settings.database_path.parent / "aimkeeper.db-spool"
    folder.mkdir()
    (folder / "odd.spool").write_bytes(b"rubbish")
    stage.sim.faults = Faults()

    async with stage.working(service):
        await stage.clock.run(2)

    assert [path.name for path in files(service)] == ["odd.spool"]
    assert len(service.store.spool) == 1
