"""The heartbeat goes while sessions are kept, and falls silent when they are not."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.notify.heartbeat import Heartbeat, beat_every
from aimkeeper.notify.post import Post
from aimkeeper.simulator import Faults
from tests.engine.conftest import Stage

MINUTE = 60
# Sessions are rotated by the minute, so the heart beats every twenty seconds.
QUICK = {"refresh_every": timedelta(minutes=1), "idle_timeout": timedelta(minutes=10)}


@pytest.fixture
async def stage(tmp_path, clock):
    async with AsyncExitStack() as stack:
        yield Stage(tmp_path, clock, stack)


@pytest.fixture
async def beating(stage, receiver):
    """Runs a heart beside a worker of *service*'s, while the block lasts."""
    async with Post("aimkeeper/test") as post:

        @asynccontextmanager
        async def beating(service, worker):
            heart = Heartbeat(
                service.store,
                stage.clock,
                (post, f"{receiver.url}/ping/s3cret"),
                every=beat_every(service.policy.refresh_every),
                is_well=worker.is_well,
            )
            stage.clock.busy.append(lambda: bool(heart.beating))
            task = asyncio.create_task(heart.run())
            try:
                yield heart
            finally:
                task.cancel()
                await asyncio.wait([task])

        yield beating


@asynccontextmanager
async def at_work(stage, beating, count=1):
    """So many processes that work, with a heart each."""
    async with AsyncExitStack() as stack:
        tasks = []
        for _ in range(count):
            service = await stage.open(**QUICK)
            worker = service.worker()
            tasks.append(asyncio.create_task(worker.run()))
            stack.push_async_callback(stop, stage, worker, tasks[-1])
            await stack.enter_async_context(beating(service, worker))
        yield tasks


async def stop(stage, worker, task):
    worker.stop()
    if not task.done():
        await stage.clock.finish(task)


async def test_it_goes_at_its_interval_however_many_work(stage, beating, receiver):
    await stage.adopt(await stage.open(**QUICK), 5)
    async with at_work(stage, beating, count=2):
        await stage.clock.run(2 * MINUTE)
        receiver.told.clear()
        await stage.clock.run(4 * MINUTE)

    assert {(told.method, told.path) for told in receiver.told} == {("GET", "/ping/s3cret")}
    assert 11 <= len(receiver.told) <= 12


async def test_it_stops_when_the_worker_is_killed(stage, beating, receiver):
    await stage.adopt(await stage.open(**QUICK), 5)
    async with at_work(stage, beating) as [task]:
        await stage.clock.run(2 * MINUTE)
        before = len(receiver.told)
        task.cancel()
        await stage.clock.run(15)
        at_most = before + 1
        await stage.clock.run(5 * MINUTE)

    assert before >= 3
    assert len(receiver.told) <= at_most


async def test_it_goes_on_when_one_of_two_is_killed(stage, beating, receiver):
    await stage.adopt(await stage.open(**QUICK), 5)
    async with at_work(stage, beating, count=2) as [first, _]:
        await stage.clock.run(2 * MINUTE)
        before = len(receiver.told)
        first.cancel()
        await stage.clock.run(4 * MINUTE)

    assert 11 <= len(receiver.told) - before <= 12


async def test_it_stops_when_aimharder_fails_and_goes_on_when_it_answers(stage, beating, receiver):
    await stage.adopt(await stage.open(**QUICK), 5)
    async with at_work(stage, beating):
        await stage.clock.run(2 * MINUTE)
        stage.sim.faults = Faults(error_500=1.0)
        await stage.clock.run(4 * MINUTE)
        before = len(receiver.told)
        await stage.clock.run(4 * MINUTE)
        during = len(receiver.told) - before
        stage.sim.faults = Faults()
        await stage.clock.run(3 * MINUTE)

    assert during == 0
    assert len(receiver.told) - before >= 5


async def test_it_stops_when_an_operator_pauses_everything(stage, beating, receiver):
    service = await stage.open(**QUICK)
    await stage.adopt(service, 5)
    async with at_work(stage, beating):
        await stage.clock.run(2 * MINUTE)
        await service.keeper.breaker.pause(None)
        await stage.clock.run(3 * MINUTE)
        before = len(receiver.told)
        await stage.clock.run(2 * MINUTE)

    assert before >= 3
    assert len(receiver.told) == before


async def test_where_there_is_nothing_to_keep_it_goes_too(stage, beating, receiver):
    async with at_work(stage, beating):
        await stage.clock.run(2 * MINUTE)

    assert len(receiver.told) >= 5


async def test_a_watcher_who_does_not_answer_is_asked_again_and_then_left_till_the_next(stage, beating, receiver):
    receiver.answers = [503] * 3
    async with at_work(stage, beating):
        await stage.clock.run(19)
        early = len(receiver.told)
        await stage.clock.run(2 * MINUTE)

    assert early == 2
    assert len(receiver.told) >= 5


async def test_a_watcher_is_not_asked_again_once_all_is_no_longer_well(stage, beating, receiver):
    receiver.answers = [503] * 3
    service = await stage.open(**QUICK)

    class Failing:
        async def is_well(self):
            return not receiver.told

    async with beating(service, Failing()):
        await stage.clock.run(MINUTE)

    assert len(receiver.told) == 1


async def test_a_store_that_is_away_makes_it_silent_and_no_more(stage, beating, receiver, monkeypatch):
    async with at_work(stage, beating):
        await stage.clock.run(10)
        store = stage.services[0].store

        async def away(*_):
            raise StoreUnavailable("gone for now")

        monkeypatch.setattr(store.outbox, "beat", away)
        await stage.clock.run(2 * MINUTE)
        during = len(receiver.told)
        monkeypatch.undo()
        await stage.clock.run(30)

    assert (during, len(receiver.told)) == (1, 3)


async def test_an_error_nobody_foresaw_is_told_and_survived(stage, beating, receiver):
    service = await stage.open()

    class Broken:
        async def is_well(self):
            raise LookupError("of ours")

    async with beating(service, Broken()) as heart:
        faults = []
        heart.fault = faults.append
        await stage.clock.run(MINUTE)

    assert [type(error) for error in faults] == [LookupError] * len(faults)
    assert len(faults) > 2
    assert receiver.told == []


@pytest.mark.parametrize(("refresh", "beat"), [("900", 300), ("3600", 300), ("60", 20), ("3", 1)])
def test_it_is_quicker_where_sessions_are_rotated_oftener(refresh, beat):
    assert beat_every(timedelta(seconds=int(refresh))) == timedelta(seconds=beat)
