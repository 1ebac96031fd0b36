"""A backup that is restored spends nothing until somebody says that it is the one."""

import shutil
from contextlib import AsyncExitStack

import pytest

from aimkeeper.core.errors import ConfigError, Paused
from aimkeeper.core.events import EventKind
from aimkeeper.engine.entry import LogIn

from .conftest import EMAIL, PASSWORD, Stage

MINUTE = 60.0


@pytest.fixture(params=["sqlite", "postgres"])
def keeps_in(request) -> str:
    return request.param


class Restored:
    """A stage before which ten rotations pass between the backup and its being restored."""

    def __init__(self, stage: Stage, folder) -> None:
        self.stage = stage
        self.file = folder / "saved"

    async def play(self):
        """The service that starts on what was restored."""
        async with AsyncExitStack() as first:
            self.stage._stack, kept = first, self.stage._stack
            service = await self.stage.open()
            [session] = await self.stage.adopt(service)
            await self._back_up(service)
            for _ in range(10):
                session = await self.stage.clock.finish(service.refresher.refresh(session, forced=True))
        self.stage._stack = kept
        assert self.stage.truth(session).rotations == 10
        self.stage.services.clear()
        self._restore()
        return await self.stage.open(), session

    async def _back_up(self, service) -> None:
        if self.stage._database:
            self.stage._database.dumped(self.file)
        else:
            await service.store.whole.back_up(self.file)

    def _restore(self) -> None:
        if self.stage._database:
            self.stage._database.restored(self.file, "--clean")
        else:
            shutil.copyfile(self.file, self.stage.folder / "aimkeeper.db")


@pytest.fixture
def restored(stage, tmp_path) -> Restored:
    return Restored(stage, tmp_path)


async def test_backup_ten_rotations_restore_start_and_nothing_is_sent_until_it_is_taken_over(stage, restored):
    service, session = await restored.play()
    sent = stage.sim.totals.requests.total()

    async with stage.working(service):
        await stage.clock.run(20 * MINUTE)
        with pytest.raises(Paused, match="db take-over"):
            await stage.clock.finish(service.refresher.refresh(session, forced=True))
        with pytest.raises(Paused, match="db take-over"):
            await stage.clock.finish(service.entry.log_in(LogIn(EMAIL, PASSWORD)))
        with pytest.raises(ConfigError, match="db take-over"):
            await service.keeper.breaker.resume()
        assert stage.sim.totals.requests.total() == sent

        await service.store.fleet.take_over()
        await stage.clock.run(5)

    assert stage.sim.totals.requests.total() > sent
    told = [fact.kind for fact in await service.store.fleet.events()]
    assert told == [EventKind.STORE_COPIED, EventKind.TAKEN_OVER]


async def test_the_one_that_was_backed_up_goes_on(stage):
    service = await stage.open()
    [session] = await stage.adopt(service)
    if not stage._database:
        await service.store.whole.back_up(stage.folder / "saved")

    again = await stage.open()
    session = await stage.clock.finish(again.refresher.refresh(session, forced=True))

    assert stage.holds_live_token(session)
