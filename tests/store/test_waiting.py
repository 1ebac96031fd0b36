"""A call that was begun is waited for, whoever leaves meanwhile."""

import asyncio

import pytest

from aimkeeper.store.waiting import done


async def test_it_brings_what_the_call_brings():
    assert await done(asyncio.ensure_future(asyncio.sleep(0, "brought"))) == "brought"


async def test_it_raises_what_the_call_raises():
    async def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await done(asyncio.ensure_future(fail()))


@pytest.mark.parametrize("how", ["brings", "fails", "is cancelled itself"])
@pytest.mark.parametrize("times", [1, 3])
async def test_who_is_cancelled_waits_for_the_end_and_is_cancelled_then(how, times):
    running = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(done(running))
    for _ in range(times):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()

    if how == "brings":
        running.set_result("brought")
    elif how == "fails":
        running.set_exception(ZeroDivisionError())
    else:
        running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
